package monitor

import (
	"context"
	"time"
)

// schedule is where in the round of targets the monitor stands.
type schedule struct {
	base     time.Time // when the cycle from began
	from     int64
	cycle    int64   // of the next series
	next     int     // index of its target
	ahead    int64   // cycle of the next look-up
	lookNext int     // index of its target
	squeeze  float64 // of cycle 0, which may be faster: 1 is not
	running  bool
}

const (
	// firstRound is how long the first round takes at most where no more than
	// firstEchoes are to be sent in it, so that the first figures of a short
	// file come soon. Those of a longer one come soon anyway, and all of them at
	// once would be a burst.
	firstRound  = 2 * time.Second
	firstEchoes = 200

	// stride is the least time between two looks at the schedule: targets that
	// are due within it begin together, and their echoes go out together from
	// then on. A wake-up for each would cost several times what its echo does.
	stride = 10 * time.Millisecond

	// maxLate is how late a series may begin. After a longer pause the round
	// goes on where it would be by now, instead of catching up in a burst.
	maxLate = time.Second
)

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
			m.sayLeftOut()
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
		case t.cycle >= s.cycle: // had its series before a reload
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
		m.sayLeftOut()
	}
	return wake
}

// wholeRounds returns how many whole rounds lie between a place in the schedule
// and a time, none of them the first, which may have another length. m.mu is
// held.
func (m *Monitor) wholeRounds(cycle int64, i int, until time.Time) int64 {
	if cycle == 0 {
		return 0
	}
	return max(0, int64(until.Sub(m.due(cycle, i))/m.interval))
}

// passLookups goes past the whole rounds of look-ups that a process which was
// stopped has left out: each name needs one, not one for each round. m.mu is
// held.
func (m *Monitor) passLookups(until time.Time) {
	s := &m.schedule
	s.ahead += m.wholeRounds(s.ahead, s.lookNext, until)
}

// passSeries counts the series of the whole rounds that such a process has
// missed, without going through them. m.mu is held.
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

// following returns the index and cycle behind one. m.mu is held.
func (m *Monitor) following(i int, cycle int64) (int, int64) {
	if i++; i < len(m.targets) {
		return i, cycle
	}
	return 0, cycle + 1
}

// sayLeftOut logs, once a round, that series were left out: skipped or missed.
func (m *Monitor) sayLeftOut() {
	m.mu.Lock()
	host, all := m.skippedTarget, m.missed.Load()
	missed := all - m.saidMissed
	m.skippedTarget, m.saidMissed = "", all
	m.mu.Unlock()
	if host != "" {
		m.log.Warn("series skipped, since the target's last one still runs", "host", host, "skipped", m.skipped.Load(), "missed", all)
	}
	if missed > 0 {
		m.log.Warn("series missed, since the process was stopped or had too little CPU time when they were due", "series", missed, "in_all", all)
	}
}
