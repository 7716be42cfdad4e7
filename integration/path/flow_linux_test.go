package path

import (
	"net/netip"
	"sync"
	"testing"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/integration/netsim"
)

// flow is all by which routers choose between paths of equal cost.
type flow struct {
	src, dst netip.Addr
	id, sum  uint16
	label    uint32
}

func flowOf(r netsim.Request) flow { return flow{r.Src, r.Dst, r.ID, r.Sum, r.Label} }

// TestFlow runs series of one flow over many TTLs, sizes and code points: all
// their requests must look the same to a router. Those of another flow, and those
// of no flow, must not.
func TestFlow(t *testing.T) {
	eachSocket(t, hosts, func(t *testing.T, n network) {
		to := target(n.family, 0)
		sent := 0
		var series sync.WaitGroup
		run := func(o icmpcore.Options) {
			o.Interval = ms
			sent += o.Count
			series.Add(1)
			_, err := n.p.Go(icmpcore.Target{Addr: to}, o, func(r icmpcore.PingResult) {
				if r.Received != r.Sent || r.Corrupt+r.Late > 0 || r.Err != nil {
					t.Errorf("flow %d: %s, %d corrupt, %d late, %v", o.Flow, r, r.Corrupt, r.Late, r.Err)
				}
				series.Done()
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		for ttl := 1; ttl <= 32; ttl++ {
			for _, size := range []int{10, 56, 57, 1400, 3000} {
				run(icmpcore.Options{Count: 3, TTL: ttl, Size: size, DSCP: ttl, Flow: 7})
			}
		}
		series.Wait()
		flows := flowsOf(t, n, sent)
		if len(flows) != 1 {
			t.Fatalf("one flow has %d: %v", len(flows), flows)
		}
		for other := range uint16(40) {
			run(icmpcore.Options{Count: 3, Flow: 100 + other})
		}
		run(icmpcore.Options{Count: 50})
		series.Wait()
		several := flowsOf(t, n, sent)
		if len(several) != 1+40+50 && len(several) != 1+40+49 { // two echoes of no flow may have the same checksum
			t.Errorf("41 flows, and 50 echoes of none, have %d flows", len(several))
		}
		labels := map[uint32]bool{}
		for f := range several {
			labels[f.label] = true
		}
		if n.family == icmpcore.FamilyIPv6 && len(labels) != 42 {
			t.Errorf("41 flows, and none, have the labels %v", labels)
		}
	})
}

// flowsOf returns the flows of the requests that arrived, which must be so many.
func flowsOf(t *testing.T, n network, sent int) map[flow]int {
	t.Helper()
	arrived := n.Arrived()
	if len(arrived) != sent {
		t.Errorf("%d requests arrived, of %d", len(arrived), sent)
	}
	flows := map[flow]int{}
	for _, r := range arrived {
		flows[flowOf(r)]++
	}
	return flows
}

// hosts are the rules of ten hosts that answer.
func hosts(f icmpcore.Family) []netsim.Rule {
	var rules []netsim.Rule
	for i := range 10 {
		rules = append(rules, netsim.Rule{Prefix: prefix(target(f, i))})
	}
	return rules
}
