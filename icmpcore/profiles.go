package icmpcore

import (
	"net/netip"
	"strconv"
	"time"
)

// profileKey is everything that a profile depends on: options and the family.
type profileKey struct {
	count, keep, size, ttl, dscp int
	interval, timeout            time.Duration
	family                       Family
	source                       netip.Addr
	iface                        string
	mark                         uint32
	flow                         uint16
	dontFragment                 bool
}

// maxProfiles bounds the profiles that are kept for reuse.
const maxProfiles = 4096

// profile returns the profile of options and a family. It checks the options when
// it makes the profile. The caller holds p.mu.
func (p *Pinger) profile(o Options, f Family) (*profile, error) {
	key := profileKey{
		count: o.Count, keep: o.Keep, size: o.Size, ttl: o.TTL, dscp: o.DSCP, interval: o.Interval, timeout: o.Timeout,
		family: f, source: o.Source, iface: o.Interface, mark: o.Mark, flow: o.Flow, dontFragment: o.DontFragment,
	}
	if p.last != nil && p.lastKey == key && !p.last.stale() {
		return p.last, nil
	}
	prof := p.profiles[key]
	if prof == nil || prof.stale() {
		if err := o.Validate(); err != nil {
			return nil, err
		}
		if o.Source.IsValid() && familyOf(o.Source.Unmap()) != f {
			return nil, &OptionError{Field: "source", Value: o.Source.String(), Want: "an " + f.String() + " address"}
		}
		o = o.withDefaults()
		o.OnEcho = nil
		prof = newProfile(o)
		if err := p.conn.prepare(prof, f); err != nil {
			return nil, err
		}
		if len(p.profiles) >= maxProfiles {
			clear(p.profiles)
		}
		p.profiles[key] = prof
	}
	p.lastKey, p.last = key, prof
	return prof, nil
}

// stale reports whether the index of the interface must be looked up again. An
// interface that was removed and came back under the same name has a new index.
func (p *profile) stale() bool {
	return p.opts.Interface != "" && time.Since(p.made) > time.Second
}

// zoneIndex returns the index of the interface that an address's zone names,
// 0 if it has no zone.
func zoneIndex(addr netip.Addr) (uint32, error) {
	zone := addr.Zone()
	if zone == "" {
		return 0, nil
	}
	if n, err := strconv.ParseUint(zone, 10, 32); err == nil {
		return uint32(n), nil
	}
	index, err := linkIndex(zone)
	if err != nil {
		return 0, linkError("zone", zone, err)
	}
	return index, nil
}
