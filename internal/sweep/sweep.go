// Package sweep pings many hosts at once over one Pinger. It reads sources while
// it already pings the first hosts. A host needs no goroutine; a few goroutines
// look up all names.
package sweep

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/hosts"
)

// maxLookups is how many names are looked up at once.
const maxLookups = 64

// A sweep stops reading hosts while maxWaiting series wait for their first echo to
// be sent. Waiting series use memory for nothing, and the first touch of a page of
// memory can cost more than the echoes of the series in it. The engine cannot send
// that many echoes within waitPause, so it always has work. With half as many it
// runs out of work on one processor and takes a third longer. The sweep checks
// once for every checkEvery hosts.
const (
	maxWaiting = 1 << 12
	checkEvery = 1 << 10
	waitPause  = 2 * time.Millisecond
)

// Pinger is the part of [icmpcore.Pinger] that a sweep needs.
type Pinger interface {
	Go(icmpcore.Target, icmpcore.Options, func(icmpcore.PingResult)) (icmpcore.Run, error)
	Resolve(context.Context, string, icmpcore.Family) (icmpcore.Target, error)
	Stats() icmpcore.Stats
	Close() error
}

// Source calls yield for each host, with the Probe that says how to ping it. If
// yield returns an error, Source stops and returns it. Source may use the slice
// again once yield has returned.
type Source func(yield func(host []byte, how *Probe) error) error

// Probe says how to ping hosts and who gets the results. Any number of hosts may
// share one. Make it with [Sweep.Probe].
type Probe struct {
	opts   icmpcore.Options
	done   func(icmpcore.PingResult) // emits, and counts the host as finished
	enough func(icmpcore.Echo) bool  // nil: a series runs to its end
}

// Sweep is one run over any number of hosts. Make it with [New].
type Sweep struct {
	pinger Pinger
	names  *lookups

	started, finished atomic.Int64
	begun             atomic.Int64  // series started
	allRead           atomic.Bool   // the source has ended
	open              atomic.Int64  // hosts without a result, and 1 while sources are read
	all               chan struct{} // closed when open reaches 0
	panics            chan string   // holds the first panic of another goroutine than that of Run's caller

	mu    sync.Mutex // guards ended, and is held by fail
	ended bool       // Run has returned: there are no further results
}

// New returns a sweep over p. The sweep owns p: Run closes it.
func New(p Pinger) *Sweep {
	s := &Sweep{pinger: p, all: make(chan struct{}), panics: make(chan string, 1)}
	s.open.Store(1)
	return s
}

// Probe returns a Probe that pings hosts with opts and calls emit with each
// result. Several goroutines may call emit at once.
func (s *Sweep) Probe(opts icmpcore.Options, emit func(icmpcore.PingResult)) *Probe {
	return &Probe{opts: opts, done: func(r icmpcore.PingResult) {
		defer s.caught()
		emit(r)
		s.finished.Add(1)
		s.leave()
	}}
}

// ProbeUntil is [Sweep.Probe] for series that end early: as soon as enough returns
// true for an echo. The result has no error because of that. Its figures include
// echoes that were decided before the series stopped. The sweep calls enough like
// OnEcho, and after it.
func (s *Sweep) ProbeUntil(opts icmpcore.Options, enough func(icmpcore.Echo) bool, emit func(icmpcore.PingResult)) *Probe {
	p := s.Probe(opts, emit)
	p.enough = enough
	return p
}

// Stats returns the counts of the Pinger.
func (s *Sweep) Stats() icmpcore.Stats { return s.pinger.Stats() }

// AllRead reports whether the source has ended. Started then grows no more.
func (s *Sweep) AllRead() bool { return s.allRead.Load() }

// Started counts the hosts so far. Any goroutine may call it while Run runs.
func (s *Sweep) Started() int64 { return s.started.Load() }

// Finished counts the hosts that have a result. Any goroutine may call it while
// Run runs.
func (s *Sweep) Finished() int64 { return s.finished.Load() }

// Run pings every host of source and returns when each has its result, with the
// error of source or nil. When ctx is done it closes the Pinger: running series end
// with the figures so far, and hosts that have not started get no result. If the
// source blocks, Run returns and leaves it blocked. After Run there are no further
// results.
//
// Run repeats a panic of source, or of a function that takes results, so that its
// caller can recover from it.
func (s *Sweep) Run(ctx context.Context, source Source) error {
	s.names = &lookups{look: func(n name) {
		defer s.caught()
		s.lookup(ctx, n)
	}}
	read := make(chan error, 1)
	go func() { // ends with source, which may block for longer than Run
		defer s.caught()
		err := source(func(host []byte, how *Probe) error { return s.start(ctx, host, how) })
		s.allRead.Store(true)
		read <- err
		s.leave()
	}()
	var err error
	select {
	case <-s.all:
		err = <-read
	case v := <-s.panics:
		panic(v)
	case <-ctx.Done():
		select {
		case err = <-read:
		default: // still reading: if it continues, it finds the Pinger closed
		}
	}
	s.names.stop()
	if cerr := s.pinger.Close(); err == nil {
		err = cerr
	}
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	select {
	case v := <-s.panics: // of a series that Close ended
		panic(v)
	default:
	}
	if errors.Is(err, errStopped) {
		return nil
	}
	return err
}

// caught passes a panic on to Run, with its stack.
func (s *Sweep) caught() {
	v := recover()
	if v == nil {
		return
	}
	select {
	case s.panics <- fmt.Sprintf("%v\n\n%s", v, debug.Stack()):
	default: // one is enough
	}
}

// errStopped ends the reading of a source when the sweep has ended.
var errStopped = errors.New("sweep: stopped")

// start starts the series of one host, or queues the look-up of its name.
func (s *Sweep) start(ctx context.Context, host []byte, how *Probe) error {
	if ctx.Err() != nil {
		return errStopped
	}
	if s.started.Load()%checkEvery == 0 && !s.awaitSends(ctx) {
		return errStopped
	}
	s.started.Add(1)
	s.open.Add(1)
	addr, err := parseAddr(host)
	if err != nil {
		if _, err = hosts.Parse(string(host)); err != nil {
			s.fail(icmpcore.Target{Host: string(host)}, how, &icmpcore.ResolveError{Host: string(host), Family: how.opts.Family, Err: err})
			return nil
		}
		s.names.add(name{string(host), how})
		return nil
	}
	target := icmpcore.Target{Addr: addr}
	if how.opts.Family != icmpcore.FamilyAuto || addr.Zone() != "" || addr.Is4In6() {
		text := string(host)
		if target, err = s.pinger.Resolve(ctx, text, how.opts.Family); err != nil {
			s.fail(icmpcore.Target{Host: text}, how, err)
			return nil
		}
	} else if how.opts.OnEcho != nil || !isTextOf(host, addr) {
		target.Host = string(host) // otherwise the address is the text, and a million strings are saved
	}
	return s.ping(target, how)
}

// parseAddr is [netip.ParseAddr] for a slice: a string would be garbage for each
// host of a million. Only the error keeps a copy of text.
func parseAddr(text []byte) (netip.Addr, error) {
	return netip.ParseAddr(unsafe.String(unsafe.SliceData(text), len(text)))
}

// awaitSends waits until few enough series wait, and reports whether ctx is not
// done. Series of several echoes count as sent too early, which does no harm.
func (s *Sweep) awaitSends(ctx context.Context) bool {
	for {
		stats := s.pinger.Stats()
		if s.begun.Load()-int64(stats.Sent+stats.SendErrors) <= maxWaiting {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(waitPause):
		}
	}
}

// isTextOf reports whether host is the standard text of addr.
func isTextOf(host []byte, addr netip.Addr) bool {
	var buf [64]byte
	return string(addr.AppendTo(buf[:0])) == string(host)
}

// lookup looks up one name and starts its series.
func (s *Sweep) lookup(ctx context.Context, n name) {
	if ctx.Err() != nil {
		return // the sweep has ended: this name never started
	}
	target, err := s.pinger.Resolve(ctx, n.host, n.how.opts.Family)
	if err != nil {
		s.fail(icmpcore.Target{Host: n.host}, n.how, err)
		return
	}
	_ = s.ping(target, n.how) // its only error means that the sweep has stopped
}

// ping starts the series of a target. It returns errStopped if the Pinger is
// closed; any other error becomes the target's result.
func (s *Sweep) ping(target icmpcore.Target, how *Probe) error {
	var err error
	if how.enough == nil {
		_, err = s.pinger.Go(target, how.opts, how.done)
	} else {
		err = s.goUntil(target, how)
	}
	switch {
	case err == nil:
		s.begun.Add(1)
	case errors.Is(err, net.ErrClosed):
		s.leave() // without a result
		return errStopped
	default:
		s.fail(target, how, err)
	}
	return nil
}

// fail emits the result of a host that could not be pinged.
func (s *Sweep) fail(target icmpcore.Target, how *Probe, err error) {
	if target.Host == "" {
		target.Host = target.Addr.String()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended { // a source that Run left blocked may call fail after Run
		how.done(icmpcore.PingResult{Host: target.Host, Addr: target.Addr, Start: time.Now(), Err: err})
	}
}

// leave decrements the count that Run waits for.
func (s *Sweep) leave() {
	if s.open.Add(-1) == 0 {
		close(s.all)
	}
}

// name is a host that has to be looked up.
type name struct {
	host string
	how  *Probe
}

// lookups is a queue of names with the goroutines that look them up. They exist
// only while there are names.
type lookups struct {
	look func(name)
	wg   sync.WaitGroup

	mu      sync.Mutex // guards the fields below
	queue   []name
	workers int
	stopped bool
}

// add queues a name, and starts another goroutine for it if one is needed.
func (l *lookups) add(n name) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped {
		return
	}
	l.queue = append(l.queue, n)
	if l.workers < maxLookups {
		l.workers++
		l.wg.Go(l.work) // ends when the queue is empty; stop waits for it
	}
}

func (l *lookups) work() {
	for {
		n, ok := l.next()
		if !ok {
			return
		}
		l.look(n)
	}
}

// next removes a name from the queue. Without one, the worker ends.
func (l *lookups) next() (name, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.queue) == 0 || l.stopped {
		l.workers--
		return name{}, false
	}
	n := l.queue[0]
	l.queue[0] = name{} // for the garbage collector
	l.queue = l.queue[1:]
	return n, true
}

// stop drops the waiting names and returns when no look-up runs any more. The
// caller must have cancelled their context.
func (l *lookups) stop() {
	l.mu.Lock()
	l.stopped = true
	l.mu.Unlock()
	l.wg.Wait()
}
