package config

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestMerge has hosts that several lists have: with the same tags they are one target.
func TestMerge(t *testing.T) {
	targets := func(text string) []Target {
		c, err := Parse("f.toml", text, env)
		if err != nil {
			t.Fatal(err)
		}
		return c.Targets
	}
	m := Merge(nil,
		targets("[[targets]]\nhosts = [\"a\", \"b\"]\n[[targets]]\nhosts = [\"a\"]\nsize = 1400\n"), // of the file itself, which stay all
		targets("[[targets]]\nhosts = [\"b\", \"c\"]\n[[targets]]\nhosts = [\"b\"]\ntags = { x = \"y\" }\n[[targets]]\nhosts = [\"b\"]\ndscp = 46\n"),
		targets("[[targets]]\nhosts = [\"a\", \"d\"]\nfamily = \"both\"\n"))
	var hosts []string
	for _, target := range m.Targets {
		hosts = append(hosts, target.Host)
	}
	if diff := cmp.Diff([]string{"a", "b", "a", "c", "b", "b", "d", "d"}, hosts); diff != "" {
		t.Errorf("targets (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]int{3, 3, 2}, m.Fresh); diff != "" || m.Other == nil || m.Other.Host != "a" {
		t.Errorf("fresh (-want +got):\n%s, other %+v", diff, m.Other)
	}
}

// someTargets are targets of different kinds: n of a group have the same host, with other
// tags, options and families.
func someTargets(t *testing.T, hosts int) []Target {
	t.Helper()
	var list strings.Builder
	for i := range hosts {
		fmt.Fprintf(&list, "\"h%d\", ", i)
	}
	var text strings.Builder
	for _, keys := range []string{"", "tags = { a = \"1\" }", "tags = { a = \"2\" }", "dscp = 46", "size = 100", "family = \"ipv6\"", "family = \"ipv4\""} {
		fmt.Fprintf(&text, "[[targets]]\nhosts = [%s]\n%s\n", list.String(), keys)
	}
	c, err := Parse("f.toml", text.String(), env)
	if err != nil {
		t.Fatal(err)
	}
	return c.Targets
}

// edited returns a list after a random change: targets that come, go, change or change
// their places.
func edited(r *rand.Rand, list, pool []Target) []Target {
	list = slices.Clone(list)
	for range 1 + r.IntN(3) {
		at := r.IntN(len(list) + 1)
		switch r.IntN(5) {
		case 0:
			list = slices.Insert(list, at, pool[r.IntN(len(pool))])
		case 1:
			list = slices.Delete(list, min(at, max(0, len(list)-1)), min(at+1+r.IntN(3), len(list)))
		case 2:
			if at < len(list) {
				list[at] = pool[r.IntN(len(pool))]
			}
		case 3:
			if other := r.IntN(len(list) + 1); at < len(list) && other < len(list) {
				list[at], list[other] = list[other], list[at]
			}
		case 4: // nothing
		}
	}
	return list
}

// TestMergeAgain changes lists again and again: what a merge makes of the one before is the
// same as what it makes of the lists alone, and the same holds for AlikeSince.
func TestMergeAgain(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	pool := someTargets(t, 60)
	lists := make([][]Target, 3)
	quick := 0
	for i := range lists {
		for _, j := range r.Perm(len(pool))[:60] {
			lists[i] = append(lists[i], pool[j])
		}
	}
	var last *Merged
	var apart []Target
	for round := range 3000 {
		if round%50 == 0 { // nothing is left out now and then, which is what is quick
			for i := range lists {
				lists[i] = nil
			}
			for j, k := range r.Perm(60) {
				lists[j%3] = append(lists[j%3], pool[k])
			}
		}
		i := r.IntN(len(lists))
		lists = slices.Clone(lists)
		lists[i] = edited(r, lists[i], pool)
		if last.changed(lists) != nil {
			quick++
		}
		got, want := Merge(last, lists...), Merge(nil, lists...)
		if !slices.Equal(got.Targets, want.Targets) || !slices.Equal(got.Fresh, want.Fresh) || (got.Other == nil) != (want.Other == nil) {
			t.Fatalf("round %d: %d targets, fresh %v, want %d, %v", round, len(got.Targets), got.Fresh, len(want.Targets), want.Fresh)
		}
		if !got.Of(lists...) || round > 0 && len(lists[i]) > 0 && last.Of(lists...) {
			t.Fatalf("round %d: Of does not know the lists", round)
		}
		last = got
		c := &Config{Targets: got.Targets}
		alike := c.AlikeSince(apart)
		if all := c.Alike(); !slices.Equal(alike, all) {
			t.Fatalf("round %d: alike %v, want %v", round, alike, all)
		}
		if apart = nil; len(alike) == 0 {
			apart = c.Targets
		}
	}
	if quick < 100 {
		t.Errorf("only %d merges were quick", quick)
	}
}
