package integration

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/integration/netsim"
)

// dead returns the i-th address of the LAN on which nobody answers.
func dead(f icmpcore.Family, i int) netip.Addr {
	if f == icmpcore.FamilyIPv4 {
		return netip.AddrFrom4([4]byte{198, 19, byte(1 + i/250), byte(1 + i%250)})
	}
	a := netip.MustParseAddr("2001:db8:1a::").As16()
	a[14], a[15] = byte(1+i/250), byte(1+i%250)
	return netip.AddrFrom16(a)
}

// TestCrowdedLAN probes hosts that answer, and many hosts whose packets the kernel
// holds because their neighbour does not answer. It holds ten times as much as one
// send buffer of default size has room for. The figures of the hosts that answer
// must not change, and the system must accept every request.
func TestCrowdedLAN(t *testing.T) {
	const sick, healthy, count = 700, 20, 4
	rules := []netsim.Rule{
		{Prefix: netip.MustParsePrefix("198.18.0.0/16"), Delay: 2 * ms},
		{Prefix: netip.MustParsePrefix("2001:db8:1::/64"), Delay: 2 * ms},
	}
	for _, s := range sockets {
		for _, forever := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s %s forever=%v", s.kind, s.family, forever), func(t *testing.T) {
				netsim.Run(t, rules, func(t *testing.T, n *netsim.Net) {
					if err := n.AddLAN(forever); err != nil {
						t.Fatal(err)
					}
					p := open(t, icmpcore.Config{Socket: s.kind})
					results := make(chan icmpcore.PingResult, sick+healthy)
					start := func(a netip.Addr) {
						o := icmpcore.Options{Count: count, Interval: 250 * ms, Timeout: time.Second}
						if _, err := p.Go(icmpcore.Target{Addr: a}, o, func(r icmpcore.PingResult) { results <- r }); err != nil {
							t.Fatal(err)
						}
					}
					for i := range sick {
						start(dead(s.family, i))
					}
					for i := range healthy {
						start(host(s.family, i))
					}
					answered := 0
					for range sick + healthy {
						r := <-results
						if r.Received > 0 {
							answered++
						}
						if r.Received > 0 && r.Received != count {
							t.Errorf("%s: %d of %d answered: %v", r.Addr, r.Received, count, r.Errors)
						}
						for i := range r.Errors {
							if e := &r.Errors[i]; e.Kind == icmpcore.SendFailed {
								t.Errorf("%s: %v", r.Addr, e)
							}
						}
					}
					if answered != healthy {
						t.Errorf("%d hosts answered, want %d", answered, healthy)
					}
				})
			})
		}
	}
}
