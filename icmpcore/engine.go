package icmpcore

import (
	"net/netip"
	"sync"
	"time"
)

// engine is the one goroutine that sends, receives and keeps the timers for all
// series of a Pinger. No other goroutine uses its fields, except for those
// behind mu. Callers reach it through the inbox, and it returns results through
// the outbox.
type engine struct {
	conn    conn
	clock   *clock
	cookies *cookieCipher
	slots   *slots
	inbox   *inbox
	outbox  *outbox

	mu     sync.Mutex // guards public
	public Stats      // what Stats reports, updated in each turn

	live    live
	index   addrIndex
	wheel   *wheel
	pace    pacer
	lanes   [4]lane                 // for IPv4 and for IPv6: one for most targets, and a slow one
	sick    map[netip.Addr]struct{} // targets whose last packet had not left when their series ended
	batch   int                     // most requests in one send
	nextSeq uint16                  // first sequence number of the next series
	flying  int                     // echoes in flight
	fast    int                     // running series whose interval is too short for beats
	arrived int64                   // when something last came in, monotonic ns
	now     int64                   // when the engine last looked for what has come in
	flushed int64                   // when results were last handed over
	drained int64                   // everything that came in before this time has been read
	counts  Stats

	against int      // replies in a row that suggest another batch size: they have no timestamps, or have them again
	lost    [2]error // why a family no longer has a socket
}

const (
	// stuckAfter is how long after the send a packet without a kernel timestamp
	// counts as waiting for its neighbour or device. The timestamp normally
	// comes within a millisecond, or after the time slice in which the sender
	// did not run.
	stuckAfter = int64(10 * time.Millisecond)

	// maxSick bounds the list of sick targets. When it is full it is cleared, and
	// the targets are found again.
	maxSick = 1 << 16

	// napTime is how long the engine lets replies collect while at least
	// napFlying echoes are in flight. The kernel has taken their times already,
	// so the wait does not change the results, and to wake up for each reply
	// would cost more than to read it.
	napTime   = 250 * time.Microsecond
	napFlying = 64

	// With manySeries or more running series the engine works in beats: only
	// once in a beat it sends what is due, reads what has come in and takes new
	// series. A wake-up costs several times as much as an echo. On two
	// processors, at 5,000 echoes a second, an echo took 48 µs of CPU without
	// beats, 15 µs with beats of 4 ms and 14 µs with beats of 8 ms. The
	// kernel's timestamps keep the round-trip times exact, but requests and
	// timeouts can be late by one beat. So beats are off while any running
	// series has an interval shorter than two beats. The pace of the rate limit
	// has its own wake-ups.
	manySeries = 64
	beat       = int64(1 << 23)

	// flushBatch and flushDelay say when the engine hands over results although
	// it has no pause.
	flushBatch = 1024
	flushDelay = int64(20 * time.Millisecond)
)

func newEngine(c conn, read func() (mono, wall int64), rate int, in *inbox, out *outbox, t *slots) *engine {
	e := &engine{
		conn: c, clock: newClock(read), cookies: newCookieCipher(), slots: t, inbox: in, outbox: out,
		pace: newPacer(rate), batch: maxBatch, sick: make(map[netip.Addr]struct{}),
	}
	if c.stamps() < TimestampsKernel {
		e.batch = 1 // the time before the send replaces the transmit timestamp
	}
	e.wheel = newWheel(e.clock.mono, func(i int32) *timerNode { return &t.at(i).timer })
	e.index.at = t.at
	e.nextSeq = uint16(e.cookies.round[0])
	for i := range e.lanes {
		e.lanes[i] = lane{family: FamilyIPv4 + Family(i/2), slow: i%2 == 1, reqs: make([]request, 0, maxBatch)}
	}
	return e
}

// run serves series until the inbox is closed or the sockets are lost, then
// ends the series that still run.
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
		e.lanes[i].held = nil // all at once, so that no series has to search for its own
	}
	for i := range int32(e.live.size()) {
		if e.live.at(i).running {
			e.finish(i, err)
		}
	}
	e.publish()
	e.outbox.flush()
}

// flush hands results to the outbox. While there is no pause it is called for
// many at a time, because each call wakes another goroutine.
func (e *engine) flush() {
	e.outbox.flush()
	e.flushed = e.now
}

// takeInbox takes over new series and cancels others. It returns an error if the
// engine has to end.
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

// running reports whether the series gen of a slot is running. slot may be any
// number.
func (e *engine) running(slot uint32, gen uint16) bool {
	return slot < uint32(e.live.size()) && *e.live.at(int32(slot)) == occupant{gen, true}
}

func (e *engine) start(i int32) {
	s := e.slots.at(i)
	e.live.start(i, uint16(s.gen))
	s.base = e.nextSeq
	// Series that start one after the other get different sequence numbers, as
	// far as there are enough of them.
	e.nextSeq += uint16(min(len(s.echoes), 1024))
	e.index.insert(i)
	if s.prof.fast {
		e.fast++
	}
	if err := e.lost[familyOf(s.addr)-FamilyIPv4]; err != nil { // the socket was lost while the series was in the inbox
		e.finish(i, err)
		return
	}
	e.queue(i, s)
}

// lose ends all series of a family whose socket is lost.
func (e *engine) lose(f Family, err error) {
	e.lost[f-FamilyIPv4] = err
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
// neighbour does not answer ARP or neighbour discovery, or the device is
// stalled. If the kernel takes no transmit timestamps, a lost echo may also be
// one that did not leave.
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

// remember stores at the end of a series whether its target is sick, for the next
// series.
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

// timer does what is due for series i: it gives up echoes whose timeout has
// passed and queues the next echo. It gives up an echo only when everything
// that came in before the timeout has been read.
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

// schedule sets the timer of series i to its next send or to the timeout of its
// oldest echo, whichever comes first.
func (e *engine) schedule(i int32, s *series) {
	for s.tail < s.number && s.at(s.tail).state != echoInFlight {
		s.tail++
	}
	when, found := int64(0), false
	if s.tail < s.number && !s.at(s.tail).held {
		when, found = s.at(s.tail).sent+int64(s.prof.opts.Timeout)+1, true
	}
	if s.more() && !s.queued && !s.blocked() && (!found || s.due < when) {
		when, found = s.due, true
	}
	if found {
		if when <= e.now {
			when = e.now + 1<<tickBits // it waits until more has been read: not in the same turn
		}
		e.wheel.set(i, when)
		return
	}
	e.wheel.clear(i)
}

// giveUp ends an echo whose timeout has passed. If there was an unproven error
// about it, and no reply has shown it to be false, the echo ends with that
// error, otherwise as lost.
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
	if c.stamp == 0 && e.batch > 1 { // the kernel takes the time of what leaves: see watchStamps
		s.rareFields().held++
	}
	if s.onEcho != nil {
		e.emit(s, Echo{Seq: int(number) + 1, Outcome: OutcomeTimeout}, e.wall(0))
	}
}

// recordError adds an error to the series' list and reports it to OnEcho.
func (e *engine) recordError(s *series, err arrivedError) {
	s.keepError(err.EchoError)
	if err.Kind == SendFailed {
		e.counts.SendErrors++
	} else {
		e.counts.Errors++
	}
	if s.onEcho != nil {
		c := err.EchoError // a copy, so that err itself does not escape to the heap
		e.emit(s, Echo{
			Seq: err.Seq, Outcome: OutcomeError, From: err.From, RTT: time.Duration(err.rtt), Timestamps: err.source, Err: &c,
		}, err.at)
	}
}

// emit queues a call of the series' OnEcho for what happened at a wall time.
func (e *engine) emit(s *series, what Echo, at int64) {
	what.Host, what.Addr, what.Time = s.host, s.addr, time.Unix(0, at)
	e.outbox.add(delivery{echo: &watched{f: s.onEcho, echo: what}})
}

// finish removes series i from all tables, in any state, and hands it over for
// its result. With an error it ends early, and the echoes in flight stay
// undecided.
func (e *engine) finish(i int32, err error) {
	s := e.slots.at(i)
	held := false
	if err != nil {
		r := s.rareFields()
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
	if s.prof.fast {
		e.fast--
	}
	if held {
		// Queues may still hold its index: fill skips series that do not run.
		e.drop(s, func(r request) bool { return r.slot == i })
	}
	e.remember(s)
	e.outbox.add(delivery{slot: i})
}

// publish updates what Stats reports.
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
	beats := e.index.count >= manySeries && e.fast == 0 && e.conn.stamps() >= TimestampsKernelRX
	until, found := e.wheel.next()
	if beats {
		until = (until + beat - 1) &^ (beat - 1)
	}
	for i := range e.lanes {
		l := &e.lanes[i]
		if len(l.held) > 0 && (!found || l.resume < until) {
			until, found = l.resume, true
		}
		if l.ready.size == 0 {
			continue
		}
		if e.pace.allowed(now) > 0 {
			return
		}
		if at := e.pace.wait(now); !found || at < until {
			until, found = at, true
		}
	}
	d := time.Duration(-1)
	if found {
		if d = time.Duration(until - now); d <= 0 {
			return
		}
	}
	if nap := e.napFor(now, d, beats); nap > 0 {
		e.conn.wait(nap, true) // run hands over what is due
		return
	}
	e.flush()
	if e.inbox.sleeping() {
		e.conn.wait(d, false)
		e.inbox.awake()
	}
}

// napFor returns how long to sleep without waking up for what comes in, instead
// of the time d, which is negative for no end. 0 means not to nap.
func (e *engine) napFor(now int64, d time.Duration, beats bool) time.Duration {
	nap, least := napTime, napFlying
	if beats {
		nap, least = time.Duration(beat), 1
		if e.flying > 0 {
			nap /= 2 // at any rate the socket's buffer has room for the replies of that time
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
