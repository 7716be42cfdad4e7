package monitor

import (
	"context"
	"time"
)

// schedule is the monitor's position in the round of targets.
type schedule struct {
	base     time.Time // start of the cycle from
	from     int64
	cycle    int64   // of the next series
	next     int     // index of its target
	ahead    int64   // cycle of the next look-up
	lookNext int     // index of its target
	squeeze  float64 // length of cycle 0 in intervals, at most 1
	running  bool
}

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
// interval, always at the same place in it. When Run returns, series may still
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
	m.schedule = schedule{base: now, squeeze: 1, running: true}
	if echoes <= firstEchoes {
		m.schedule.squeeze = min(1, firstRound.Seconds()/m.interval.Seconds())
	}
}

// due returns when target i is due in a cycle. m.mu is held.
func (m *Monitor) due(cycle int64, i int) time.Time {
	phase := m.targets[i].phase
	if cycle == 0 {
		phase *= m.schedule.squeeze
	}
	return m.schedule.base.Add(time.Duration(cycle-m.schedule.from)*m.interval + time.Duration(phase*float64(m.interval)))
}

// step starts the series and look-ups that are due and returns how long to sleep.
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
	m.passLookups(now.Add(lead))
	for !m.due(s.ahead, s.lookNext).Add(-lead).After(now) {
		if t := m.targets[s.lookNext]; !t.static {
			names = append(names, t)
		}
		if s.lookNext, s.ahead = m.following(s.lookNext, s.ahead); s.lookNext == 0 {
			m.passLookups(now.Add(lead))
		}
	}
	late := min(maxLate, m.interval/2)
	round := s.cycle
	m.passSeries(now.Add(-late))
	due := m.due(s.cycle, s.next)
	for ; !due.After(now); due = m.due(s.cycle, s.next) {
		t := m.targets[s.next]
		switch {
		case t.cycle >= s.cycle: // it had its series before a reload
		case now.Sub(due) > late:
			m.missed.Add(1)
		default:
			t.cycle = s.cycle
			starts = append(starts, start{t, due})
		}
		if s.next, s.cycle = m.following(s.next, s.cycle); s.next == 0 {
			m.passSeries(now.Add(-late))
		}
	}
	newRound := s.cycle != round
	wake := max(stride, min(due.Sub(now), m.due(s.ahead, s.lookNext).Add(-lead).Sub(now)))
	m.mu.Unlock()
	for _, t := range names {
		m.lookup(t)
	}
	for _, x := range starts {
		m.begin(x.t, x.due, nil)
	}
	if newRound {
		m.logLeftOut()
	}
	return wake
}

// wholeRounds returns how many whole rounds lie between a place in the schedule
// and a time. It never counts the first round, which may be shorter. m.mu is
// held.
func (m *Monitor) wholeRounds(cycle int64, i int, until time.Time) int64 {
	if cycle == 0 {
		return 0
	}
	return max(0, int64(until.Sub(m.due(cycle, i))/m.interval))
}

// passLookups skips whole rounds of look-ups that are overdue, after the process
// was stopped: each name needs one look-up, not one for each round. m.mu is held.
func (m *Monitor) passLookups(until time.Time) {
	s := &m.schedule
	s.ahead += m.wholeRounds(s.ahead, s.lookNext, until)
}

// passSeries skips whole rounds of series that are overdue, and counts them as
// missed without going through them. m.mu is held.
func (m *Monitor) passSeries(until time.Time) {
	s := &m.schedule
	rounds := m.wholeRounds(s.cycle, s.next, until)
	if rounds == 0 {
		return
	}
	for i, t := range m.targets {
		first := s.cycle // of the rounds that t misses
		if i < s.next {
			first++
		}
		had := min(max(t.cycle-first+1, 0), rounds) // before a reload
		m.missed.Add(uint64(rounds - had))
	}
	s.cycle += rounds
}

// following returns the index and cycle after i and cycle. m.mu is held.
func (m *Monitor) following(i int, cycle int64) (int, int64) {
	if i++; i < len(m.targets) {
		return i, cycle
	}
	return 0, cycle + 1
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
