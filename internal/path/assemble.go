package path

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
)

// assemble makes the trace of what was seen. t.mu is held.
func (t *tracer) assemble() *Trace {
	tr := &Trace{
		Host: t.target.Host, Addr: t.target.Addr, DSCP: t.opts.Echoes.DSCP, Start: t.start,
		Sent: t.whole.sent, Probed: len(t.hops), Err: t.err,
	}
	for i := range t.hops {
		tr.Sent += t.hops[i].sent
	}
	tr.Held = t.held > 0 && t.held >= tr.Sent
	if tr.Host == "" {
		tr.Host = tr.Addr.String()
	}
	end := t.whole
	if end.replies == 0 && len(end.errors) == 0 && t.rtt > t.opts.Echoes.Timeout/4 {
		end = seen{} // nothing was wrong but the time that this echo had
	}
	last := t.lastHop()
	if last > 0 && t.hops[last-1].replies > 0 {
		end.add(&t.hops[last-1])
		t.hops[last-1] = end
	}
	for i := range last {
		tr.Hops = append(tr.Hops, t.hops[i].hop(i+1))
	}
	tr.Reached = end.replies > 0
	for i := last; i < len(t.hops); i++ {
		end.add(&t.hops[i])
	}
	tr.EndSent, tr.EndReceived = end.sent, min(end.replies, end.sent)
	tr.worst(end.errors)
	return tr
}

// lastHop returns the hop at which the path ends: the first one where the target answers,
// else the last one with an answer. What an ICMP error says ends it too, and that is a
// hop of its own only if another address reports it than the hop before.
func (t *tracer) lastHop() int {
	last := 0
	for i := range t.hops {
		switch s := &t.hops[i]; {
		case s.replies > 0:
			return i + 1
		case len(s.answers) > 0:
			last = i + 1
		}
	}
	return last
}

// add adds the outcome of other echoes that had enough TTL for the whole path.
func (s *seen) add(o *seen) {
	s.sent += o.sent
	s.replies += o.replies
	s.answers = append(slices.Clip(s.answers), o.answers...)
	s.errors = append(slices.Clip(s.errors), o.errors...)
}

// hop makes a hop of what was seen.
func (s *seen) hop(ttl int) Hop {
	h := Hop{TTL: ttl, Sent: s.sent, Answers: min(len(s.answers), s.sent), DSCP: -1, Target: s.replies > 0}
	for _, a := range s.answers {
		h.add(a)
	}
	slices.Sort(h.RTTs)
	slices.SortStableFunc(h.From, func(a, b Address) int { return cmp.Compare(b.Answers, a.Answers) })
	return h
}

func (h *Hop) add(a answer) {
	i := slices.IndexFunc(h.From, func(f Address) bool { return f.Addr == a.from })
	if i < 0 {
		i = len(h.From)
		h.From = append(h.From, Address{Addr: a.from})
	}
	h.From[i].Answers++
	h.From[i].Proven = h.From[i].Proven || a.quote == nil || a.quote.Cookie
	if a.rtt > 0 {
		h.RTTs = append(h.RTTs, a.rtt)
	}
	if q := a.quote; q != nil {
		if h.DSCP < 0 {
			h.DSCP = q.DSCP
		}
		if h.MPLS == nil {
			h.MPLS = q.Labels
		}
	}
}

// worst keeps the error that came most, and where it is from.
func (t *Trace) worst(errors []icmpcore.EchoError) {
	type kind struct {
		kind icmpcore.ErrorKind
		code int
		from netip.Addr
	}
	of := func(e *icmpcore.EchoError) kind { return kind{e.Kind, e.Code, e.From} }
	counts := make(map[kind]int)
	for i := range errors {
		counts[of(&errors[i])]++
	}
	for i := range errors {
		if n := counts[of(&errors[i])]; n > t.Errors {
			t.Error, t.Errors = &errors[i], n
		}
	}
	if t.Error != nil {
		t.ErrorHop = t.hopOf(t.Error.From)
	}
}

// mtuTime is how long a round of the search for the MTU waits.
func (t *tracer) mtuTime() time.Duration {
	d := min(4*t.rtt+200*time.Millisecond, t.opts.Echoes.Timeout)
	return (d + timeoutStep - 1) / timeoutStep * timeoutStep
}
