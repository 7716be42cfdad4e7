package config

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"unicode"

	"github.com/pingtel/pingtel/icmpcore"
)

// readTargets reads all [[targets]] tables.
func (r *reader) readTargets(tables []*table, defaults probe, c *Config) {
	seen := make(map[string]int) // key of a target: its line
	for _, t := range tables {
		p := defaults
		r.readProbe(t, &p)
		hosts, ok := r.readHosts(t, c.Agent.MaxPrefixHosts)
		t.refuseUnknown()
		if !ok {
			continue
		}
		alike := make(map[int][]string) // line: hosts that are probed alike there
		for _, target := range p.targets(t, hosts, r.line(t.path)) {
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
func (p *probe) targets(t *table, hosts []string, line int) []Target {
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
	list := make([]Target, 0, len(hosts)*len(families))
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
		for _, h := range hosts {
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

// readHosts reads the hosts of a table; prefixes become their addresses.
func (r *reader) readHosts(t *table, most int) ([]string, bool) {
	v, ok := t.value("hosts")
	if !ok {
		t.fault("hosts", "is missing: want a list of names, addresses or prefixes")
		return nil, false
	}
	list, isList := v.([]any)
	if !isList || len(list) == 0 {
		t.fault("hosts", "is %s: want a list of names, addresses or prefixes", emptyOr(v))
		return nil, false
	}
	var hosts []string
	left := most // of what prefixes may stand for
	for _, v := range list {
		more, err := r.host(v, &left)
		if errors.Is(err, errTooMany) {
			err = fmt.Errorf("%q: %w, %d: want longer ones, or a higher agent.max_prefix_hosts", v, err, most)
		}
		if err != nil {
			t.fault("hosts", "%v", err)
			ok = false
		}
		hosts = append(hosts, more...)
	}
	return hosts, ok
}

func emptyOr(v any) string {
	if list, ok := v.([]any); ok && len(list) == 0 {
		return "empty"
	}
	return kindOf(v)
}

// errTooMany is what is wrong with a prefix that stands for too many hosts.
var errTooMany = errors.New("the prefixes of one list stand for more hosts than they may")

// host converts one entry of hosts. left is what its prefixes may still stand
// for.
func (r *reader) host(v any, left *int) ([]string, error) {
	s, err := r.text(v)
	if err != nil {
		return nil, err
	}
	if strings.Contains(s, "/") {
		return prefixHosts(s, left)
	}
	if a, err := netip.ParseAddr(s); err == nil {
		if a.IsUnspecified() {
			return nil, fmt.Errorf("%q: want the address of a host", s)
		}
		return []string{s}, nil
	}
	if !isName(s) {
		return nil, fmt.Errorf("%q: want a name, an address or a prefix", s)
	}
	if strings.Trim(s, "0123456789.") == "" {
		return nil, fmt.Errorf("%q: want an IPv4 address, four numbers up to 255", s)
	}
	return []string{s}, nil
}

// isName reports whether a resolver could know s: labels of up to 63 letters,
// digits, hyphens inside and underscores. Letters beyond ASCII pass, as a hosts
// file may have them.
func isName(s string) bool {
	s = strings.TrimSuffix(s, ".")
	for label := range strings.SplitSeq(s, ".") {
		odd := strings.ContainsFunc(label, func(c rune) bool {
			return !unicode.IsLetter(c) && !unicode.IsMark(c) && !unicode.IsDigit(c) && c != '-' && c != '_'
		})
		if odd || label == "" || len(label) > 63 || strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-") {
			return false
		}
	}
	return len(s) <= 253
}

// prefixHosts returns the host addresses of a prefix: all of them, but for the
// network and broadcast addresses of an IPv4 prefix of 30 bits or fewer. It
// takes their number off left.
func prefixHosts(s string, left *int) ([]string, error) {
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return nil, fmt.Errorf("%q: want a prefix as 198.18.0.0/24 or 2001:db8::/120", s)
	}
	if p != p.Masked() {
		return nil, fmt.Errorf("%q has bits behind its length: want %s, or the address alone", s, p.Masked())
	}
	bits, ends := p.Addr().BitLen()-p.Bits(), 0
	if p.Addr().Is4() && bits >= 2 {
		ends = 1
	}
	if bits > 30 || 1<<bits-2*ends > *left {
		return nil, errTooMany
	}
	hosts := make([]string, 0, 1<<bits)
	for a := p.Addr(); a.IsValid() && p.Contains(a); a = a.Next() {
		hosts = append(hosts, a.String())
	}
	hosts = hosts[ends : len(hosts)-ends]
	*left -= len(hosts)
	return hosts, nil
}

// checkPlan makes faults of what cannot be done in an interval.
func (r *reader) checkPlan(c *Config) {
	interval := Fault{File: r.file, Line: r.line("agent.interval"), Key: "agent.interval"}
	if r.interval > 0 {
		interval = Fault{Key: r.intervalName}
	}
	reported := make(map[*Probe]bool)
	for _, t := range c.Targets {
		if d := SeriesTime(t.Options, c.Agent.MaxRate); d > c.Agent.Interval && !reported[t.Probe] {
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
