package otel

import (
	"maps"
	"net/netip"
	"slices"
)

// Path is what a trace of the path to a target has shown.
type Path struct {
	Hops    int  // to the target; 0 if it was not reached
	Changed bool // it is another path than in the trace before

	// Broken says that the target began to lose, and Last is the last address on the path
	// that answers. The zero Addr means that none is known.
	Broken bool
	Last   netip.Addr
}

// breaks are the targets that began to lose, by the last address that answers.
type breaks map[string]uint64

// maxBreaks bounds the addresses of breaks. All further ones are one, otherBreak.
const (
	maxBreaks  = 1000
	otherBreak = "other"
	noBreak    = "none"
)

// RecordPath counts what a trace of t has shown. It ignores a removed target, and one that
// has no result yet. A target's first RecordPath begins its ping.path.hops and
// ping.path.changes.
func (s *Store) RecordPath(t *Target, p Path) { s.table.recordPath(t, p) }

func (t *table) recordPath(target *Target, p Path) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, ok := t.targets[target]; !ok || len(target.streams) == 0 {
		return
	}
	s := target.streams[0]
	s.recorded++ // there is something new to push
	s.latest.traced, t.traced = true, true
	if p.Hops > 0 {
		s.latest.pathHops = uint8(min(p.Hops, 255))
	}
	if p.Changed {
		s.total.changes++
	}
	if !p.Broken {
		return
	}
	last := noBreak
	if p.Last.IsValid() {
		last = p.Last.String()
	}
	if t.breaks == nil {
		t.breaks = make(breaks)
	}
	if t.breaks[last] == 0 && len(t.breaks) >= maxBreaks {
		last = otherBreak
	}
	t.breaks[last]++
}

// breaksNow returns a copy of the breaks so far.
func (t *table) breaksNow() breaks {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.breaks)
}

func (t *table) anyTraced() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.traced
}

// scrapeBreaks writes the family of breaks, unless there are none.
func (s *Store) scrapeBreaks(x exposition, started []byte) {
	n := s.table.breaksNow()
	if len(n) == 0 {
		return
	}
	x.family(selfInstruments[breaksMetric], 0, func() {
		for _, last := range slices.Sorted(maps.Keys(n)) {
			x.sample(sample{labels: x.label(nil, "ping_path_last_address", last), counted: true, count: n[last], start: started})
		}
	})
}
