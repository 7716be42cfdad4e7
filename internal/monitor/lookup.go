package monitor

import (
	"context"
	"errors"
	"net"
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

	// lookupsAtOnce is how many look-ups run at once, as resolvers can be
	// asked. One that has taken longer than lookupBrisk does not count any
	// more, so that names which nobody answers for hold up no others; but
	// never run more than lookupsMost.
	lookupsAtOnce = 64
	lookupBrisk   = 250 * time.Millisecond
	lookupsMost   = 1024
)

var errNoAnswer = errors.New("no answer from the resolver yet")

// lookups are those under way and those that wait. Guarded by Monitor.mu.
type lookups struct {
	queue  []*Target // whose last look-up, if there was one, gave an address
	failed []*Target // the others, which come after them
	brisk  int       // under way, and no longer than lookupBrisk
	all    int       // under way
}

// next returns the target whose turn it is, nil where nobody's is.
func (l *lookups) next() *Target {
	from := &l.queue
	switch {
	case l.brisk >= lookupsAtOnce || l.all >= lookupsMost:
		return nil
	case len(l.queue) > 0:
	case len(l.failed) > 0 && l.all < lookupsMost/2: // the other half is for those that may answer
		from = &l.failed
	default:
		return nil
	}
	t := (*from)[0]
	(*from)[0] = nil
	*from = (*from)[1:]
	l.brisk++
	l.all++
	return t
}

// lookup queues t's name to be looked up, unless it is queued already.
func (m *Monitor) lookup(t *Target) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if t.looking || m.ctx.Err() != nil {
		return
	}
	t.looking = true
	if t.err == nil {
		m.lookups.queue = append(m.lookups.queue, t)
	} else {
		m.lookups.failed = append(m.lookups.failed, t)
	}
	m.startLookups()
}

// startLookups starts as many look-ups as may run. m.mu is held.
func (m *Monitor) startLookups() {
	for m.ctx.Err() == nil {
		t := m.lookups.next()
		if t == nil {
			return
		}
		m.lookers.Go(func() { m.lookUp(t) }) // ends by its timeout; Close waits for it
	}
}

// lookUp looks t's name up.
func (m *Monitor) lookUp(t *Target) {
	slow := time.AfterFunc(lookupBrisk, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.lookups.brisk--
		m.startLookups()
	})
	ctx, cancel := context.WithTimeout(m.ctx, lookupTimeout)
	got, err := m.prober.Resolve(ctx, t.Host, t.Options.Family)
	cancel()
	m.answer(t, got.Addr, err)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lookups.all--
	if slow.Stop() {
		m.lookups.brisk--
	}
	m.startLookups()
}

// answer notes what a look-up gave and starts the series that waits for it.
// While the resolver fails the last good answer stays; that a name does not
// exist is an answer.
func (m *Monitor) answer(t *Target, addr netip.Addr, err error) {
	m.mu.Lock()
	before := t.err
	t.looking, t.err = false, err
	var dns *net.DNSError
	switch {
	case err == nil:
		t.addr = addr
	case errors.As(err, &dns) && dns.IsNotFound:
		t.addr = netip.Addr{}
	}
	m.mu.Unlock()
	if err != nil {
		m.failures.Add(1)
	}
	switch {
	case m.ctx.Err() != nil: // the end of the process is no news about the name
	case err != nil && before == nil:
		m.log.Warn("look-up failed", "host", t.Host, "error", err)
	case err == nil && before != nil:
		m.log.Info("look-up works again", "host", t.Host, "address", addr)
	}
	m.waitNoMore(t)
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

// probeName starts the series of a name with what is known of it. Where
// nothing has been yet, and in a round on demand, whose look-ups could not begin
// ahead of it, it waits for the look-up under way.
func (m *Monitor) probeName(t *Target, due time.Time, done func(icmpcore.PingResult), demand bool) {
	m.mu.Lock()
	wait := t.looking && (demand || !t.addr.IsValid() && t.err == nil)
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
	addr, err := t.addr, t.err
	m.mu.Unlock()
	switch {
	case m.ctx.Err() != nil: // no news about the name either
		err = m.ctx.Err()
	case addr.IsValid():
		m.probe(t, addr, due, done)
		return
	case err == nil:
		err = errNoAnswer
	}
	var resolve *icmpcore.ResolveError
	if !errors.As(err, &resolve) {
		err = &icmpcore.ResolveError{Host: t.Host, Family: t.Options.Family, Err: err}
	}
	done(icmpcore.PingResult{Host: t.Host, Start: due, Err: err})
}
