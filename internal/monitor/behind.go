package monitor

import "time"

// Behind returns how long the next series has been overdue at now, 0 if none is.
// A schedule that works is at most a fraction of a second behind.
func (m *Monitor) Behind(now time.Time) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.schedule.running || len(m.targets) == 0 {
		return 0
	}
	return max(0, now.Sub(m.due(m.schedule.cycle, m.schedule.next)))
}
