package discovery

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pingtel/pingtel/internal/config"
)

// TestListAgain changes a list at random again and again: with what it takes over from the
// list before it is the same as it would be alone, and targets with the same tags share what
// they share.
func TestListAgain(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	source := parse(t, "[[targets]]\nfile = \"/x.json\"\ntags = { name = \"__name\" }\n").Sources[0]
	make := func(before *config.List, groups []string) *config.List {
		b := &builder{source: source, list: source.NewList(before)}
		if err := decodeJSON(strings.NewReader("["+strings.Join(groups, ",\n")+"]"), b); err != nil {
			t.Fatal(err)
		}
		b.list.Done()
		return b.list
	}
	group := func() string {
		n := r.IntN(500)
		hosts := []string{`"h%d"`, `"h%d", "198.18.0.%[1]d"`, `"198.18.1.0/30", "h%d"`, `"bad host", "h%d"`, `"h%d:80"`}[r.IntN(5)]
		return fmt.Sprintf(`{"targets": [`+hosts+`], "labels": {"site": "s%d", "__name": "n%d"}}`, n, r.IntN(5), n/2)
	}
	var groups []string
	for range 100 {
		groups = append(groups, group())
	}
	list := make(nil, groups)
	for round := range 1000 {
		groups = slices.Clone(groups)
		for range r.IntN(4) {
			at := r.IntN(len(groups))
			switch r.IntN(5) {
			case 0:
				groups = slices.Insert(groups, at, group())
			case 1:
				groups = slices.Delete(groups, at, min(at+1+r.IntN(3), len(groups)-1))
			case 2:
				groups[at] = group()
			case 3:
				other := r.IntN(len(groups))
				groups[at], groups[other] = groups[other], groups[at]
			case 4:
				slices.Reverse(groups[at:])
			}
			if len(groups) < 50 {
				groups = append(groups, group(), group(), group())
			}
		}
		next := make(list, groups)
		if r.IntN(5) == 0 { // as one that was refused
			next = make(list, groups)
		}
		if diff := cmp.Diff(lines(make(nil, groups).Targets), lines(next.Targets)); diff != "" {
			t.Fatalf("round %d (-want +got):\n%s", round, diff)
		}
		probes := map[string]*config.Probe{}
		for _, x := range next.Targets {
			tags := fmt.Sprint(x.Tags)
			if probes[tags] == nil {
				probes[tags] = x.Probe
			}
			if probes[tags] != x.Probe {
				t.Fatalf("round %d: %s has other probes than targets with its tags", round, x.Host)
			}
		}
		list = next
	}
}
