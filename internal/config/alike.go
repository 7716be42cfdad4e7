package config

import (
	"net/netip"
	"strings"

	"github.com/pingtel/pingtel/icmpcore"
)

// PointKey is the same for targets whose points have the same tags in line
// protocol, apart from the tag address.
func (t *Target) PointKey() string {
	var b strings.Builder
	b.WriteString(t.Host)
	for _, tag := range t.Tags {
		if v := strings.TrimRight(tag.Value, `\`); v != "" { // the encoder writes it without
			b.WriteString("\x00" + tag.Key + "\x01" + v)
		}
	}
	return b.String()
}

// Alike returns the hosts that have several targets whose points have the same
// tags, in the file's order. In line protocol such points belong to one series,
// and a database keeps only one of two points with the same time. The two
// targets of family "both" differ by their addresses.
func (c *Config) Alike() []string {
	seen, reported := make(map[string][]icmpcore.Family), make(map[string]bool)
	var hosts []string
	for i := range c.Targets {
		t := &c.Targets[i]
		key, family := t.PointKey(), t.family()
		for _, other := range seen[key] {
			if apart := family != icmpcore.FamilyAuto && other != icmpcore.FamilyAuto && family != other; !apart && !reported[t.Host] {
				reported[t.Host] = true
				hosts = append(hosts, t.Host)
			}
		}
		seen[key] = append(seen[key], family)
	}
	return hosts
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
