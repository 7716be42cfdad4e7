package monitor

import (
	"cmp"
	"slices"
	"time"

	"github.com/pingtel/pingtel/internal/config"
)

// hurry gives new targets an early first series, spread over the time within: those
// first whose places come first. A target whose place comes within that time needs none,
// and neither does one whose series would still run by then. m.mu is held.
func (m *Monitor) hurry(added []*Target, now time.Time, within time.Duration) {
	type waiting struct {
		t    *Target
		wait time.Duration // until its place
	}
	var late []waiting
	for _, t := range added {
		if wait := untilPlace(t, now); wait > within {
			late = append(late, waiting{t, wait})
		}
	}
	slices.SortStableFunc(late, func(a, b waiting) int { return cmp.Compare(a.wait, b.wait) })
	for i, x := range late {
		soon := time.Duration(float64(within) * float64(i) / float64(len(late)))
		if config.SeriesTime(x.t.Options, 0) < x.wait-soon {
			m.early = append(m.early, start{x.t, now.Add(soon)})
		}
	}
	slices.SortStableFunc(m.early, func(a, b start) int { return a.due.Compare(b.due) })
}

// untilPlace returns how long it is until t's next place in its interval. m.mu is held.
func untilPlace(t *Target, now time.Time) time.Duration {
	l := t.lane
	cycle := l.cycle
	if t.phase < l.targets[l.next].phase {
		cycle++
	}
	return l.dueAt(cycle, t.phase).Sub(now)
}

// stepEarly adds the early series that are due to w, and returns how long to sleep. m.mu
// is held.
func (m *Monitor) stepEarly(now time.Time, w *work) time.Duration {
	for len(m.early) > 0 {
		next := m.early[0]
		if wait := next.due.Sub(now); wait > 0 {
			return max(stride, wait)
		}
		m.early = m.early[1:]
		if next.t.reload != m.reloads {
			continue // a reload has removed it
		}
		if next.t.cycle >= 0 || config.SeriesTime(next.t.Options, 0) >= untilPlace(next.t, now) {
			continue // it is so late that the place has come, or comes before the series would end
		}
		if !next.t.static {
			w.names = append(w.names, next.t)
		}
		w.starts = append(w.starts, next)
	}
	m.early = nil
	return time.Hour
}
