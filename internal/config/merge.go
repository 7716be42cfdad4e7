package config

import (
	"slices"

	"github.com/pingtel/pingtel/icmpcore"
)

// series is what all outputs can tell targets apart by, apart from their family.
type series struct {
	host string
	tags tagsHandle
	dscp int
}

func (t *Target) series() series { return series{t.Host, t.tags, t.Options.DSCP} }

// Merged is several lists as one. A target that is the same series as an earlier one
// is left out: a host that several lists have with the same tags is one target. But of
// the first list, that of the file itself, all are there.
type Merged struct {
	Targets []Target
	Fresh   []int   // how many targets of each list are among them
	Other   *Target // one that has other options than the target that it gives way to, nil if there is none; the two need a tag each

	lists [][]Target
}

// Merge returns lists as one. before is what it returned last, or nil: only what has
// changed since then is compared with everything.
func Merge(before *Merged, lists ...[]Target) *Merged {
	n := 0
	for _, list := range lists {
		n += len(list)
	}
	m := &Merged{Targets: make([]Target, 0, n), Fresh: make([]int, len(lists)), lists: lists}
	changed := before.changed(lists)
	size := n
	if changed != nil {
		size = len(changed)
	}
	seen := seenSeries{make(map[series]int32, size), make(map[int32][]int32)}
	for i, list := range lists {
		for j := range list {
			t := &list[j]
			if k := t.series(); changed == nil || changed[k] { // else it is as before: not left out
				if same := seen.add(m.Targets, k, t); same != nil && i > 0 {
					if same.Probe != t.Probe && same.Key() != t.Key() {
						m.Other = t
					}
					continue
				}
			}
			m.Targets = append(m.Targets, *t)
			m.Fresh[i]++
		}
	}
	return m
}

// Of reports whether m was made of these very lists.
func (m *Merged) Of(lists ...[]Target) bool {
	return slices.EqualFunc(m.lists, lists, func(a, b []Target) bool {
		return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
	})
}

// changed returns the series of all targets in which the lists differ from those that m
// was made of. It returns nil if it is better to look at all targets: where some were
// left out, or there are very many differences.
func (m *Merged) changed(lists [][]Target) map[series]bool {
	if m == nil || len(m.lists) != len(lists) {
		return nil
	}
	n := 0
	changed := make(map[series]bool)
	for i, list := range lists {
		if n += len(m.lists[i]); m.Fresh[i] != len(m.lists[i]) {
			return nil
		}
		Differing(m.lists[i], list, func(t *Target) { changed[t.series()] = true })
	}
	if len(changed) > n/8 {
		return nil
	}
	return changed
}

// seenSeries finds targets that outputs cannot tell apart.
type seenSeries struct {
	first map[series]int32  // index of the first target of a series
	more  map[int32][]int32 // indexes of its other families
}

// add notes the target t with the series k, which comes next behind all. If outputs
// cannot tell it from one of all, add returns that one instead.
func (s *seenSeries) add(all []Target, k series, t *Target) *Target {
	at, seen := s.first[k]
	if !seen {
		s.first[k] = int32(len(all))
		return nil
	}
	more := s.more[at]
	for _, i := range append(more[:len(more):len(more)], at) {
		f, o := t.Options.Family, all[i].Options.Family
		if f == o || f == icmpcore.FamilyAuto || o == icmpcore.FamilyAuto {
			return &all[i]
		}
	}
	s.more[at] = append(more, int32(len(all)))
	return nil
}

// SameEnds returns how many targets are the same in a and b from the begin, and how many
// more of them from the end: a target that comes or goes moves none of the others.
func SameEnds(a, b []Target) (first, last int) {
	n := min(len(a), len(b))
	for first < n && a[first] == b[first] {
		first++
	}
	for last < n-first && a[len(a)-1-last] == b[len(b)-1-last] {
		last++
	}
	return first, last
}

// Differing calls yield for the targets of a and of b that are not the same, or not in
// the same place.
func Differing(a, b []Target, yield func(*Target)) {
	first, last := SameEnds(a, b)
	a, b = a[first:len(a)-last], b[first:len(b)-last]
	for i := range a {
		if len(a) != len(b) || a[i] != b[i] {
			yield(&a[i])
		}
	}
	for i := range b {
		if len(a) != len(b) || a[i] != b[i] {
			yield(&b[i])
		}
	}
}
