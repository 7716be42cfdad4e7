package faults

import (
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
			checkSteady(t, s.Of(t, host))
		}
	})
}

// TestRoute starts without a route, gives one, and takes it away again.
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

// TestAddress takes the host's address away and gives it another: requests go
// on from the new one, those that ask for the old one wait for it.
func TestAddress(t *testing.T) {
	t.Parallel()
	netsim.Run(t, network(), func(t *testing.T, n *netsim.Net) {
		next := netip.MustParseAddr("198.18.0.9")
		const bound = "198.18.2.2"
		s := peer.StartService(t, file(host4)+`[[targets]]
hosts = ["`+bound+`"]
source = "198.18.0.1"
`, nil)
		s.More(t, 2, host4, bound)
		none, moved := fault{from: time.Now()}, fault{from: time.Now()}
		if err := n.RemoveAddr(n.Addr4); err != nil {
			t.Fatal(err)
		}
		s.More(t, 3, host4)
		if err := n.AddAddr(next); err != nil {
			t.Fatal(err)
		}
		none.to = time.Now()
		s.More(t, 3, host4)
		arrived := n.Arrived()
		if last := arrived[len(arrived)-1]; last.Src != next {
			t.Errorf("the last request came from %s, want %s", last.Src, next)
		}
		if err := n.AddAddr(n.Addr4); err != nil {
			t.Fatal(err)
		}
		moved.to = time.Now()
		s.More(t, 2, host4, bound)
		s.End(t)
		outside, within, partly := none.split(s.Of(t, host4))
		checkSound(t, outside)
		checkRefused(t, within, "network is unreachable")
		checkPartly(t, partly)
		outside, within, partly = moved.split(s.Of(t, bound))
		checkSound(t, outside)
		checkRefused(t, within, "")
		checkPartly(t, partly)
	})
}
