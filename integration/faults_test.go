//go:build linux

package integration

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/integration/netsim"
)

// eachSocket runs f for each kind of socket and family, each in its own simulated
// network.
func eachSocket(t *testing.T, rules func(icmpcore.Family) []netsim.Rule,
	f func(t *testing.T, n *netsim.Net, p *icmpcore.Pinger, family icmpcore.Family)) {
	for _, s := range sockets {
		t.Run(fmt.Sprintf("%s %s", s.kind, s.family), func(t *testing.T) {
			netsim.Run(t, rules(s.family), func(t *testing.T, n *netsim.Net) {
				f(t, n, open(t, icmpcore.Config{Socket: s.kind, MaxRate: -1}), s.family)
			})
		})
	}
}

func oneHost(f icmpcore.Family) []netsim.Rule { return []netsim.Rule{{Prefix: prefix(host(f, 0))}} }

// TestNoRoute pings an address without a route and one with a route. The first gives
// an error of sending, and does not change the second.
func TestNoRoute(t *testing.T) {
	eachSocket(t, oneHost, func(t *testing.T, _ *netsim.Net, p *icmpcore.Pinger, f icmpcore.Family) {
		lost := netip.MustParseAddr("203.0.113.1")
		if f == icmpcore.FamilyIPv6 {
			lost = netip.MustParseAddr("3fff::1")
		}
		results := make(chan icmpcore.PingResult, 2)
		for _, a := range []netip.Addr{lost, host(f, 0)} {
			_, err := p.Go(icmpcore.Target{Addr: a}, icmpcore.Options{Count: 20, Interval: 2 * ms}, func(r icmpcore.PingResult) { results <- r })
			if err != nil {
				t.Fatal(err)
			}
		}
		for range 2 {
			r := <-results
			if r.Addr != lost {
				if r.Received != 20 || r.Err != nil {
					t.Errorf("the other host: received %d of 20, %v", r.Received, r.Err)
				}
				continue
			}
			var send *icmpcore.SendError
			if !errors.As(r.Err, &send) || !errors.Is(r.Err, syscall.ENETUNREACH) || r.Sent != 0 || len(r.Errors) != 20 {
				t.Errorf("no route: sent %d errors %d, %v, want an ENETUNREACH", r.Sent, len(r.Errors), r.Err)
			}
		}
	})
}

// TestInterfaceDown takes the interface down in the middle of a series and up
// again: the echoes of that time have an error each, the others their reply.
func TestInterfaceDown(t *testing.T) {
	eachSocket(t, oneHost, func(t *testing.T, n *netsim.Net, p *icmpcore.Pinger, f icmpcore.Family) {
		const count = 12
		down, up := make(chan bool), make(chan bool)
		var seen int
		o := icmpcore.Options{Count: count, Interval: 50 * ms, OnEcho: func(e icmpcore.Echo) {
			switch seen++; seen {
			case 4:
				close(down)
			case 8:
				close(up)
			}
		}}
		var series sync.WaitGroup
		var r icmpcore.PingResult
		series.Go(func() { r, _ = p.Ping(t.Context(), host(f, 0).String(), o) }) // r holds the error
		<-down
		if err := n.SetUp(false); err != nil {
			t.Fatal(err)
		}
		<-up
		if err := n.SetUp(true); err != nil {
			t.Fatal(err)
		}
		series.Wait()
		if r.Err != nil || r.Sent+len(r.Errors) != count || r.Received < 4 || len(r.Errors) < 2 || r.Received+len(r.Errors) > count {
			t.Errorf("sent %d received %d errors %d, %v", r.Sent, r.Received, len(r.Errors), r.Err)
		}
		for _, e := range r.Errors {
			if e.Kind != icmpcore.SendFailed || e.Message == "" {
				t.Errorf("error %+v, want one of sending", e)
			}
		}
	})
}

// TestFirewall lets a firewall refuse one target by its address and one by the mark
// of its packets. Only these must have EPERM.
func TestFirewall(t *testing.T) {
	nft, err := exec.LookPath("nft")
	if err != nil {
		t.Skip("integration: nft not installed: apt-get install nftables")
	}
	rules := func(f icmpcore.Family) []netsim.Rule {
		return []netsim.Rule{{Prefix: prefix(host(f, 0))}, {Prefix: prefix(host(f, 1))}, {Prefix: prefix(host(f, 2))}}
	}
	eachSocket(t, rules, func(t *testing.T, _ *netsim.Net, p *icmpcore.Pinger, f icmpcore.Family) {
		match := "ip daddr"
		if f == icmpcore.FamilyIPv6 {
			match = "ip6 daddr"
		}
		script := fmt.Sprintf("add table inet t; add chain inet t o { type filter hook output priority 0; }; add rule inet t o %s %s drop",
			match, host(f, 0))
		if out, err := exec.Command(nft, script).CombinedOutput(); err != nil {
			t.Fatalf("nft: %v: %s", err, out)
		}
		script = "add rule inet t o meta mark 7 drop"
		if out, err := exec.Command(nft, script).CombinedOutput(); err != nil {
			t.Fatalf("nft: %v: %s", err, out)
		}
		results := make(chan icmpcore.PingResult, 3)
		for i := range 3 {
			o := icmpcore.Options{Count: 5, Interval: 5 * ms}
			if i == 2 {
				o.Mark = 7
			}
			if _, err := p.Go(icmpcore.Target{Addr: host(f, i)}, o, func(r icmpcore.PingResult) { results <- r }); err != nil {
				t.Fatal(err)
			}
		}
		for range 3 {
			switch r := <-results; r.Addr {
			case host(f, 0), host(f, 2):
				silent := p.Socket(f) == icmpcore.SocketDatagram && f == icmpcore.FamilyIPv6 // ping_v6_sendmsg drops the refusal
				if refused := errors.Is(r.Err, os.ErrPermission) && r.Sent == 0; !refused && !(silent && r.Sent == 5) || r.Received != 0 {
					t.Errorf("refused host: sent %d, %v, want EPERM", r.Sent, r.Err)
				}
			default:
				if r.Received != 5 || r.Err != nil || r.Timestamps != icmpcore.TimestampsKernel {
					t.Errorf("the other host: received %d of 5, %s stamps, %v", r.Received, r.Timestamps, r.Err)
				}
			}
		}
	})
}

// TestTooLarge sends packets larger than the interface's MTU, with fragmentation
// forbidden and allowed.
func TestTooLarge(t *testing.T) {
	eachSocket(t, oneHost, func(t *testing.T, n *netsim.Net, p *icmpcore.Pinger, f icmpcore.Family) {
		if err := n.SetMTU(1500); err != nil {
			t.Fatal(err)
		}
		_, err := p.Ping(t.Context(), host(f, 0).String(), icmpcore.Options{Size: 3000, DontFragment: true})
		if !errors.Is(err, syscall.EMSGSIZE) {
			t.Errorf("unfragmented: %v, want EMSGSIZE", err)
		}
		if r := ping(t, p, host(f, 0), icmpcore.Options{Size: 3000}); r.Received != 1 {
			t.Errorf("fragmented: received %d of 1", r.Received)
		}
		if r := ping(t, p, host(f, 0), icmpcore.Options{Size: 1400, DontFragment: true}); r.Received != 1 {
			t.Errorf("small: received %d of 1", r.Received)
		}
	})
}

// TestMixedFragmentation sends packets that may be fragmented, packets that may not,
// and packets too short for fragments, at once and in turn.
func TestMixedFragmentation(t *testing.T) {
	const mtu = 1280
	rules := func(f icmpcore.Family) []netsim.Rule {
		return []netsim.Rule{{Prefix: netip.PrefixFrom(host(f, 0), 16)}}
	}
	eachSocket(t, rules, func(t *testing.T, n *netsim.Net, p *icmpcore.Pinger, f icmpcore.Family) {
		if err := n.SetMTU(mtu); err != nil {
			t.Fatal(err)
		}
		kinds := []icmpcore.Options{{Size: 3000}, {Size: 8}, {Size: 1200, DontFragment: true}, {Size: 40}, {Size: 56},
			{Size: 3000, DontFragment: true}, {Size: 1400}, {Size: 8, DontFragment: true}}
		const hosts = 400
		results := make(chan icmpcore.PingResult, hosts)
		forbidden := make(map[netip.Addr]bool)
		for i := range hosts {
			forbidden[host(f, i)] = kinds[i%len(kinds)].DontFragment
			if _, err := p.Go(icmpcore.Target{Addr: host(f, i)}, kinds[i%len(kinds)], func(r icmpcore.PingResult) { results <- r }); err != nil {
				t.Fatal(err)
			}
		}
		refused := 0
		for range hosts {
			r := <-results
			if errors.Is(r.Err, syscall.EMSGSIZE) {
				refused++
			} else if r.Received != 1 {
				t.Errorf("%s: %v", r.Addr, r.Failure())
			}
		}
		arrived := n.Arrived()
		if refused != hosts/len(kinds) || len(arrived) != hosts-refused {
			t.Errorf("%d requests refused, want %d, and %d of %d arrived", refused, hosts/len(kinds), len(arrived), hosts)
		}
		for _, a := range arrived {
			// Packets of up to 68 bytes, which nothing fragments, have the bit or not.
			if df := forbidden[a.Dst]; f == icmpcore.FamilyIPv4 && a.DF != df && (df || a.Size > 68) {
				t.Errorf("%s: %d bytes with DF %v", a.Dst, a.Size, a.DF)
			}
		}
	})
}

// TestNoPathMTUDiscovery: packets that may need fragments have no don't-fragment bit,
// except on request, with any setting of the system.
func TestNoPathMTUDiscovery(t *testing.T) {
	for _, s := range sockets {
		if s.family != icmpcore.FamilyIPv4 {
			continue
		}
		t.Run(s.kind.String(), func(t *testing.T) {
			netsim.Run(t, oneHost(s.family), func(t *testing.T, n *netsim.Net) {
				if err := os.WriteFile("/proc/sys/net/ipv4/ip_no_pmtu_disc", []byte("1"), 0); err != nil {
					t.Fatal(err)
				}
				p := open(t, icmpcore.Config{Socket: s.kind})
				for i, o := range []icmpcore.Options{{Size: 8}, {Size: 8, DontFragment: true}, {Size: 8}, {Size: 100}} {
					ping(t, p, host(s.family, 0), o)
					short := o.Size < 40 // nothing fragments these, and they need no identification
					if got := n.Arrived(); len(got) != i+1 || got[i].DF != (o.DontFragment || short) {
						t.Errorf("%+v: arrived %+v", o, got)
					}
				}
			})
		})
	}
}

// TestNoPermission opens a Pinger in a process without the right to do so.
func TestNoPermission(t *testing.T) {
	if os.Getenv("PINGTEL_TEST_CHILD") == "open" {
		_, err := icmpcore.Open(icmpcore.Config{})
		var refused *icmpcore.PermissionError
		if !errors.As(err, &refused) || !errors.Is(err, os.ErrPermission) {
			fmt.Printf("error is %T: %v\n", err, err)
			os.Exit(1)
		}
		fmt.Println(err)
		os.Exit(0)
	}
	netsim.Run(t, nil, func(t *testing.T, n *netsim.Net) {
		if err := n.AllowDatagram(false); errors.Is(err, errors.ErrUnsupported) {
			t.Skip("netsim: cannot run here: run the tests as root to close datagram sockets")
		} else if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(os.Args[0], "-test.run=^TestNoPermission$")
		cmd.Env = append(os.Environ(), "PINGTEL_TEST_CHILD=open")
		n.Unprivileged(cmd)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		for _, want := range []string{"net.ipv4.ping_group_range=", "on the host"} { // no capability counts below the network's namespace
			if !strings.Contains(string(out), want) {
				t.Errorf("%q does not name the cure %q", out, want)
			}
		}
	})
}

// TestManyAtOnce lets 1,000 goroutines ping the same and different hosts at once, some
// of them by two names. Each host answers after its own delay, so the test sees a
// reply that goes to the wrong series.
func TestManyAtOnce(t *testing.T) {
	const hosts, goroutines = 20, 1000
	rules := func(f icmpcore.Family) []netsim.Rule {
		var rules []netsim.Rule
		for i := range hosts {
			rules = append(rules, netsim.Rule{Prefix: prefix(host(f, i)), TTL: uint8(100 + i)})
		}
		return rules
	}
	eachSocket(t, rules, func(t *testing.T, _ *netsim.Net, p *icmpcore.Pinger, f icmpcore.Family) {
		var all sync.WaitGroup
		for g := range goroutines {
			all.Go(func() {
				i := g % hosts
				results := make(chan icmpcore.PingResult, 1)
				target := icmpcore.Target{Host: fmt.Sprintf("name-%d.example", g), Addr: host(f, i)}
				o := icmpcore.Options{Count: 5, Interval: 10 * ms, Size: 8 + g%50, DSCP: g % 3 * 8, Timeout: 5 * time.Second}
				if _, err := p.Go(target, o, func(r icmpcore.PingResult) { results <- r }); err != nil {
					t.Error(err)
					return
				}
				r := <-results
				if r.Host != target.Host || r.Received != 5 || r.TTL != 100+i || r.ReplyDSCP != o.DSCP || r.Corrupt+r.Duplicates > 0 {
					t.Errorf("%s: received %d TTL %d DSCP %d corrupt %d duplicates %d", r.Host, r.Received, r.TTL, r.ReplyDSCP, r.Corrupt, r.Duplicates)
				}
			})
		}
		all.Wait()
		if s := p.Stats(); s.Sent != 5*goroutines || s.Received != 5*goroutines || s.Foreign+s.SendErrors > 0 || s.Series != 0 {
			t.Errorf("Stats = %+v", s)
		}
	})
}

// TestTwoProcesses pings the same hosts from two processes, each PID 1 of a PID
// namespace, in one network. Neither may count the other's replies.
func TestTwoProcesses(t *testing.T) {
	if os.Getenv("PINGTEL_TEST_CHILD") == "ping" {
		os.Exit(childPings())
	}
	rules := func(f icmpcore.Family) []netsim.Rule {
		return []netsim.Rule{{Prefix: netip.PrefixFrom(host(f, 0), 24).Masked(), Delay: 5 * ms, Answer: netsim.Only(netsim.Lost, 0, 1, 2, 3)}}
	}
	eachSocket(t, rules, func(t *testing.T, n *netsim.Net, p *icmpcore.Pinger, f icmpcore.Family) {
		children := make([]*exec.Cmd, 2)
		outs := make([]strings.Builder, 2)
		for i := range children {
			c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestTwoProcesses$")
			c.Env = append(os.Environ(), "PINGTEL_TEST_CHILD=ping", "PINGTEL_TEST_HOST="+host(f, 0).String(),
				"PINGTEL_TEST_SOCKET="+p.Socket(f).String())
			c.Stdout, c.Stderr = &outs[i], &outs[i]
			c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			children[i] = c
		}
		received := 0
		for i, c := range children {
			if err := c.Wait(); err != nil {
				t.Errorf("child %d: %v: %s", i, err, outs[i].String())
			}
			var got int
			if _, err := fmt.Sscanf(outs[i].String(), "pid 1 received %d", &got); err != nil {
				t.Errorf("child %d said %q", i, outs[i].String())
			}
			received += got
		}
		if want := 2*100 - 4; received != want {
			t.Errorf("the two received %d replies, the network gave %d", received, want)
		}
	})
}

// childPings pings in its own process and prints the results.
func childPings() int {
	var kind icmpcore.SocketKind
	if err := kind.UnmarshalText([]byte(os.Getenv("PINGTEL_TEST_SOCKET"))); err != nil {
		fmt.Println(err)
		return 1
	}
	p, err := icmpcore.Open(icmpcore.Config{Socket: kind})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	r, err := p.Ping(ctx, os.Getenv("PINGTEL_TEST_HOST"), icmpcore.Options{Count: 100, Interval: 5 * ms})
	if err != nil || r.Min < 5*ms || r.Duplicates+r.Corrupt+r.Late > 0 {
		fmt.Printf("%v: %+v\n", err, r)
		return 1
	}
	fmt.Printf("pid %d received %d\n", os.Getpid(), r.Received)
	if err := p.Close(); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

// TestClosed uses a Pinger that is closed.
func TestClosed(t *testing.T) {
	netsim.Run(t, oneHost(icmpcore.FamilyIPv4), func(t *testing.T, _ *netsim.Net) {
		p := open(t, icmpcore.Config{})
		result := make(chan icmpcore.PingResult, 1)
		o := icmpcore.Options{Count: icmpcore.Forever, Interval: 10 * ms}
		if _, err := p.Go(icmpcore.Target{Addr: host(icmpcore.FamilyIPv4, 0)}, o, func(r icmpcore.PingResult) { result <- r }); err != nil {
			t.Fatal(err)
		}
		for p.Stats().Received < 3 {
			if _, err := p.Ping(t.Context(), host(icmpcore.FamilyIPv4, 0).String(), icmpcore.Options{}); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		if r := <-result; !errors.Is(r.Err, net.ErrClosed) || r.Received == 0 || r.Received != r.Sent {
			t.Errorf("the running series ended with %+v", r)
		}
		if _, err := p.Go(icmpcore.Target{Addr: host(icmpcore.FamilyIPv4, 0)}, o, nil); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Go after Close = %v", err)
		}
		if _, err := p.Ping(t.Context(), "127.0.0.1", o); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Ping after Close = %v", err)
		}
	})
}

// TestLinkLocal pings addresses with a zone, some of which need none.
func TestLinkLocal(t *testing.T) {
	for _, s := range sockets {
		if s.family == icmpcore.FamilyIPv4 {
			continue
		}
		t.Run(s.kind.String(), func(t *testing.T) {
			rules := []netsim.Rule{{Prefix: netip.MustParsePrefix("fe80::2/128")}, {Prefix: prefix(host(s.family, 0))}}
			netsim.Run(t, rules, func(t *testing.T, _ *netsim.Net) {
				p := open(t, icmpcore.Config{Socket: s.kind})
				for _, a := range []string{"fe80::2", host(s.family, 0).String(), "::1"} {
					zone := netsim.Interface
					if a == "::1" {
						zone = "lo"
					}
					r := ping(t, p, netip.MustParseAddr(a+"%"+zone), icmpcore.Options{Count: 2})
					if r.Received != 2 {
						t.Errorf("%s: received %d of 2: %+v", a, r.Received, p.Stats())
					}
				}
				_, err := p.Ping(t.Context(), "fe80::2%nowhere", icmpcore.Options{})
				var wrong *icmpcore.OptionError
				if !errors.As(err, &wrong) {
					t.Errorf("unknown zone: %v, want an OptionError", err)
				}
			})
		})
	}
}

// TestPortable runs the portable socket of other systems here.
func TestPortable(t *testing.T) {
	for _, s := range sockets {
		t.Run(fmt.Sprintf("%s %s", s.kind, s.family), func(t *testing.T) {
			down, err := host(s.family, 1), error(nil)
			rules := []netsim.Rule{{Prefix: prefix(host(s.family, 0)), Delay: 3 * ms, TTL: 120}, {Prefix: prefix(down),
				Answer: netsim.Fail(router(s.family), netsim.Error{Kind: netsim.DestinationUnreachable, Code: 1})},
				{Prefix: prefix(host(s.family, 2)), Delay: 3 * ms, Answer: netsim.Forged(1000, netsim.WrongCookie)}}
			netsim.Run(t, rules, func(t *testing.T, n *netsim.Net) {
				p := open(t, icmpcore.Config{Socket: s.kind, Portable: true})
				o := icmpcore.Options{Count: 5, Interval: 10 * ms, TTL: 50, DSCP: 46, Timeout: 500 * ms}
				r := ping(t, p, host(s.family, 0), o)
				if r.Received != 5 || r.Min < 3*ms || r.TTL != 120 || r.Timestamps != icmpcore.TimestampsUser {
					t.Errorf("%+v", r)
				}
				for _, a := range n.Arrived() {
					if a.TTL != 50 || a.TOS != 46<<2 {
						t.Errorf("left with TTL %d TOS %d", a.TTL, a.TOS)
					}
				}
				r = ping(t, p, host(s.family, 2), o)
				if r.Received != 5 || r.Min < 3*ms || r.Duplicates+r.Late+r.Corrupt+len(r.Errors) > 0 {
					t.Errorf("with forged replies: %+v", r)
				}
				r = ping(t, p, down, o)
				var failed *icmpcore.EchoError
				unreachable := errors.As(r.Failure(), &failed) && failed.Kind == icmpcore.DestinationUnreachable
				if s.kind == icmpcore.SocketRaw && !unreachable || r.Received != 0 {
					t.Errorf("unreachable host: %v, %+v", r.Failure(), r)
				}
				if _, err = p.Ping(t.Context(), "127.0.0.1", icmpcore.Options{Mark: 1}); err == nil {
					t.Error("a mark is accepted")
				}
			})
		})
	}
}
