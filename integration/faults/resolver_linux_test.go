package faults

import (
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/pingtel/pingtel/integration/dns"
	"github.com/pingtel/pingtel/integration/netsim"
	"github.com/pingtel/pingtel/integration/peer"
)

const (
	known = "known.example"
	never = "never.example" // has no answer while the resolver is in trouble
)

// TestResolverDead lets the resolver refuse, fall silent and fail. The name whose
// address is known must keep it, the name without an address must have no series, and
// nothing else may change.
func TestResolverDead(t *testing.T) {
	t.Parallel()
	netsim.Run(t, network(), func(t *testing.T, _ *netsim.Net) {
		failing := dns.Reply{Code: dnsmessage.RCodeServerFailure}
		r := dns.Serve(t, func(name string, _ bool) dns.Reply {
			if name == known {
				return dns.Addr("198.18.3.1")
			}
			return failing
		})
		s := peer.StartService(t, file(host4, known, never), dns.Asking(t, "timeout:3 attempts:1"))
		s.More(t, 2, host4, known, never)

		r.Stop()
		s.Says(t, 0, "look-up failed host="+known)
		s.More(t, 2, host4, known, never)
		r.Start()
		r.Say(func(string, bool) dns.Reply { return dns.Reply{Drop: true} })
		s.More(t, 3, host4, known, never)
		r.Say(func(string, bool) dns.Reply { return failing })
		s.More(t, 2, host4, known, never)
		dead := time.Now()

		r.Say(func(string, bool) dns.Reply { return dns.Addr("198.18.3.2") })
		s.Says(t, 0, "look-up works again host="+known)
		s.Says(t, 0, "look-up works again host="+never)
		again := s.More(t, 2, host4, known, never)
		s.End(t)

		for _, host := range []string{host4, known} {
			checkSound(t, s.Of(t, host))
			checkSteady(t, s, s.Of(t, host))
		}
		for _, p := range s.Of(t, known) {
			if got := p.Tags["address"]; p.At.Before(dead) && got != "198.18.3.1" || p.At.After(again) && got != "198.18.3.2" {
				t.Errorf("%s was probed at %s", known, got)
			}
		}
		for _, p := range s.Of(t, never) {
			text, _ := p.Fields["error"].(string)
			switch {
			case p.At.After(again):
				checkSound(t, []peer.Point{p})
			case p.At.Before(dead) && (len(p.Fields) != 2 || p.Int("result_code") != 2 || !strings.Contains(text, never) || p.Tags["address"] != ""):
				t.Errorf("%s without an answer: %v", never, p)
			}
		}
		if n := strings.Count(s.Text(), "look-up failed host="+known); n != 1 {
			t.Errorf("that look-ups fail was said %d times, want once", n)
		}
		if n := s.Internal(t).Int("lookup_failures"); n < 10 {
			t.Errorf("lookup_failures = %d, want those of ten rounds at least", n)
		}
	})
}

// TestResolverSlow lets each answer take longer than an interval. A series waits for
// the first answer until its next turn, and then reports that there is none.
func TestResolverSlow(t *testing.T) {
	t.Parallel()
	netsim.Run(t, network(), func(t *testing.T, _ *netsim.Net) {
		slow := dns.Addr("198.18.3.1")
		slow.After = 2 * time.Second
		dns.Serve(t, func(string, bool) dns.Reply { return slow })
		s := peer.StartService(t, file(host4, known), dns.Asking(t, "timeout:3 attempts:1"))
		s.More(t, 6, host4, known)
		s.End(t)
		checkSound(t, s.Of(t, host4))
		checkSteady(t, s, s.Of(t, host4))
		points := s.Of(t, known)
		answered := slices.IndexFunc(points, func(p peer.Point) bool { return p.Tags["address"] == "198.18.3.1" })
		if answered < 1 {
			t.Fatalf("of %d series number %d was the first with an address, want one behind the first", len(points), answered)
		}
		checkRefused(t, points[:answered], "no answer from the DNS yet")
		checkSound(t, points[answered:])
		checkSteady(t, s, points[answered+1:]) // the first has begun when the answer came
	})
}

// TestResolverLies lets the resolver name another address each second. The figures
// must belong to the address of their point.
func TestResolverLies(t *testing.T) {
	t.Parallel()
	const addrs = 5
	ttl := func(i int) uint8 { return uint8(100 + i) }
	addr := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{198, 18, 3, byte(1 + i)}) }
	rules := network()
	for i := range addrs {
		rules = append(rules, netsim.Rule{Prefix: netip.PrefixFrom(addr(i), 32), Delay: delay, TTL: ttl(i)})
	}
	netsim.Run(t, rules, func(t *testing.T, _ *netsim.Net) {
		start := time.Now()
		var asked atomic.Int32
		dns.Serve(t, func(string, bool) dns.Reply {
			asked.Add(1)
			return dns.Reply{Addrs: []netip.Addr{addr(int(time.Since(start)/time.Second) % addrs)}}
		})
		s := peer.StartService(t, file(host4, known), dns.Asking(t, "timeout:3 attempts:1"))
		s.More(t, 7, host4, known)
		s.End(t)
		points := s.Of(t, known)
		checkSound(t, points)
		checkSteady(t, s, points)
		seen := make(map[string]bool)
		for _, p := range points {
			seen[p.Tags["address"]] = true
			a, err := netip.ParseAddr(p.Tags["address"])
			if err != nil {
				t.Fatal(err)
			}
			if want := ttl(int(a.As4()[3]) - 1); p.Int("ttl") != int64(want) {
				t.Errorf("ttl %d of %s, which sends %d", p.Int("ttl"), a, want)
			}
		}
		if len(seen) < 3 {
			t.Errorf("addresses probed: %v, asked %d times, want three at least", seen, asked.Load())
		}
	})
}

// TestFamilies resolves a name with addresses of both families. pingtel must use IPv4
// while it has a route, else IPv6, and IPv4 again when its route is back.
func TestFamilies(t *testing.T) {
	t.Parallel()
	netsim.Run(t, network(), func(t *testing.T, n *netsim.Net) {
		addr4, addr6 := netip.MustParseAddr("198.18.3.1"), netip.MustParseAddr("2001:db8::31")
		both := dns.Reply{Addrs: []netip.Addr{addr4, addr6}}
		dns.Serve(t, func(string, bool) dns.Reply { return both })
		s := peer.StartService(t, file(known), dns.Asking(t, "timeout:3 attempts:1"))
		probed := func(want netip.Addr) func() bool {
			return func() bool {
				points := s.Of(t, known)
				return len(points) > 0 && points[len(points)-1].Tags["address"] == want.String()
			}
		}
		peer.Await(t, "IPv4", probed(addr4), s.Process)
		if err := n.RemoveAddr(n.Addr4); err != nil {
			t.Fatal(err)
		}
		peer.Await(t, "IPv6", probed(addr6), s.Process)
		if err := n.AddAddr(n.Addr4); err != nil {
			t.Fatal(err)
		}
		peer.Await(t, "IPv4 again", probed(addr4), s.Process)
		s.More(t, 1, known)
		s.End(t)
		for _, p := range s.Of(t, known) {
			if p.Tags["address"] == addr6.String() {
				checkSound(t, []peer.Point{p})
			}
		}
	})
}
