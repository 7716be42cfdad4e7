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

// Resolve turns host, a name or a literal address (with a zone where it is
// link-local), into a target of family f. An international name is looked up
// by its ASCII form (RFC 5891); the target keeps the name as it was given.
//
// FamilyAuto asks for the addresses of both families side by side and takes the
// first usable answer: that of IPv4, or that of IPv6 where no usable one of IPv4
// comes within 50 ms of it. An address is usable if there is a socket and a
// route for it. A query that is slow or never answered does not delay the other.
//
// Resolve returns when ctx is done. The error is a [*ResolveError].
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

// lookup asks for a name's addresses and returns the one to take.
func (p *Pinger) lookup(ctx context.Context, name string, f Family) (netip.Addr, error) {
	asking, cancel := context.WithCancel(ctx)
	defer cancel() // a query that is not needed any more
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
	timer := time.NewTimer(time.Hour) // set anew where there is something to wait for
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

// lookupFamily asks for a name's addresses of one family and returns the first.
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
	var other *net.AddrError // the hosts file has addresses of the other family alone
	switch {
	case err == nil, errors.As(err, &other):
		return netip.Addr{}, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	case ctx.Err() != nil:
		return netip.Addr{}, unanswered(name, ctx.Err())
	case !errors.As(err, &dns):
		return netip.Addr{}, err
	case dns.IsNotFound && dns.Server == "": // no server has said so
		if errno := noDescriptor(); errno != nil {
			return netip.Addr{}, &net.DNSError{UnwrapErr: errno, Err: errno.Error(), Name: name, IsTemporary: true}
		}
	}
	return netip.Addr{}, explained(dns)
}

// unanswered is the error of a query that a context has ended.
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
	const discard = 9 // any port serves: connecting a UDP socket looks the route up and sends nothing
	c, err := new(net.Dialer).DialContext(ctx, "udp", netip.AddrPortFrom(addr, discard).String())
	if err != nil {
		return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) // no news about the route
	}
	c.Close() // nothing was sent that could be lost
	return true
}
