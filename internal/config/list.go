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
	groups map[string]*group // by their tags: those of this list, and some of lists before
	number uint64            // of the list, counted from one that has none before
	used   int               // groups of this list
	group  *group            // the present one
	known  []span            // targets by the text that they are made of, in order
	again  again
	tags   []Tag  // reused
	key    []byte // reused
}

// NewList returns an empty list. Targets that were in the list before, which may be
// nil, have the same [Probe] again if their tags are the same. Only one list may be made
// of the same one before at a time.
func (s *Source) NewList(before *List) *List {
	l := &List{source: s, given: hosts.List{Max: s.hosts}, number: 1}
	if before == nil {
		l.groups = make(map[string]*group)
		return l
	}
	l.groups, l.number, l.again = before.groups, before.number+1, again{list: before}
	l.Targets, l.known = make([]Target, 0, len(before.Targets)+1), make([]span, 0, len(before.known)+1)
	return l
}

// group holds what targets with the same tags share.
type group struct {
	key    string   // the tags
	probes []*Probe // one for each family
	list   uint64   // number of the last list that has it
}

// span is a part of a list's targets, all of one group.
type span struct {
	hash     textHash
	from, to int32
	group    *group
}

// textHash stands for a text: 128 bits, with a seed of this process.
type textHash [2]uint64

var seeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}

func hashOf(text []byte) textHash {
	return textHash{maphash.Bytes(seeds[0], text), maphash.Bytes(seeds[1], text)}
}

// again finds texts in the list before. Most of a long list stays as it is and where it
// is, so it looks at the next text first, and behind it.
type again struct {
	list  *List
	next  int              // index in list.known
	lost  bool             // the last text was not there
	index map[textHash]int // of all, once it is needed
}

// find returns what was made of a text, nil if nothing is known of it.
func (a *again) find(hash textHash) *span {
	if a.list == nil {
		return nil
	}
	at, ok := a.next, false
	for ; at < min(a.next+2, len(a.list.known)) && !ok; at++ {
		ok = a.list.known[at].hash == hash
	}
	if !ok && a.lost { // by now this is more than one text that is new
		if a.index == nil {
			a.index = make(map[textHash]int, len(a.list.known))
			for i := range a.list.known {
				a.index[a.list.known[i].hash] = i + 1
			}
		}
		at, ok = a.index[hash]
	}
	if a.lost = !ok; !ok {
		return nil
	}
	a.next = at
	return &a.list.known[at-1]
}

// Again makes the targets of a text as Group and Add do, but takes over those of the
// list before if that has the same text. make reports whether all of the text became
// targets.
func (l *List) Again(text []byte, make func() (bool, error)) error {
	s := span{hash: hashOf(text), from: int32(len(l.Targets))}
	if o := l.again.find(s.hash); o != nil {
		l.Targets = append(l.Targets, l.again.list.Targets[o.from:o.to]...)
		if len(l.Targets) > l.source.most {
			return l.tooLong()
		}
		l.use(o.group)
	} else if all, err := make(); err != nil || !all || l.Dropped != "" {
		return err
	}
	s.to, s.group = int32(len(l.Targets)), l.group
	l.known = append(l.known, s)
	return nil
}

// use makes g the present group.
func (l *List) use(g *group) {
	if g.list != l.number {
		g.list = l.number
		l.used++
	}
	l.group = g
}

// Same reports whether l has the same targets as o, in the same order.
func (l *List) Same(o *List) bool { return slices.Equal(l.Targets, o.Targets) }

// Done frees what only the making of the list needs, and groups that only lists before
// had, if they are many.
func (l *List) Done() {
	l.again, l.group, l.tags, l.key = again{}, nil, nil, nil
	if len(l.groups) <= 2*l.used+16 {
		return
	}
	mine := make(map[string]*group, l.used)
	for key, g := range l.groups {
		if g.list == l.number {
			mine[key] = g
		}
	}
	l.groups = mine // the list before may stay in force, and has all of its own
}

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
	g := l.groups[string(l.key)]
	if g == nil {
		g = &group{key: string(l.key), probes: l.source.probes(slices.Clone(l.tags))}
		l.groups[g.key] = g
	}
	l.use(g)
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
