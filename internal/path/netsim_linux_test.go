package path_test

import (
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/integration/netsim"
	"github.com/pingtel/pingtel/internal/path"
)

var target4 = netip.MustParseAddr("198.18.1.1")

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

// TestMTU finds the MTU of paths with and without reports.
func TestMTU(t *testing.T) {
	gate := func(mtu int, report bool) netsim.Answer {
		return func(r netsim.Request) []netsim.Packet {
			switch {
			case r.Size <= mtu:
				return netsim.True(r)
			case report:
				return netsim.Fail(routers(6)[3], netsim.Error{Kind: netsim.PacketTooBig, Info: uint32(mtu)})(r)
			}
			return nil
		}
	}
	nested := func(r netsim.Request) []netsim.Packet {
		if r.Size > 1400 {
			return gate(1400, true)(r)
		}
		return gate(1300, true)(r)
	}
	mixed := func(r netsim.Request) []netsim.Packet {
		if r.Size > 1400 {
			return gate(1400, true)(r)
		}
		return gate(1399, false)(r)
	}
	type test struct {
		name   string
		answer netsim.Answer
		want   path.MTU
		text   string
	}
	tests := []test{
		{"whole", nil, path.MTU{Size: 1500, Exact: true, Interface: 1500}, "the target answers, 7 hops away"},
		{"reported", gate(1400, true), path.MTU{Size: 1400, Exact: true, Interface: 1500, Reported: true, Hop: 4, From: routers(4)[3]},
			"the path takes packets of at most 1400 bytes: hop 4, 198.18.200.4 reports that they are too big for the next link"},
		{"reported twice", nested, path.MTU{Size: 1300, Exact: true, Interface: 1500, Reported: true, Hop: 4, From: routers(4)[3]}, ""},
		{"reported wrongly", mixed, path.MTU{Size: 1399, Exact: true, Interface: 1500, Hop: 6, From: routers(6)[5]}, ""},
		{"black hole", gate(1280, false), path.MTU{Size: 1280, Exact: true, Interface: 1500, Hop: 6, From: routers(6)[5]},
			"larger packets than 1280 bytes get no answer beyond hop 6, 198.18.200.6, and no router reports why: a black hole"},
	}
	for _, size := range []int{84, 85, 576, 1006, 1372, 1373, 1492, 1498, 1499} {
		tests = append(tests, test{fmt.Sprint("black hole ", size), gate(size, false), path.MTU{Size: size, Exact: true, Interface: 1500, Hop: 6, From: routers(6)[5]}, ""})
	}
	var rules []netsim.Rule
	to := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{198, 18, 1, byte(1 + i)}) }
	for i, tt := range tests {
		rules = append(rules, netsim.Rule{Prefix: netip.PrefixFrom(to(i), 32), Hops: netsim.Routers(routers(6)...), Answer: tt.answer})
	}
	netsim.Run(t, rules, func(t *testing.T, n *netsim.Net) {
		p := open(t, 0)
		for i, tt := range tests {
			tr := trace(p, to(i), path.Options{MTU: 1500, Echoes: icmpcore.Options{Timeout: 2 * time.Second}})
			if tr.MTU == nil || *tr.MTU != tt.want {
				t.Errorf("%s: MTU %+v, want %+v (%v)", tt.name, tr.MTU, tt.want, tr.Err)
			}
			v := path.Judge(tr, nil, path.Series{})
			if bounded := tt.want.Size < 1500; bounded != (v.Cause == path.TooLarge) || tt.text != "" && v.Text != tt.text {
				t.Errorf("%s: %s: %s", tt.name, v.Cause, v.Text)
			}
			t.Log(tt.name, tr.Sent, tr.Duration)
		}
	})
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
		if sent := p.Stats().Sent; sent > hosts*21 {
			t.Errorf("%d echoes, want 3 to each of 7 hops of %d hosts", sent, hosts)
		}
		t.Logf("%d traces took %v", hosts, time.Since(start))
	})
}
