package monitor

import (
	"cmp"
	"context"
	"log/slog"
	"math"
	"net/netip"
	"slices"
	"sort"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/config"
)

// schedule is where in the round of targets the monitor stands.
type schedule struct {
	base     time.Time // when cycle 0 began
	cycle    int64     // of the next series
	next     int       // index of its target
	ahead    int64     // cycle of the next look-up
	lookNext int       // index of its target
	squeeze  float64   // of cycle 0, which may be faster: 1 is not
	running  bool
}

const (
	// firstRound is how long the first round takes at most where few targets
	// are to be probed, so that the first figures come soon; firstRate bounds
	// the echo requests per second of it.
	firstRound = 2 * time.Second
	firstRate  = 1000.0

	// stride is the least time between two looks at the schedule: targets that
	// are due within it begin together, and their echoes go out together from
	// then on. A wake-up for each would cost several times what its echo does.
	stride = 10 * time.Millisecond

	// maxLate is how late a series may begin. After a longer pause the round
	// goes on where it would be by now, instead of catching up in a burst.
	maxLate = time.Second
)

// golden is the fractional part of the golden ratio. Its multiples, taken
// modulo one, lie evenly however many there are, so that each new target falls
// into one of the largest gaps and no other has to move.
const golden = 0.6180339887498949

// Run runs series by the schedule until ctx is done: each target once in every
// interval, always at the same place in it. It leaves running series alone.
func (m *Monitor) Run(ctx context.Context) {
	m.mu.Lock()
	m.startSchedule(time.Now())
	m.mu.Unlock()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.changed:
		case <-timer.C:
		}
		timer.Reset(m.step(time.Now()))
	}
}

// startSchedule begins cycle 0 at now. m.mu is held.
func (m *Monitor) startSchedule(now time.Time) {
	echoes := 0
	for _, t := range m.targets {
		echoes += t.Options.Count
		t.cycle = -1
	}
	first := max(firstRound.Seconds(), float64(echoes)/firstRate)
	m.schedule = schedule{base: now, squeeze: min(1, first/m.interval.Seconds()), running: true}
}

// due returns when target i is due in a cycle. m.mu is held.
func (m *Monitor) due(cycle int64, i int) time.Time {
	phase := m.targets[i].phase
	if cycle == 0 {
		phase *= m.schedule.squeeze
	}
	return m.schedule.base.Add(time.Duration(cycle)*m.interval + time.Duration(phase*float64(m.interval)))
}

// step starts what is due and returns how long to sleep.
func (m *Monitor) step(now time.Time) time.Duration {
	type start struct {
		t   *Target
		due time.Time
	}
	var starts []start
	var names []*Target
	m.mu.Lock()
	s := &m.schedule
	if len(m.targets) == 0 {
		m.mu.Unlock()
		return time.Hour // a reload wakes it
	}
	lead := min(lookupLead, m.interval/2)
	for !m.due(s.ahead, s.lookNext).Add(-lead).After(now) {
		if t := m.targets[s.lookNext]; !t.static {
			names = append(names, t)
		}
		s.lookNext, s.ahead = m.following(s.lookNext, s.ahead)
	}
	newRound := false
	due := m.due(s.cycle, s.next)
	for ; !due.After(now); due = m.due(s.cycle, s.next) {
		t := m.targets[s.next]
		switch {
		case t.cycle >= s.cycle: // had its series before a reload
		case now.Sub(due) > min(maxLate, m.interval/2):
			m.missed.Add(1)
		default:
			t.cycle = s.cycle
			starts = append(starts, start{t, due})
		}
		cycle := s.cycle
		s.next, s.cycle = m.following(s.next, s.cycle)
		newRound = newRound || s.cycle != cycle
	}
	wake := max(stride, min(due.Sub(now), m.due(s.ahead, s.lookNext).Add(-lead).Sub(now)))
	m.mu.Unlock()
	for _, t := range names {
		m.lookup(t)
	}
	for _, x := range starts {
		m.begin(x.t, x.due, nil)
	}
	if newRound {
		m.saySkipped()
	}
	return wake
}

// following returns the index and cycle behind one. m.mu is held.
func (m *Monitor) following(i int, cycle int64) (int, int64) {
	if i++; i < len(m.targets) {
		return i, cycle
	}
	return 0, cycle + 1
}

// saySkipped logs, once a round, that series were skipped.
func (m *Monitor) saySkipped() {
	m.mu.Lock()
	host := m.skippedTarget
	m.skippedTarget = ""
	m.mu.Unlock()
	if host != "" {
		m.log.Warn("series skipped, since the target's last one still runs", "host", host, "skipped", m.skipped.Load(), "missed", m.missed.Load())
	}
}

// Reload takes over the targets and the interval of c: targets that stay keep
// their place in the interval, their running series and their address; those
// that are gone give no further result.
func (m *Monitor) Reload(c *config.Config) {
	m.recording.Lock() // a target that takes the place of another is recorded only when that one is forgotten
	gone := m.apply(c)
	for _, t := range gone {
		t.gone = true
		for _, s := range m.sinks {
			if f, ok := s.(Forgetter); ok {
				f.Forget(t)
			}
		}
	}
	m.recording.Unlock()
	select {
	case m.changed <- struct{}{}:
	default: // it will look already
	}
	m.log.Info("configuration in force", slog.Int("targets", len(c.Targets)), slog.Int("removed", len(gone)))
}

// apply makes the targets those of c and returns the ones that are gone.
func (m *Monitor) apply(c *config.Config) []*Target {
	m.mu.Lock()
	defer m.mu.Unlock()
	old := make(map[string]*Target, len(m.targets))
	for _, t := range m.targets {
		old[t.Key()] = t
	}
	targets := make([]*Target, 0, len(c.Targets))
	for i := range c.Targets {
		key := c.Targets[i].Key()
		t := old[key]
		if t == nil {
			t = m.newTarget(c.Targets[i])
		} else {
			delete(old, key)
		}
		targets = append(targets, t)
	}
	slices.SortStableFunc(targets, func(a, b *Target) int { return cmp.Compare(a.phase, b.phase) })
	restart := c.Agent.Interval != m.interval
	m.interval = c.Agent.Interval
	now := time.Now()
	place := m.place(now)
	m.targets = targets
	switch {
	case !m.schedule.running:
	case restart:
		m.startSchedule(now)
		m.schedule.squeeze = 1
	default:
		m.resume(place)
	}
	gone := make([]*Target, 0, len(old))
	for _, t := range old {
		gone = append(gone, t)
	}
	return gone
}

// newTarget gives a new target its place in the interval. m.mu is held.
func (m *Monitor) newTarget(c config.Target) *Target {
	_, phase := math.Modf(float64(m.numbered) * golden)
	m.numbered++
	t := &Target{Target: c, phase: phase, cycle: -1}
	t.done = func(r icmpcore.PingResult) { m.finish(t, r) }
	if addr, err := netip.ParseAddr(c.Host); err == nil {
		t.addr, t.static = addr.Unmap(), true
	}
	return t
}

// place returns the place in the interval that the schedule has come to: that
// of the next series, which may have been due already. m.mu is held.
func (m *Monitor) place(now time.Time) float64 {
	s := &m.schedule
	if len(m.targets) > 0 {
		return m.targets[s.next].phase
	}
	if !s.running {
		return 0
	}
	since := now.Sub(s.base)
	s.cycle = int64(since / m.interval)
	return float64(since%m.interval) / float64(m.interval)
}

// resume goes on at a place with other targets. m.mu is held.
func (m *Monitor) resume(place float64) {
	if len(m.targets) == 0 {
		return
	}
	s := &m.schedule
	s.next = sort.Search(len(m.targets), func(i int) bool { return m.targets[i].phase >= place })
	if s.next == len(m.targets) {
		s.next, s.cycle = 0, s.cycle+1
	}
	s.lookNext, s.ahead = s.next, s.cycle
}
