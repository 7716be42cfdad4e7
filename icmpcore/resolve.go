package icmpcore

import (
	"context"
	"errors"
	"net"
	"net/netip"
)

var errNoAddress = errors.New("no address of that family")

// Resolve turns host, a name or a literal address (with a zone where it is
// link-local), into a target of family f. FamilyAuto takes the first IPv4
// address where there is a socket and a route for it, else the first such IPv6
// address. It returns when ctx is done. The error is a [*ResolveError].
func (p *Pinger) Resolve(ctx context.Context, host string, f Family) (Target, error) {
	fail := func(err error) (Target, error) {
		return Target{Host: host}, &ResolveError{Host: host, Family: f, Err: err}
	}
	if f > FamilyIPv6 {
		return fail(&OptionError{Field: "family", Value: f.String(), Want: orList(familyNames[:])})
	}
	if p.engine == nil {
		return fail(errNotOpen)
	}
	if ctx == nil {
		ctx = context.Background()
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		addr = addr.Unmap()
		if f != FamilyAuto && familyOf(addr) != f {
			return fail(errNoAddress)
		}
		return Target{Host: host, Addr: addr}, nil
	}
	network := [...]string{"ip", "ip4", "ip6"}[f]
	addrs, err := p.resolver.LookupNetIP(ctx, network, host)
	if err != nil {
		return fail(err)
	}
	var first netip.Addr
	for _, want := range []Family{FamilyIPv4, FamilyIPv6} {
		for _, a := range addrs {
			a = a.Unmap()
			if familyOf(a) != want {
				continue
			}
			if p.works(ctx, a) {
				return Target{Host: host, Addr: a}, nil
			}
			if !first.IsValid() {
				first = a
			}
			break // the family's other addresses share its fate
		}
	}
	if !first.IsValid() {
		return fail(errNoAddress)
	}
	return Target{Host: host, Addr: first}, nil
}

// works reports whether there is a socket and a route for addr. Connecting a
// UDP socket looks the route up and sends nothing.
func (p *Pinger) works(ctx context.Context, addr netip.Addr) bool {
	if _, err := p.conn.socket(familyOf(addr)); err != nil {
		return false
	}
	const discard = 9 // any port serves
	c, err := new(net.Dialer).DialContext(ctx, "udp", netip.AddrPortFrom(addr, discard).String())
	if err != nil {
		return false
	}
	c.Close() // nothing was sent that could be lost
	return true
}
