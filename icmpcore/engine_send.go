package icmpcore

import (
	"errors"
	"slices"
	"time"
)

// lane holds what waits to be sent in one family and one of two classes. Two
// classes are needed so that requests to targets whose packets leave the
// machine never wait behind requests to targets whose packets stay in it.
type lane struct {
	family Family
	slow   bool       // for targets whose packets have not left
	ready  indexQueue // series whose next echo is due
	reqs   []request  // the batch to hand to the system now
	held   []request  // begun but not yet accepted by the system, in order

	resume int64 // when to try held requests again
	pause  int64 // how long the last wait for that was
	paused bool  // the system had no room: until resume, requests are held without trying
}

const (
	// maxBatch is how many requests go into one system call. From 16 on the cost
	// of the call itself no longer matters, and 64 are sent in a third of a
	// millisecond.
	maxBatch = 64

	// After a send queue was full the lane waits for fullPause, and longer each
	// time, up to longPause, while the queue stays full.
	fullPause = int64(500 * time.Microsecond)
	longPause = int64(4 * time.Millisecond)

	// maxFull is how many requests in a row must find no room before a lane
	// pauses: there may be room for a short packet when there is none for a large
	// one.
	maxFull = 4
)

// sendReady sends what is due in a lane, as far as the rate and the system
// allow. It sends maxBatch requests at most, so that replies are read in
// between.
func (e *engine) sendReady(l *lane, now int64) {
	if len(l.held) > 0 && now >= l.resume {
		e.retry(l, now)
	}
	for sent := 0; sent < maxBatch && l.ready.size > 0; sent += e.batch {
		if sent > 0 {
			now = e.clock.now()
		}
		if e.fill(l, now); len(l.reqs) == 0 {
			return
		}
		if l.paused {
			e.hold(l, l.reqs, errFull, now)
			l.reqs = l.reqs[:0]
		} else {
			e.transmit(l, now)
		}
	}
}

// fill begins the next echoes of a lane's ready series. An echo is in the tables
// before it is sent, because on loopback its reply comes during the send call.
func (e *engine) fill(l *lane, now int64) {
	most := min(e.batch, e.pace.allowed(now))
	for len(l.reqs) < most && l.ready.size > 0 {
		i := l.ready.pop()
		if !e.live.at(i).running {
			continue
		}
		s := e.slots.at(i)
		if !s.queued {
			continue
		}
		s.queued = false
		n := s.begin(now, e.clock.epoch)
		if n == 0 {
			s.wall = now + e.clock.offset
		}
		e.flying++
		seq := s.base + uint16(n)
		l.reqs = append(l.reqs, request{
			addr: s.addr, zone: s.zone, slot: i, number: n, seq: seq, gen: uint16(s.gen), prof: s.prof,
			until:  now + int64(s.prof.opts.Timeout),
			cookie: e.cookies.encipher(echoID{slot: uint32(i), gen: uint16(s.gen), seq: seq}),
		})
	}
	e.pace.took(len(l.reqs))
}

// retry tries up to a batch of a lane's held requests again. A request for
// which the system still has no room when its timeout has passed is refused.
func (e *engine) retry(l *lane, now int64) {
	again := slices.Clone(l.held[:min(maxBatch, len(l.held))])
	l.held = slices.Delete(l.held, 0, len(again))
	moved, last := false, l.pause // which hold begins anew where it finds no other
	for l.paused = false; len(again) > 0 && !l.paused; now = e.clock.now() {
		n := min(e.batch, len(again))
		l.reqs, again = append(l.reqs, again[:n]...), again[n:]
		for i := range l.reqs {
			e.renew(&l.reqs[i], now)
		}
		moved = e.transmit(l, now) > 0 || moved
	}
	e.hold(l, again, errFull, now)
	if l.paused {
		l.held = slices.DeleteFunc(l.held, func(r request) bool { return e.overdue(r, errFull, now) })
	}
	l.pause = min(2*last, longPause)
	if moved {
		l.pause = fullPause
	}
	l.resume = now + l.pause
}

// overdue refuses a request that the system has no room for, if its timeout has
// passed. It reports whether it did.
func (e *engine) overdue(r request, why error, now int64) bool {
	if now < r.until {
		return false
	}
	e.refuse(r, why)
	return true
}

// renew sets the send time of a request that had to wait to that of the new
// attempt.
func (e *engine) renew(r *request, now int64) {
	s := e.slots.at(r.slot)
	c := s.at(r.number)
	c.sent, c.epoch, c.held = now, e.clock.epoch, false
	if r.number == 0 {
		s.wall, s.start = now+e.clock.offset, now
	}
}

// transmit sends the lane's batch and returns how many requests the system
// accepted. It holds those for which the system has no room.
func (e *engine) transmit(l *lane, now int64) (taken int) {
	done, full := 0, 0
	for done < len(l.reqs) {
		n, err := e.conn.send(l.family, l.slow, l.reqs[done:])
		for _, r := range l.reqs[done : done+n] {
			e.schedule(r.slot, e.slots.at(r.slot))
		}
		e.counts.Sent += uint64(n)
		taken += n
		if n > 0 {
			full = 0
		}
		if done += n; err == nil {
			continue
		}
		failed := l.reqs[done : done+1]
		done++
		switch {
		case errors.Is(err, errBusy):
			e.hold(l, failed, err, now)
		case errors.Is(err, errFull):
			e.hold(l, failed, err, now)
			if full++; full == maxFull {
				e.hold(l, l.reqs[done:], err, now)
				done = len(l.reqs)
			}
		default:
			e.refuse(failed[0], err)
		}
	}
	l.reqs = l.reqs[:0]
	l.paused = full == maxFull || full > 0 && taken == 0
	return taken
}

// hold keeps requests for which the system has no room, to try them again within
// their timeout.
func (e *engine) hold(l *lane, reqs []request, why error, now int64) {
	if len(l.held) == 0 {
		l.pause = fullPause
		l.resume = now + fullPause
	}
	for _, r := range reqs {
		if e.overdue(r, why, now) {
			continue
		}
		s := e.slots.at(r.slot)
		s.at(r.number).held = true
		e.schedule(r.slot, s)
		l.held = append(l.held, r)
		e.counts.SendWaits++
	}
}

// unhold removes the request of an echo from its lane, if it is held there.
// There is an answer to it, so an attempt that seemed to fail was sent after
// all.
func (e *engine) unhold(i int32, s *series, number uint64) {
	if c := s.at(number); c.held {
		c.held = false
		e.counts.Sent++
		e.drop(s, func(r request) bool { return r.slot == i && r.number == number })
		e.schedule(i, s)
	}
}

// drop removes held requests of a series from its lanes.
func (e *engine) drop(s *series, which func(request) bool) {
	for _, slow := range [...]bool{false, true} {
		l := e.lane(familyOf(s.addr), slow)
		l.held = slices.DeleteFunc(l.held, which)
	}
}

// refuse ends an echo that the system refused to send. The series goes on,
// because the route or the firewall may have changed by the next echo.
func (e *engine) refuse(r request, err error) {
	s := e.slots.at(r.slot)
	e.flying--
	c := s.at(r.number)
	c.held = false
	s.decide(c, echoUnsent, c.sent)
	s.rareFields().unsent++
	e.recordError(s, arrivedError{at: e.wall(0), EchoError: EchoError{
		Seq: int(r.number) + 1, Kind: SendFailed, Message: systemText(err), Err: &SendError{Addr: s.addr, Err: err},
	}})
	if s.over() {
		e.finish(r.slot, nil)
		return
	}
	e.schedule(r.slot, s)
}
