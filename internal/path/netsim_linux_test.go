package path_test

import (
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/integration/netsim"
	"github.com/pingtel/pingtel/internal/path"
)

// routers returns n routers in a row.
func routers(n int) []netip.Addr {
	var hops []netip.Addr
	for i := range n {
		hops = append(hops, netip.AddrFrom4([4]byte{198, 18, 200, byte(1 + i)}))
	}
	return hops
}

func open(t *testing.T, rate int) *icmpcore.Pinger {
	t.Helper()
	p, err := icmpcore.Open(icmpcore.Config{MaxRate: rate})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return p
}

func trace(p path.Prober, to netip.Addr, o path.Options) *path.Trace {
	done := make(chan *path.Trace, 1)
	path.Go(p, icmpcore.Target{Addr: to}, o, func(t *path.Trace) { done <- t })
	return <-done
}

// TestPaths traces hosts of which each is behind a path of its own.
func TestPaths(t *testing.T) {
	silent := routers(6)
	silent[2] = netip.Addr{}
	var long []netip.Addr
	for i := range 29 {
		long = append(long, netip.AddrFrom4([4]byte{198, 18, 201, byte(1 + i)}))
	}
	for _, tt := range []struct {
		name  string
		rule  netsim.Rule
		hops  int // known before
		route string
		cause path.Cause
		text  string
		most  int // echoes in all
	}{
		{"all answer", netsim.Rule{Hops: netsim.Routers(routers(6)...), Delay: 5 * time.Millisecond}, 0,
			"198.18.200.1 198.18.200.2 198.18.200.3 198.18.200.4 198.18.200.5 198.18.200.6 198.18.1.1",
			path.None, "the target answers, 7 hops away", 21},
		{"a silent hop", netsim.Rule{Hops: netsim.Routers(silent...)}, 0,
			"198.18.200.1 198.18.200.2 * 198.18.200.4 198.18.200.5 198.18.200.6 198.18.1.1", path.None, "the target answers, 7 hops away", 21},
		{"the target is silent", netsim.Rule{Hops: netsim.Routers(routers(6)...), Answer: netsim.Lost}, 0,
			"198.18.200.1 198.18.200.2 198.18.200.3 198.18.200.4 198.18.200.5 198.18.200.6",
			path.SilentBeyond, "nothing answers beyond hop 6, 198.18.200.6", 40},
		{"the way back is shorter", netsim.Rule{Hops: netsim.Routers(routers(6)...), TTL: 64 + 3}, 3,
			"198.18.200.1 198.18.200.2 198.18.200.3 198.18.200.4 198.18.200.5 198.18.200.6 198.18.1.1", path.None, "the target answers, 7 hops away", 28},
		{"long", netsim.Rule{Hops: netsim.Routers(long...), Answer: netsim.Lost}, 0, "", path.SilentBeyond, "nothing answers beyond hop 29, 198.18.201.29", 110},
		{"unreachable", netsim.Rule{Hops: netsim.Routers(routers(4)...), Answer: netsim.Fail(routers(4)[3], netsim.Error{Kind: netsim.DestinationUnreachable, Code: 1})}, 0,
			"198.18.200.1 198.18.200.2 198.18.200.3 198.18.200.4", path.Unreachable, "hop 4, 198.18.200.4 reports: host unreachable", 70},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.rule.Prefix = netip.PrefixFrom(target4, 32)
			netsim.Run(t, []netsim.Rule{tt.rule}, func(t *testing.T, n *netsim.Net) {
				tr := trace(open(t, 0), target4, path.Options{Hops: tt.hops, Echoes: icmpcore.Options{Timeout: 2 * time.Second}})
				v := path.Judge(tr, nil, path.Series{})
				route := tr.Route()
				if got := route.String(); got != tt.route && tt.route != "" {
					t.Errorf("route %s, want %s", got, tt.route)
				}
				if v.Cause != tt.cause || v.Text != tt.text {
					t.Errorf("verdict %s: %s, want %s: %s", v.Cause, v.Text, tt.cause, tt.text)
				}
				arrived := n.Arrived()
				if len(arrived) > tt.most || len(arrived) != tr.Sent {
					t.Errorf("%d echoes arrived, %d were counted, want %d at most", len(arrived), tr.Sent, tt.most)
				}
				for _, r := range arrived {
					if r.ID != arrived[0].ID || r.Sum != arrived[0].Sum {
						t.Fatalf("id %d and checksum %x beside %d and %x", r.ID, r.Sum, arrived[0].ID, arrived[0].Sum)
					}
				}
				t.Logf("%v", tr.Duration)
			})
		})
	}
}

// TestThousand traces a thousand hosts at once, at the default rate.
func TestThousand(t *testing.T) {
	const hosts = 1000
	rule := netsim.Rule{Prefix: netip.MustParsePrefix("198.18.0.0/17"), Hops: netsim.Routers(routers(6)...), Delay: 10 * time.Millisecond}
	netsim.Run(t, []netsim.Rule{rule}, func(t *testing.T, n *netsim.Net) {
		p := open(t, 0)
		var wg sync.WaitGroup
		wg.Add(hosts)
		var mu sync.Mutex
		wrong := 0
		start := time.Now()
		for i := range hosts {
			to := netip.AddrFrom4([4]byte{198, 18, byte(1 + i/250), byte(1 + i%250)})
			path.Go(p, icmpcore.Target{Addr: to}, path.Options{}, func(tr *path.Trace) {
				defer wg.Done()
				mu.Lock()
				defer mu.Unlock()
				route := tr.Route()
				if want := "198.18.200.1 198.18.200.2 198.18.200.3 198.18.200.4 198.18.200.5 198.18.200.6 " + to.String(); route.String() != want || tr.EndReceived != 3 {
					if wrong++; wrong < 5 {
						t.Errorf("%s: %s, %d of %d", to, route.String(), tr.EndReceived, tr.EndSent)
					}
				}
			})
		}
		wg.Wait()
		took, arrived := time.Since(start), n.Arrived()
		if sent := p.Stats().Sent; sent > hosts*21 || int(sent) != len(arrived) {
			t.Errorf("%d echoes, of which %d arrived, want 3 to each of 7 hops of %d hosts", sent, len(arrived), hosts)
		}
		last := arrived[len(arrived)-1].At - arrived[0].At
		fromRate := time.Duration(len(arrived)) * time.Second / icmpcore.DefaultMaxRate
		idle := time.Duration(0) // times without an echo, longer than the pacer makes up for
		for i := range arrived[1:] {
			if gap := arrived[i+1].At - arrived[i].At; gap > 5*time.Millisecond {
				idle += gap - 5*time.Millisecond
			}
		}
		t.Logf("%d traces took %v: %d echoes, %v at the rate; the last one was sent %v after the first, and %v were lost in gaps over 5ms", hosts, took, len(arrived), fromRate, last, idle)
	})
}
