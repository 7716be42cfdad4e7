package icmpcore

import (
	"bytes"
	"encoding/binary"
	"time"
)

// drainLimit is how long timeouts wait at most for everything to be read: a
// flood faster than this thread must not hold series for ever.
const drainLimit = int64(5 * time.Second)

// receive takes in what has come. more is true where there may be more; where
// it is false everything that had come by e.drained has been seen.
func (e *engine) receive() (more bool, err error) {
	before := e.clock.now()
	for range 16 { // then give the senders a turn
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
	case eventGone:
		e.lose(ev.family, ev.fault)
	}
}

// takeStamp notes when the kernel sent an echo. A packet that waited for its
// neighbour or device may leave, and be stamped, after its series has ended.
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
	id := e.cookies.decipher(binary.BigEndian.Uint64(m.payload))
	switch {
	case e.running(id.slot, id.gen):
	case e.once(id, m.seq):
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
	intact := len(m.payload) == cookieSize+len(s.prof.payload) &&
		bytes.Equal(m.payload[cookieSize:], s.prof.payload) &&
		(!ev.unverified || checksumRight(ev.message))
	if !intact {
		e.counts.Corrupt++
		s.rarely().corrupt++
		if s.onEcho != nil {
			e.emit(s, Echo{Seq: int(number) + 1, Outcome: OutcomeCorrupt, From: ev.from,
				TTL: int(ev.ttl), DSCP: int(ev.dscp()), Size: len(m.payload)})
		}
		return
	}
	e.match(int32(id.slot), s, number, ev, now)
}

// dscp returns the code point of a reply, -1 where the system does not say.
func (ev *event) dscp() int8 {
	if ev.noTOS {
		return -1
	}
	return int8(ev.tos >> 2)
}

// once reports whether a cookie was one of ours though its series runs no more,
// whatever runs in the slot by now: one that somebody made up names a slot that
// was ever taken, and its own sequence number, by a chance of one to billions.
func (e *engine) once(id echoID, seq uint16) bool {
	return id.slot < uint32(e.live.size()) && id.seq == seq
}

// from reports whether ev came from where s's replies must come from.
func (s *series) from(ev *event) bool {
	if s.group {
		return true
	}
	if s.zone == 0 {
		return ev.from == s.addr
	}
	// The kernel tells the zone of link-local addresses alone.
	return ev.from == s.addr.WithZone("") && (ev.zone == s.zone || !s.addr.IsLinkLocalUnicast())
}

// match gives a true reply to its echo.
func (e *engine) match(i int32, s *series, number uint64, ev *event, now int64) {
	if !s.kept(number) {
		e.late(s, number, ev, 0) // long after its timeout, or it would be in the ring
		return
	}
	c := s.at(number)
	rtt, source := e.clock.roundTrip(c, ev.stamp, now)
	source = min(source, e.conn.stamps())
	switch {
	case c.state == echoReplied:
		e.counts.Duplicates++
		s.rarely().duplicates++
		e.watchReply(s, OutcomeDuplicate, number, ev, rtt)
		return
	case c.state == echoTimedOut || rtt > int64(s.prof.opts.Timeout):
		e.late(s, number, ev, rtt)
		return
	case c.state == echoErred: // a reply in time is stronger than any error
		s.dropError(number)
		c.state = echoReplied
	case c.state == echoInFlight:
		e.letGo(i, s, number)
		e.flying--
		s.decide(c, echoReplied, now)
	default: // refused by the system, and yet answered: an earlier try got out
		e.counts.Foreign++
		return
	}
	c.rtt = rtt
	e.counts.Received++
	e.watchStamps(c, source)
	e.noteReply(s, number, ev, source)
	e.watchReply(s, OutcomeReply, number, ev, rtt)
	if s.over() {
		e.finish(i, nil)
	}
}

// noteReply keeps what a series' result tells of its replies.
func (e *engine) noteReply(s *series, number uint64, ev *event, source Timestamps) {
	if s.received == 0 {
		s.ttl, s.dscp, s.stamps = ev.ttl, ev.dscp(), source
	}
	s.received++
	s.stamps = min(s.stamps, source)
	if next := uint32(number) + 1; int32(next-s.highest) < 0 {
		s.rarely().reordered++
	} else {
		s.highest = next
	}
	if s.rare != nil && len(s.rare.unproven) > 0 {
		s.unprovenError(number)
	}
}

// watchStamps goes over to sending one request a call where the system accepts
// to stamp what it sends and does not do it: the time before the call is then
// all there is, and must not be that of a whole batch. When stamps come again,
// it goes back to batches. What was under way while the wall clock was stepped
// tells nothing.
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

func (e *engine) late(s *series, number uint64, ev *event, rtt int64) {
	e.counts.Late++
	s.rarely().late++
	e.watchReply(s, OutcomeLate, number, ev, rtt)
}

// takeError decides whether an ICMP error is about an echo of ours in flight.
// With the cookie in its quote it ends the echo. Without, anybody could have
// made it up: it is kept until the timeout shows that no reply comes.
func (e *engine) takeError(ev *event, now int64) {
	q := &ev.err
	if q.request.id != e.conn.id(ev.family) {
		e.counts.Foreign++
		return
	}
	if len(q.request.payload) < cookieSize {
		e.unprovenError(ev)
		return
	}
	id := e.cookies.decipher(binary.BigEndian.Uint64(q.request.payload))
	switch {
	case e.running(id.slot, id.gen):
	case e.once(id, q.request.seq):
		return // about an echo long decided
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
		return // decided already; errors are often sent more than once
	}
	e.letGo(int32(id.slot), s, number)
	e.flying--
	s.unprovenError(number)
	s.decide(c, echoErred, now)
	e.recordError(s, newEchoError(ev, number))
	if s.over() {
		e.finish(int32(id.slot), nil)
	}
}

// unprovenError keeps an error without a cookie for the one echo in flight it
// may be about. Where several may be meant it is nobody's.
func (e *engine) unprovenError(ev *event) {
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
	of.unprovenError(number) // the newest stands for all
	r := of.rarely()
	r.unproven = append(r.unproven, newEchoError(ev, number))
}

// newEchoError describes the error of an event that is about echo number.
func newEchoError(ev *event, number uint64) EchoError {
	q := &ev.err
	kind, message, _ := describe(ev.family, q.typ, q.code, q.info)
	err := EchoError{Seq: int(number) + 1, Kind: kind, Type: q.typ, Code: q.code, Message: message, From: ev.from}
	switch kind {
	case PacketTooBig:
		err.MTU = q.info
	case ParameterProblem:
		err.Pointer = q.info
	}
	return err
}

// dropError takes the error of an echo off the list again.
func (s *series) dropError(number uint64) {
	for i, e := range s.rare.errors {
		if e.Seq == int(number)+1 {
			s.rare.errors = append(s.rare.errors[:i], s.rare.errors[i+1:]...)
			return
		}
	}
}

// watchReply tells the series' watcher, if there is one, of a reply.
func (e *engine) watchReply(s *series, outcome Outcome, number uint64, ev *event, rtt int64) {
	if s.onEcho == nil {
		return
	}
	e.emit(s, Echo{
		Seq: int(number) + 1, Outcome: outcome, From: ev.from, RTT: time.Duration(rtt),
		TTL: int(ev.ttl), DSCP: int(ev.dscp()), Size: len(ev.message) - icmpHeaderSize,
	})
}
