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

	// rivals are the other members by zone, those of this prober's zone first: what
	// owns needs, in the order in which it decides soonest.
	rivals [][]rival
}

// rival is another member, as this prober sees it.
type rival struct {
	hash  uint64
	first bool // by name, which decides between equal scores
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
	o.sortRivals(len(names))
	return o
}

// sortRivals sorts the other members by zone.
func (o *Ownership) sortRivals(zones int) {
	o.rivals = make([][]rival, zones)
	for i, hash := range o.hashes {
		zone := (o.zones[i] - o.zones[o.self] + zones) % zones // of this prober: 0
		if i != o.self {
			o.rivals[zone] = append(o.rivals[zone], rival{hash: hash, first: i < o.self})
		}
	}
}

// owns reports whether this prober is an owner of the target with a key. It counts the
// members that have a higher score, and stops when they are enough: most targets are
// another's, and a few members are enough to see that.
func (o *Ownership) owns(key uint64) bool {
	mine := mix(key ^ o.hashes[o.self])
	spare := o.copies - len(o.rivals) // owners beside the first of each zone
	if spare <= 0 {
		return o.firstOfZone(key, mine)
	}
	before := countBefore(o.rivals[0], key, mine, spare+1)
	if before == 0 {
		return true
	}
	others := before - 1 // members before this one that are not the first of their zones
	for _, zone := range o.rivals[1:] {
		if others >= spare {
			return false
		}
		others += max(countBefore(zone, key, mine, spare+1-others)-1, 0)
	}
	return others < spare
}

// firstOfZone reports whether this prober is the first of its zone, and its zone one of
// the first o.copies.
func (o *Ownership) firstOfZone(key, mine uint64) bool {
	before := 0 // zones
	for i, zone := range o.rivals {
		if countBefore(zone, key, mine, 1) == 0 {
			continue
		}
		if before++; i == 0 || before == o.copies {
			return false
		}
	}
	return true
}

// countBefore returns how many of the rivals have a higher score than mine for a key.
// It stops at most.
func countBefore(rivals []rival, key, mine uint64, most int) (n int) {
	for _, r := range rivals {
		if score := mix(key ^ r.hash); score > mine || score == mine && r.first {
			if n++; n == most {
				break
			}
		}
	}
	return n
}

// targetKey returns the number by which a target is assigned: a hash of its host and its
// tags, except for the tag that names this prober. It is the same on every machine
// and in every version of pingtel.
func targetKey(tags uint64, host string) uint64 { return mix(hash(tags, host)) }

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
