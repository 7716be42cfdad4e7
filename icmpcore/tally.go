package icmpcore

import (
	"math"
	"time"
)

// foreverKept is how many round-trip times, errors and lost numbers the result
// of an endless series ([Forever]) holds unless [Options.Keep] says fewer.
const foreverKept = 4096

// tally adds up the outcomes of a series' echoes, in their order.
type tally struct {
	rtts  []time.Duration // of an endless series only the last ones
	lost  []int           // likewise
	last  int64           // RTT of the echo before, negative if it has none
	moved uint64          // sum of the differences between successive RTTs, ns
	pairs int             // the number of these differences
	all   running         // for an endless series: all RTTs
}

func newTally() *tally { return &tally{last: -1} }

// add adds the outcome of the next echo, which has the given number. keep is as
// for trim.
func (t *tally) add(number uint64, e *echo, keep int) {
	switch e.state {
	case echoReplied:
		t.rtts = append(t.rtts, time.Duration(e.rtt))
		if t.last >= 0 {
			t.moved += uint64(max(e.rtt-t.last, t.last-e.rtt))
			t.pairs++
		}
		t.last = e.rtt
	case echoTimedOut, echoErred:
		t.lost = append(t.lost, int(number)+1)
		t.last = -1
	default:
		t.last = -1
	}
	if keep > 0 {
		if e.state == echoReplied {
			t.all.add(float64(e.rtt))
		}
		t.rtts, t.lost = trim(t.rtts, keep, 2*keep), trim(t.lost, keep, 2*keep)
	}
}

// trim removes all but the last keep elements of a list that has reached limit.
// A keep of 0 keeps all.
func trim[E any](list []E, keep, limit int) []E {
	if keep == 0 || len(list) < limit || len(list) <= keep {
		return list
	}
	n := copy(list, list[len(list)-keep:])
	clear(list[n:])
	return list[:n]
}

// addAll adds up all echoes of s, which has ended. sent is how many of them were
// sent and decided.
func (t *tally) addAll(s *series, sent int) {
	oldest := uint64(0)
	if s.rare != nil && s.rare.past != nil {
		*t = *s.rare.past
		oldest = s.number - uint64(len(s.echoes))
	} else {
		if s.received > 0 {
			t.rtts = make([]time.Duration, 0, s.received)
		}
		if lost := sent - int(s.received); lost > 0 {
			t.lost = make([]int, 0, lost)
		}
	}
	for n := oldest; n < s.number; n++ {
		t.add(n, s.at(n), s.keep())
	}
	t.rtts, t.lost = trim(t.rtts, s.keep(), 0), trim(t.lost, s.keep(), 0)
}

// fill sets all fields of r that depend on the tally and the counts.
func (t *tally) fill(r *PingResult) {
	r.RTTs, r.Lost = t.rtts, t.lost
	if r.IPDVPairs = t.pairs; t.pairs > 0 {
		r.IPDV = time.Duration(math.Round(float64(t.moved) / float64(t.pairs)))
	}
	r.fillStatistics()
	if r.Received > len(r.RTTs) {
		r.Min, r.Max = time.Duration(t.all.min), time.Duration(t.all.max)
		r.Mean, r.Jitter = time.Duration(math.Round(t.all.mean)), t.all.jitter()
	}
}

// running holds statistics of numbers without keeping the numbers (Welford,
// 1962).
type running struct {
	n, mean, squares, min, max float64
}

func (w *running) add(x float64) {
	w.n++
	if w.n == 1 {
		w.min, w.max = x, x
	}
	w.min, w.max = min(w.min, x), max(w.max, x)
	d := x - w.mean
	w.mean += d / w.n
	w.squares += d * (x - w.mean)
}

// jitter returns the sample standard deviation.
func (w *running) jitter() time.Duration {
	if w.n < 2 {
		return 0
	}
	return time.Duration(math.Round(math.Sqrt(w.squares / (w.n - 1))))
}
