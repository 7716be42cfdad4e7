package icmpcore

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"time"
)

var errNoAddress = errors.New("no address of that family")

// Resolve returns the target for host, a name or a literal address (with a zone
// if it is link-local), in the family f. An international name is looked up by
// its ASCII form (RFC 5891). The target keeps the name as given.
//
// With FamilyAuto it queries both families at the same time and takes the first
// usable answer, except that a usable IPv6 address waits 50 ms for a usable
// IPv4 address, which then wins. An address is usable if there is a socket and
// a route for it. A query that is slow or never answered does not delay the
// other.
//
// Resolve returns early when ctx is done. The error is a [*ResolveError].
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
	name, err := asciiName(host)
	if err != nil {
		return fail(err)
	}
	addr, err := p.lookup(ctx, name, f)
	if err != nil {
		return fail(err)
	}
	return Target{Host: host, Addr: addr}, nil
}

// lookup queries the addresses of a name and returns the one to use.
func (p *Pinger) lookup(ctx context.Context, name string, f Family) (netip.Addr, error) {
	asking, cancel := context.WithCancel(ctx)
	defer cancel() // ends the query that is no longer needed
	c := choice{family: f}
	answers := make(chan func(), 2)
	for _, of := range []Family{FamilyIPv4, FamilyIPv6} {
		if f != FamilyAuto && f != of {
			continue
		}
		if f == FamilyAuto {
			_, err := p.conn.socket(of)
			c.half(of).noSocket = err != nil
		}
		go func() { // ends with its query, which cancel ends
			addr, err := p.lookupFamily(asking, name, of)
			usable := err == nil && (f != FamilyAuto || p.HasRoute(asking, addr))
			answers <- func() { c.answer(of, time.Now(), addr, usable, err) }
		}()
	}
	timer := time.NewTimer(time.Hour) // reset when there is a time to wait for
	defer timer.Stop()
	for {
		v := c.decide(time.Now())
		if v.decided {
			return v.addr, v.err
		}
		if v.wait > 0 {
			timer.Reset(v.wait)
		}
		select {
		case take := <-answers:
			take()
		case <-timer.C:
		case <-ctx.Done():
			c.giveUp(time.Now(), unanswered(name, ctx.Err()))
		}
	}
}

// lookupFamily queries the addresses of a name in one family and returns the
// first.
func (p *Pinger) lookupFamily(ctx context.Context, name string, f Family) (netip.Addr, error) {
	addrs, err := p.resolver.LookupNetIP(ctx, [...]string{"ip", "ip4", "ip6"}[f], name)
	if err == nil {
		for _, a := range addrs {
			if a = a.Unmap(); familyOf(a) == f {
				return a, nil
			}
		}
	}
	var dns *net.DNSError
	var other *net.AddrError // the hosts file has only addresses of the other family
	switch {
	case err == nil, errors.As(err, &other):
		return netip.Addr{}, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	case ctx.Err() != nil:
		return netip.Addr{}, unanswered(name, ctx.Err())
	case !errors.As(err, &dns):
		return netip.Addr{}, err
	case dns.IsNotFound && dns.Server == "": // it is not the answer of a server
		if errno := noDescriptor(); errno != nil {
			return netip.Addr{}, &net.DNSError{UnwrapErr: errno, Err: errno.Error(), Name: name, IsTemporary: true}
		}
	}
	return netip.Addr{}, explained(dns)
}

// unanswered is the error of a query that a context ended.
func unanswered(name string, err error) *net.DNSError {
	return &net.DNSError{UnwrapErr: err, Err: err.Error(), Name: name, IsTimeout: errors.Is(err, context.DeadlineExceeded)}
}

// HasRoute reports whether there is a socket and a route for addr. It sends
// nothing.
func (p *Pinger) HasRoute(ctx context.Context, addr netip.Addr) bool {
	addr = addr.Unmap()
	if !addr.IsValid() {
		return false
	}
	if _, err := p.conn.socket(familyOf(addr)); err != nil {
		return false
	}
	const discard = 9 // any port will do: connecting a UDP socket looks up the route and sends nothing
	c, err := new(net.Dialer).DialContext(ctx, "udp", netip.AddrPortFrom(addr, discard).String())
	if err != nil {
		return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) // this says nothing about the route
	}
	c.Close() // the error does not matter: nothing was sent
	return true
}
