package icmpcore

import (
	"errors"
	"slices"
)

// sendReady sends what is due in a lane, as far as the rate and the system
// allow, up to one batch's worth, so that replies are read in between.
func (e *engine) sendReady(l *lane, now int64) {
	if len(l.reqs) > 0 {
		if now < l.resume {
			return
		}
		e.renew(l, now)
		if !e.transmit(l, now) {
			return
		}
	}
	for sent := 0; sent < maxBatch && l.ready.size > 0; sent += e.batch {
		if sent > 0 {
			now = e.clock.now()
		}
		e.fill(l, now)
		if len(l.reqs) == 0 || !e.transmit(l, now) {
			return
		}
	}
}

// fill begins the next echoes of a lane's ready series. An echo is on the
// table before it is sent: on loopback its reply comes inside the call.
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
			addr: s.addr, zone: s.zone, slot: i, number: n, seq: seq, prof: s.prof,
			cookie: e.cookies.encipher(echoID{slot: uint32(i), gen: s.gen, seq: seq}),
		})
	}
	e.pace.took(len(l.reqs))
}

// renew gives requests that had to wait the time of their new try.
func (e *engine) renew(l *lane, now int64) {
	for i := range l.reqs {
		s := e.slots.at(l.reqs[i].slot)
		c := s.at(l.reqs[i].number)
		c.sent, c.epoch, c.held = now, e.clock.epoch, false
		if l.reqs[i].number == 0 {
			s.wall, s.start = now+e.clock.offset, now
		}
	}
}

// transmit sends the lane's requests. It returns false where some must wait.
func (e *engine) transmit(l *lane, now int64) bool {
	done := 0
	for done < len(l.reqs) {
		n, err := e.conn.send(l.family, l.reqs[done:])
		for _, r := range l.reqs[done : done+n] {
			e.schedule(r.slot, e.slots.at(r.slot))
		}
		e.counts.Sent += uint64(n)
		if n > 0 {
			l.full = 0
		}
		done += n
		switch {
		case err == nil:
		case errors.Is(err, errFull) && !l.stuck(now):
			e.counts.SendWaits++
			l.resume = now + fullPause
			l.reqs = l.reqs[:copy(l.reqs, l.reqs[done:])]
			for _, r := range l.reqs {
				e.slots.at(r.slot).at(r.number).held = true
			}
			return false
		default:
			refused := l.reqs[done]
			done++
			e.refuse(refused, err)
		}
	}
	l.reqs = l.reqs[:0]
	return true
}

// letGo takes the request of an echo from its lane, if it is held there: there
// is an answer, so that a try that was thought to have failed got out.
func (e *engine) letGo(i int32, s *series, number uint32) {
	if c := s.at(number); c.held {
		c.held = false
		e.counts.Sent++
		l := e.lane(familyOf(s.addr))
		l.reqs = slices.DeleteFunc(l.reqs, func(r request) bool { return r.slot == i && r.number == number })
		e.schedule(i, s)
	}
}

// stuck notes that the lane's queue is full and reports whether it has been
// for too long.
func (l *lane) stuck(now int64) bool {
	if l.full == 0 {
		l.full = now
	}
	if now-l.full < fullLimit {
		return false
	}
	l.full = 0
	return true
}

// refuse ends an echo that the system would not send. The series goes on: the
// route or the firewall may be another at the next echo.
func (e *engine) refuse(r request, err error) {
	s := e.slots.at(r.slot)
	send := &SendError{Addr: s.addr, Err: err}
	e.flying--
	c := s.at(r.number)
	s.decide(c, echoUnsent, c.sent)
	e.counts.SendErrors++
	x := s.rarely()
	x.errors = append(x.errors, EchoError{Seq: int(r.number) + 1, Kind: ErrorSend, Message: systemText(err), send: send})
	if s.onEcho != nil {
		e.emit(s, Echo{Seq: int(r.number) + 1, Outcome: OutcomeError, Err: send})
	}
	if s.over() {
		e.finish(r.slot, nil)
		return
	}
	e.schedule(r.slot, s)
}
