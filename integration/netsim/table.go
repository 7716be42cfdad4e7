package netsim

import (
	"fmt"
	"net/netip"
	"slices"
)

// table finds the rule of an address. A table in use never changes: a change of the
// rules makes a new table.
type table struct {
	rules []Rule // as they were given, one for each prefix
	four  family
	six   family
}

// family holds the rules of one address family by the length of their prefix.
type family struct {
	lengths []int // those in use, the longest first
	rules   []map[netip.Addr]*Rule
}

// newTable checks the rules and sorts them. Of two rules with the same prefix the
// later one counts.
func newTable(rules []Rule) (*table, error) {
	t := &table{}
	for _, r := range rules {
		if !r.Prefix.IsValid() {
			return nil, fmt.Errorf("rule without a valid prefix: %+v", r)
		}
		if r.Loss < 0 || r.Loss > 1 {
			return nil, fmt.Errorf("rule for %v: loss %v is not from 0 to 1", r.Prefix, r.Loss)
		}
		if err := checkHops(r.Hops); err != nil {
			return nil, fmt.Errorf("rule for %v: %w", r.Prefix, err)
		}
		r.Prefix = r.Prefix.Masked()
		t.rules = slices.DeleteFunc(t.rules, func(o Rule) bool { return o.Prefix == r.Prefix })
		t.rules = append(t.rules, r)
	}
	for i := range t.rules {
		r := &t.rules[i]
		if r.Prefix.Addr().Is4() {
			t.four.add(r)
		} else {
			t.six.add(r)
		}
	}
	return t, nil
}

func (f *family) add(r *Rule) {
	at, found := slices.BinarySearchFunc(f.lengths, r.Prefix.Bits(), func(a, b int) int { return b - a })
	if !found {
		f.lengths = slices.Insert(f.lengths, at, r.Prefix.Bits())
		f.rules = slices.Insert(f.rules, at, map[netip.Addr]*Rule{})
	}
	f.rules[at][r.Prefix.Addr()] = r
}

// find returns the rule with the longest prefix that contains a, or nil.
func (t *table) find(a netip.Addr) *Rule {
	f := &t.six
	if a.Is4() {
		f = &t.four
	}
	for i, length := range f.lengths {
		p, err := a.Prefix(length)
		if err != nil {
			continue // cannot happen: the lengths are those of the family
		}
		if r := f.rules[i][p.Addr()]; r != nil {
			return r
		}
	}
	return nil
}
