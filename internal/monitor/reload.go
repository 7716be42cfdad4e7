package monitor

import (
	"cmp"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
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
func (m *Monitor) Reload(c *config.Config) { m.ReloadSoon(c, 0) }

// ReloadSoon is Reload, except that each new target has its first series within a time:
// an additional one, if its place in the interval comes later. They are spread evenly.
func (m *Monitor) ReloadSoon(c *config.Config, within time.Duration) {
	m.recording.Lock() // until Forget of a replaced target, no result of the new one is recorded
	old, removed := m.apply(c, within), 0
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
func (m *Monitor) apply(c *config.Config, within time.Duration) []*Target {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reloads++
	targets, old, changed := m.match(c.Targets)
	var added []*Target
	for _, t := range targets {
		if within > 0 && t.lane == nil {
			added = append(added, t)
		}
	}
	now := time.Now()
	m.assign(c, targets, now)
	if m.started {
		m.hurry(added, now, within)
	}
	number(targets, changed)
	return old
}

// assign puts each target into the lane of its interval. m.mu is held.
func (m *Monitor) assign(c *config.Config, targets []*Target, now time.Time) {
	lanes := make(map[time.Duration]*lane)
	places := make(map[*lane]place)
	for _, l := range m.lanes {
		lanes[l.interval], places[l] = l, l.at(now)
	}
	come := make(map[*lane][]*Target) // those that were not in the lane before
	donors := make(map[*lane]*lane)   // by new lanes: those that they continue
	for _, isNew := range []bool{false, true} {
		for _, t := range targets {
			if (t.lane == nil) != isNew {
				continue
			}
			interval := c.IntervalOf(&t.Target)
			l := t.lane
			if l == nil || l.interval != interval {
				l = lanes[interval]
			}
			if l == nil {
				at := place{cycle: 1}
				if t.lane != nil {
					at = places[t.lane]
				}
				l = m.newLane(interval, t.lane, at, now)
				lanes[interval], places[l], donors[l] = l, at, t.lane
			}
			switch {
			case t.lane == l:
				continue
			case isNew:
				l.add(t.slot)
			case m.started && donors[l] != t.lane:
				l.move(t.slot, places[t.lane], now)
			}
			t.lane = l
			come[l] = append(come[l], t)
		}
	}
	m.lanes, m.targets = nil, make([]*Target, 0, len(targets))
	for _, interval := range slices.Sorted(maps.Keys(lanes)) {
		l := lanes[interval]
		if l.targets = m.merge(l, come[l]); len(l.targets) == 0 {
			continue
		}
		m.lanes, m.targets = append(m.lanes, l), append(m.targets, l.targets...)
		if m.started {
			l.resume(places[l])
		}
	}
}

// newLane makes a lane that continues another one, which may be nil, at its place.
// m.mu is held.
func (m *Monitor) newLane(interval time.Duration, from *lane, at place, now time.Time) *lane {
	switch {
	case from == nil:
		return &lane{interval: interval, position: position{base: now, from: 1, cycle: 1, squeeze: 1}}
	case !m.started:
		return &lane{interval: interval, numbered: from.numbered}
	}
	return from.stretched(interval, at, now)
}

// merge returns the targets of a lane by phase: those that stay in it, which are in
// order, and those that come. m.recording and m.mu are held.
func (m *Monitor) merge(l *lane, come []*Target) []*Target {
	byPhase := func(a, b *Target) int { return cmp.Compare(a.phase, b.phase) }
	slices.SortStableFunc(come, byPhase)
	merged := make([]*Target, 0, len(l.targets)+len(come))
	for _, t := range l.targets {
		if t.lane != l || t.reload != m.reloads {
			continue
		}
		for len(come) > 0 && byPhase(come[0], t) < 0 {
			merged, come = append(merged, come[0]), come[1:]
		}
		merged = append(merged, t.current)
	}
	return append(merged, come...)
}

// number numbers the targets whose points have the same tags, where one of them has come
// or gone. The others have their numbers.
func number(targets []*Target, changed map[config.Point]int) {
	if len(changed) == 0 {
		return
	}
	for _, t := range targets {
		p := t.Point()
		if n, ok := changed[p]; ok {
			t.twin = n
			changed[p]++
		}
	}
}

// match returns a target for each of wanted: the present one if it is unchanged,
// else a new one in the slot of a target that differs only in tags or options,
// else a new one in a new slot. old are the present targets that are not among
// them, and changed has the points of these and of the new ones. m.mu is held.
func (m *Monitor) match(wanted []config.Target) (targets, old []*Target, changed map[config.Point]int) {
	targets = make([]*Target, len(wanted))
	changed = make(map[config.Point]int)
	open, free := m.matchSame(wanted, targets)
	for level, key := range []func(*config.Target) string{(*config.Target).Key, taggedKey, hostKey} {
		if len(open) == 0 || len(free) == 0 {
			break
		}
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
				changed[t.Point()] = 0
			}
			targets[i] = t
			return true
		})
		free = slices.DeleteFunc(free, func(t *Target) bool { return taken[t] })
	}
	for _, i := range open {
		targets[i] = m.newTarget(wanted[i], newSlot(wanted[i].Host))
		changed[targets[i].Point()] = 0
	}
	old = append(old, free...)
	for _, t := range old {
		changed[t.Point()] = 0
	}
	for _, t := range targets {
		t.reload = m.reloads
	}
	m.wanted, m.found = wanted, targets
	return targets, old, changed
}

// matchSame finds the present targets that are in wanted with the same probe, which
// most of a list's targets are when a few of them change, at the same place in the list.
// It returns the indexes in wanted that have no target yet, and the present targets that
// are not found. m.mu is held.
func (m *Monitor) matchSame(wanted []config.Target, targets []*Target) (open []int, free []*Target) {
	before, found := m.wanted, m.found
	first, last := config.SameEnds(wanted, before)
	copy(targets, found[:first])
	copy(targets[len(targets)-last:], found[len(found)-last:])
	same := func(i int) bool { return len(wanted) == len(before) && wanted[i] == before[i] }
	present := make(map[config.Target]int)
	for i := first; i < len(before)-last; i++ {
		if same(i) {
			targets[i] = found[i]
		} else {
			present[before[i]] = i
		}
	}
	taken := make(map[int]bool)
	for i := first; i < len(wanted)-last; i++ {
		if targets[i] != nil {
			continue
		}
		if at, ok := present[wanted[i]]; ok && !taken[at] {
			targets[i], taken[at] = found[at], true
		} else {
			open = append(open, i)
		}
	}
	for i := first; i < len(before)-last; i++ {
		if !same(i) && !taken[i] {
			free = append(free, found[i])
		}
	}
	return open, free
}

// hostKey is the same for targets that can share a slot. taggedKey is the same
// for those of them that an output cannot tell apart.
func hostKey(t *config.Target) string {
	return fmt.Sprintf("%s\x00%d\x00%d", t.Host, t.Options.Family, t.Options.DSCP)
}

func taggedKey(t *config.Target) string { return hostKey(t) + "\x00" + fmt.Sprint(t.Tags) }

func (m *Monitor) newTarget(c config.Target, s *slot) *Target {
	t := &Target{Target: c, slot: s}
	t.done = func(r icmpcore.PingResult) { m.finish(t, r) }
	s.current = t
	return t
}

// newSlot makes a slot without a place in the schedule.
func newSlot(host string) *slot {
	s := &slot{cycle: -1}
	if addr, err := netip.ParseAddr(host); err == nil {
		s.addr, s.static = addr.Unmap(), true
	}
	return s
}
