package config

import (
	"net/netip"
	"strings"
	"unique"

	"github.com/pingtel/pingtel/icmpcore"
)

// tagsHandle is the same for the same tags, as they are in line protocol.
type tagsHandle = unique.Handle[string]

func handleOf(tags []Tag) tagsHandle {
	var b []byte
	for _, tag := range tags {
		if v := strings.TrimRight(tag.Value, `\`); v != "" { // the encoder writes it without
			b = append(append(append(append(b, 0), tag.Key...), 1), v...)
		}
	}
	return unique.Make(string(b))
}

// Point is the same for targets whose points have the same tags in line protocol,
// apart from the tag address.
type Point struct {
	host string
	tags tagsHandle
}

// Point returns the point of t.
func (t *Target) Point() Point { return Point{t.Host, t.tags} }

// Alike returns the hosts that have several targets whose points have the same
// tags, in the file's order. In line protocol such points belong to one series,
// and a database keeps only one of two points with the same time. The two
// targets of family "both" differ by their addresses.
func (c *Config) Alike() []string {
	first := make(map[Point]int32, len(c.Targets)) // index of the first target of a point
	more := make(map[Point][]int32)                // indexes of the others
	reported := make(map[string]bool)
	var hosts []string
	for i := range c.Targets {
		t := &c.Targets[i]
		p := t.Point()
		at, seen := first[p]
		if !seen {
			first[p] = int32(i)
			continue
		}
		for _, i := range append([]int32{at}, more[p]...) {
			family, other := t.family(), c.Targets[i].family()
			if apart := family != icmpcore.FamilyAuto && other != icmpcore.FamilyAuto && family != other; !apart && !reported[t.Host] {
				reported[t.Host] = true
				hosts = append(hosts, t.Host)
			}
		}
		more[p] = append(more[p], int32(i))
	}
	return hosts
}

// AlikeSince is Alike where before are targets without such hosts, or nil. It looks only
// at points that have changed since then.
func (c *Config) AlikeSince(before []Target) []string {
	changed := make(map[Point]bool)
	Differing(before, c.Targets, func(t *Target) { changed[t.Point()] = true })
	some := &Config{}
	for i := range c.Targets {
		if len(changed) > 0 && changed[c.Targets[i].Point()] {
			some.Targets = append(some.Targets, c.Targets[i])
		}
	}
	return some.Alike()
}

// family returns the family that t is probed in. It is auto if the name's
// addresses decide.
func (t *Target) family() icmpcore.Family {
	if a, err := netip.ParseAddr(t.Host); err == nil {
		return familyOf(a)
	}
	return t.Options.Family
}

func familyOf(a netip.Addr) icmpcore.Family {
	if a.Unmap().Is4() {
		return icmpcore.FamilyIPv4
	}
	return icmpcore.FamilyIPv6
}
