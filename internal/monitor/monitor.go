// Package monitor keeps the schedule: every target has one series of echoes in
// each interval, spread evenly, and its result goes to the sinks.
package monitor

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/config"
)

// Sink takes results. Calls of Record and Forget come one at a time, mostly on
// the prober's goroutine of callbacks, and must not block.
type Sink interface {
	// Record takes the result of one series. r and what it points to are the
	// sink's, and that of the other sinks: none may change it.
	Record(t *Target, r *icmpcore.PingResult)

	// Forget says that a target is no longer probed. No Record of t comes after
	// it, and none of a target that replaces t before it.
	Forget(t *Target)
}

// Prober is what of an [icmpcore.Pinger] the monitor needs.
type Prober interface {
	Go(t icmpcore.Target, o icmpcore.Options, done func(icmpcore.PingResult)) (icmpcore.Run, error)
	Resolve(ctx context.Context, host string, f icmpcore.Family) (icmpcore.Target, error)
	HasRoute(ctx context.Context, addr netip.Addr) bool
}

// Target is a target of the file that is being probed. Its pointer stays the
// same as long as it is in the file unchanged, over reloads too. One whose
// options or tags change becomes another, in the same slot.
type Target struct {
	config.Target
	*slot

	done func(icmpcore.PingResult) // made once, so that a series needs no closure of its own

	// Guarded by Monitor.recording:
	busy bool // a series with these options is under way
	twin int  // number among the targets whose points bear the same tags
	gone bool // the file has nothing any more that could stand in the slot
}

// slot is what stays when a target's options or tags change: its place in the
// schedule, what is known of its name, and the series under way, so that there
// are never two at once.
type slot struct {
	phase  float64    // place in the interval, from 0 up to 1
	static bool       // Host is an address: nothing to look up
	addr   netip.Addr // that address

	running atomic.Bool // a series or a first look-up is under way
	ending  sync.Mutex  // held while the wait for a look-up is ended, so that whoever comes meanwhile finds it ended
	current *Target     // the last one to stand here; guarded by Monitor.recording

	// Guarded by Monitor.mu:
	cycle   int64  // of the last series
	halves  halves // what is known of the name
	err     error  // of the last look-up that decided something
	waiting func() // starts the series that waits for look-ups
}

// Stats are counts since the start.
type Stats struct {
	Targets        int    // in the file in force
	Running        int    // series under way
	Series         uint64 // begun
	Skipped        uint64 // series left out since the target's last one still ran
	Missed         uint64 // series left out since their time had passed: the process was stopped or starved
	LookupFailures uint64 // look-ups that gave no address
}

// Monitor runs series by the schedule or on demand. Make one with [New].
type Monitor struct {
	prober Prober
	log    *slog.Logger
	sinks  []Sink

	changed chan struct{}   // holds one where the schedule has to be looked at again
	ctx     context.Context // of look-ups; ended by Close
	cancel  context.CancelFunc
	lookers sync.WaitGroup

	series, skipped, missed, failures atomic.Uint64
	running                           atomic.Int64

	recording sync.Mutex // held while the sinks are called, which must not block, so that Forget comes after

	mu            sync.Mutex // guards what follows; never held during I/O or a callback
	interval      time.Duration
	targets       []*Target // by phase
	numbered      int       // targets ever added: the next one's number in the sequence of phases
	lookups       lookups
	schedule      schedule
	skippedTarget string // one of those skipped since that was last said
	saidMissed    uint64 // of missed, when that was last said
}

// New returns a monitor of the targets of c. It does nothing until Run or
// Round.
func New(p Prober, c *config.Config, log *slog.Logger, sinks ...Sink) *Monitor {
	ctx, cancel := context.WithCancel(context.Background())
	m := &Monitor{prober: p, log: log, sinks: sinks, changed: make(chan struct{}, 1), ctx: ctx, cancel: cancel}
	m.apply(c)
	return m
}

// Close ends look-ups, and series that wait for one. All others end with their
// prober.
func (m *Monitor) Close() {
	m.mu.Lock()
	m.cancel() // under the lock: no look-up begins after it
	waiting := slices.Concat(m.lookups.queue, m.lookups.failed)
	m.mu.Unlock()
	m.lookers.Wait()
	for _, q := range waiting {
		m.waitNoMore(q.t)
	}
}

// Stats returns the counts so far.
func (m *Monitor) Stats() Stats {
	m.mu.Lock()
	targets := len(m.targets)
	m.mu.Unlock()
	return Stats{
		Targets: targets, Running: int(m.running.Load()), Series: m.series.Load(), Skipped: m.skipped.Load(),
		Missed: m.missed.Load(), LookupFailures: m.failures.Load(),
	}
}

// begin starts the series of t that is due, unless its last one still runs.
// ended, not nil in a round on demand, is called when its result has been
// recorded, or at once where it is skipped.
func (m *Monitor) begin(t *Target, due time.Time, ended func()) {
	free := t.running.CompareAndSwap(false, true)
	if !free { // unless all it does is to wait for a look-up
		m.waitNoMore(t)
		free = t.running.CompareAndSwap(false, true)
	}
	if !free {
		m.skipped.Add(1)
		m.mu.Lock()
		m.skippedTarget = t.Host
		m.mu.Unlock()
		if ended != nil {
			ended()
		}
		return
	}
	m.series.Add(1)
	m.running.Add(1)
	m.recording.Lock()
	t = t.current // which may have taken the place of t meanwhile
	t.busy = true
	m.recording.Unlock()
	done := t.done
	if ended != nil {
		done = func(r icmpcore.PingResult) {
			m.finish(t, r)
			ended()
		}
	}
	if t.static {
		m.probe(t, t.addr, due, done)
		return
	}
	m.probeName(t, due, done, ended != nil)
}

// probe starts the series itself.
func (m *Monitor) probe(t *Target, addr netip.Addr, due time.Time, done func(icmpcore.PingResult)) {
	_, err := m.prober.Go(icmpcore.Target{Host: t.Host, Addr: addr}, t.Options, done)
	if err != nil {
		done(icmpcore.PingResult{Host: t.Host, Addr: addr, Start: due, Err: err})
	}
}

// finish records the result of t's series, also where another target stands in
// the slot by now.
func (m *Monitor) finish(t *Target, r icmpcore.PingResult) {
	m.recording.Lock()
	t.busy = false
	if !t.current.gone {
		r.Start = r.Start.Add(time.Duration(t.twin)) // of a round all start at once, and a database keeps one of two points with the same tags and time
		for _, s := range m.sinks {
			s.Record(t, &r)
		}
	}
	if t.current != t {
		m.forget(t)
	}
	m.recording.Unlock()
	m.running.Add(-1)
	t.running.Store(false)
}

// forget tells the sinks that t is gone. m.recording is held.
func (m *Monitor) forget(t *Target) {
	for _, s := range m.sinks {
		s.Forget(t)
	}
}

// Drain returns when no series runs any more, or when ctx is done.
func (m *Monitor) Drain(ctx context.Context) error {
	tick := time.NewTicker(10 * time.Millisecond) // once in a process's life, at its end
	defer tick.Stop()
	for m.running.Load() > 0 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}

// Round starts a series of every target at once, to be spread by the prober's
// rate, and returns when all results are recorded, or when ctx is done.
// Targets whose last series still runs are skipped and counted. A name that
// the DNS gives no answer for in six seconds is probed at its last address,
// or reported.
func (m *Monitor) Round(ctx context.Context) error {
	m.mu.Lock()
	targets := m.targets
	m.mu.Unlock()
	now := time.Now()
	var open sync.WaitGroup
	open.Add(len(targets))
	for _, t := range targets {
		if !t.static {
			m.lookup(t)
		}
		m.begin(t, now, open.Done)
	}
	m.sayLeftOut()
	all := make(chan struct{})
	go func() { // ends with the last series, each of which ends by itself
		open.Wait()
		close(all)
	}()
	patience := time.NewTimer(lookupPatience)
	defer patience.Stop()
	for {
		select {
		case <-all:
			return nil
		case <-patience.C:
			for _, t := range targets {
				m.waitNoMore(t)
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
