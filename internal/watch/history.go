package watch

import "math"

// column is what a column of a history shows: several echoes in a row.
type column struct {
	worst   sample // the largest RTT, 0: none
	lost    int
	failed  int
	replies int
}

// perColumn returns how many echoes share a column, so that the echoes kept fit
// into so many columns: a power of two, which stays the same for a long time.
func (t *target) perColumn(columns int) int64 {
	n := min(t.head, int64(t.limit))
	per := int64(1)
	for per*int64(columns) < n {
		per *= 2
	}
	return per
}

// columns appends the last columns of t's history, the newest at the end. The
// borders between columns lie at multiples of per, so that a column does not
// change once it is full.
func (t *target) columns(b []column, count int, per int64) []column {
	last := (t.head - 1) / per
	for c := last - int64(count) + 1; c <= last; c++ {
		var x column
		for p := max(c*per, 0); p < (c+1)*per && t.head > 0; p++ {
			switch s := t.at(p); {
			case s > 0:
				x.worst = max(x.worst, s)
				x.replies++
			case s.missed():
				x.lost++
			case s == failed:
				x.failed++
			}
		}
		b = append(b, x)
	}
	return b
}

// scale puts round-trip times on the levels of a picture, logarithmically. A
// full bar is at least twice the lowest time, so that noise looks like noise.
type scale struct{ low, ratio float64 }

func newScale(low, high float64) scale {
	high = max(high, 2*low, low+100e3)
	return scale{low, math.Log(high / low)}
}

// level returns which of n levels a time is on.
func (s scale) level(ns float64, n int) int {
	if s.ratio <= 0 || ns <= s.low {
		return 0
	}
	return min(int(math.Log(ns/s.low)/s.ratio*float64(n)), n-1)
}

// at returns the time at which a level begins.
func (s scale) at(level, n int) float64 {
	return s.low * math.Exp(s.ratio*float64(level)/float64(n))
}

// bounds returns the lowest and the highest time in columns.
func bounds(columns []column) (low, high float64) {
	for _, c := range columns {
		if c.worst > 0 {
			if low == 0 || float64(c.worst) < low {
				low = float64(c.worst)
			}
			high = max(high, float64(c.worst))
		}
	}
	return low, high
}

// history appends a target's history of so many columns, each of per echoes, to
// the line.
func (s *Screen) history(f *frame, t *target, count int, per int64) {
	s.columns = t.columns(s.columns[:0], count, per)
	low, high := bounds(s.columns)
	sc := newScale(max(low, 1), high)
	f.bars = true
	for _, c := range s.columns {
		if l, g := s.columnLook(c, sc); g == "" {
			f.blank(1)
		} else {
			f.glyph(l, g)
		}
	}
	f.bars = false
}

// columnLook returns how a column looks: a bar as high as its largest RTT, red
// where an echo was lost, and a mark where all were, or where there is no
// colour to say it.
func (s *Screen) columnLook(c column, sc scale) (look, string) {
	switch {
	case c.replies == 0 && c.lost > 0:
		return mark, s.glyphs.lost
	case c.replies == 0 && c.failed > 0:
		return mark, s.glyphs.failed
	case c.replies == 0:
		return plain, ""
	case c.lost+c.failed > 0 && !s.colour:
		return mark, s.glyphs.some
	case c.lost+c.failed > 0:
		return bad, s.glyphs.bars[sc.level(float64(c.worst), 8)]
	}
	return good, s.glyphs.bars[sc.level(float64(c.worst), 8)]
}
