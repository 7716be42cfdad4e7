package fleet

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/pingtel/pingtel/internal/config"
)

// probers returns members with the names and zones given: "a/east".
func probers(n int, zones ...string) []Member {
	var list []Member
	for i := range n {
		m := Member{Name: fmt.Sprintf("probe-%d", i)}
		if len(zones) > 0 {
			m.Zone = zones[i%len(zones)]
		}
		list = append(list, m)
	}
	return list
}

// targets returns n targets.
func targets(n int) []config.Target {
	probe := &config.Probe{Tags: []config.Tag{{Key: "site", Value: "lab"}}}
	list := make([]config.Target, n)
	for i := range list {
		list[i] = config.Target{Host: fmt.Sprintf("198.18.%d.%d", i>>8&0xff, i&0xff) + fmt.Sprintf("-%d.example", i>>16), Probe: probe}
	}
	return list
}

func keyOfTarget(t *config.Target) uint64 { return targetKey(tagsHash(t.Probe), t.Host) }

// owners says who owns the target with a key, by the definition: the members with the
// highest scores in different zones, and if there are no more zones those with the
// highest scores of the rest.
func owners(o *Ownership, key uint64) []Member {
	ranked := make([]int, len(o.members))
	for i := range ranked {
		ranked[i] = i // by name
	}
	slices.SortStableFunc(ranked, func(a, b int) int { return cmp.Compare(mix(key^o.hashes[b]), mix(key^o.hashes[a])) })
	var own, rest []Member
	zones := make(map[string]bool)
	for _, i := range ranked {
		m := o.members[i]
		if zones[m.Zone] {
			rest = append(rest, m)
			continue
		}
		zones[m.Zone] = true
		own = append(own, m)
	}
	return append(own, rest...)[:o.copies]
}

// TestKey: these numbers decide who measures what, so probers of different versions
// must have the same. A change of them is a change of the protocol.
func TestKey(t *testing.T) {
	tagged := &config.Probe{Tags: []config.Tag{{Key: "prober", Value: "a"}, {Key: "site", Value: "lab"}}}
	other := &config.Probe{Tags: []config.Tag{{Key: "prober", Value: "b"}, {Key: "site", Value: "lab"}}}
	shifted := &config.Probe{Tags: []config.Tag{{Key: "sitel", Value: "ab"}}}
	for _, tt := range []struct {
		host  string
		probe *config.Probe
		want  uint64
	}{
		{"198.18.0.1", &config.Probe{}, 0x8bcd399929bdcbca},
		{"198.18.0.1", tagged, 0x58518b0508dfc1ba},
		{"198.18.0.1", other, 0x58518b0508dfc1ba},
		{"198.18.0.1", shifted, 0xd7741be747214618},
		{"name.example", tagged, 0x35953f2e963446f8},
	} {
		if got := targetKey(tagsHash(tt.probe), tt.host); got != tt.want {
			t.Errorf("targetKey(%s, %v) = %#x, want %#x", tt.host, tt.probe.Tags, got, tt.want)
		}
	}
}

// TestOwners: who owns what is the same for each prober, whatever the order of its
// list, and the prober itself is always in the list.
func TestOwners(t *testing.T) {
	members := probers(5, "east", "west")
	for i := range targets(1000) {
		key := mix(uint64(i))
		want := owners(NewOwnership(members[0], members, 2), key)
		for _, self := range members {
			shuffled := slices.Clone(members)
			rand.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
			o := NewOwnership(self, append(shuffled, members[1]), 2)
			if got := owners(o, key); !slices.Equal(got, want) {
				t.Fatalf("owners for %s: %v, want %v", self.Name, got, want)
			}
			if got := o.owns(key); got != slices.Contains(want, self) {
				t.Fatalf("%s owns = %t, owners %v", self.Name, got, want)
			}
		}
	}
	for _, tt := range []struct{ members, copies, want int }{{0, 1, 1}, {0, 3, 1}, {4, 0, 1}, {4, 5, 5}, {4, 9, 5}} {
		if got := len(owners(NewOwnership(Member{Name: "me"}, probers(tt.members), tt.copies), 1)); got != tt.want {
			t.Errorf("%d owners of %d members with %d copies, want %d", got, tt.members+1, tt.copies, tt.want)
		}
	}
}

// TestOwns: a prober owns a target exactly if it is among the owners by the definition,
// whatever the zones and copies are, and also if two members have equal scores.
func TestOwns(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 3000 {
		members := probers(1 + random.IntN(9))
		for i := range members {
			members[i].Zone = string(rune('a' + random.IntN(1+random.IntN(5))))
		}
		self := members[random.IntN(len(members))]
		o := NewOwnership(self, members, 1+random.IntN(6))
		if random.IntN(4) == 0 {
			o.hashes[random.IntN(len(members))] = o.hashes[random.IntN(len(members))]
			o.sortRivals(len(o.rivals))
		}
		for range 20 {
			key := random.Uint64()
			if want, got := owners(o, key), o.owns(key); got != slices.Contains(want, self) {
				t.Fatalf("%d copies of %v: %s owns = %t, owners %v", o.copies, o.members, self.Name, got, want)
			}
		}
	}
}

// load counts how many of n targets each member owns.
func load(members []Member, n, copies int) map[string]int {
	all := targets(n)
	got := make(map[string]int)
	for _, m := range members {
		o := NewOwnership(m, members, copies)
		for i := range all {
			if o.owns(keyOfTarget(&all[i])) {
				got[m.Name]++
			}
		}
	}
	return got
}

// TestBalance: each member has its share, as closely as chance allows.
func TestBalance(t *testing.T) {
	for _, tt := range []struct {
		members, targets, copies int
		zones                    []string
		most                     float64 // load to mean
	}{
		{5, 10_000, 2, nil, 1.03},
		{5, 10_000, 1, nil, 1.05},
		{3, 100_000, 1, nil, 1.01},
		{100, 100_000, 2, nil, 1.08},
		{6, 10_000, 2, []string{"east", "west"}, 1.03},
		{6, 10_000, 3, []string{"a", "b", "c"}, 1.03},
	} {
		members := probers(tt.members, tt.zones...)
		most := 0
		for _, n := range load(members, tt.targets, tt.copies) {
			most = max(most, n)
		}
		mean := float64(tt.targets*tt.copies) / float64(tt.members)
		if ratio := float64(most) / mean; ratio > tt.most {
			t.Errorf("%+v: load max to mean %.4f", tt, ratio)
		} else {
			t.Logf("%+v: load max to mean %.4f", tt, ratio)
		}
	}
}

// TestBalanceOfAnyNames: the names of the members do not matter. Chance gives loads
// with a standard deviation of 1.2 % here.
func TestBalanceOfAnyNames(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var sum, n, worst float64
	for range 10 {
		var members []Member
		for i := range 5 {
			members = append(members, Member{Name: fmt.Sprintf("p%d.%x.example", i, random.Uint32())})
		}
		for _, got := range load(members, 10_000, 2) {
			off := float64(got)/4000 - 1
			sum, n, worst = sum+off*off, n+1, max(worst, off)
		}
	}
	deviation := math.Sqrt(sum / n)
	t.Logf("standard deviation of the load %.2f %%, worst %.2f %%", deviation*100, worst*100)
	if deviation > .014 || worst > .05 {
		t.Errorf("standard deviation of the load %.4f, worst %.4f", deviation, worst)
	}
}

// TestFewMoves: if a member leaves, only its targets move; if one joins, it is the
// only new owner of any target. So it is with zones.
func TestFewMoves(t *testing.T) {
	for _, zones := range [][]string{nil, {"east", "west"}, {"a", "b", "c", "d", "e", "f", "g"}, {"", "", "", "far"}} {
		for copies := 1; copies <= 3; copies++ {
			all := probers(7, zones...)
			for out := range all {
				rest := slices.Delete(slices.Clone(all), out, out+1)
				before, after := NewOwnership(all[0], all, copies), NewOwnership(rest[0], rest, copies)
				moved := 0
				for i := range 200 {
					was, is := owners(before, mix(uint64(i))), owners(after, mix(uint64(i)))
					kept := slices.DeleteFunc(slices.Clone(was), func(m Member) bool { return !slices.Contains(is, m) })
					switch {
					case !slices.Contains(was, all[out]) && !slices.Equal(was, is):
						t.Fatalf("%v, %d copies: %v to %v although %s owned nothing", zones, copies, was, is, all[out].Name)
					case len(is)-len(kept) > 1:
						t.Fatalf("%v, %d copies: %v to %v without %s", zones, copies, was, is, all[out].Name)
					}
					moved += len(is) - len(kept)
				}
				if zones == nil && float64(moved) > 1.6*200*float64(copies)/7 {
					t.Errorf("%d copies: %d of %d moved", copies, moved, 200*copies)
				}
			}
		}
	}
}

// TestZones: the owners of a target are in different zones where there are enough.
func TestZones(t *testing.T) {
	for _, tt := range []struct {
		zones  []string
		copies int
		want   int // zones of the owners
	}{
		{[]string{"east", "west"}, 2, 2},
		{[]string{"east", "west"}, 3, 2},
		{[]string{"east", "west", "north"}, 2, 2},
		{[]string{"east", "east", "west"}, 2, 2},
		{[]string{"east", ""}, 2, 2},
		{nil, 3, 1},
	} {
		o := NewOwnership(Member{Name: "probe-0", Zone: "ignored"}, probers(6, tt.zones...), tt.copies)
		for i := range 1000 {
			own := owners(o, mix(uint64(i)))
			zones, names := make(map[string]bool), make(map[string]bool)
			for _, m := range own {
				zones[m.Zone], names[m.Name] = true, true
			}
			if len(zones) != tt.want || len(names) != tt.copies {
				t.Fatalf("%v, %d copies: owners %v", tt.zones, tt.copies, own)
			}
		}
	}
}

// TestShare: a target that is ours no more is held for as long as its new owner may
// take to begin, and not longer.
func TestShare(t *testing.T) {
	all, now := targets(1000), time.Now()
	members := probers(2)
	alone, both := NewOwnership(members[0], nil, 1), NewOwnership(members[0], members, 1)
	hold := func(*config.Target) time.Duration { return 10 * time.Second }
	var s Share
	take := func(o *Ownership, after time.Duration, want, owned int, again time.Duration) {
		t.Helper()
		mine, next := s.Take(o, all, now.Add(after), hold)
		if len(mine) != want || s.Owned() != owned {
			t.Errorf("after %v: %d targets, %d owned, want %d and %d", after, len(mine), s.Owned(), want, owned)
		}
		if again == 0 != next.IsZero() || again != 0 && !next.Equal(now.Add(again)) {
			t.Errorf("after %v: next %v, want after %v", after, next, again)
		}
	}
	part := 0
	for i := range all {
		if both.owns(keyOfTarget(&all[i])) {
			part++
		}
	}
	if part < 400 || part > 600 {
		t.Fatalf("%d of 1000 are ours", part)
	}
	take(alone, 0, 1000, 1000, 0)
	take(both, time.Second, 1000, part, 11*time.Second)
	take(both, 5*time.Second, 1000, part, 11*time.Second) // for another reason: the end stays
	take(both, 11*time.Second, part, part, 0)
	take(both, 12*time.Second, part, part, 0)
	take(alone, 20*time.Second, 1000, 1000, 0)
	take(both, 21*time.Second, 1000, part, 31*time.Second)
	take(alone, 22*time.Second, 1000, 1000, 0) // and back again
	all = all[:10]
	take(alone, 23*time.Second, 10, 10, 0)
}

// BenchmarkShare divides 100,000 targets. On a busy machine the fastest run counts:
//
//	go test -run '^$' -bench Share -benchtime 1x -count 30 ./internal/fleet
func BenchmarkShare(b *testing.B) {
	all := targets(100_000)
	for _, members := range []int{5, 20, 100} {
		b.Run(fmt.Sprint(members), func(b *testing.B) {
			list := probers(members, "east", "west")
			o := NewOwnership(list[0], list, 2)
			now := time.Now()
			var s Share
			for b.Loop() {
				s.Take(o, all, now, func(*config.Target) time.Duration { return time.Second })
			}
		})
		b.Run(fmt.Sprintf("%d-1", members), func(b *testing.B) { // a member leaves, or comes back
			list := probers(members, "east", "west")
			now := time.Now()
			var s Share
			for i := 0; b.Loop(); i++ {
				s.Take(NewOwnership(list[0], list[:members-i%2], 2), all, now, func(*config.Target) time.Duration { return 3 * time.Second })
				now = now.Add(2 * time.Second)
			}
		})
	}
}
