package icmpcore

import (
	"encoding/binary"
	"time"
)

// drainLimit is how long timeouts wait, at most, until everything has been
// read. A flood that is faster than this thread must not hold series forever.
const drainLimit = int64(5 * time.Second)

// receive processes what has come in. more is true if there may be more. If it is
// false, everything that came in before e.drained has been processed.
func (e *engine) receive() (more bool, err error) {
	before := e.clock.now()
	for range 16 { // then it is time to send again
		var events []event
		events, more, err = e.conn.receive()
		if err != nil {
			return false, err
		}
		e.now = before
		if len(events) > 0 {
			e.now = e.clock.now()
			e.arrived = e.now
			for i := range events {
				e.take(&events[i], e.now)
			}
		}
		if !more {
			e.drained = before
			return false, nil
		}
		before = e.now
	}
	if e.now-e.drained > drainLimit {
		e.drained = e.now
	}
	return true, nil
}

func (e *engine) take(ev *event, now int64) {
	switch ev.kind {
	case eventStamp:
		e.takeStamp(ev)
	case eventReply:
		e.takeReply(ev, now)
	case eventError:
		e.takeError(ev, now)
	case eventDrops:
		e.counts.KernelDrops += uint64(ev.number)
	case eventTrouble:
		e.counts.ReceiveErrors++
	case eventForeign:
		e.counts.Foreign++
	case eventLost:
		e.lose(ev.family, ev.fault)
	}
}

// takeStamp stores when the kernel sent an echo. A packet that waited for its
// neighbour or device may leave after its series has ended.
func (e *engine) takeStamp(ev *event) {
	if !e.running(uint32(ev.slot), ev.gen) {
		return
	}
	s := e.slots.at(ev.slot)
	number, ok := s.numbered(ev.number)
	if !ok {
		return
	}
	if c := s.at(number); c.stamp == 0 {
		c.stamp = ev.stamp
	}
}

// takeReply decides whether a reply is ours, and what it is.
func (e *engine) takeReply(ev *event, now int64) {
	m, ok := parseEcho(ev.message, replyType(ev.family))
	if !ok || len(m.payload) < cookieSize || m.id != e.conn.id(ev.family) {
		e.counts.Foreign++
		return
	}
	cookie := binary.BigEndian.Uint64(m.payload)
	id := e.cookies.decipher(cookie)
	switch {
	case e.running(id.slot, id.gen):
	case e.wasOurs(id, m.seq):
		e.counts.Late++
		return
	default:
		e.counts.Foreign++
		return
	}
	s := e.slots.at(int32(id.slot))
	number, ok := s.numberOf(id.seq)
	if !ok || m.seq != id.seq || !s.from(ev) {
		e.counts.Foreign++
		return
	}
	if !s.prof.brought(ev.family, m, cookie) || ev.unverified && !checksumRight(ev.message) {
		e.counts.Corrupt++
		s.rareFields().corrupt++
		if s.onEcho != nil {
			e.emit(s, Echo{Seq: int(number) + 1, Outcome: OutcomeCorrupt, From: ev.from,
				TTL: int(ev.ttl), DSCP: int(ev.dscp()), Size: len(m.payload)}, e.wall(ev.stamp))
		}
		return
	}
	e.match(int32(id.slot), s, number, ev, now)
}

// dscp returns the code point of a reply, -1 if the system does not report it.
func (ev *event) dscp() int8 {
	if ev.noTOS {
		return -1
	}
	return int8(ev.tos >> 2)
}

// wasOurs reports whether a cookie was ours although its series no longer runs,
// no matter which series uses the slot now. A forged cookie names a slot that
// was ever taken, and the sequence number of its own packet, with a chance of
// one to billions.
func (e *engine) wasOurs(id echoID, seq uint16) bool {
	return id.slot < uint32(e.live.size()) && id.seq == seq
}

// from reports whether ev came from an address that replies to s may come from.
func (s *series) from(ev *event) bool {
	if s.group {
		return true
	}
	if s.zone == 0 {
		return ev.from == s.addr
	}
	// The kernel reports a zone only for link-local addresses.
	return ev.from == s.addr.WithZone("") && (ev.zone == s.zone || !s.addr.IsLinkLocalUnicast())
}

// match assigns a true reply to its echo.
func (e *engine) match(i int32, s *series, number uint64, ev *event, now int64) {
	if !s.kept(number) {
		e.late(s, number, ev, 0, TimestampsNone) // the ring no longer has it, so its timeout was long ago
		return
	}
	c := s.at(number)
	rtt, source := e.clock.roundTrip(c, ev.stamp, now)
	source = min(source, e.conn.stamps())
	switch {
	case c.state == echoReplied:
		e.counts.Duplicates++
		s.rareFields().duplicates++
		e.watchReply(s, OutcomeDuplicate, number, ev, rtt, source)
		return
	case c.state == echoTimedOut || rtt > int64(s.prof.opts.Timeout):
		e.late(s, number, ev, rtt, source)
		return
	case c.state == echoErred: // a reply in time overrides an error
		s.dropError(number)
		c.state = echoReplied
	case c.state == echoInFlight:
		e.unhold(i, s, number)
		e.flying--
		s.decide(c, echoReplied, now)
	default: // the system refused it but an earlier attempt was sent and answered
		e.counts.Foreign++
		return
	}
	c.rtt = rtt
	e.counts.Received++
	e.watchStamps(c, source)
	e.noteReply(s, number, ev, source)
	e.watchReply(s, OutcomeReply, number, ev, rtt, source)
	if s.over() {
		e.finish(i, nil)
	}
}

// noteReply stores what the result of a series says about its replies.
func (e *engine) noteReply(s *series, number uint64, ev *event, source Timestamps) {
	if s.received == 0 {
		s.ttl, s.dscp, s.stamps = ev.ttl, ev.dscp(), source
	}
	s.received++
	s.stamps = min(s.stamps, source)
	if next := uint32(number) + 1; int32(next-s.highest) < 0 {
		s.rareFields().reordered++
	} else {
		s.highest = next
	}
	if s.rare != nil && len(s.rare.unproven) > 0 {
		s.unprovenError(number)
	}
}

// watchStamps sets the batch to one request if the system accepted the request
// for transmit timestamps but gives none. The time before the send call is then
// the best there is, and it must not be that of a whole batch. When timestamps
// come again, it goes back to full batches. Echoes that were in flight during a
// step of the wall clock do not count.
func (e *engine) watchStamps(c *echo, source Timestamps) {
	if c.epoch != e.clock.epoch || e.conn.stamps() < TimestampsKernel {
		return
	}
	if (source >= TimestampsKernel) == (e.batch > 1) {
		e.against = 0
		return
	}
	if e.against++; e.against <= maxBatch {
		return
	}
	e.against = 0
	if e.batch = maxBatch; source < TimestampsKernel {
		e.batch = 1
	}
}

func (e *engine) late(s *series, number uint64, ev *event, rtt int64, source Timestamps) {
	e.counts.Late++
	s.rareFields().late++
	e.watchReply(s, OutcomeLate, number, ev, rtt, source)
}

// takeError decides whether an ICMP error is about an echo of ours in flight.
// If its quote has the cookie, the echo ends. If not, anybody could have forged
// the error: it is kept until the timeout shows that no reply comes.
func (e *engine) takeError(ev *event, now int64) {
	q := &ev.err
	if q.request.id != e.conn.id(ev.family) {
		e.counts.Foreign++
		return
	}
	if len(q.request.payload) < cookieSize {
		e.unprovenError(ev, now)
		return
	}
	id := e.cookies.decipher(binary.BigEndian.Uint64(q.request.payload))
	switch {
	case e.running(id.slot, id.gen):
	case e.wasOurs(id, q.request.seq):
		return // about an echo that was decided long ago
	default:
		e.counts.Foreign++
		return
	}
	s := e.slots.at(int32(id.slot))
	number, ok := s.numberOf(id.seq)
	if !ok || q.request.seq != id.seq || q.to != s.addr.WithZone("") || !s.kept(number) {
		e.counts.Foreign++
		return
	}
	c := s.at(number)
	if c.state != echoInFlight {
		return // decided already; routers often send an error more than once
	}
	e.unhold(int32(id.slot), s, number)
	e.flying--
	s.unprovenError(number)
	s.decide(c, echoErred, now)
	e.recordError(s, e.timed(ev, s, number, now))
	if s.over() {
		e.finish(int32(id.slot), nil)
	}
}

// unprovenError keeps an error without a cookie for the one echo in flight that
// it can be about. If it can be about several, it is foreign.
func (e *engine) unprovenError(ev *event, now int64) {
	var of *series
	var number uint64
	candidates := 0
	e.index.find(ev.err.to, func(_ int32, s *series) bool {
		n, ok := s.numberOf(ev.err.request.seq)
		if ok && s.kept(n) && s.at(n).state == echoInFlight {
			of, number = s, n
			candidates++
		}
		return candidates < 2
	})
	if candidates != 1 {
		e.counts.Foreign++
		return
	}
	of.unprovenError(number) // the newest replaces the one before
	r := of.rareFields()
	r.unproven = append(r.unproven, e.timed(ev, of, number, now))
}

// timed returns the error of an event that is about echo number, with the times
// of its arrival.
func (e *engine) timed(ev *event, s *series, number uint64, now int64) arrivedError {
	rtt, source := e.clock.roundTrip(s.at(number), ev.stamp, now)
	return arrivedError{newEchoError(ev, number), e.wall(ev.stamp), rtt, min(source, e.conn.stamps())}
}

// newEchoError describes the error of an event that is about echo number.
func newEchoError(ev *event, number uint64) EchoError {
	q := &ev.err
	kind, message, _ := describe(ev.family, q.typ, q.code, q.info)
	err := EchoError{Seq: int(number) + 1, Kind: kind, Type: q.typ, Code: q.code, Message: message, From: ev.from, Quote: q.quote()}
	switch kind {
	case PacketTooBig:
		err.MTU = q.info
	case ParameterProblem:
		err.Pointer = q.info
	}
	return err
}

// dropError removes the error of an echo from the list.
func (s *series) dropError(number uint64) {
	for i, e := range s.rare.errors {
		if e.Seq == int(number)+1 {
			s.rare.errors = append(s.rare.errors[:i], s.rare.errors[i+1:]...)
			return
		}
	}
}

// watchReply reports a reply to the series' OnEcho, if it has one.
func (e *engine) watchReply(s *series, outcome Outcome, number uint64, ev *event, rtt int64, source Timestamps) {
	if s.onEcho == nil {
		return
	}
	e.emit(s, Echo{
		Seq: int(number) + 1, Outcome: outcome, From: ev.from, RTT: time.Duration(rtt), Timestamps: source,
		TTL: int(ev.ttl), DSCP: int(ev.dscp()), Size: len(ev.message) - icmpHeaderSize,
	}, e.wall(ev.stamp))
}

// wall returns the wall time of what happens now: that of a packet that came in
// is its kernel timestamp, which is 0 if there is none. One that is not from the
// last second, because a clock was stepped, is not used.
func (e *engine) wall(stamp int64) int64 {
	now := e.clock.mono + e.clock.offset
	if stamp <= now && now-stamp < int64(time.Second) {
		return stamp
	}
	return now
}
