package config

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/pingtel/pingtel/icmpcore"
)

// DefaultModule is the module of /probe that is always there, and that a request
// has if it names none.
const DefaultModule = "icmp"

// WebProbe is the [web.probe] table.
type WebProbe struct {
	Allow   []netip.Prefix              // the addresses that /probe may ping, none of them IPv4-mapped; empty turns it off
	Modules map[string]icmpcore.Options // by name; nil if /probe is off
}

// On reports whether the file turns /probe on.
func (p *WebProbe) On() bool { return len(p.Allow) > 0 }

// Allows reports whether /probe may ping an address. It may not ping one with a
// zone, by which a request could choose the interface.
func (p *WebProbe) Allows(a netip.Addr) bool {
	a = a.Unmap()
	return slices.ContainsFunc(p.Allow, func(prefix netip.Prefix) bool { return prefix.Contains(a) })
}

// AllowText returns Allow for people, at most a line.
func (p *WebProbe) AllowText() string {
	const most = 8
	var parts []string
	for i, prefix := range p.Allow {
		if i == most {
			parts = append(parts, fmt.Sprintf("and %d more prefixes", len(p.Allow)-most))
			break
		}
		parts = append(parts, prefix.String())
	}
	return strings.Join(parts, ", ")
}

// readWebProbe reads the [web.probe] table. Its modules begin with the options of
// [defaults].
func (r *reader) readWebProbe(t *table, to *WebProbe, defaults probe) {
	read(t, "allow", r.prefixes, &to.Allow)
	modules := t.table("modules")
	t.refuseUnknown()
	own := len(r.needs)
	all := map[string]icmpcore.Options{DefaultModule: ofSource(defaults.options)}
	for _, name := range slices.Sorted(maps.Keys(modules.values)) {
		sub := modules.table(name)
		p := defaults
		r.readOptions(sub, &p.options)
		r.readFamily(sub, &p)
		sub.refuseUnknown()
		if _, set := sub.values["family"]; set && p.both {
			sub.fault("family", "\"both\": want auto, ipv4 or ipv6, since a request probes one address")
		}
		p.options = ofSource(p.options)
		if err := p.options.Validate(); err != nil {
			sub.fault("source", "%v", err)
		}
		if name == "" {
			modules.fault(name, "a module without a name: want [web.probe.modules.NAME]")
		}
		all[name] = p.options
	}
	if !to.On() {
		r.needs = r.needs[:own] // nobody will probe from there
		return
	}
	to.Modules = all
}

// ofSource returns o with the family of its source, which reaches no other.
func ofSource(o icmpcore.Options) icmpcore.Options {
	if o.Family == icmpcore.FamilyAuto && o.Source.IsValid() {
		o.Family = familyOf(o.Source)
	}
	return o
}

// prefixes converts a list of prefixes and addresses. It joins its errors.
func (r *reader) prefixes(v any) ([]netip.Prefix, error) {
	list, ok := v.([]any)
	if !ok {
		return nil, fmt.Errorf("is %s: want a list of prefixes, [\"198.18.0.0/16\"]", kindOf(v))
	}
	var got []netip.Prefix
	var errs []error
	for _, x := range list {
		s, err := r.text(x)
		if err == nil {
			var p netip.Prefix
			p, err = parsePrefix(s)
			got = append(got, p)
		}
		if err != nil {
			errs = append(errs, err)
		}
	}
	return got, errors.Join(errs...)
}

// parsePrefix parses a prefix, or an address as the prefix that contains it alone.
func parsePrefix(s string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s)
	if a, addrErr := netip.ParseAddr(s); addrErr == nil && a.Zone() == "" {
		p, err = netip.PrefixFrom(a, a.BitLen()), nil
	}
	switch {
	case err != nil:
		return netip.Prefix{}, fmt.Errorf("%q: want a prefix such as 198.18.0.0/16, or an address without a zone", s)
	case p.Addr().Is4In6():
		return netip.Prefix{}, fmt.Errorf("%q: want the IPv4 prefix itself, without ::ffff: before it", s)
	case p != p.Masked():
		return netip.Prefix{}, fmt.Errorf("%q has bits beyond its length: want %s, or %s alone", s, p.Masked(), p.Addr())
	}
	return p, nil
}
