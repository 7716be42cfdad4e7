// Package monitor runs the schedule. Every target has one series of echoes in
// each of its intervals; the series are spread evenly, and their results go to the
// sinks.
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
// the callback goroutine of the prober, and must not block.
type Sink interface {
	// Record takes the result of one series. A sink may keep r. All sinks share
	// it, so none may change it or what it points to.
	Record(t *Target, r *icmpcore.PingResult)

	// Forget says that a target is no longer probed. There is no Record of t
	// after it, and no Record of the target that replaces t before it.
	Forget(t *Target)
}

// Prober is the part of [icmpcore.Pinger] that the monitor needs.
type Prober interface {
	Go(t icmpcore.Target, o icmpcore.Options, done func(icmpcore.PingResult)) (icmpcore.Run, error)
	Resolve(ctx context.Context, host string, f icmpcore.Family) (icmpcore.Target, error)
	HasRoute(ctx context.Context, addr netip.Addr) bool
}

// Target is a target of the file that the monitor probes. Its pointer stays the
// same while the target is in the file unchanged, also after reloads. If its
// options or tags change, a new Target takes over its slot.
type Target struct {
	config.Target
	*slot

	done func(icmpcore.PingResult) // made once, so that a series needs no closure of its own

	// Guarded by Monitor.recording:
	busy    bool // a series with these options runs
	twin    int  // number among the targets whose points have the same tags
	removed bool // the file no longer has a target for the slot
}

// slot is the part of a target that stays when its options or tags change: its
// place in the schedule, the known addresses of its name, and its running
// series. Two series of a slot never run at once.
type slot struct {
	lane   *lane      // of the targets with its interval; nil only while it is made. Guarded by Monitor.mu
	phase  float64    // place in the interval, from 0 up to 1
	static bool       // Host is an address: nothing to look up
	addr   netip.Addr // that address

	running atomic.Bool // a series or a first look-up runs
	ending  sync.Mutex  // held by waitNoMore: a second caller blocks until the first has finished
	current *Target     // the newest target of the slot; guarded by Monitor.recording

	// Guarded by Monitor.mu:
	cycle   int64  // of the last series, in its lane
	reload  uint64 // number of the last reload that had a target for the slot
	halves  halves // known addresses of the name
	err     error  // of the last settled look-ups
	waiting func() // starts the series that waits for look-ups
}

// Stats holds counts since the start.
type Stats struct {
	Targets        int    // in the current file
	Running        int    // series that run now
	Series         uint64 // started
	Skipped        uint64 // left out because the target's previous series still ran
	Missed         uint64 // left out because their time had passed: the process was stopped or had too little CPU time
	LookupFailures uint64 // look-ups without an address
}

// Monitor runs series on the schedule or on demand. Make one with [New].
type Monitor struct {
	prober Prober
	log    *slog.Logger
	sinks  []Sink

	changed chan struct{}   // holds a value after a reload, to wake Run
	ctx     context.Context // of look-ups; cancelled by Close
	cancel  context.CancelFunc
	lookers sync.WaitGroup

	series, skipped, missed, failures atomic.Uint64
	running                           atomic.Int64

	recording sync.Mutex // held during calls of the sinks, which must not block; it orders Record and Forget

	mu            sync.Mutex      // guards the fields below; never held during I/O or a callback
	targets       []*Target       // of all lanes
	wanted        []config.Target // of the configuration in force
	found         []*Target       // those of wanted
	lanes         []*lane         // one for each interval that a target has
	reloads       uint64
	early         []start // first series that come before their time, by time
	lookups       lookups
	started       bool   // the schedule runs
	skippedTarget string // a target skipped since the last log line about it
	loggedMissed  uint64 // missed at the last log line about it
}

// New returns a monitor of the targets of c. It does nothing until Run or
// Round.
func New(p Prober, c *config.Config, log *slog.Logger, sinks ...Sink) *Monitor {
	ctx, cancel := context.WithCancel(context.Background())
	m := &Monitor{prober: p, log: log, sinks: sinks, changed: make(chan struct{}, 1), ctx: ctx, cancel: cancel}
	m.apply(c, 0)
	return m
}

// Close cancels look-ups, and ends series that wait for one. The other series end
// with their prober.
func (m *Monitor) Close() {
	m.mu.Lock()
	m.cancel() // under the lock, so that no look-up starts after it
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

// begin starts the series of t that is due, unless its previous one still runs.
// In a round on demand ended is not nil: begin calls it when the result is
// recorded, or at once if it skips the series.
func (m *Monitor) begin(t *Target, due time.Time, ended func()) {
	free := t.running.CompareAndSwap(false, true)
	if !free { // a series that only waits for a look-up can start now and end
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
	t = t.current // a reload may have replaced t
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

// probe starts the series at the prober.
func (m *Monitor) probe(t *Target, addr netip.Addr, due time.Time, done func(icmpcore.PingResult)) {
	_, err := m.prober.Go(icmpcore.Target{Host: t.Host, Addr: addr}, t.Options, done)
	if err != nil {
		done(icmpcore.PingResult{Host: t.Host, Addr: addr, Start: due, Err: err})
	}
}

// finish records the result of t's series, also if a reload has replaced t.
func (m *Monitor) finish(t *Target, r icmpcore.PingResult) {
	m.recording.Lock()
	t.busy = false
	if !t.current.removed {
		r.Start = r.Start.Add(time.Duration(t.twin)) // the series of a round start at once, and a database keeps only one of two points with the same tags and time
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

// forget calls Forget of all sinks. m.recording is held.
func (m *Monitor) forget(t *Target) {
	for _, s := range m.sinks {
		s.Forget(t)
	}
}

// Drain returns when no series runs any more, or when ctx is done.
func (m *Monitor) Drain(ctx context.Context) error {
	tick := time.NewTicker(10 * time.Millisecond) // polling is cheap enough: a process drains once, at its end
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

// Round starts a series of every target at once; the rate of the prober spreads
// their echoes. It returns when all results are recorded, or when ctx is done.
// It skips and counts targets whose previous series still runs. If the DNS gives
// no answer for a name within six seconds, Round probes the last known address,
// or records a result with the error if there is none.
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
	m.logLeftOut()
	all := make(chan struct{})
	go func() { // ends with the last series; each series ends by itself
		open.Wait()
		close(all)
	}()
	lookups := time.NewTimer(lookupWait)
	defer lookups.Stop()
	for {
		select {
		case <-all:
			return nil
		case <-lookups.C:
			for _, t := range targets {
				m.waitNoMore(t)
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
