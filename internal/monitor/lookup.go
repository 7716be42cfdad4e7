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
	// the series need not wait for the answer.
	lookupLead = 2 * time.Second

	// lookupTimeout bounds a look-up. A resolver whose first server is dead
	// answers after five seconds, with two dead servers after ten.
	lookupTimeout = 15 * time.Second

	// lookupWait is how long a round on demand waits for look-ups. It is long
	// enough for one dead server, and shorter than the time after which the
	// caller of the round usually gives up.
	lookupWait = 6 * time.Second

	// lookupsAtOnce is how many quick look-ups run at once, each of one name in
	// one family. A look-up that takes longer than lookupQuick no longer
	// counts, so that names without an answer do not delay the others. There
	// are never more than lookupsMost look-ups in all.
	lookupsAtOnce = 128
	lookupQuick   = 250 * time.Millisecond
	lookupsMost   = 1024
)

var errNoAnswer = errors.New("no answer from the DNS yet")

// question is one look-up: a target's name in one family.
type question struct {
	t *Target
	h *half
	f icmpcore.Family
}

// lookups holds the look-ups that run or wait. Guarded by Monitor.mu.
type lookups struct {
	queue  []question // wait; the last look-up, if any, was answered
	failed []question // wait behind queue; the last look-up failed
	quick  int        // run, for less than lookupQuick so far
	all    int        // run
}

// next returns the look-up to start next, and false if none may start.
func (l *lookups) next() (question, bool) {
	from := &l.queue
	switch {
	case l.quick >= lookupsAtOnce || l.all >= lookupsMost:
		return question{}, false
	case len(l.queue) > 0:
	case len(l.failed) > 0 && l.all < lookupsMost/2: // the other half is reserved for queue
		from = &l.failed
	default:
		return question{}, false
	}
	q := (*from)[0]
	(*from)[0] = question{} // for the garbage collector
	*from = (*from)[1:]
	l.quick++
	l.all++
	return q, true
}

// lookup queues the look-ups of t's name, except those that wait or run already.
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

// lookUp looks up the addresses of a name in one family.
func (m *Monitor) lookUp(q question) {
	slow := time.AfterFunc(lookupQuick, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.lookups.quick--
		m.startLookups()
	})
	ctx, cancel := context.WithTimeout(m.ctx, lookupTimeout)
	got, err := m.prober.Resolve(ctx, q.t.Host, q.f)
	cancel()
	var resolve *icmpcore.ResolveError
	if errors.As(err, &resolve) {
		err = resolve.Err // resolveError adds the target's host and family instead
	}
	m.answer(q, got.Addr, err)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lookups.all--
	if slow.Stop() {
		m.lookups.quick--
	}
	m.startLookups()
}

// answer records the result of a look-up, logs it if the name's state changes,
// and starts the series that waits for it.
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
	case m.ctx.Err() != nil || !settled: // an error at the end of the process says nothing about the name
	case after != nil && before == nil:
		m.log.Warn("look-up failed", "host", t.Host, "error", t.resolveError(after))
	case after == nil && before != nil:
		m.log.Info("look-up works again", "host", t.Host, "address", best)
	}
	m.settle(t)
}

// hasRoute reports whether there is a route for the address that h has after this
// answer.
func (m *Monitor) hasRoute(h *half, addr netip.Addr, err error) bool {
	if err != nil {
		m.mu.Lock()
		addr = h.addr // the last good answer stays
		m.mu.Unlock()
	}
	return addr.IsValid() && m.prober.HasRoute(m.ctx, addr)
}

// settle ends the wait for t's look-ups if they are settled, at once or after the
// resolution delay.
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

// resolveError adds the target's host and family to err.
func (t *Target) resolveError(err error) error {
	return &icmpcore.ResolveError{Host: t.Host, Family: t.Options.Family, Err: err}
}

// waitNoMore starts the series of t that waits for a look-up, if there is one,
// with the best known address. A second caller blocks until the first has
// finished.
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

// probeName starts the series of a name with its best known address. It first
// waits for the running look-ups in two cases: one of them is the first of its
// family, or the round is on demand, so that its look-ups could not start
// before it.
func (m *Monitor) probeName(t *Target, due time.Time, done func(icmpcore.PingResult), demand bool) {
	m.mu.Lock()
	settled, _ := t.halves.settled(t.Options.Family, time.Now())
	wait := !settled && (demand || t.halves.firstRunning())
	if wait {
		t.waiting = func() { m.probeKnown(t, due, done) }
	}
	m.mu.Unlock()
	if !wait {
		m.probeKnown(t, due, done)
	}
}

// probeKnown starts the series of a name with its best known address. If there is
// none, it records a result with the reason.
func (m *Monitor) probeKnown(t *Target, due time.Time, done func(icmpcore.PingResult)) {
	m.mu.Lock()
	addr, err := t.halves.best(t.Options.Family)
	m.mu.Unlock()
	switch {
	case m.ctx.Err() != nil: // the process ends: the error of the name says nothing
		err = m.ctx.Err()
	case addr.IsValid():
		m.probe(t, addr, due, done)
		return
	}
	done(icmpcore.PingResult{Host: t.Host, Start: due, Err: t.resolveError(err)})
}
