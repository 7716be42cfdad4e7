package path_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/integration/netsim"
	"github.com/pingtel/pingtel/internal/path"
)

// gate lets packets through up to a size, and reports mtu of larger ones, nothing if that
// is negative.
func gate(size int, mtu int64, from netip.Addr) netsim.Answer {
	return func(r netsim.Request) []netsim.Packet {
		switch {
		case r.Size <= size:
			return netsim.True(r)
		case mtu >= 0:
			return netsim.Fail(from, netsim.Error{Kind: netsim.PacketTooBig, Info: uint32(mtu)})(r)
		}
		return nil
	}
}

// mtuTest is a path and the MTU that the search must find on it.
type mtuTest struct {
	name   string
	answer netsim.Answer
	want   path.MTU
	text   string
}

// searched searches for the MTU of each path.
func searched(t *testing.T, tests []mtuTest, hops []netip.Addr, to func(int) netip.Addr) {
	var rules []netsim.Rule
	for i, tt := range tests {
		rules = append(rules, netsim.Rule{Prefix: netip.PrefixFrom(to(i), to(i).BitLen()), Hops: netsim.Routers(hops...), Answer: tt.answer})
	}
	netsim.Run(t, rules, func(t *testing.T, n *netsim.Net) {
		p := open(t, 0)
		for i, tt := range tests {
			tt.want.Interface, tt.want.Exact = 1500, tt.want.Size > 0
			tt.want.Least = 68
			if to(i).Is6() {
				tt.want.Least = 1280
			}
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

// TestMTU finds the MTU of paths with and without reports, of which some are wrong.
func TestMTU(t *testing.T) {
	hops := routers(6)
	by := hops[3]
	reported := func(size int) path.MTU { return path.MTU{Size: size, Reported: true, Hop: 4, From: by} }
	hole := func(size int) path.MTU { return path.MTU{Size: size, Hop: 6, From: hops[5]} }
	// two is a path on which the limit for packets over 1400 bytes is another one.
	two := func(size int, mtu int64) netsim.Answer {
		return func(r netsim.Request) []netsim.Packet {
			if r.Size > 1400 {
				return gate(1400, 1400, by)(r)
			}
			return gate(size, mtu, by)(r)
		}
	}
	tests := []mtuTest{
		{"whole", nil, path.MTU{Size: 1500}, "the target answers, 7 hops away"},
		{"reported", gate(1400, 1400, by), reported(1400),
			"the path takes packets of at most 1400 bytes: hop 4, 198.18.200.4 reports that they are too big for the next link"},
		{"reported twice", two(1300, 1300), reported(1300), ""},
		{"one byte more than the next limit", two(1399, -1), hole(1399), ""},
		{"reported as 0", gate(1400, 0, by), reported(1400), ""},
		{"reported as 67", gate(1400, 67, by), reported(1400), ""},
		{"reported as 68", gate(1400, 68, by), reported(1400), ""},
		{"reported as 576", gate(1400, 576, by), reported(1400), ""},
		{"reported as one less", gate(1400, 1399, by), reported(1400), ""},
		{"reported as one more", gate(1400, 1401, by), reported(1400), ""},
		{"reported as the size sent", gate(1400, 1500, by), reported(1400), ""},
		{"reported as 65535", gate(1400, 65535, by), reported(1400), ""},
		{"black hole", gate(1280, -1, by), hole(1280),
			"larger packets than 1280 bytes get no answer beyond hop 6, 198.18.200.6, and no router reports why: a black hole"},
	}
	for _, size := range []int{84, 85, 576, 1006, 1372, 1373, 1492, 1498, 1499} {
		tests = append(tests, mtuTest{fmt.Sprint("black hole ", size), gate(size, -1, by), hole(size), ""})
	}
	searched(t, tests, hops, func(i int) netip.Addr { return netip.AddrFrom4([4]byte{198, 18, 1, byte(1 + i)}) })
}

// TestMTU6 does the same over IPv6, where no path takes less than 1280 bytes.
func TestMTU6(t *testing.T) {
	var hops []netip.Addr
	for i := range 3 {
		hops = append(hops, netip.MustParseAddr(fmt.Sprintf("2001:db8:200::%d", i+1)))
	}
	by := hops[1]
	reported := func(size int) path.MTU { return path.MTU{Size: size, Reported: true, Hop: 2, From: by} }
	hole := func(size int) path.MTU { return path.MTU{Size: size, Hop: 3, From: hops[2]} }
	searched(t, []mtuTest{
		{"whole", nil, path.MTU{Size: 1500}, "the target answers, 4 hops away"},
		{"reported", gate(1280, 1280, by), reported(1280), ""},
		{"reported as 1279", gate(1280, 1279, by), reported(1280), ""},
		{"reported as 600", gate(1400, 600, by), reported(1400), ""},
		{"reported as 0", gate(1400, 0, by), reported(1400), ""},
		{"reported as four gigabytes", gate(1400, 1<<32-1, by), reported(1400), ""},
		{"black hole", gate(1280, -1, by), hole(1280), ""},
		{"black hole of one byte", gate(1499, -1, by), hole(1499), ""},
		{"less than IPv6 allows", gate(1279, -1, by), path.MTU{}, "packets of 1280 to 1500 bytes that must not be fragmented get no answer"},
	}, hops, func(i int) netip.Addr { return netip.MustParseAddr(fmt.Sprintf("2001:db8:1::%d", i+1)) })
}

// TestMTULoss searches where chance loses a part of all packets, whatever their size: no
// size is said to be too large that is not.
func TestMTULoss(t *testing.T) {
	const each = 12
	type world struct {
		loss float64
		size int
		mtu  int64 // reported
	}
	worlds := []world{{0.1, 1500, -1}, {0.3, 1500, -1}, {0.6, 1500, -1}, {0.1, 1400, -1}, {0.3, 1400, -1}, {0.3, 1400, 1400}, {0.6, 1400, -1}}
	to := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{198, 18, 2, byte(1 + i)}) }
	var rules []netsim.Rule
	for i := range each * len(worlds) {
		w := worlds[i/each]
		rules = append(rules, netsim.Rule{Prefix: netip.PrefixFrom(to(i), 32), Hops: netsim.Routers(routers(3)...), Loss: w.loss, Answer: gate(w.size, w.mtu, routers(3)[2])})
	}
	netsim.Run(t, rules, func(t *testing.T, n *netsim.Net) {
		p := open(t, -1)
		traces := make([]chan *path.Trace, len(rules))
		for i := range traces {
			traces[i] = make(chan *path.Trace, 1)
			path.Go(p, icmpcore.Target{Addr: to(i)}, path.Options{MTU: 1500, Echoes: icmpcore.Options{Timeout: 2 * time.Second}},
				func(tr *path.Trace) { traces[i] <- tr })
		}
		exact, unknown := make([]int, len(worlds)), make([]int, len(worlds))
		for i := range traces {
			tr, w := <-traces[i], worlds[i/each]
			switch m := tr.MTU; {
			case !tr.Reached:
				unknown[i/each]++
			case m == nil:
				t.Errorf("loss %g, MTU %d: %v", w.loss, w.size, tr.Err)
			case m.Known() == w.size:
				exact[i/each]++
			case (m.Lossy || !m.Exact && m.Size > w.size-20) && m.Size <= w.size:
				unknown[i/each]++
			default:
				t.Errorf("loss %g, MTU %d: %+v", w.loss, w.size, *m)
			}
			if v := path.Judge(tr, nil, path.Series{}); v.Cause == path.TooLarge && w.size == 1500 {
				t.Errorf("loss %g: %s", w.loss, v.Text)
			}
		}
		for i, w := range worlds {
			t.Logf("loss %g, MTU %d, reported as %d: %d exact, %d unknown", w.loss, w.size, w.mtu, exact[i], unknown[i])
			if w.loss <= 0.3 && exact[i] < each*2/3 {
				t.Errorf("loss %g, MTU %d: only %d of %d are exact", w.loss, w.size, exact[i], each)
			}
		}
	})
}
