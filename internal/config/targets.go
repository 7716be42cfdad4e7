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
	seen := make(map[string]int) // key of a target: its line
	for _, t := range tables {
		p := defaults
		r.readProbe(t, &p)
		names, ok := r.readHosts(t, c.Agent.MaxPrefixHosts)
		t.refuseUnknown()
		if !ok {
			continue
		}
		alike := make(map[int][]string) // line: hosts that are probed alike there
		for _, target := range p.targets(t, names, r.line(t.path)) {
			key := target.Key()
			if line, ok := seen[key]; ok {
				alike[line] = append(alike[line], target.Host)
				continue
			}
			seen[key] = r.line(t.path)
			c.Targets = append(c.Targets, target)
		}
		for _, line := range slices.Sorted(maps.Keys(alike)) {
			what := alike[line][0] + " is"
			if more := len(alike[line]) - 1; more > 0 {
				what = fmt.Sprintf("%s and %d more are", alike[line][0], more)
			}
			t.fault("hosts", "%s probed alike by line %d already: want another option or tag, or one of them gone", what, line)
		}
	}
}

// targets makes the targets of a table that stands in line.
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
		o := p.options
		whose := f.String()
		if f == icmpcore.FamilyAuto && o.Source.IsValid() { // from there only its own kind can be reached
			f = familyOf(o.Source)
			whose = fmt.Sprintf("%s of the source %s", f, o.Source)
		}
		o.Family = f
		if err := o.Validate(); err != nil {
			t.fault("source", "%v", err)
			return nil
		}
		shared := &Probe{Options: o, Tags: tags, Thresholds: p.thresholds, line: line}
		for _, h := range names {
			if a, err := netip.ParseAddr(h); err == nil && f != icmpcore.FamilyAuto && familyOf(a) != f {
				if !p.both { // of both, an address has the one it has
					t.fault("hosts", "%s is not of the family %s", h, whose)
				}
				continue
			}
			list = append(list, Target{Host: h, Probe: shared})
		}
	}
	return list
}

// readHosts reads the hosts of a table; prefixes and ranges become their
// addresses.
func (r *reader) readHosts(t *table, most int) ([]string, bool) {
	v, ok := t.value("hosts")
	if !ok {
		t.fault("hosts", "is missing: want a list of names, addresses, prefixes or ranges")
		return nil, false
	}
	list, isList := v.([]any)
	if !isList || len(list) == 0 {
		t.fault("hosts", "is %s: want a list of names, addresses, prefixes or ranges", emptyOr(v))
		return nil, false
	}
	var names []string
	left := most // of what prefixes and ranges may stand for
	for _, v := range list {
		more, err := r.host(v, &left)
		if errors.Is(err, hosts.ErrTooMany) {
			err = fmt.Errorf("%w, %d: want smaller ones, or a higher agent.max_prefix_hosts", err, most)
		}
		if err != nil {
			t.fault("hosts", "%v", err)
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

// host converts one entry of hosts. left is what its prefixes and ranges may
// still stand for.
func (r *reader) host(v any, left *int) ([]string, error) {
	s, err := r.text(v)
	if err != nil {
		return nil, err
	}
	e, err := hosts.Parse(s)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%q: %w", s, err)
	case e.Single() && e.First().IsUnspecified():
		return nil, fmt.Errorf("%q: want the address of a host", s)
	case !e.Single() && e.Len() > *left:
		return nil, fmt.Errorf("%q: %w", s, hosts.ErrTooMany)
	case !e.Single():
		*left -= e.Len()
	}
	list := make([]string, 0, e.Len())
	for h := range e.All() {
		list = append(list, string(h))
	}
	return list, nil
}

// checkPlan makes faults of what cannot be done in an interval.
func (r *reader) checkPlan(c *Config) {
	interval := Fault{File: r.file, Line: r.line("agent.interval"), Key: "agent.interval"}
	if r.interval > 0 {
		interval = Fault{Key: r.intervalName}
	}
	reported := make(map[*Probe]bool)
	for _, t := range c.Targets {
		if d := c.Agent.seriesTime(t.Options); d > c.Agent.Interval && !reported[t.Probe] {
			reported[t.Probe] = true
			interval.Problem = fmt.Sprintf("%v is shorter than a series to %s, which takes %v ((count - 1) × ping_interval, or 1/max_rate where that is longer, + timeout): want a longer interval or a shorter series",
				c.Agent.Interval, t.Host, d)
			r.faults = append(r.faults, interval)
		}
	}
	if p := c.Plan(); p.Share > 1 {
		r.faults = append(r.faults, Fault{File: r.file, Line: r.line("agent.max_rate"), Key: "agent.max_rate",
			Problem: fmt.Sprintf("%d targets need %.0f echo requests per second, %d are allowed: want a higher max_rate, a longer interval or fewer echoes",
				p.Targets, p.Rate, c.Agent.MaxRate)})
	}
}
