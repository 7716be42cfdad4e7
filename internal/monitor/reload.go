package monitor

import (
	"cmp"
	"fmt"
	"log/slog"
	"math"
	"net/netip"
	"slices"
	"sort"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/config"
)

// golden is the fractional part of the golden ratio. Its multiples modulo one are
// spread evenly for any number of them: each new target falls into one of the
// largest gaps, and no other target has to move.
const golden = 0.6180339887498949

// Reload takes over the targets and the interval of c. Targets that stay keep
// their place in the interval, their running series and their address, even if
// options or tags change; a running series is recorded with the options and tags
// that it started with. Targets that c does not have give no further result.
func (m *Monitor) Reload(c *config.Config) {
	m.recording.Lock() // until Forget of a replaced target, no result of the new one is recorded
	old, removed := m.apply(c), 0
	for _, t := range old {
		replaced := t.current != t
		if !replaced {
			t.removed = true
			removed++
		}
		if !replaced || !t.busy { // otherwise finish calls it
			m.forget(t)
		}
	}
	m.recording.Unlock()
	select {
	case m.changed <- struct{}{}:
	default: // Run will wake already
	}
	m.log.Info("configuration in force", slog.Int("targets", len(c.Targets)), slog.Int("removed", removed))
}

// apply sets the targets to those of c and returns the old ones that are not
// among them. m.recording is held, except in New.
func (m *Monitor) apply(c *config.Config) []*Target {
	m.mu.Lock()
	defer m.mu.Unlock()
	targets, old := m.match(c.Targets)
	slices.SortStableFunc(targets, func(a, b *Target) int { return cmp.Compare(a.phase, b.phase) })
	now := time.Now()
	place := m.place(now)
	if m.schedule.running && c.Agent.Interval != m.interval {
		m.stretch(now, c.Agent.Interval)
	}
	m.interval = c.Agent.Interval
	m.targets = targets
	number(targets)
	if m.schedule.running {
		m.resume(place)
	}
	return old
}

// number numbers the targets whose points have the same tags.
func number(targets []*Target) {
	twins := make(map[string]int, len(targets))
	for _, t := range targets {
		key := t.PointKey()
		t.twin = twins[key]
		twins[key]++
	}
}

// match returns a target for each of wanted: the present one if it is unchanged,
// else a new one in the slot of a target that differs only in tags or options,
// else a new one in a new slot. old are the present targets that are not among
// them. m.mu is held.
func (m *Monitor) match(wanted []config.Target) (targets, old []*Target) {
	targets = make([]*Target, len(wanted))
	open := make([]int, len(wanted)) // indexes in wanted that have no target yet
	for i := range open {
		open[i] = i
	}
	free := slices.Clone(m.targets)
	for level, key := range []func(*config.Target) string{(*config.Target).Key, taggedKey, hostKey} {
		byKey := make(map[string][]*Target, len(free))
		for _, t := range free {
			k := key(&t.Target)
			byKey[k] = append(byKey[k], t)
		}
		taken := make(map[*Target]bool, len(free))
		open = slices.DeleteFunc(open, func(i int) bool {
			k := key(&wanted[i])
			same := byKey[k]
			if len(same) == 0 {
				return false
			}
			t := same[0]
			byKey[k], taken[t] = same[1:], true
			if level > 0 {
				old = append(old, t)
				t = m.newTarget(wanted[i], t.slot)
			}
			targets[i] = t
			return true
		})
		free = slices.DeleteFunc(free, func(t *Target) bool { return taken[t] })
	}
	for _, i := range open {
		targets[i] = m.newTarget(wanted[i], m.newSlot(wanted[i].Host))
	}
	return targets, append(old, free...)
}

// hostKey is the same for targets that can share a slot. taggedKey is the same
// for those of them that an output cannot tell apart.
func hostKey(t *config.Target) string {
	return fmt.Sprintf("%s\x00%d\x00%d", t.Host, t.Options.Family, t.Options.DSCP)
}

func taggedKey(t *config.Target) string { return hostKey(t) + "\x00" + t.PointKey() }

func (m *Monitor) newTarget(c config.Target, s *slot) *Target {
	t := &Target{Target: c, slot: s}
	t.done = func(r icmpcore.PingResult) { m.finish(t, r) }
	s.current = t
	return t
}

// newSlot makes a slot with the next place in the interval. m.mu is held.
func (m *Monitor) newSlot(host string) *slot {
	_, phase := math.Modf(float64(m.numbered) * golden)
	m.numbered++
	s := &slot{phase: phase, cycle: -1}
	if addr, err := netip.ParseAddr(host); err == nil {
		s.addr, s.static = addr.Unmap(), true
	}
	return s
}

// stretch changes the length of the cycles and keeps the schedule's place in the
// current one. A target that has waited for a third of the old interval waits for
// two thirds of the new one. So no gap between two series is longer than the
// longer interval or shorter than the shorter one. m.mu is held.
func (m *Monitor) stretch(now time.Time, interval time.Duration) {
	s := &m.schedule
	if len(m.targets) > 0 {
		if due := m.due(s.cycle, s.next); due.Before(now) {
			now = due // this series has not started, and must not become later
		}
	}
	into := now.Sub(s.base) - time.Duration(s.cycle-s.from)*m.interval
	s.base = now.Add(-time.Duration(float64(into) / float64(m.interval) * float64(interval)))
	s.from = s.cycle
}

// place returns the schedule's place in the interval: that of the next series,
// which may be overdue. m.mu is held.
func (m *Monitor) place(now time.Time) float64 {
	s := &m.schedule
	if len(m.targets) > 0 {
		return m.targets[s.next].phase
	}
	if !s.running {
		return 0
	}
	cycles := float64(now.Sub(s.base)) / float64(m.interval)
	whole := math.Floor(cycles)
	s.cycle = s.from + int64(whole)
	return cycles - whole
}

// resume continues the schedule at a place with new targets. m.mu is held.
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
