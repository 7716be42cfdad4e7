package faults

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/pingtel/pingtel/integration/netsim"
	"github.com/pingtel/pingtel/integration/peer"
)

// TestLink takes the interface down and up again.
func TestLink(t *testing.T) {
	t.Parallel()
	netsim.Run(t, network(), func(t *testing.T, n *netsim.Net) {
		s := peer.StartService(t, file(host4, host6), nil)
		s.More(t, 2, host4, host6)
		f := fault{from: time.Now()}
		if err := n.SetUp(false); err != nil {
			t.Fatal(err)
		}
		s.More(t, 3, host4, host6)
		if err := n.SetUp(true); err != nil {
			t.Fatal(err)
		}
		f.to = time.Now()
		s.More(t, 2, host4, host6)
		s.End(t)
		for _, host := range []string{host4, host6} {
			outside, within, partly := f.split(s.Of(t, host))
			checkSound(t, outside)
			checkRefused(t, within, "network is unreachable")
			checkPartly(t, partly)
			checkSteady(t, s, s.Of(t, host))
		}
	})
}

// TestRoute starts without a route, adds one, and removes it again.
func TestRoute(t *testing.T) {
	t.Parallel()
	netsim.Run(t, network(), func(t *testing.T, n *netsim.Net) {
		first := fault{from: time.Now()}
		if err := n.SetRoutes(false); err != nil {
			t.Fatal(err)
		}
		s := peer.StartService(t, file(host4, host6), nil)
		s.More(t, 2, host4, host6)
		if err := n.SetRoutes(true); err != nil {
			t.Fatal(err)
		}
		first.to = time.Now()
		s.More(t, 2, host4, host6)
		second := fault{from: time.Now()}
		if err := n.SetRoutes(false); err != nil {
			t.Fatal(err)
		}
		s.More(t, 3, host4, host6)
		if err := n.SetRoutes(true); err != nil {
			t.Fatal(err)
		}
		second.to = time.Now()
		s.More(t, 2, host4, host6)
		s.End(t)
		for _, host := range []string{host4, host6} {
			rest, within, partly := first.split(s.Of(t, host))
			checkRefused(t, within, "network is unreachable")
			checkPartly(t, partly)
			rest, within, partly = second.split(rest)
			checkRefused(t, within, "network is unreachable")
			checkPartly(t, partly)
			checkSound(t, rest)
		}
	})
}

// TestAddress replaces the host's address by another one. Requests continue from the
// new one; requests that need the old one wait for it.
func TestAddress(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, to, bound string
		next            netip.Addr
		own             func(n *netsim.Net) netip.Addr
		refused         string // what the system says where it has no address; empty: it may have others
	}{
		{"ipv4", host4, "198.18.2.2", netip.MustParseAddr("198.18.0.9"), func(n *netsim.Net) netip.Addr { return n.Addr4 }, "network is unreachable"},
		{"ipv6", host6, "2001:db8::22", netip.MustParseAddr("2001:db8::9"), func(n *netsim.Net) netip.Addr { return n.Addr6 }, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			netsim.Run(t, network(), func(t *testing.T, n *netsim.Net) {
				own := tt.own(n)
				s := peer.StartService(t, file(tt.to)+fmt.Sprintf("[[targets]]\nhosts = [%q]\nsource = %q\n", tt.bound, own), nil)
				s.More(t, 2, tt.to, tt.bound)
				none, moved := fault{from: time.Now()}, fault{from: time.Now()}
				if err := n.RemoveAddr(own); err != nil {
					t.Fatal(err)
				}
				s.More(t, 3, tt.to)
				if err := n.AddAddr(tt.next); err != nil {
					t.Fatal(err)
				}
				none.to = time.Now()
				s.More(t, 3, tt.to)
				arrived := n.Arrived()
				if last := arrived[len(arrived)-1]; tt.refused != "" && last.Src != tt.next || last.Src == own {
					t.Errorf("the last request came from %s, want %s", last.Src, tt.next)
				}
				if err := n.AddAddr(own); err != nil {
					t.Fatal(err)
				}
				moved.to = time.Now()
				s.More(t, 2, tt.to, tt.bound)
				s.End(t)
				outside, within, partly := none.split(s.Of(t, tt.to))
				checkSound(t, outside)
				if tt.refused != "" {
					checkRefused(t, within, tt.refused)
					checkPartly(t, partly)
				} else {
					checkSound(t, within)
				}
				outside, within, partly = moved.split(s.Of(t, tt.bound))
				checkSound(t, outside)
				checkRefused(t, within, "")
				checkPartly(t, partly)
			})
		})
	}
}
