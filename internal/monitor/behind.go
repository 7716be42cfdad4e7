package monitor

import "time"

// Behind returns how long the next series has been overdue at now, 0 if none is.
// A schedule that works is at most a fraction of a second behind.
func (m *Monitor) Behind(now time.Time) (behind time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.started {
		return 0
	}
	for _, l := range m.lanes {
		behind = max(behind, l.behind(now))
	}
	return behind
}
