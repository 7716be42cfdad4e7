// Package sweep pings many hosts at once over one Pinger, from sources that
// are read while the first hosts are already being pinged. A host costs no
// goroutine; only names that have to be looked up take turns on a few.
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

// Hosts are not read further while so many series wait for their first echo to
// be sent: what waits takes memory for nothing, and a page of memory that is
// touched for the first time can cost more than the echoes of the series in it.
// As many are not sent within a pause, so that the engine never runs dry: with
// half of them it does on one processor, and takes a third longer. That is
// looked at once for checkEvery hosts.
const (
	maxWaiting = 1 << 12
	checkEvery = 1 << 10
	waitPause  = 2 * time.Millisecond
)

// Pinger is what a sweep needs of an [icmpcore.Pinger].
type Pinger interface {
	Go(icmpcore.Target, icmpcore.Options, func(icmpcore.PingResult)) (icmpcore.Run, error)
	Resolve(context.Context, string, icmpcore.Family) (icmpcore.Target, error)
	Stats() icmpcore.Stats
	Close() error
}

// Source gives hosts, each with how it is pinged: it calls yield for each, and
// stops with yield's error when there is one. The slice may be used again once
// yield has returned.
type Source func(yield func(host []byte, how *Probe) error) error

// Probe is how hosts are pinged and who gets the results. Any number of hosts
// may share one. Make it with [Sweep.Probe].
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
	begun             atomic.Int64  // series
	allRead           atomic.Bool   // the source has ended
	open              atomic.Int64  // hosts without a result, and 1 while sources are read
	all               chan struct{} // closed when open has come to 0
	panics            chan string   // holds the first panic of a goroutine that Run's caller did not start

	mu    sync.Mutex // guards ended, and is held by fail
	ended bool       // Run has returned: no result is given any more
}

// New returns a sweep over p, which belongs to the sweep then: Run closes it.
func New(p Pinger) *Sweep {
	s := &Sweep{pinger: p, all: make(chan struct{}), panics: make(chan string, 1)}
	s.open.Store(1)
	return s
}

// Probe returns the way to ping hosts with opts and to give each one's result
// to emit, which several goroutines may call at once.
func (s *Sweep) Probe(opts icmpcore.Options, emit func(icmpcore.PingResult)) *Probe {
	return &Probe{opts: opts, done: func(r icmpcore.PingResult) {
		defer s.caught()
		emit(r)
		s.finished.Add(1)
		s.leave()
	}}
}

// ProbeUntil is [Sweep.Probe] for series that end early: as soon as enough
// returns true for something that happened to an echo. The result then has no
// error for it. Echoes that were decided before the series could be stopped are
// in its figures. Calls of enough come as those of OnEcho, after them.
func (s *Sweep) ProbeUntil(opts icmpcore.Options, enough func(icmpcore.Echo) bool, emit func(icmpcore.PingResult)) *Probe {
	p := s.Probe(opts, emit)
	p.enough = enough
	return p
}

// Stats are the counts of the Pinger.
func (s *Sweep) Stats() icmpcore.Stats { return s.pinger.Stats() }

// AllRead reports whether the source has ended, so that Started does not grow
// any more.
func (s *Sweep) AllRead() bool { return s.allRead.Load() }

// Started and Finished count hosts, also while Run runs.
func (s *Sweep) Started() int64 { return s.started.Load() }

// Finished counts the hosts that have their result.
func (s *Sweep) Finished() int64 { return s.finished.Load() }

// Run pings every host of source and returns when each has its result, with
// source's error or nil. When ctx is done it closes the Pinger, so that the
// series end with what they have; hosts that have not been started then get no
// result. A source that blocks does not keep Run from returning, but is left
// blocked. After Run no result is given any more.
//
// A panic of source or of a result's receiver becomes one of Run, so that Run's
// caller can recover from it.
func (s *Sweep) Run(ctx context.Context, source Source) error {
	s.names = &lookups{look: func(n name) {
		defer s.caught()
		s.lookup(ctx, n)
	}}
	read := make(chan error, 1)
	go func() { // ends with source, see above
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
		default: // still reading: it finds the Pinger closed, if ever it goes on
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

// caught hands a panic on to Run, with its stack.
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

// start begins the series of one host, or has its name looked up.
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
		target.Host = string(host) // else the address itself says it, and a million strings are saved
	}
	return s.ping(target, how)
}

// parseAddr is [netip.ParseAddr] for what is not a string, which would be
// garbage for each host of a million. Nothing of text is kept but in the error.
func parseAddr(text []byte) (netip.Addr, error) {
	return netip.ParseAddr(unsafe.String(unsafe.SliceData(text), len(text)))
}

// awaitSends returns when few enough series wait, and whether ctx is not done.
// Series of several echoes count as sent too early; that does no harm.
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

// isTextOf reports whether host is how addr is written.
func isTextOf(host []byte, addr netip.Addr) bool {
	var buf [64]byte
	return string(addr.AppendTo(buf[:0])) == string(host)
}

// lookup resolves one name and begins its series.
func (s *Sweep) lookup(ctx context.Context, n name) {
	if ctx.Err() != nil {
		return // the sweep has ended: this name was never begun
	}
	target, err := s.pinger.Resolve(ctx, n.host, n.how.opts.Family)
	if err != nil {
		s.fail(icmpcore.Target{Host: n.host}, n.how, err)
		return
	}
	_ = s.ping(target, n.how) // says only that the sweep was stopped
}

// ping begins the series of a target. It returns errStopped where the Pinger
// has been closed; any other refusal is that target's result.
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

// fail gives a host the result of one that could not be pinged.
func (s *Sweep) fail(target icmpcore.Target, how *Probe, err error) {
	if target.Host == "" {
		target.Host = target.Addr.String()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended { // a source that Run left blocked may come here late
		how.done(icmpcore.PingResult{Host: target.Host, Addr: target.Addr, Start: time.Now(), Err: err})
	}
}

// leave takes one off what Run waits for.
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

// lookups is a queue of names and the goroutines that work through it, which
// exist only while there are names.
type lookups struct {
	look func(name)
	wg   sync.WaitGroup

	mu      sync.Mutex // guards the fields below
	queue   []name
	workers int
	stopped bool
}

// add queues a name and sees to it that somebody takes it.
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

// next takes a name off the queue; without one, the worker is done.
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

// stop drops the names still waiting and returns when no lookup runs any
// more; the caller has cancelled their context.
func (l *lookups) stop() {
	l.mu.Lock()
	l.stopped = true
	l.mu.Unlock()
	l.wg.Wait()
}
