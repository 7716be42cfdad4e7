package monitor

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/pingtel/pingtel/internal/config"
)

// TestMatch reloads lists that have changed at random. A target that is in both lists stays
// itself, only those that are not are forgotten, and targets whose points have the same tags
// have numbers of their own.
func TestMatch(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var pool []config.Target
	for _, keys := range []string{"", "tags = { a = \"1\" }", "dscp = 46", "family = \"ipv6\"", "size = 100", "interval = \"60s\""} {
		var list strings.Builder
		for i := range 40 {
			fmt.Fprintf(&list, "\"h%d\", ", i)
		}
		pool = append(pool, parseText(t, "[[targets]]\nhosts = ["+list.String()+"]\n"+keys+"\n").Targets...)
	}
	c := parseText(t, "[[targets]]\nhosts = [\"a\"]\n")
	with := func(list []config.Target) *config.Config {
		next := *c
		next.Targets = list
		return &next
	}
	list := slices.Clone(pool[:100])
	j := &judge{t: t, records: make(map[*Target]int), gone: make(map[*Target]bool)}
	m := New(&fakeProber{}, with(list), quiet(), j)
	defer m.Close()
	for round := range 2000 {
		before := make(map[config.Target]*Target)
		for _, x := range m.targets {
			before[x.Target] = x
		}
		list = slices.Clone(list)
		for range r.IntN(4) {
			in, at := pool[r.IntN(len(pool))], r.IntN(len(list))
			here := slices.Contains(list, in)
			switch r.IntN(4) {
			case 0:
				if !here {
					list = slices.Insert(list, at, in)
				}
			case 1:
				if !here {
					list[at] = in
				}
			case 2:
				if len(list) > 5 {
					list = slices.Delete(list, at, at+1)
				}
			case 3:
				other := r.IntN(len(list))
				list[at], list[other] = list[other], list[at]
			}
		}
		clear(j.gone)
		m.Reload(with(list))
		if len(m.targets) != len(list) {
			t.Fatalf("round %d: %d targets, want %d", round, len(m.targets), len(list))
		}
		twins := make(map[config.Point][]int)
		for _, x := range m.targets {
			if !slices.Contains(list, x.Target) || x.removed || x.current != x {
				t.Fatalf("round %d: %s is not in the list", round, x.Host)
			}
			if was := before[x.Target]; was != nil && was != x {
				t.Fatalf("round %d: %s is another target now", round, x.Host)
			}
			delete(before, x.Target)
			twins[x.Point()] = append(twins[x.Point()], x.twin)
		}
		for _, x := range before {
			if !j.gone[x] {
				t.Fatalf("round %d: %s is not forgotten", round, x.Host)
			}
		}
		if len(j.gone) != len(before) {
			t.Fatalf("round %d: %d targets are forgotten, want %d", round, len(j.gone), len(before))
		}
		for p, numbers := range twins {
			slices.Sort(numbers)
			for i, n := range numbers {
				if i != n {
					t.Fatalf("round %d: the numbers of %v are %v", round, p, numbers)
				}
			}
		}
	}
}
