package icmpcore

import (
	"net/netip"
	"sync"
	"time"
)

// engine is the one goroutine that sends, receives and keeps time for all
// series of a Pinger. What it holds is its own; callers reach it through the
// inbox, results leave it through the outbox.
type engine struct {
	conn    conn
	clock   *clock
	cookies *cookieCipher
	slots   *slots
	inbox   *inbox
	outbox  *outbox

	mu     sync.Mutex // guards public
	public Stats      // what Stats reports, renewed in each turn

	live    live
	index   addrIndex
	wheel   *wheel
	pace    pacer
	lanes   [4]lane                 // IPv4, IPv6: of each one for most targets and a slow one
	sick    map[netip.Addr]struct{} // targets whose last packet has not left, at the end of their series
	batch   int                     // requests for one send
	nextSeq uint16                  // where the next series' sequence numbers begin
	flying  int                     // echoes in flight
	hasty   int                     // series whose echoes are too close for beats
	arrived int64                   // when something last came in, monotonic ns
	now     int64                   // when what has come in was last looked at
	flushed int64                   // when results were last handed over
	drained int64                   // all that came in before this time has been seen
	counts  Stats

	against int      // replies in a row that speak against the size of the batch: stamps are missing, or come again
	gone    [2]error // why a family has no socket any more
}

const (
	// stuckAfter is from when on a packet that the kernel has not stamped is
	// taken to wait for its neighbour or device: a stamp comes within a
	// millisecond of the send, or of the time slice that the sender lost.
	stuckAfter = int64(10 * time.Millisecond)

	// maxSick bounds the targets known to be sick. Beyond it all are forgotten
	// and found again.
	maxSick = 1 << 16

	// napTime is how long replies are left to gather while many arrive. The
	// kernel has stamped them, so that waiting costs no truth, and waking up
	// for each costs more than reading it.
	napTime   = 250 * time.Microsecond
	napFlying = 64

	// crowd is how many series at once are many: from there on the engine does
	// what is due, reads what has come and takes new series once in a beat,
	// since a wake-up costs several times what an echo does: of 5,000 echoes a
	// second each took 48 µs of CPU without beats, 15 with beats of four
	// milliseconds and 14 with eight, on two processors. The kernel's stamps
	// keep the figures as they are; requests and timeouts come so much later at
	// most, so that there are none while a series runs whose interval is shorter
	// than two. The rate's pace has its own wake-ups.
	crowd = 64
	beat  = int64(1 << 23)

	// flushBatch and flushDelay say when results are handed over though the
	// engine has no pause.
	flushBatch = 1024
	flushDelay = int64(20 * time.Millisecond)
)

func newEngine(c conn, read func() (mono, wall int64), rate int, in *inbox, out *outbox, t *slots) *engine {
	e := &engine{
		conn: c, clock: newClock(read), cookies: newCookieCipher(), slots: t, inbox: in, outbox: out,
		pace: newPacer(rate), batch: maxBatch, sick: make(map[netip.Addr]struct{}),
	}
	if c.stamps() < TimestampsKernel {
		e.batch = 1 // the time before the send stands for the transmit stamp
	}
	e.wheel = newWheel(e.clock.mono, func(i int32) *timerNode { return &t.at(i).timer })
	e.index.at = t.at
	e.nextSeq = uint16(e.cookies.round[0])
	for i := range e.lanes {
		e.lanes[i] = lane{family: FamilyIPv4 + Family(i/2), slow: i%2 == 1, reqs: make([]request, 0, maxBatch)}
	}
	return e
}

// run serves series until the inbox is closed or the sockets are gone, then
// ends what still runs.
func (e *engine) run() {
	for {
		if err := e.takeInbox(); err != nil {
			e.endAll(err)
			return
		}
		now := e.clock.now()
		for i := range e.lanes {
			e.sendReady(&e.lanes[i], now)
		}
		more, err := e.receive()
		if err != nil {
			e.inbox.close(err)
			continue
		}
		e.wheel.advance(e.now, e.timer)
		e.publish()
		if len(e.outbox.fresh) >= flushBatch || e.now-e.flushed > flushDelay {
			e.flush()
		}
		if !more {
			e.sleep()
		}
	}
}

// endAll ends every series with err.
func (e *engine) endAll(err error) {
	for i := range e.lanes {
		e.lanes[i].held = nil // at once, instead of each series looking for its own
	}
	for i := range int32(e.live.size()) {
		if e.live.at(i).running {
			e.finish(i, err)
		}
	}
	e.publish()
	e.outbox.flush()
}

// flush hands over results: many at a time while there is no pause, since each
// hand-over wakes another goroutine.
func (e *engine) flush() {
	e.outbox.flush()
	e.flushed = e.now
}

// takeInbox takes over new series and cancels others. It returns why the
// engine has to end, if it has to.
func (e *engine) takeInbox() error {
	started, cancelled, closed := e.inbox.take()
	for _, i := range started {
		e.start(i)
	}
	for _, c := range cancelled {
		if e.running(uint32(c.slot), uint16(c.gen)) && e.slots.at(c.slot).gen == c.gen {
			e.finish(c.slot, c.err)
		}
	}
	return closed
}

// running reports whether the series gen of a slot runs. Slot may be anything.
func (e *engine) running(slot uint32, gen uint16) bool {
	return slot < uint32(e.live.size()) && *e.live.at(int32(slot)) == occupant{gen, true}
}

func (e *engine) start(i int32) {
	s := e.slots.at(i)
	e.live.start(i, uint16(s.gen))
	s.base = e.nextSeq
	// Neighbours in time get different sequence numbers, as far as they go.
	e.nextSeq += uint16(min(len(s.echoes), 1024))
	e.index.insert(i)
	if s.prof.hasty {
		e.hasty++
	}
	if err := e.gone[familyOf(s.addr)-FamilyIPv4]; err != nil { // lost while it was in the inbox
		e.finish(i, err)
		return
	}
	e.queue(i, s)
}

// lose ends all series of a family, whose socket is gone.
func (e *engine) lose(f Family, err error) {
	e.gone[f-FamilyIPv4] = err
	for i := range int32(e.live.size()) {
		if e.live.at(i).running && familyOf(e.slots.at(i).addr) == f {
			e.finish(i, err)
		}
	}
}

func (e *engine) queue(i int32, s *series) {
	s.queued = true
	e.lane(familyOf(s.addr), e.stuck(s)).ready.push(i)
}

func (e *engine) lane(f Family, slow bool) *lane {
	i := 2 * (f - FamilyIPv4)
	if slow {
		i++
	}
	return &e.lanes[i]
}

// stuck reports whether the packets of s seem to stay in the machine: the
// neighbour does not answer the question for its address, or the device stands
// still. Where the kernel does not stamp what leaves, a lost echo may be one.
func (e *engine) stuck(s *series) bool {
	if s.number == 0 {
		_, sick := e.sick[s.addr]
		return sick
	}
	if s.tail < s.number {
		c := s.at(s.tail)
		if c.held || c.state == echoInFlight && c.stamp == 0 && e.now-c.sent > stuckAfter && e.conn.stamps() == TimestampsKernel {
			return true
		}
	}
	return s.at(s.number - 1).unseen()
}

// remember notes at the end of a series whether its target is sick, for the next.
func (e *engine) remember(s *series) {
	switch {
	case s.number > 0 && s.at(s.number-1).unseen():
		if len(e.sick) >= maxSick {
			clear(e.sick)
		}
		e.sick[s.addr] = struct{}{}
	case len(e.sick) > 0:
		delete(e.sick, s.addr)
	}
}

// timer does what is due for series i: gives up echoes whose time is over and
// queues the next one. An echo is given up only when all that came in its time
// has been read.
func (e *engine) timer(i int32) {
	s := e.slots.at(i)
	timeout := int64(s.prof.opts.Timeout)
	for ; s.tail < s.number; s.tail++ {
		c := s.at(s.tail)
		if c.state != echoInFlight {
			continue
		}
		if c.held || c.sent+timeout >= e.drained {
			break
		}
		e.giveUp(s, s.tail, c)
	}
	if s.over() {
		e.finish(i, nil)
		return
	}
	if s.more() && !s.queued && !s.blocked() && s.due <= e.now {
		e.queue(i, s)
	}
	e.schedule(i, s)
}

// schedule sets the timer of series i to what comes first: its next send or
// the end of its oldest echo.
func (e *engine) schedule(i int32, s *series) {
	for s.tail < s.number && s.at(s.tail).state != echoInFlight {
		s.tail++
	}
	when, some := int64(0), false
	if s.tail < s.number && !s.at(s.tail).held {
		when, some = s.at(s.tail).sent+int64(s.prof.opts.Timeout)+1, true
	}
	if s.more() && !s.queued && !s.blocked() && (!some || s.due < when) {
		when, some = s.due, true
	}
	if some {
		if when <= e.now {
			when = e.now + 1<<tickBits // for want of reading: not within the same turn
		}
		e.wheel.set(i, when)
		return
	}
	e.wheel.clear(i)
}

// giveUp ends an echo whose timeout has passed: with the error that was
// reported without proof, now that no reply has disproved it, or as lost.
func (e *engine) giveUp(s *series, number uint64, c *echo) {
	e.flying--
	ended := c.sent + int64(s.prof.opts.Timeout)
	if err, ok := s.unprovenError(number); ok {
		s.decide(c, echoErred, ended)
		e.recordError(s, err)
		return
	}
	s.decide(c, echoTimedOut, ended)
	e.counts.Timeouts++
	if c.stamp == 0 && e.batch > 1 { // the kernel stamps what leaves: see watchStamps
		s.rarely().held++
	}
	if s.onEcho != nil {
		e.emit(s, Echo{Seq: int(number) + 1, Outcome: OutcomeTimeout})
	}
}

// recordError adds an error to the series' list and reports it to OnEcho.
func (e *engine) recordError(s *series, err EchoError) {
	s.keepError(err)
	if err.Kind == SendFailed {
		e.counts.SendErrors++
	} else {
		e.counts.Errors++
	}
	if s.onEcho != nil {
		c := err // a copy, so that err itself does not escape to the heap
		e.emit(s, Echo{Seq: err.Seq, Outcome: OutcomeError, From: err.From, Err: &c})
	}
}

// emit hands what happened to an echo to the series' watcher.
func (e *engine) emit(s *series, what Echo) {
	what.Host, what.Addr, what.Time = s.host, s.addr, time.Unix(0, e.clock.mono+e.clock.offset)
	e.outbox.add(delivery{echo: &watched{f: s.onEcho, echo: what}})
}

// finish takes series i off every table, whatever its state, and hands it on
// for its result. An error cuts it short: what is in flight stays undecided.
func (e *engine) finish(i int32, err error) {
	s := e.slots.at(i)
	held := false
	if err != nil {
		r := s.rarely()
		r.err = err
		for n := s.tail; n < s.number; n++ {
			if c := s.at(n); c.state == echoInFlight {
				held = held || c.held
				s.decide(c, echoCutShort, s.end)
				r.unresolved++
				e.flying--
			}
		}
	}
	e.live.at(i).running = false
	e.wheel.clear(i)
	e.index.remove(i)
	if s.prof.hasty {
		e.hasty--
	}
	if held {
		// The queues may keep its index: fill passes over what does not run.
		e.drop(s, func(r request) bool { return r.slot == i })
	}
	e.remember(s)
	e.outbox.add(delivery{slot: i})
}

// publish renews what Stats reports.
func (e *engine) publish() {
	e.counts.Series = e.index.count
	e.counts.ClockSteps = uint64(e.clock.epoch)
	e.mu.Lock()
	e.public = e.counts
	e.mu.Unlock()
}

// stats returns what was last published. Any goroutine may call it.
func (e *engine) stats() Stats {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.public
}

// sleep waits until there is something to do.
func (e *engine) sleep() {
	now := e.clock.now()
	crowded := e.index.count >= crowd && e.hasty == 0 && e.conn.stamps() >= TimestampsKernelRX
	until, some := e.wheel.next()
	if crowded {
		until = (until + beat - 1) &^ (beat - 1)
	}
	for i := range e.lanes {
		l := &e.lanes[i]
		if len(l.held) > 0 && (!some || l.resume < until) {
			until, some = l.resume, true
		}
		if l.ready.size == 0 {
			continue
		}
		if e.pace.allowed(now) > 0 {
			return
		}
		if at := e.pace.wait(now); !some || at < until {
			until, some = at, true
		}
	}
	d := time.Duration(-1)
	if some {
		if d = time.Duration(until - now); d <= 0 {
			return
		}
	}
	if nap := e.napFor(now, d, crowded); nap > 0 {
		e.conn.wait(nap, true) // run sees to what is to be handed over
		return
	}
	e.flush()
	if e.inbox.sleeping() {
		e.conn.wait(d, false)
		e.inbox.awake()
	}
}

// napFor returns how long to sleep whatever comes in, instead of d, which is
// negative for no end; 0: not at all.
func (e *engine) napFor(now int64, d time.Duration, crowded bool) time.Duration {
	nap, least := napTime, napFlying
	if crowded {
		nap, least = time.Duration(beat), 1
		if e.flying > 0 {
			nap /= 2 // what the socket's buffer holds of replies, whatever the rate
		}
		if d >= 0 && d <= nap {
			return d
		}
	}
	if e.flying < least || now-e.arrived >= int64(nap) || e.conn.stamps() < TimestampsKernelRX {
		return 0
	}
	if d >= 0 {
		return min(d, nap)
	}
	return nap
}
