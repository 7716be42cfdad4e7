package config

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/hosts"
)

// readTargets reads all [[targets]] tables.
func (r *reader) readTargets(tables []*table, defaults probe, c *Config) {
	type key struct {
		probe int // which of probes
		host  string
	}
	probes := make(map[string]int) // by their key: numbers
	seen := make(map[key]int32)    // index of the table that has it
	known := make([]string, 0, 32)
	for i, t := range tables {
		p := defaults
		p.table = i
		t.known = known[:0]
		own := r.readProbe(t, &p)
		source := r.readSource(t)
		var names []string
		ok := source == nil
		if ok {
			names, ok = r.readHosts(t, c.Agent.MaxPrefixHosts)
		}
		t.refuseUnknown()
		if source != nil {
			p.tags = own
			r.addSource(c, t, source, p, defaults.tags, r.lines.target(i))
		}
		t.values, t.known = nil, nil // there may be very many tables
		if !ok {
			continue
		}
		alike := make(map[int32][]string) // by table: hosts that it has with the same options and tags
		var last *Probe
		number := 0
		for _, target := range p.targets(t, names, r.lines.target(i)) {
			if target.Probe != last {
				last = target.Probe
				number, ok = probes[last.key()]
				if !ok {
					number = len(probes)
					probes[last.key()] = number
				}
			}
			k := key{number, target.Host}
			if other, ok := seen[k]; ok {
				alike[other] = append(alike[other], target.Host)
				continue
			}
			seen[k] = int32(i)
			c.Targets = append(c.Targets, target)
		}
		for _, other := range slices.Sorted(maps.Keys(alike)) {
			r.refuseAlike(t, tables[other], alike[other], c.Agent.MaxPrefixHosts)
		}
	}
}

// refuseAlike adds a fault for hosts of t that another table, or another element
// of the same list, has with the same options and tags.
func (r *reader) refuseAlike(t, other *table, hosts []string, most int) {
	what := hosts[0] + " is"
	if more := len(hosts) - 1; more > 0 {
		what = fmt.Sprintf("%s and %d more are", hosts[0], more)
	}
	here, there := r.elements(t, hosts[0], most), r.elements(other, hosts[0], most)
	line := r.lines.element(other.keyPath("hosts"), there[0])
	t.elementFault("hosts", here[len(here)-1], "%s in line %d already, with the same options and tags: change an option or a tag, or remove one of the two", what, line)
}

// elements returns the indexes of the elements of a table's list that contain a
// host. There is at least one.
func (r *reader) elements(t *table, host string, most int) []int {
	var found []int
	for i, v := range t.hosts {
		if list, err := r.host(v, &hosts.List{Max: most}); err == nil && slices.Contains(list, host) {
			found = append(found, i)
		}
	}
	if found == nil {
		return []int{0} // cannot happen: the host is from this list
	}
	return found
}

// targets makes the targets of the table in line.
func (p *probe) targets(t *table, names []string, line int) []Target {
	families := []icmpcore.Family{p.options.Family}
	if p.both {
		families = []icmpcore.Family{icmpcore.FamilyIPv4, icmpcore.FamilyIPv6}
	}
	var tags []Tag
	for k, v := range p.tags {
		if v != "" {
			tags = append(tags, Tag{k, v})
		}
	}
	slices.SortFunc(tags, func(a, b Tag) int { return strings.Compare(a.Key, b.Key) })
	list := make([]Target, 0, len(names)*len(families))
	for _, f := range families {
		shared := p.probe(f, tags, line)
		whose := f.String()
		if o := &shared.Options; f == icmpcore.FamilyAuto && o.Source.IsValid() {
			f = o.Family
			whose = fmt.Sprintf("%s of the source %s", f, o.Source)
		}
		if err := shared.Options.Validate(); err != nil {
			t.fault("source", "%v", err)
			return nil
		}
		for _, h := range names {
			if a, err := netip.ParseAddr(h); err == nil && f != icmpcore.FamilyAuto && familyOf(a) != f {
				if !p.both { // with family = "both" an address is probed in its own family only
					t.fault("hosts", "%s is not of the family %s", h, whose)
				}
				continue
			}
			list = append(list, Target{Host: h, Probe: shared})
		}
	}
	return list
}

// probe returns what targets of a family with these tags share. The table is in line.
func (p *probe) probe(f icmpcore.Family, tags []Tag, line int) *Probe {
	o := p.options
	if o.Family = f; f == icmpcore.FamilyAuto && o.Source.IsValid() { // a source reaches only its own family
		o.Family = familyOf(o.Source)
	}
	return &Probe{
		Options: o, Tags: tags, Interval: p.interval, Percentiles: p.percentiles, Thresholds: p.thresholds,
		tags: handleOf(tags), line: line, table: p.table,
	}
}

// addSource adds a source, and checks its options as far as they do not depend on its
// targets.
func (r *reader) addSource(c *Config, t *table, s *Source, p probe, general tagMap, line int) {
	s.Line, s.most, s.hosts = line, c.Agent.MaxTargets, c.Agent.MaxPrefixHosts
	r.tagProber(&p) // among the tags of the table, which labels do not replace
	s.prober, s.general = p, general
	for _, probe := range s.probes(nil) {
		if err := probe.Options.Validate(); err != nil {
			t.fault("source", "%v", err)
			return
		}
	}
	c.Sources = append(c.Sources, s)
}

// readHosts reads the hosts of a table; prefixes and ranges become their
// addresses.
func (r *reader) readHosts(t *table, most int) ([]string, bool) {
	v, ok := t.value("hosts")
	if !ok && slices.ContainsFunc(sourceKinds, func(k SourceKind) bool { _, has := t.values[string(k)]; return has }) {
		return nil, false // readSource has said what is wrong
	}
	if !ok {
		t.fault("hosts", "is missing: want a list of names, addresses, prefixes or ranges")
		return nil, false
	}
	list, isList := v.([]any)
	if !isList || len(list) == 0 {
		t.fault("hosts", "is %s: want a list of names, addresses, prefixes or ranges", emptyOr(v))
		return nil, false
	}
	t.hosts = list
	var names []string
	given := hosts.List{Max: most}
	for i, v := range list {
		more, err := r.host(v, &given)
		if errors.Is(err, hosts.ErrTooMany) {
			err = fmt.Errorf("%w: want smaller ones, or a higher agent.max_prefix_hosts", err)
		}
		if err != nil {
			t.elementFault("hosts", i, "%v", err)
			ok = false
		}
		names = append(names, more...)
	}
	return names, ok
}

func emptyOr(v any) string {
	if list, ok := v.([]any); ok && len(list) == 0 {
		return "empty"
	}
	return kindOf(v)
}

// host converts one entry of the list of hosts given.
func (r *reader) host(v any, given *hosts.List) ([]string, error) {
	s, err := r.text(v)
	if err != nil {
		return nil, err
	}
	e, err := given.Parse(s)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%q: %w", s, err)
	case e.Single() && e.First().IsUnspecified():
		return nil, fmt.Errorf("%q: want the address of a host", s)
	}
	list := make([]string, 0, e.Len())
	for h := range e.All() {
		list = append(list, string(h))
	}
	return list, nil
}

// checkPlan adds a fault for series and rounds that do not fit in the interval.
func (r *reader) checkPlan(c *Config) {
	var last *Probe
	for i := range c.Targets {
		if t := &c.Targets[i]; t.Probe != last {
			last = t.Probe
			r.checkSeries(c, t)
		}
	}
	for _, s := range c.Sources {
		t := s.example()
		r.checkSeries(c, &t)
	}
	if err := c.CheckRate(); err != nil {
		r.faults = append(r.faults, Fault{File: r.file, Line: r.lines.of("agent.max_rate"), Key: "agent.max_rate", Problem: err.Error()})
	}
}

// checkSeries adds a fault if a series to t does not fit in its interval.
func (r *reader) checkSeries(c *Config, t *Target) {
	interval := c.IntervalOf(t)
	d := SeriesTime(t.Options, c.Agent.MaxRate)
	if d <= interval {
		return
	}
	f := Fault{File: r.file, Line: r.lines.of("agent.interval"), Key: "agent.interval"}
	switch own := "targets[" + itoa(t.table) + "].interval"; {
	case t.Interval > 0 && r.lines.exactly(own) > 0:
		f.Key, f.Line = own, r.lines.exactly(own)
	case t.Interval > 0:
		f.Key, f.Line = "defaults.interval", r.lines.of("defaults.interval")
	case r.interval > 0:
		f = Fault{Key: r.intervalName}
	}
	f.Problem = fmt.Sprintf("%v is shorter than a series to %s, which takes %v ((count - 1) × ping_interval + timeout, with 1/max_rate for ping_interval if that is longer): want a longer interval or a shorter series",
		interval, t.Host, d)
	r.faults = append(r.faults, f)
}

// CheckRate returns an error if the targets need more echo requests per second than
// the file allows. In a fleet those of this prober count.
func (c *Config) CheckRate() error {
	p := c.Plan()
	if p.Share*c.Fleet.part() <= 1 {
		return nil
	}
	return fmt.Errorf("%d targets%s need %.0f echo requests per second, but only %d are allowed: want a higher max_rate, a longer interval or fewer echoes",
		p.Targets, c.Fleet.among(), p.Rate*c.Fleet.part(), c.Agent.MaxRate)
}
