package integration

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/integration/netsim"
)

const ms = time.Millisecond

// sockets are the kinds of socket and families that every test of the engine
// goes through.
var sockets = []struct {
	kind   icmpcore.SocketKind
	family icmpcore.Family
}{
	{icmpcore.SocketRaw, icmpcore.FamilyIPv4},
	{icmpcore.SocketRaw, icmpcore.FamilyIPv6},
	{icmpcore.SocketDatagram, icmpcore.FamilyIPv4},
	{icmpcore.SocketDatagram, icmpcore.FamilyIPv6},
}

// host returns the i-th simulated host of a family, router one that reports.
func host(f icmpcore.Family, i int) netip.Addr {
	if f == icmpcore.FamilyIPv4 {
		return netip.AddrFrom4([4]byte{198, 18, byte(1 + i/250), byte(1 + i%250)})
	}
	a := netip.MustParseAddr("2001:db8:1::").As16()
	a[14], a[15] = byte(1+i/250), byte(1+i%250)
	return netip.AddrFrom16(a)
}

func router(f icmpcore.Family) netip.Addr {
	if f == icmpcore.FamilyIPv4 {
		return netip.MustParseAddr("198.18.255.1")
	}
	return netip.MustParseAddr("2001:db8:ffff::1")
}

func prefix(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }

// open opens a Pinger of a kind that the test closes.
func open(t *testing.T, cfg icmpcore.Config) *icmpcore.Pinger {
	t.Helper()
	p, err := icmpcore.Open(cfg)
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

func ping(t *testing.T, p *icmpcore.Pinger, to netip.Addr, o icmpcore.Options) icmpcore.PingResult {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r, err := p.Ping(ctx, to.String(), o)
	if err != nil {
		t.Fatalf("%s: %v", to, err)
	}
	return r
}

// behaviour is one simulated host and what its figures must be.
type behaviour struct {
	name  string
	rule  netsim.Rule // without its prefix
	opts  icmpcore.Options
	want  icmpcore.PingResult // counts and reply fields; Sent is Count
	kind  icmpcore.ErrorKind  // of every error in want.Errors
	code  int
	mtu   int
	anyOf bool // corrupt on a socket that lets the process see it, else lost
	deaf  bool // the kernel does not report it to IPv4 datagram sockets
}

// TestWhatIsOurs goes through the rules of what counts as a reply, over real
// sockets: ten echoes each, at the same time.
func TestWhatIsOurs(t *testing.T) {
	all := func(p ...netsim.Packet) netsim.Answer { return netsim.Packets(p...) }
	edit := func(e netsim.Edit) netsim.Answer { return all(netsim.Packet{Edit: e}) }
	tos := uint8(34 << 2)
	got10 := icmpcore.PingResult{Received: 10, TTL: 64, Hops: 1}
	none := icmpcore.PingResult{}
	with := func(r icmpcore.PingResult, f func(*icmpcore.PingResult)) icmpcore.PingResult { f(&r); return r }
	behaviours := []behaviour{
		{name: "true", want: got10},
		{name: "slow", rule: netsim.Rule{Delay: 30 * ms}, want: got10},
		{name: "loss of three", rule: netsim.Rule{Answer: netsim.Only(netsim.Lost, 1, 4, 7)},
			want: with(got10, func(r *icmpcore.PingResult) { r.Received = 7 })},
		{name: "down", rule: netsim.Rule{Answer: netsim.Lost}, want: none},
		{name: "duplicates", rule: netsim.Rule{Answer: netsim.Only(all(netsim.Packet{}, netsim.Packet{}, netsim.Packet{}), 2, 5)},
			want: with(got10, func(r *icmpcore.PingResult) { r.Duplicates = 4 })},
		{name: "late", opts: icmpcore.Options{Timeout: 500 * ms}, rule: netsim.Rule{Answer: func(r netsim.Request) []netsim.Packet {
			switch r.N {
			case 1:
				return []netsim.Packet{{After: 600 * ms}}
			case 9:
				return nil // the series runs until the timeout of this one
			}
			return netsim.True(r)
		}}, want: with(got10, func(r *icmpcore.PingResult) { r.Received, r.Late = 8, 1 })},
		{name: "reordered", rule: netsim.Rule{Answer: netsim.Only(all(netsim.Packet{Behind: 1}), 3, 6)},
			want: with(got10, func(r *icmpcore.PingResult) { r.Reordered = 2 })},
		{name: "TTL", rule: netsim.Rule{TTL: 121}, want: with(got10, func(r *icmpcore.PingResult) { r.TTL, r.Hops = 121, 8 })},
		{name: "DSCP kept", opts: icmpcore.Options{DSCP: 46}, want: with(got10, func(r *icmpcore.PingResult) { r.ReplyDSCP = 46 })},
		{name: "DSCP rewritten", rule: netsim.Rule{TOS: &tos}, opts: icmpcore.Options{DSCP: 46},
			want: with(got10, func(r *icmpcore.PingResult) { r.ReplyDSCP = 34 })},
		{name: "IP options", rule: netsim.Rule{Answer: all(netsim.Packet{Options: []byte{0, 0, 0, 0}})}, want: got10},
		{name: "large", opts: icmpcore.Options{Size: 60000}, want: got10},
		{name: "smallest", opts: icmpcore.Options{Size: 8}, want: got10},
		{name: "another host", rule: netsim.Rule{Answer: func(r netsim.Request) []netsim.Packet {
			return []netsim.Packet{{From: r.Dst.Next()}}
		}}, want: none},
		{name: "wrong id", rule: netsim.Rule{Answer: edit(netsim.WrongID)}, want: none},
		{name: "wrong seq", rule: netsim.Rule{Answer: edit(netsim.WrongSeq)}, want: none},
		{name: "wrong cookie", rule: netsim.Rule{Answer: edit(netsim.WrongCookie)}, want: none},
		{name: "wrong payload", rule: netsim.Rule{Answer: edit(netsim.WrongPayload)}, want: icmpcore.PingResult{Corrupt: 10}},
		{name: "truncated", rule: netsim.Rule{Answer: edit(netsim.Keep(8 + 20))}, want: icmpcore.PingResult{Corrupt: 10}},
		{name: "cut in the cookie", rule: netsim.Rule{Answer: edit(netsim.Keep(8 + 7))}, want: none},
		{name: "longer", rule: netsim.Rule{Answer: edit(netsim.Grow(3))}, want: icmpcore.PingResult{Corrupt: 10}},
		{name: "much longer", rule: netsim.Rule{Answer: edit(netsim.Grow(9000))}, want: icmpcore.PingResult{Corrupt: 10}},
		{name: "wrong checksum", rule: netsim.Rule{Answer: all(netsim.Packet{BadSum: true})}, want: icmpcore.PingResult{Corrupt: 10}, anyOf: true},
		{name: "request reflected", rule: netsim.Rule{Answer: edit(netsim.Reflected)}, want: none},
		{name: "200 forged first", rule: netsim.Rule{Answer: netsim.Forged(200, netsim.WrongCookie)}, want: got10},
		{name: "forged source first", rule: netsim.Rule{Answer: func(r netsim.Request) []netsim.Packet {
			return []netsim.Packet{{From: r.Dst.Next()}, {}}
		}}, want: got10},
		{name: "forged error first", rule: netsim.Rule{Answer: func(r netsim.Request) []netsim.Packet {
			e := netsim.Error{Kind: netsim.DestinationUnreachable, Code: 1, Quote: netsim.Quote{Bytes: 8}}
			return []netsim.Packet{{Error: &e}, {After: ms}}
		}}, want: got10},
	}
	runBehaviours(t, behaviours)
}

// TestErrors goes through every ICMP error with whole and with short quotes.
func TestErrors(t *testing.T) {
	var behaviours []behaviour
	add := func(name string, e netsim.Error, kind icmpcore.ErrorKind, mtu int) {
		for _, quote := range []netsim.Quote{{}, {Bytes: 8}} {
			e.Quote = quote
			n := fmt.Sprintf("%s code %d", name, e.Code)
			if quote.Bytes == 8 {
				n += ", eight bytes quoted"
			}
			behaviours = append(behaviours, behaviour{name: n, kind: kind, code: int(e.Code), mtu: mtu,
				deaf: kind == icmpcore.TimeExceeded && e.Code == 1,
				rule: netsim.Rule{Answer: func(r netsim.Request) []netsim.Packet {
					from := router(icmpcore.FamilyIPv4)
					if r.Dst.Is6() {
						from = router(icmpcore.FamilyIPv6)
					}
					return netsim.Fail(from, e)(r)
				}},
				want: icmpcore.PingResult{Errors: make([]icmpcore.EchoError, 10)}})
		}
	}
	for _, code := range []uint8{0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15} {
		add("unreachable", netsim.Error{Kind: netsim.DestinationUnreachable, Code: code}, icmpcore.DestinationUnreachable, 0)
	}
	for _, code := range []uint8{0, 1} {
		add("exceeded", netsim.Error{Kind: netsim.TimeExceeded, Code: code}, icmpcore.TimeExceeded, 0)
	}
	add("too big", netsim.Error{Kind: netsim.PacketTooBig, Info: 1400}, icmpcore.PacketTooBig, 1400)
	for code := range uint8(11) {
		add("parameter", netsim.Error{Kind: netsim.ParameterProblem, Code: code}, icmpcore.ParameterProblem, 0)
	}
	// Quotes of what we never sent are nobody's errors.
	for name, e := range map[string]netsim.Edit{"other destination": netsim.OtherDst, "other id": netsim.OtherID, "other seq": netsim.OtherSeq} {
		behaviours = append(behaviours, behaviour{name: "error, " + name, want: icmpcore.PingResult{},
			rule: netsim.Rule{Answer: netsim.Fail(netip.Addr{}, netsim.Error{
				Kind: netsim.DestinationUnreachable, Code: 1, Quote: netsim.Quote{Edit: e}})}})
	}
	runBehaviours(t, behaviours)
}

// runBehaviours pings a host of each behaviour at once, on every socket.
func runBehaviours(t *testing.T, behaviours []behaviour) {
	for _, s := range sockets {
		t.Run(fmt.Sprintf("%s %s", s.kind, s.family), func(t *testing.T) {
			var rules []netsim.Rule
			for i, b := range behaviours {
				rule := b.rule
				rule.Prefix = prefix(host(s.family, 2*i))
				rules = append(rules, rule)
			}
			netsim.Run(t, rules, func(t *testing.T, _ *netsim.Net) {
				p := open(t, icmpcore.Config{Socket: s.kind})
				results := make([]chan icmpcore.PingResult, len(behaviours))
				for i, b := range behaviours {
					results[i] = make(chan icmpcore.PingResult, 1)
					o := b.opts
					o.Count, o.Interval = 10, 20*ms
					if o.Timeout == 0 {
						o.Timeout = time.Second
					}
					_, err := p.Go(icmpcore.Target{Addr: host(s.family, 2*i)}, o, func(r icmpcore.PingResult) { results[i] <- r })
					if err != nil {
						t.Fatal(err)
					}
				}
				for i, b := range behaviours {
					t.Run(b.name, func(t *testing.T) { b.check(t, <-results[i], s.kind, s.family) })
				}
			})
		})
	}
}

// check compares a result with what the behaviour must give.
func (b behaviour) check(t *testing.T, r icmpcore.PingResult, kind icmpcore.SocketKind, f icmpcore.Family) {
	t.Helper()
	want := b.want
	if b.anyOf && (kind == icmpcore.SocketDatagram || f == icmpcore.FamilyIPv6) {
		want.Corrupt = 0 // the kernel has thrown it away
	}
	if b.deaf && kind == icmpcore.SocketDatagram && f == icmpcore.FamilyIPv4 {
		want.Errors = nil
	}
	if r.Err != nil || r.Sent != 10 || r.Received != want.Received || len(r.RTTs) != want.Received {
		t.Errorf("sent %d received %d error %v, want 10 %d", r.Sent, r.Received, r.Err, want.Received)
	}
	if r.Duplicates != want.Duplicates || r.Late != want.Late || r.Reordered != want.Reordered || r.Corrupt != want.Corrupt {
		t.Errorf("duplicates %d late %d reordered %d corrupt %d, want %d %d %d %d",
			r.Duplicates, r.Late, r.Reordered, r.Corrupt, want.Duplicates, want.Late, want.Reordered, want.Corrupt)
	}
	if r.TTL != want.TTL || r.Hops != want.Hops || r.ReplyDSCP != want.ReplyDSCP {
		t.Errorf("TTL %d hops %d DSCP %d, want %d %d %d", r.TTL, r.Hops, r.ReplyDSCP, want.TTL, want.Hops, want.ReplyDSCP)
	}
	if want.Received > 0 && r.Timestamps != icmpcore.TimestampsKernel || r.Socket != kind {
		t.Errorf("timestamps %s socket %s, want kernel %s", r.Timestamps, r.Socket, kind)
	}
	for _, rtt := range r.RTTs {
		if rtt < b.rule.Delay || rtt > time.Minute {
			t.Errorf("RTT %v with a delay of %v", rtt, b.rule.Delay)
		}
	}
	if len(r.Errors) != len(want.Errors) {
		t.Fatalf("%d errors, want %d: %+v", len(r.Errors), len(want.Errors), r.Errors)
	}
	for _, e := range r.Errors {
		wantCode := b.code
		if b.kind == icmpcore.PacketTooBig && f == icmpcore.FamilyIPv4 {
			wantCode = 4
		}
		if e.Kind != b.kind || e.Code != wantCode || e.MTU != b.mtu || e.From != router(f) || e.Message == "" {
			t.Errorf("error %+v, want %s code %d MTU %d from %s", e, b.kind, wantCode, b.mtu, router(f))
		}
	}
}

// TestHops sends with small TTLs through a path of routers.
func TestHops(t *testing.T) {
	for _, s := range sockets {
		t.Run(fmt.Sprintf("%s %s", s.kind, s.family), func(t *testing.T) {
			hops := []netip.Addr{router(s.family), router(s.family).Next(), router(s.family).Next().Next()}
			target := host(s.family, 0)
			netsim.Run(t, []netsim.Rule{{Prefix: prefix(target), Hops: netsim.Routers(hops...)}}, func(t *testing.T, n *netsim.Net) {
				p := open(t, icmpcore.Config{Socket: s.kind})
				for ttl := 1; ttl <= 3; ttl++ {
					r := ping(t, p, target, icmpcore.Options{TTL: ttl})
					var expired *icmpcore.EchoError
					if err := r.Failure(); !errors.As(err, &expired) || expired.Kind != icmpcore.TimeExceeded || expired.From != hops[ttl-1] {
						t.Errorf("TTL %d: %v, want time exceeded from %s", ttl, err, hops[ttl-1])
					}
				}
				if r := ping(t, p, target, icmpcore.Options{TTL: 4}); r.Received != 1 || r.Hops != 4 || r.TTL != 61 {
					t.Errorf("TTL 4: received %d, hops %d, TTL %d", r.Received, r.Hops, r.TTL)
				}
				for i, a := range n.Arrived() {
					if int(a.TTL) != i+1 {
						t.Errorf("request %d left with TTL %d", i, a.TTL)
					}
				}
			})
		})
	}
}

// TestWhatIsSent looks at the requests as they arrive.
func TestWhatIsSent(t *testing.T) {
	for _, s := range sockets {
		t.Run(fmt.Sprintf("%s %s", s.kind, s.family), func(t *testing.T) {
			target := host(s.family, 0)
			netsim.Run(t, []netsim.Rule{{Prefix: prefix(target)}}, func(t *testing.T, n *netsim.Net) {
				p := open(t, icmpcore.Config{Socket: s.kind})
				source := n.Alt4
				header := 20
				if s.family == icmpcore.FamilyIPv6 {
					source, header = n.Alt6, 40
				}
				o := icmpcore.Options{Count: 3, Interval: 30 * ms, Size: 100, TTL: 99, DSCP: 10, Source: source,
					Interface: netsim.Interface, DontFragment: true}
				if s.kind == icmpcore.SocketRaw {
					o.Mark = 7
				} else if s.family == icmpcore.FamilyIPv6 {
					_, err := p.Ping(t.Context(), target.String(), o)
					var refused *icmpcore.OptionError
					if !errors.As(err, &refused) || refused.Field != "source" {
						t.Errorf("source on an IPv6 datagram socket: %v, want an OptionError", err)
					}
					o.Source, source = netip.Addr{}, n.Addr6
				}
				if r := ping(t, p, target, o); r.Received != 3 {
					t.Errorf("received %d of 3", r.Received)
				}
				if r := ping(t, p, target, icmpcore.Options{}); r.Received != 1 {
					t.Error("the series after lost its echo")
				}
				got := n.Arrived()
				if len(got) != 4 {
					t.Fatalf("%d requests arrived", len(got))
				}
				for i, a := range got[:3] {
					if a.Size != header+8+100 || a.TTL != 99 || a.TOS != 40 || a.Src != source || !a.DF {
						t.Errorf("request %d: size %d TTL %d TOS %d from %s DF %v", i, a.Size, a.TTL, a.TOS, a.Src, a.DF)
					}
					if i > 0 && (a.Seq != got[i-1].Seq+1 || a.ID != got[0].ID) {
						t.Errorf("request %d: id %d seq %d after id %d seq %d", i, a.ID, a.Seq, got[i-1].ID, got[i-1].Seq)
					}
				}
				if a := got[3]; a.TOS != 0 || a.TTL != 64 || a.Src == n.Alt4 || a.Src == n.Alt6 || a.Size != header+8+56 {
					t.Errorf("the series after has TOS %d TTL %d source %s size %d", a.TOS, a.TTL, a.Src, a.Size)
				}
			})
		})
	}
}
