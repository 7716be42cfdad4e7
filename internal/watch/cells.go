package watch

import "fmt"

// fleet puts RTTs on the bars of the map: the lowest is for less than 2 ms, the
// highest for 128 ms and more, and each step doubles. They are the same in each
// run, so that one learns to read them.
func fleet() scale { return newScale(1e6, 256e6) }

// cells appends the map: a cell for each target, as given, or for a few where
// there are more targets than cells. A cell shows the worst of its targets.
func (s *Screen) cells(f *frame, most int) {
	all := s.list.all
	each := 1
	if room := most - 1; room > 0 {
		each = max((len(all)+room*f.width-1)/(room*f.width), 1)
	}
	text := "each cell a target"
	if each > 1 {
		text = fmt.Sprintf("each cell the worst of %d targets", each)
	}
	f.put(faint, text+"   "+s.glyphs.bars[0]+" <2 ms, doubling to "+s.glyphs.bars[7]+" >=128 ms   ")
	f.put(mark, s.glyphs.lost)
	f.put(faint, " lost")
	f.end()
	sc := fleet()
	for i := 0; i < len(all) && most > 1; most-- {
		for ; i < len(all) && f.left > 0; i += each {
			l, g := s.cell(all[i:min(i+each, len(all))], sc)
			f.glyph(l, g)
		}
		f.end()
	}
}

// cell returns how the worst of a few targets looks.
func (s *Screen) cell(targets []*target, sc scale) (look, string) {
	worst := targets[0]
	for _, t := range targets[1:] {
		if t.severity() > worst.severity() {
			worst = t
		}
	}
	switch t := worst; {
	case t.failure != "":
		return mark, s.glyphs.failed
	case t.streak > 0:
		return mark, s.glyphs.lost
	case t.last <= 0:
		return faint, s.glyphs.waiting
	case t.missed > 0 && !s.colour:
		return warning, s.glyphs.some
	case t.missed > 0:
		return warning, s.glyphs.bars[sc.level(float64(t.last), 8)]
	}
	return good, s.glyphs.bars[sc.level(float64(worst.last), 8)]
}

// severity is how bad the state of a target is, for the map.
func (t *target) severity() float64 {
	part, _ := t.loss()
	switch {
	case t.failure != "":
		return 5
	case t.down():
		return 4
	case t.streak > 0:
		return 3
	case t.missed > 0:
		return 1 + part
	}
	return float64(t.last) / 1e12 // below 1: the slowest
}
