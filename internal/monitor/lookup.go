package monitor

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
)

const (
	// lookupLead is how long before its series a name is looked up, so that
	// the answer is there when the time comes.
	lookupLead = 2 * time.Second

	// lookupTimeout bounds a look-up. A resolver with a dead server in front
	// answers after five seconds, with two of them after ten.
	lookupTimeout = 15 * time.Second

	// lookupPatience is how long a round on demand waits for look-ups: one
	// dead server, and not so long that whoever waits for the round gives up.
	lookupPatience = 6 * time.Second

	// lookupsAtOnce is how many look-ups run at once, each of one name in one
	// family. One that has taken longer than lookupBrisk does not count any
	// more, so that names which nobody answers for hold up no others; but
	// never run more than lookupsMost.
	lookupsAtOnce = 128
	lookupBrisk   = 250 * time.Millisecond
	lookupsMost   = 1024
)

var errNoAnswer = errors.New("no answer from the DNS yet")

// question is one look-up: of a target's name, in the family of one half.
type question struct {
	t *Target
	h *half
	f icmpcore.Family
}

// lookups are those under way and those that wait. Guarded by Monitor.mu.
type lookups struct {
	queue  []question // whose last look-up, if there was one, was answered
	failed []question // the others, which come after them
	brisk  int        // under way, and no longer than lookupBrisk
	all    int        // under way
}

// next returns the look-up whose turn it is, and false where there is none.
func (l *lookups) next() (question, bool) {
	from := &l.queue
	switch {
	case l.brisk >= lookupsAtOnce || l.all >= lookupsMost:
		return question{}, false
	case len(l.queue) > 0:
	case len(l.failed) > 0 && l.all < lookupsMost/2: // the other half is for those that may answer
		from = &l.failed
	default:
		return question{}, false
	}
	q := (*from)[0]
	(*from)[0] = question{} // for the garbage collector
	*from = (*from)[1:]
	l.brisk++
	l.all++
	return q, true
}

// lookup queues the look-ups of t's name, except those that are queued already
// or under way.
func (m *Monitor) lookup(t *Target) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ctx.Err() != nil {
		return
	}
	for i := range t.halves {
		q := question{t, &t.halves[i], icmpcore.FamilyIPv4 + icmpcore.Family(i)}
		if q.h.looking || t.Options.Family != icmpcore.FamilyAuto && t.Options.Family != q.f {
			continue
		}
		q.h.looking = true
		if isAnswer(q.h.err) {
			m.lookups.queue = append(m.lookups.queue, q)
		} else {
			m.lookups.failed = append(m.lookups.failed, q)
		}
	}
	m.startLookups()
}

// startLookups starts as many look-ups as may run. m.mu is held.
func (m *Monitor) startLookups() {
	for m.ctx.Err() == nil {
		q, ok := m.lookups.next()
		if !ok {
			return
		}
		m.lookers.Go(func() { m.lookUp(q) }) // ends by its timeout; Close waits for it
	}
}

// lookUp asks for the addresses of a name in one family.
func (m *Monitor) lookUp(q question) {
	slow := time.AfterFunc(lookupBrisk, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.lookups.brisk--
		m.startLookups()
	})
	ctx, cancel := context.WithTimeout(m.ctx, lookupTimeout)
	got, err := m.prober.Resolve(ctx, q.t.Host, q.f)
	cancel()
	var resolve *icmpcore.ResolveError
	if errors.As(err, &resolve) {
		err = resolve.Err // it is the target that has the name, and the family asked for
	}
	m.answer(q, got.Addr, err)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lookups.all--
	if slow.Stop() {
		m.lookups.brisk--
	}
	m.startLookups()
}

// answer records what a look-up gave, says where that is news, and starts the
// series that waits for it.
func (m *Monitor) answer(q question, addr netip.Addr, err error) {
	t := q.t
	usable := true
	if t.Options.Family == icmpcore.FamilyAuto {
		usable = m.hasRoute(q.h, addr, err)
	}
	m.mu.Lock()
	now := time.Now()
	q.h.answer(now, addr, usable, err)
	settled, _ := t.halves.settled(t.Options.Family, now)
	before, best := t.err, netip.Addr{}
	if settled {
		best, t.err = t.halves.best(t.Options.Family)
	}
	after := t.err
	m.mu.Unlock()
	if settled && after != nil {
		m.failures.Add(1)
	}
	switch {
	case m.ctx.Err() != nil || !settled: // the end of the process is no news about the name
	case after != nil && before == nil:
		m.log.Warn("look-up failed", "host", t.Host, "error", t.resolveError(after))
	case after == nil && before != nil:
		m.log.Info("look-up works again", "host", t.Host, "address", best)
	}
	m.settle(t)
}

// hasRoute looks whether there is a route for the address that a half will have
// with the answer to its look-up.
func (m *Monitor) hasRoute(h *half, addr netip.Addr, err error) bool {
	if err != nil {
		m.mu.Lock()
		addr = h.addr // that stays
		m.mu.Unlock()
	}
	return addr.IsValid() && m.prober.HasRoute(m.ctx, addr)
}

// settle ends the wait for t's look-ups where no more is to be expected of
// them, at once or when the resolution delay has passed.
func (m *Monitor) settle(t *Target) {
	m.mu.Lock()
	settled, wait := t.halves.settled(t.Options.Family, time.Now())
	m.mu.Unlock()
	switch {
	case settled:
		m.waitNoMore(t)
	case wait > 0:
		time.AfterFunc(wait, func() { m.settle(t) })
	}
}

// resolveError says of the target why there is no address.
func (t *Target) resolveError(err error) error {
	return &icmpcore.ResolveError{Host: t.Host, Family: t.Options.Family, Err: err}
}

// waitNoMore lets the series of t that waits for a look-up begin, if there is
// one, with what is known by now.
func (m *Monitor) waitNoMore(t *Target) {
	t.ending.Lock()
	defer t.ending.Unlock()
	m.mu.Lock()
	waiting := t.waiting
	t.waiting = nil
	m.mu.Unlock()
	if waiting != nil {
		waiting()
	}
}

// probeName starts the series of a name with what is known of it. It waits for
// the look-ups under way where one is the first of its family, and in a round on
// demand, whose look-ups could not begin ahead of it.
func (m *Monitor) probeName(t *Target, due time.Time, done func(icmpcore.PingResult), demand bool) {
	m.mu.Lock()
	settled, _ := t.halves.settled(t.Options.Family, time.Now())
	wait := !settled && (demand || t.halves.untold())
	if wait {
		t.waiting = func() { m.probeKnown(t, due, done) }
	}
	m.mu.Unlock()
	if !wait {
		m.probeKnown(t, due, done)
	}
}

// probeKnown starts the series of a name, or records why there can be none.
func (m *Monitor) probeKnown(t *Target, due time.Time, done func(icmpcore.PingResult)) {
	m.mu.Lock()
	addr, err := t.halves.best(t.Options.Family)
	m.mu.Unlock()
	switch {
	case m.ctx.Err() != nil: // no news about the name either
		err = m.ctx.Err()
	case addr.IsValid():
		m.probe(t, addr, due, done)
		return
	}
	done(icmpcore.PingResult{Host: t.Host, Start: due, Err: t.resolveError(err)})
}
