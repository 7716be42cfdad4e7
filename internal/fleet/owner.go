// Package fleet decides which of the targets are this prober's, where several
// probers share a list of targets.
//
// Who owns a target is a pure function of the target and of the list of probers,
// so probers need to agree on that list and on nothing else.
package fleet

import (
	"slices"
	"strings"

	"github.com/pingtel/pingtel/internal/config"
)

// Member is a prober of the fleet.
type Member struct {
	Name string // unique in the fleet
	Zone string // "" is a zone too
}

// Ownership says who owns a target: the members with the highest scores for it, in
// different zones as far as there are enough (rendezvous hashing). If a member
// leaves, only its targets change their owner; if one joins, each target has at most
// one new owner, the new member. An Ownership never changes.
type Ownership struct {
	members []Member
	hashes  []uint64 // of the members' names
	zones   []int    // numbers of the members' zones
	copies  int      // owners of a target, at most len(members)
	self    int      // index of this prober
}

// NewOwnership returns the ownership of a list of members with a number of owners
// for each target. self is the name of this prober; it is a member whether it is in
// the list or not.
func NewOwnership(self Member, members []Member, copies int) *Ownership {
	list := slices.Clone(members)
	if !slices.ContainsFunc(list, func(m Member) bool { return m.Name == self.Name }) {
		list = append(list, self)
	}
	slices.SortFunc(list, func(a, b Member) int { return strings.Compare(a.Name, b.Name) })
	list = slices.CompactFunc(list, func(a, b Member) bool { return a.Name == b.Name })
	o := &Ownership{members: list, hashes: make([]uint64, len(list)), zones: make([]int, len(list)), copies: min(max(copies, 1), len(list))}
	var names []string
	for i, m := range list {
		o.hashes[i] = mix(hash(offset, m.Name))
		if m.Name == self.Name {
			o.self = i
		}
		if o.zones[i] = slices.Index(names, m.Zone); o.zones[i] < 0 {
			o.zones[i] = len(names)
			names = append(names, m.Zone)
		}
	}
	return o
}

// Members returns the members, sorted by name. The caller must not change them.
func (o *Ownership) Members() []Member { return o.members }

// Owners returns the owners of the target with a key, the highest score first.
func (o *Ownership) Owners(key uint64) []Member {
	owners := make([]Member, 0, o.copies)
	for _, i := range o.pick(key, new(room)) {
		owners = append(owners, o.members[i])
	}
	return owners
}

// owns reports whether this prober is an owner of the target with a key.
func (o *Ownership) owns(key uint64, r *room) bool {
	return o.copies == len(o.members) || slices.Contains(o.pick(key, r), o.self)
}

// room is memory for pick, to use again.
type room struct {
	scores []uint64
	chosen []int
}

// pick returns the indexes of the owners, which are in r.
func (o *Ownership) pick(key uint64, r *room) []int {
	r.scores, r.chosen = r.scores[:0], r.chosen[:0]
	for _, h := range o.hashes {
		r.scores = append(r.scores, mix(key^h))
	}
	for len(r.chosen) < o.copies {
		best := o.best(r, true)
		if best < 0 { // each zone has an owner: the rest may be anywhere
			best = o.best(r, false)
		}
		r.chosen = append(r.chosen, best)
	}
	return r.chosen
}

// best returns the index of the member with the highest score that is not chosen, and
// whose zone has none of the chosen if apart is set. It returns -1 if there is none.
func (o *Ownership) best(r *room, apart bool) int {
	best, top := -1, uint64(0)
next:
	for i, score := range r.scores {
		if best >= 0 && score <= top { // of members with equal scores the first by name is the best
			continue
		}
		for _, c := range r.chosen {
			if c == i || apart && o.zones[c] == o.zones[i] {
				continue next
			}
		}
		best, top = i, score
	}
	return best
}

// Key returns the number by which a target is assigned: a hash of its host and its
// tags, except for the tag that names this prober. It is the same on every machine
// and in every version of pingtel.
func Key(t *config.Target) uint64 { return mix(hash(tagsHash(t.Probe), t.Host)) }

// tagsHash returns the part of a key that the targets of a probe share.
func tagsHash(p *config.Probe) uint64 {
	h := offset
	for _, tag := range p.Tags {
		if tag.Key == config.ProberTag {
			continue
		}
		h = hash(hash(h, tag.Key)^1, tag.Value) ^ 2
	}
	return h
}

// The constants of FNV-1a.
const (
	offset uint64 = 14695981039346656037
	prime  uint64 = 1099511628211
)

// hash continues the FNV-1a hash h with a text.
func hash(h uint64, s string) uint64 {
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * prime
	}
	return h * prime // as for a zero byte: the end of the text
}

// mix makes each bit of the result depend on all bits of x (the last step of
// SplitMix64): FNV-1a alone leaves similar texts with similar numbers.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
