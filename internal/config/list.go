package config

import (
	"errors"
	"fmt"
	"hash/maphash"
	"net/netip"
	"slices"
	"strings"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/hosts"
)

// ErrTooLong means that a list has more targets than agent.max_targets.
var ErrTooLong = errors.New("the list is longer than agent.max_targets")

// List makes the targets of a source from the hosts and labels of one answer. Make
// one with [Source.NewList].
type List struct {
	Targets []Target
	Dropped string // a label that cannot become a tag, because pingtel sets that tag itself

	source *Source
	given  hosts.List
	before map[string]*group  // groups of the list before, by their tags
	probes map[string]*group  // groups of this list
	group  *group             // the present one
	known  map[[2]uint64]span // targets by the text that they are made of
	old    *List              // the list before, while this one is made
	tags   []Tag              // reused
	key    []byte             // reused
}

// NewList returns an empty list. Targets that were in the list before, which may be
// nil, have the same [Probe] again if their tags are the same.
func (s *Source) NewList(before *List) *List {
	l := &List{source: s, given: hosts.List{Max: s.hosts}}
	if before == nil {
		l.probes, l.known = make(map[string]*group), make(map[[2]uint64]span)
	} else {
		l.probes, l.known = make(map[string]*group, len(before.probes)), make(map[[2]uint64]span, len(before.known))
		l.Targets = make([]Target, 0, len(before.Targets))
		l.before, l.old = before.probes, before
	}
	return l
}

// group holds what targets with the same tags share.
type group struct {
	key    string   // the tags
	probes []*Probe // one for each family
}

// span is a part of a list's targets, and their group.
type span struct {
	from, to int32
	group    *group
}

// seeds are those of the hashes that stand for a text: 128 bits.
var seeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}

// Again makes the targets of a text as Group and Add do, but takes over those of the
// list before if that has the same text: most of a long list stays as it is. make
// reports whether all of the text became targets.
func (l *List) Again(text []byte, make func() (bool, error)) error {
	hash := [2]uint64{maphash.Bytes(seeds[0], text), maphash.Bytes(seeds[1], text)}
	s := span{from: int32(len(l.Targets))}
	if l.old != nil {
		if o, ok := l.old.known[hash]; ok {
			l.Targets = append(l.Targets, l.old.Targets[o.from:o.to]...)
			if len(l.Targets) > l.source.most {
				return l.tooLong()
			}
			s.to, s.group = int32(len(l.Targets)), o.group
			l.known[hash], l.probes[s.group.key] = s, s.group
			return nil
		}
	}
	all, err := make()
	if err != nil || !all || l.Dropped != "" {
		return err
	}
	s.to, s.group = int32(len(l.Targets)), l.group
	l.known[hash] = s
	return nil
}

// Same reports whether l has the same targets as o, in the same order.
func (l *List) Same(o *List) bool { return slices.Equal(l.Targets, o.Targets) }

// Done frees what only the making of the list needs.
func (l *List) Done() { l.before, l.old, l.group, l.tags, l.key = nil, nil, nil, nil, nil }

// Group begins the targets that have these labels. Labels become tags if their names
// do not begin with "__"; the tags of the table win over them, and they over those
// of [defaults]. A tag whose value begins with "__" takes the value of that label.
func (l *List) Group(labels map[string]string) {
	l.tags = l.tags[:0]
	for key, value := range labels {
		switch {
		case strings.HasPrefix(key, "__") || key == "":
		case slices.Contains(reservedTags, key):
			l.Dropped = key
		default:
			if _, own := l.source.prober.tags[key]; !own {
				l.addTag(key, value)
			}
		}
	}
	for key, value := range l.source.prober.tags {
		l.addTag(key, taken(value, labels))
	}
	for key, value := range l.source.general {
		if _, own := l.source.prober.tags[key]; !own && (labels[key] == "" || strings.HasPrefix(key, "__")) {
			l.addTag(key, taken(value, labels))
		}
	}
	slices.SortFunc(l.tags, func(a, b Tag) int { return strings.Compare(a.Key, b.Key) })
	l.key = l.key[:0]
	for _, tag := range l.tags {
		l.key = append(append(append(append(l.key, tag.Key...), 0), tag.Value...), 0)
	}
	if l.group = l.probes[string(l.key)]; l.group != nil {
		return
	}
	if l.group = l.before[string(l.key)]; l.group == nil {
		l.group = &group{string(l.key), l.source.probes(slices.Clone(l.tags))}
	}
	l.probes[l.group.key] = l.group
}

func (l *List) addTag(key, value string) {
	if value != "" {
		l.tags = append(l.tags, Tag{strings.ToValidUTF8(key, "\uFFFD"), strings.ToValidUTF8(value, "\uFFFD")})
	}
}

// taken returns the value of a tag: that of a label if it is the name of one.
func taken(value string, labels map[string]string) string {
	if strings.HasPrefix(value, "__") {
		return labels[value]
	}
	return value
}

// probes returns what targets with these tags share, one for each family.
func (s *Source) probes(tags []Tag) []*Probe {
	if !s.prober.both {
		return []*Probe{s.prober.probe(s.prober.options.Family, tags, s.Line)}
	}
	return []*Probe{s.prober.probe(icmpcore.FamilyIPv4, tags, s.Line), s.prober.probe(icmpcore.FamilyIPv6, tags, s.Line)}
}

// Add adds a target of the present group: a name, an address, a prefix or a range, or
// one of the first two with a port, which it loses. The error says what is wrong with
// the text, and the list goes on without it; but after ErrTooLong the list is no use.
// several reports whether the text stands for more than one host.
func (l *List) Add(text string) (several bool, err error) {
	e, err := l.given.Parse(hosts.WithoutPort(text))
	switch {
	case err != nil:
		return false, fmt.Errorf("%q: %w", shortened(text), err)
	case e.Len() == 1 && e.First().IsUnspecified():
		return false, fmt.Errorf("%q: want the address of a host", text)
	case e.Len() > l.source.most:
		return true, l.tooLong()
	}
	for host := range e.All() {
		if err := l.addHost(string(host)); err != nil {
			return e.Len() > 1, err
		}
	}
	return e.Len() > 1, nil
}

func (l *List) addHost(host string) error {
	addr, err := netip.ParseAddr(host)
	for _, p := range l.group.probes {
		if err == nil && p.Options.Family != icmpcore.FamilyAuto && familyOf(addr) != p.Options.Family {
			if l.source.prober.both {
				continue
			}
			return fmt.Errorf("%q: is not of the family %s", host, p.Options.Family)
		}
		if len(l.Targets) >= l.source.most {
			return l.tooLong()
		}
		l.Targets = append(l.Targets, Target{Host: host, Probe: p})
	}
	return nil
}

func (l *List) tooLong() error { return fmt.Errorf("%w, %d", ErrTooLong, l.source.most) }

// shortened returns a text that is fit for a message.
func shortened(text string) string {
	if len(text) > 100 {
		return text[:100] + "..."
	}
	return text
}

// series is what all outputs can tell targets apart by, apart from their family.
type series struct {
	host string
	tags tagsHandle
	dscp int
}

func (t *Target) series() series { return series{t.Host, t.tags, t.Options.DSCP} }

// Merge returns all lists as one. A target that is the same series as an earlier one
// is left out: a host that several lists have with the same tags is one target.
// fresh holds how many targets of each list are in the result. other is one that has
// other options than the target that it gives way to, nil if there is none; the two
// need a tag each.
func Merge(lists ...[]Target) (all []Target, fresh []int, other *Target) {
	n := 0
	for _, list := range lists {
		n += len(list)
	}
	all, fresh = make([]Target, 0, n), make([]int, len(lists))
	first := make(map[series]int32, n) // index of the first target of a series
	more := make(map[int32][]int32)    // indexes of its other families
	for i, list := range lists {
		for j := range list {
			t := &list[j]
			k := t.series()
			at, seen := first[k]
			if seen {
				if same := sameFamily(all, at, more[at], t); same != nil {
					if same.Probe != t.Probe && same.Key() != t.Key() {
						other = t
					}
					continue
				}
				more[at] = append(more[at], int32(len(all)))
			} else {
				first[k] = int32(len(all))
			}
			all = append(all, *t)
			fresh[i]++
		}
	}
	return all, fresh, other
}

// sameFamily returns the target at an index of all, or at one of more, that outputs
// cannot tell from t, whose series they have.
func sameFamily(all []Target, at int32, more []int32, t *Target) *Target {
	for _, i := range append(more[:len(more):len(more)], at) {
		f, o := t.Options.Family, all[i].Options.Family
		if f == o || f == icmpcore.FamilyAuto || o == icmpcore.FamilyAuto {
			return &all[i]
		}
	}
	return nil
}
