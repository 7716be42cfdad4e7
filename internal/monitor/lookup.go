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

	// lookupTimeout bounds a look-up, lookupWorkers how many run at once.
	lookupTimeout = 5 * time.Second
	lookupWorkers = 64
)

var errNoAnswer = errors.New("no answer from the resolver yet")

// lookup queues t's name to be looked up, unless it is queued already.
func (m *Monitor) lookup(t *Target) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if t.looking || m.ctx.Err() != nil {
		return
	}
	t.looking = true
	m.queue = append(m.queue, t)
	if m.workers < lookupWorkers {
		m.workers++
		m.lookers.Go(m.lookUpQueued) // ends when the queue is empty; Close waits for it
	}
}

// lookUpQueued looks names up until none is left.
func (m *Monitor) lookUpQueued() {
	for {
		m.mu.Lock()
		if len(m.queue) == 0 {
			m.workers--
			m.mu.Unlock()
			return
		}
		t := m.queue[0]
		m.queue[0] = nil
		m.queue = m.queue[1:]
		m.mu.Unlock()

		ctx, cancel := context.WithTimeout(m.ctx, lookupTimeout)
		got, err := m.prober.Resolve(ctx, t.Host, t.Options.Family)
		cancel()
		m.answer(t, got.Addr, err)
	}
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
	waiting := t.waiting
	t.waiting = nil
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
	if waiting != nil {
		waiting()
	}
}

// probeName starts the series of a name with what is known of it. Where
// nothing has been yet, and in a round on demand, whose look-ups could not begin
// ahead of it, it waits for the look-up under way.
func (m *Monitor) probeName(t *Target, due time.Time, done func(icmpcore.PingResult), demand bool) {
	fail := func(err error) {
		var resolve *icmpcore.ResolveError
		if !errors.As(err, &resolve) {
			err = &icmpcore.ResolveError{Host: t.Host, Family: t.Options.Family, Err: err}
		}
		done(icmpcore.PingResult{Host: t.Host, Start: due, Err: err})
	}
	m.mu.Lock()
	addr, err := t.addr, t.err
	if t.looking && (demand || !addr.IsValid() && err == nil) {
		t.waiting = func() {
			m.mu.Lock()
			addr, err := t.addr, t.err
			m.mu.Unlock()
			if addr.IsValid() {
				m.probe(t, addr, due, done)
			} else {
				fail(err)
			}
		}
		m.mu.Unlock()
		return
	}
	m.mu.Unlock()
	switch {
	case addr.IsValid():
		m.probe(t, addr, due, done)
	case err != nil:
		fail(err)
	default:
		fail(errNoAnswer)
	}
}
