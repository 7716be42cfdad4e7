package monitor

import (
	"context"
	"time"
)

const (
	// firstRound is the longest first round of a file with at most firstEchoes
	// echoes in a round, so that its first figures come soon. A longer file
	// gives its first figures soon anyway, and a short round would be a burst.
	firstRound  = 2 * time.Second
	firstEchoes = 200

	// stride is the shortest time between two wake-ups. Targets that are due
	// within it start together, and from then on their echoes go out together.
	// A wake-up for each target would cost several times as much as its echo.
	stride = 10 * time.Millisecond

	// maxLate is how late a series may start. After a longer pause the round
	// continues at its present place instead of catching up in a burst.
	maxLate = time.Second
)

// Run runs series on the schedule until ctx is done: each target once in every
// interval of its own, always at the same place in it. When Run returns, series may still
// run.
func (m *Monitor) Run(ctx context.Context) {
	m.mu.Lock()
	m.startSchedule(time.Now())
	m.mu.Unlock()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			m.logLeftOut()
			return
		case <-m.changed:
		case <-timer.C:
		}
		timer.Reset(m.step(time.Now()))
	}
}

// startSchedule starts cycle 0 at now. m.mu is held.
func (m *Monitor) startSchedule(now time.Time) {
	echoes := 0
	for _, t := range m.targets {
		echoes += t.Options.Count
		t.cycle = -1
	}
	m.started = true
	for _, l := range m.lanes {
		squeeze := 1.0
		if echoes <= firstEchoes {
			squeeze = min(1, firstRound.Seconds()/l.interval.Seconds())
		}
		l.position = position{base: now, squeeze: squeeze}
	}
}

// start is a series that is due.
type start struct {
	t   *Target
	due time.Time
}

// step starts the series and look-ups that are due and returns how long to sleep.
func (m *Monitor) step(now time.Time) time.Duration {
	var w work
	wake := time.Hour // a reload wakes it
	m.mu.Lock()
	for _, l := range m.lanes {
		wake = min(wake, l.step(now, &w))
	}
	wake = min(wake, m.stepEarly(now, &w))
	m.missed.Add(w.missed)
	m.mu.Unlock()
	for _, t := range w.names {
		m.lookup(t)
	}
	for _, x := range w.starts {
		m.begin(x.t, x.due, nil)
	}
	if w.newRound {
		m.logLeftOut()
	}
	return wake
}

// logLeftOut logs series that were skipped or missed. Callers call it once a
// round.
func (m *Monitor) logLeftOut() {
	m.mu.Lock()
	host, all := m.skippedTarget, m.missed.Load()
	missed := all - m.loggedMissed
	m.skippedTarget, m.loggedMissed = "", all
	m.mu.Unlock()
	if host != "" {
		m.log.Warn("series skipped: the target's previous series still runs; make the interval longer or the series shorter", "host", host, "skipped", m.skipped.Load(), "missed", all)
	}
	if missed > 0 {
		m.log.Warn("series missed: the process was stopped or had too little CPU time when they were due", "series", missed, "in_all", all)
	}
}
