package nagios

import (
	"math"
	"time"
)

// Tally counts what is known of a series while it runs.
type Tally struct {
	Count    int           // echoes of the whole series
	Received int           // echoes that were answered
	Lost     int           // echoes that timed out or got an error instead of a reply
	Refused  int           // echoes that the system did not send
	Sum, Max time.Duration // of the round-trip times of the replies
}

// HostCheck reports whether t asks only whether the host is there: any reply
// keeps it from CRITICAL.
func (t Thresholds) HostCheck() bool { return t.Crit.Loss >= 100 }

// Certain returns the state that a series will end with, and whether it is
// certain: no other state is possible, whatever happens to the echoes that are
// still undecided. A round-trip time is at most timeout.
//
// It compares the best and the worst end. At best each undecided echo is
// answered at once; at worst it is lost and also answered at the last moment. No
// end is as bad as that, so Certain may say yes an echo late, but never early.
func (t Thresholds) Certain(y Tally, timeout time.Duration) (Status, bool) {
	left := y.Count - y.Received - y.Lost
	if y.Refused > 0 || left < 0 {
		return Unknown, false // Judge says what refused echoes mean
	}
	if left > 0 && timeout > (math.MaxInt64-y.Sum)/time.Duration(left) {
		return Unknown, false
	}
	best := gradeLoss(y.Lost, y.Count, t)
	worst := gradeLoss(y.Lost+left, y.Count, t)
	if n := time.Duration(y.Received + left); n > 0 {
		if y.Received > 0 {
			best = best.orWorse(gradeTime(y.Sum/n-rounding, t.Warn.RTT, t.Crit.RTT)).orWorse(gradeTime(y.Max, t.Warn.Max, t.Crit.Max))
		}
		mean, longest := (y.Sum+time.Duration(left)*timeout)/n+rounding, y.Max
		if left > 0 {
			longest = max(longest, timeout)
		}
		worst = worst.orWorse(gradeTime(mean, t.Warn.RTT, t.Crit.RTT)).orWorse(gradeTime(longest, t.Warn.Max, t.Crit.Max))
	}
	switch { // y does not have the jitter, which may be anything
	case t.Crit.Jitter > 0:
		worst = Critical
	case t.Warn.Jitter > 0:
		worst = worst.orWorse(Warning)
	}
	return worst, best == worst
}

// rounding is by how much a mean calculated here may differ from that of the
// result, which is made of other sums.
const rounding = 2 * time.Nanosecond

// gradeLoss compares lost/sent with the thresholds without dividing: a quotient
// such as 29/100 would be slightly below 29 %.
func gradeLoss(lost, sent int, t Thresholds) Status {
	of := func(percent float64) bool { return percent > 0 && float64(lost)*100 >= percent*float64(sent) }
	switch {
	case of(t.Crit.Loss):
		return Critical
	case of(t.Warn.Loss):
		return Warning
	}
	return OK
}

// gradeTime compares a time with two thresholds, of which zero judges nothing.
func gradeTime(d, warn, crit time.Duration) Status {
	switch {
	case crit > 0 && d >= crit:
		return Critical
	case warn > 0 && d >= warn:
		return Warning
	}
	return OK
}

// States counts hosts by their state. Its index is a [Status].
type States [Unknown + 1]int

// Of returns the state of a check of many hosts. Where need is 0 the worst host
// decides. Else need hosts must be OK: with fewer the state is WARNING if those
// with a WARNING complete the number, UNKNOWN if the UNKNOWN ones might, and else
// CRITICAL.
func (n States) Of(need int) Status {
	ok, warned := n[OK], n[OK]+n[Warning]
	switch {
	case need > 0 && ok >= need:
		return OK
	case need > 0 && warned >= need:
		return Warning
	case need > 0 && warned+n[Unknown] >= need:
		return Unknown
	case need > 0 || n[Critical] > 0:
		return Critical
	case n[Warning] > 0:
		return Warning
	case n[Unknown] > 0 || ok == 0:
		return Unknown
	}
	return OK
}

// Settled reports whether open further hosts cannot change the state. Where need
// is 0, each host is waited for: the reader wants to know the state of all.
func (n States) Settled(need, open int) bool {
	if open == 0 || need == 0 {
		return open == 0
	}
	best := n
	best[OK] += open
	return best.Of(need) == n.Of(need) // without the open hosts is as bad as with all of them CRITICAL
}
