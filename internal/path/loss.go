package path

import (
	"math"
	"slices"
)

// What a few echoes can show. A difference between two groups of echoes counts only if
// chance gives it less often than doubt (Fisher's exact test). A place where loss begins
// is as likely as another if the likelihoods differ by less than a factor of e^2.
const (
	doubt     = 0.05
	manyDoubt = 0.01 // where each of many hops is compared, and loss by chance is among them
	asLikely  = 2.0
	leastLost = 2 // lost echoes without which nothing is said of a hop, and
	leastAll  = 3 // without which nothing is said of all hops together
)

// tally is how many echoes were sent and lost.
type tally struct{ sent, lost int }

func (t tally) plus(o tally) tally { return tally{t.sent + o.sent, t.lost + o.lost} }

// losesMore reports whether t loses more than o, and chance gives that less often than p.
func (t tally) losesMore(o tally, p float64) bool {
	return t.sent > 0 && o.sent > 0 && t.lost*o.sent > o.lost*t.sent && fisher(t, o) <= p
}

// fisher returns the probability that at least a.lost of the lost echoes are in group a
// if all echoes are equally likely to be lost.
func fisher(a, b tally) float64 {
	sent, lost := a.sent+b.sent, a.lost+b.lost
	p := 0.0
	for k := a.lost; k <= min(a.sent, lost); k++ {
		if lost-k <= b.sent {
			p += math.Exp(logChoose(a.sent, k) + logChoose(b.sent, lost-k) - logChoose(sent, lost))
		}
	}
	return p
}

func logChoose(n, k int) float64 {
	f := func(n int) float64 {
		v, _ := math.Lgamma(float64(n) + 1)
		return v
	}
	return f(n) - f(k) - f(n-k)
}

// likelihood returns the logarithm of the likelihood of t at its own share of loss.
func (t tally) likelihood() float64 {
	l := 0.0
	if t.lost > 0 {
		l += float64(t.lost) * math.Log(float64(t.lost)/float64(t.sent))
	}
	if kept := t.sent - t.lost; kept > 0 {
		l += float64(kept) * math.Log(float64(kept)/float64(t.sent))
	}
	return l
}

// point is a hop that answers, or the target at the end.
type point struct {
	hop *Hop // nil for the target
	tally
}

// points returns the hops that answer at all, and then the target. A hop that never
// answers says nothing about those behind it.
func (t *Trace) points() []point {
	var ps []point
	for i := range t.Hops {
		if h := &t.Hops[i]; h.Answers > 0 && !h.Target {
			ps = append(ps, point{h, tally{h.Sent, max(h.Sent-h.Answers, 0)}})
		}
	}
	if t.Reached {
		ps = append(ps, point{nil, tally{t.EndSent, t.EndSent - t.EndReceived}})
	}
	return ps
}

// markLimited marks the hops that lose more answers than what lies behind them: the
// echoes for those hops have passed them, so only their own answers are missing.
func markLimited(ps []point) {
	behind := tally{}
	for i := len(ps) - 1; i >= 0; i-- {
		p := &ps[i]
		few := doubt
		if behind.lost > 0 {
			few = manyDoubt
		}
		if p.hop != nil && p.lost >= leastLost && p.losesMore(behind, few) {
			p.hop.Limited = true
			continue
		}
		behind = behind.plus(p.tally)
	}
}

// begins returns the index of the point from which on echoes are lost, -1 if there is
// none or it cannot be told. Loss counts against a point only as far as every later one,
// the target included, loses at least as much. If several points are as likely it
// returns the first of them, since what is said of it is true of all. If a point before
// them is as likely, and only a later one happens to lose nothing, it cannot be told.
func begins(ps []point) int {
	likelihoods := make([]float64, len(ps))
	strict, best, certain := make([]bool, len(ps)), math.Inf(-1), false
	for k := range ps {
		likelihoods[k] = math.Inf(-1)
		if ps[k].hop != nil && ps[k].hop.Limited || !lasts(ps[k:]) {
			continue
		}
		before, after := pool(ps[:k]), pool(ps[k:])
		likelihoods[k] = before.likelihood() + after.likelihood()
		best = max(best, likelihoods[k])
		if strict[k] = !slices.ContainsFunc(ps[k:], func(p point) bool { return p.lost == 0 }); strict[k] {
			certain = certain || before.sent == 0 && after.lost >= leastAll || after.lost >= leastLost && after.losesMore(before, doubt)
		}
	}
	first := slices.IndexFunc(likelihoods, func(l float64) bool { return l > best-asLikely })
	if !certain || !strict[first] {
		return -1
	}
	return first
}

// lasts reports whether no point loses fewer echoes than those before it, by more than
// chance explains.
func lasts(ps []point) bool {
	before := tally{}
	for _, p := range ps {
		if before.losesMore(p.tally, manyDoubt) {
			return false
		}
		if p.hop == nil || !p.hop.Limited {
			before = before.plus(p.tally)
		}
	}
	return true
}

// pool returns the sum of the points that do not limit their answers.
func pool(ps []point) (sum tally) {
	for _, p := range ps {
		if p.hop == nil || !p.hop.Limited {
			sum = sum.plus(p.tally)
		}
	}
	return sum
}

// Behind returns how many of the echoes for what lies behind hop i+1 were sent and lost,
// without those for hops that limit their answers. ok is false if nothing there answers.
func (t *Trace) Behind(i int) (sent, lost int, ok bool) {
	sum := tally{}
	for _, p := range t.points() {
		if p.hop == nil && (i < len(t.Hops)-1 || !t.Hops[i].Target) || p.hop != nil && p.hop.TTL > i+1 && !p.hop.Limited {
			sum = sum.plus(p.tally)
		}
	}
	return sum.sent, sum.lost, sum.sent > 0
}
