package fleet

import (
	"flag"
	"net/netip"
	"testing"
	"time"

	"github.com/pingtel/pingtel/integration/netsim"
	"github.com/pingtel/pingtel/integration/peer"
)

var away = flag.Duration("away", 0, "how long all servers of NATS are away in TestLongAway")

// TestLongAway is TestFleet's end, in which all servers are away and return with nothing
// stored, for longer than a test should take. Run it by hand:
//
//	go test -run '^TestLongAway$' -v -timeout 30m ./integration/fleet -away 10m
func TestLongAway(t *testing.T) {
	if *away == 0 {
		t.Skip("all servers away for long: run it by hand with -away 10m")
	}
	peer.NATS(t)
	rules := []netsim.Rule{{Prefix: netip.MustParsePrefix("198.18.0.0/16"), Delay: time.Millisecond}}
	netsim.Run(t, rules, func(t *testing.T, _ *netsim.Net) {
		s := startServers(t, 3)
		p := startProbers(t, 5, s, "198.18.64.0-198.18.65.243", 500, 2)
		p.settle()
		began := time.Now()
		p.withoutServers(s, p.owned(), func() {
			for end := time.Now().Add(*away); time.Now().Before(end); wait(time.Minute) {
				for name, service := range p.running {
					own := service.Internal(t)
					t.Logf("%s: %d members, %d targets, age %v", name, own.Int("fleet_members"), own.Int("targets"), time.Duration(own.Int("fleet_view_age_ms"))*time.Millisecond)
				}
			}
		})
		p.steady(began, time.Now().Add(-2*late), interval+late)
		p.lost()
	})
}
