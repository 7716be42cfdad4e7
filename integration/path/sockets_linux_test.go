package path

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/integration/netsim"
)

const ms = time.Millisecond

// network is one kind of socket and family with its simulated network.
type network struct {
	*netsim.Net
	p      *icmpcore.Pinger
	kind   icmpcore.SocketKind
	family icmpcore.Family
}

// eachSocket runs f for each kind of socket and family, each in its own simulated
// network.
func eachSocket(t *testing.T, rules func(icmpcore.Family) []netsim.Rule, f func(t *testing.T, n network)) {
	for _, kind := range []icmpcore.SocketKind{icmpcore.SocketRaw, icmpcore.SocketDatagram} {
		for _, family := range []icmpcore.Family{icmpcore.FamilyIPv4, icmpcore.FamilyIPv6} {
			t.Run(fmt.Sprintf("%s %s", kind, family), func(t *testing.T) {
				netsim.Run(t, rules(family), func(t *testing.T, n *netsim.Net) {
					p, err := icmpcore.Open(icmpcore.Config{Socket: kind, MaxRate: -1})
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(func() {
						if err := p.Close(); err != nil {
							t.Errorf("Close: %v", err)
						}
					})
					f(t, network{n, p, kind, family})
				})
			})
		}
	}
}

// target returns the i-th host at the end of a path, router the one at a hop.
func target(f icmpcore.Family, i int) netip.Addr { return numbered(f, 1, i) }

func router(f icmpcore.Family, hop int) netip.Addr { return numbered(f, 200, hop) }

// routers returns the routers of a path of so many hops.
func routers(f icmpcore.Family, hops int) []netip.Addr {
	list := make([]netip.Addr, hops)
	for i := range list {
		list[i] = router(f, i+1)
	}
	return list
}

func numbered(f icmpcore.Family, net, i int) netip.Addr {
	if f == icmpcore.FamilyIPv4 {
		return netip.AddrFrom4([4]byte{198, 18, byte(net + i/250), byte(1 + i%250)})
	}
	a := netip.MustParseAddr("2001:db8::").As16()
	a[5], a[14], a[15] = byte(net), byte(i/250), byte(1+i%250)
	return netip.AddrFrom16(a)
}

func prefix(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }
