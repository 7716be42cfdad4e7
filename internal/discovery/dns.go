package discovery

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// dnsLooker asks the DNS: for the hosts of SRV records, or for all addresses.
type dnsLooker struct {
	resolver resolver
	names    []string
	time     time.Duration // for a look
}

func (d *dnsLooker) look(ctx context.Context, l *look) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, d.time)
	defer cancel()
	for _, name := range d.names {
		if strings.HasPrefix(name, "_") {
			d.services(ctx, l, name)
		} else {
			d.addresses(ctx, l, name)
		}
	}
	return 0, nil
}

// services takes the hosts of a name's SRV records.
func (d *dnsLooker) services(ctx context.Context, l *look, name string) {
	part := "SRV " + name
	_, records, err := d.resolver.LookupSRV(ctx, "", "", name)
	if len(records) == 0 {
		if err == nil {
			err = errors.New("has no SRV record")
		}
		l.fail(part, said(err))
		return
	}
	slices.SortFunc(records, func(a, b *net.SRV) int {
		return strings.Compare(a.Target+strconv.Itoa(int(a.Port)), b.Target+strconv.Itoa(int(b.Port)))
	})
	l.take(part, func(b *builder) (any, error) {
		if err != nil { // for some of the records
			b.refuse(name, said(err))
		}
		for _, r := range records {
			g := &group{
				Targets: []string{strings.TrimSuffix(r.Target, ".")},
				Labels: map[string]string{
					"__meta_dns_name": name, "__meta_dns_srv_record_target": r.Target, "__meta_dns_srv_record_port": strconv.Itoa(int(r.Port)),
				},
			}
			if err := b.addGroup(g, func(int) string { return "record " + r.Target }); err != nil {
				return nil, err
			}
		}
		return nil, nil
	})
}

// addresses takes the addresses of a name. Each family is a list of its own, so that
// the failure of one question does not take its addresses away.
func (d *dnsLooker) addresses(ctx context.Context, l *look, name string) {
	records := [2]string{"A", "AAAA"}
	var found [2][]netip.Addr
	var errs [2]error
	var none [2]bool
	for i, network := range []string{"ip4", "ip6"} {
		found[i], errs[i] = d.resolver.LookupNetIP(ctx, network, name)
		var missing *net.DNSError
		var other *net.AddrError // it has addresses of the other family only
		none[i] = errors.As(errs[i], &missing) && missing.IsNotFound || errors.As(errs[i], &other) || errs[i] == nil && len(found[i]) == 0
	}
	for i, record := range records {
		part := record + " " + name
		switch other := 1 - i; {
		case len(found[i]) > 0:
			l.take(part, func(b *builder) (any, error) { return nil, addAddresses(b, name, found[i]) })
		case none[i] && len(found[other]) > 0:
			l.take(part, func(*builder) (any, error) { return nil, nil }) // it has addresses of the other family only
		case none[i] && none[other]:
			if l.part(part) != nil || i == 0 { // once is enough for a name that has nothing
				l.fail(part, errors.New("there is no such name, or it has no address"))
			}
		case none[i]:
			if l.part(part) != nil {
				l.fail(part, said(errs[other]))
			}
		default:
			l.fail(part, said(errs[i]))
		}
	}
}

func addAddresses(b *builder, name string, addrs []netip.Addr) error {
	g := &group{Labels: map[string]string{"__meta_dns_name": name}}
	for i := range addrs {
		addrs[i] = addrs[i].Unmap()
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	for _, a := range slices.Compact(addrs) {
		g.Targets = append(g.Targets, a.String())
	}
	return b.addGroup(g, func(j int) string { return "address " + g.Targets[j] })
}

// said returns what the DNS said, without the name and the server.
func said(err error) error {
	if e := (*net.DNSError)(nil); errors.As(err, &e) {
		if e.IsNotFound {
			return errors.New("there is no such name, or it has no such record")
		}
		return fmt.Errorf("the DNS does not answer: %s", e.Err)
	}
	return err
}
