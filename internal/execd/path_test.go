package execd

import (
	"net/netip"
	"testing"
	"time"

	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/internal/monitor"
	"github.com/pingtel/pingtel/internal/output"
	"github.com/pingtel/pingtel/internal/path"
)

// TestPathLine: a path has the tags of its target's results, and no field for what is not
// known.
func TestPathLine(t *testing.T) {
	addr, first := netip.MustParseAddr("198.18.1.1"), netip.MustParseAddr("198.18.200.1")
	target := &monitor.Target{Target: config.Target{Host: "h.example", Probe: &config.Probe{Tags: []config.Tag{{Key: "site", Value: "lab 1"}}}}}
	hop := path.Hop{TTL: 1, From: []path.Address{{Addr: first, Answers: 3, Proven: true}}, Sent: 3, Answers: 3}
	reached := &path.Trace{
		Addr: addr, Reached: true, Sent: 7, EndSent: 4, EndReceived: 4, MTU: &path.MTU{Size: 1400},
		Hops: []path.Hop{hop, {TTL: 2, From: []path.Address{{Addr: addr, Answers: 4, Proven: true}}, Sent: 4, Answers: 4, Target: true}},
	}
	cut := &path.Trace{Addr: addr, Sent: 9, EndSent: 6, Hops: []path.Hop{hop}}
	at := time.Unix(1, 5)
	for _, tt := range []struct {
		name string
		p    output.Path
		want string
	}{
		{"reached", output.Path{Trace: reached, Route: reached.Route(), At: at, Before: &path.Route{Hops: []netip.Addr{addr}}, Verdict: path.Verdict{LastHop: 2, LastAddress: addr, Text: "the target answers, 2 hops away"}},
			`ping_path,address=198.18.1.1,site=lab\ 1,url=h.example hops=2i,path="198.18.200.1 198.18.1.1",path_id="` + id(reached) + `",mtu=1400i,previous_path_id="` + (&path.Route{Hops: []netip.Addr{addr}}).ID() + `",last_hop=2i,last_address="198.18.1.1",verdict="the target answers, 2 hops away" 1000000005`},
		{"not reached", output.Path{Trace: cut, Route: cut.Route(), At: at, Verdict: path.Verdict{LastHop: 1, LastAddress: first, Text: "nothing answers beyond hop 1, 198.18.200.1"}},
			`ping_path,address=198.18.1.1,site=lab\ 1,url=h.example path="198.18.200.1",last_hop=1i,last_address="198.18.200.1",verdict="nothing answers beyond hop 1, 198.18.200.1" 1000000005`},
		{"joined", output.Path{Route: reached.Route(), At: at, Verdict: path.Verdict{LastHop: 1, LastAddress: first, Text: "as \"another\""}},
			`ping_path,address=198.18.1.1,site=lab\ 1,url=h.example last_hop=1i,last_address="198.18.200.1",verdict="as \"another\"" 1000000005`},
	} {
		line, err := appendPath(nil, "ping_path", target, &tt.p)
		if err != nil || string(line) != tt.want+"\n" {
			t.Errorf("%s: %v\n%swant\n%s", tt.name, err, line, tt.want)
		}
	}
}

func id(t *path.Trace) string {
	r := t.Route()
	return r.ID()
}
