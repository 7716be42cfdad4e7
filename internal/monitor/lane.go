package monitor

import (
	"math"
	"sort"
	"time"
)

// lane is the schedule of the targets that have the same interval. They are spread
// evenly over it, so that the targets of all lanes together are spread evenly too.
type lane struct {
	interval time.Duration
	targets  []*Target // by phase; never empty once a reload is over
	numbered int       // slots ever added; the next one's number in the sequence of phases

	position
}

// position is a lane's position in the round of its targets.
type position struct {
	base     time.Time // start of the cycle from
	from     int64
	cycle    int64   // of the next series
	next     int     // index of its target
	ahead    int64   // cycle of the next look-up
	lookNext int     // index of its target
	squeeze  float64 // length of cycle 0 in intervals, at most 1
}

// work is what is due in a step.
type work struct {
	starts   []start
	names    []*Target // to look up
	missed   uint64    // series
	newRound bool      // a lane has begun another round
}

// due returns when target i is due in a cycle.
func (l *lane) due(cycle int64, i int) time.Time { return l.dueAt(cycle, l.targets[i].phase) }

// dueAt returns when a phase is due in a cycle.
func (l *lane) dueAt(cycle int64, phase float64) time.Time {
	if cycle == 0 {
		phase *= l.squeeze
	}
	return l.base.Add(time.Duration(cycle-l.from)*l.interval + time.Duration(phase*float64(l.interval)))
}

// step adds the series and look-ups that are due to w, and returns how long to
// sleep.
func (l *lane) step(now time.Time, w *work) time.Duration {
	lead := min(lookupLead, l.interval/2)
	l.passLookups(now.Add(lead))
	for !l.due(l.ahead, l.lookNext).Add(-lead).After(now) {
		if t := l.targets[l.lookNext]; !t.static {
			w.names = append(w.names, t)
		}
		if l.lookNext, l.ahead = l.following(l.lookNext, l.ahead); l.lookNext == 0 {
			l.passLookups(now.Add(lead))
		}
	}
	late := min(maxLate, l.interval/2)
	round := l.cycle
	w.missed += l.passSeries(now.Add(-late))
	due := l.due(l.cycle, l.next)
	for ; !due.After(now); due = l.due(l.cycle, l.next) {
		t := l.targets[l.next]
		switch {
		case t.cycle >= l.cycle: // it had its series before a reload
		case now.Sub(due) > late:
			w.missed++
		default:
			t.cycle = l.cycle
			w.starts = append(w.starts, start{t, due})
		}
		if l.next, l.cycle = l.following(l.next, l.cycle); l.next == 0 {
			w.missed += l.passSeries(now.Add(-late))
		}
	}
	w.newRound = w.newRound || l.cycle != round
	return max(stride, min(due.Sub(now), l.due(l.ahead, l.lookNext).Add(-lead).Sub(now)))
}

// wholeRounds returns how many whole rounds lie between a place in the schedule
// and a time. It never counts the first round, which may be shorter.
func (l *lane) wholeRounds(cycle int64, i int, until time.Time) int64 {
	if cycle == 0 {
		return 0
	}
	return max(0, int64(until.Sub(l.due(cycle, i))/l.interval))
}

// passLookups skips whole rounds of look-ups that are overdue, after the process
// was stopped: each name needs one look-up, not one for each round.
func (l *lane) passLookups(until time.Time) {
	l.ahead += l.wholeRounds(l.ahead, l.lookNext, until)
}

// passSeries skips whole rounds of series that are overdue, without going through
// them. It returns how many series are missed.
func (l *lane) passSeries(until time.Time) (missed uint64) {
	rounds := l.wholeRounds(l.cycle, l.next, until)
	if rounds == 0 {
		return 0
	}
	for i, t := range l.targets {
		first := l.cycle // of the rounds that t misses
		if i < l.next {
			first++
		}
		had := min(max(t.cycle-first+1, 0), rounds) // before a reload
		missed += uint64(rounds - had)
	}
	l.cycle += rounds
	return missed
}

// following returns the index and cycle after i and cycle.
func (l *lane) following(i int, cycle int64) (int, int64) {
	if i++; i < len(l.targets) {
		return i, cycle
	}
	return 0, cycle + 1
}

// behind returns how long the next series has been overdue at now, 0 if none is.
func (l *lane) behind(now time.Time) time.Duration { return max(0, now.Sub(l.due(l.cycle, l.next))) }

// add gives a new slot the next place in the interval.
func (l *lane) add(s *slot) {
	_, s.phase = math.Modf(float64(l.numbered) * golden)
	s.cycle = -1
	l.numbered++
}

// place is a place in a lane's schedule.
type place struct {
	cycle int64
	phase float64 // more than 1 where a first round is over that is shorter than the interval
}

// at returns the lane's place at now, or that of the next series if it is overdue.
func (l *lane) at(now time.Time) place {
	if due := l.due(l.cycle, l.next); !due.After(now) {
		return place{l.cycle, l.targets[l.next].phase}
	}
	whole, phase := modf(float64(now.Sub(l.base)) / float64(l.interval))
	p := place{l.from + whole, phase}
	if p.cycle == 0 {
		p.phase /= l.squeeze
	}
	return p
}

// modf splits a number into the next smaller whole number and the rest.
func modf(v float64) (int64, float64) {
	whole := math.Floor(v)
	return int64(whole), v - whole
}

// resume continues the schedule at a place with new targets. Those that have had
// their series of this cycle have no other one.
func (l *lane) resume(at place) {
	l.cycle = at.cycle
	l.next = sort.Search(len(l.targets), func(i int) bool { return l.targets[i].phase >= at.phase })
	if l.next == len(l.targets) {
		l.next, l.cycle = 0, l.cycle+1
	}
	l.lookNext, l.ahead = l.next, l.cycle
}

// stretched returns a lane without targets that has another interval, and has the
// same place in its round, at, at now. A target that has waited for a third of the old
// interval waits for two thirds of the new one. So no gap between two series is
// longer than the longer interval or shorter than the shorter one.
func (l *lane) stretched(interval time.Duration, at place, now time.Time) *lane {
	if due := l.dueAt(at.cycle, at.phase); due.Before(now) {
		now = due // this series has not started, and must not become later
	}
	n := &lane{interval: interval, numbered: l.numbered, position: l.position}
	into := now.Sub(l.base) - time.Duration(l.cycle-l.from)*l.interval
	n.base = now.Add(-time.Duration(float64(into) / float64(l.interval) * float64(interval)))
	n.from = l.cycle
	return n
}

// move gives a slot of another lane, which is at a place at now, a place in l. It
// waits for the same part of the new interval that it would still wait for of the
// old one.
func (l *lane) move(s *slot, at place, now time.Time) {
	from := s.lane
	cycle := at.cycle // of its next series
	if s.phase < at.phase {
		cycle++
	}
	due := from.dueAt(max(cycle, s.cycle+1), s.phase)
	wait := max(0, due.Sub(now)) // 0: at once
	due = now.Add(time.Duration(float64(wait) / float64(from.interval) * float64(l.interval)))
	whole, phase := modf(float64(due.Sub(l.base)) / float64(l.interval))
	s.phase, s.cycle = phase, l.from+whole-1
	if s.cycle < 0 && l.squeeze < 1 {
		s.cycle = 0 // not in the first round, whose places are nearer to each other
	}
}
