package netsim_test

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pingtel/pingtel/integration/netsim"
)

// all is a rule for every address of a family.
func all(v4 bool) netsim.Rule {
	if v4 {
		return netsim.Rule{Prefix: netip.MustParsePrefix("198.18.0.0/15")}
	}
	return netsim.Rule{Prefix: netip.MustParsePrefix("2001:db8::/32")}
}

func TestArrived(t *testing.T) {
	netsim.Run(t, []netsim.Rule{all(true), all(false)}, func(t *testing.T, n *netsim.Net) {
		eachFamily(t, func(t *testing.T, v4 bool) {
			n.Forget()
			p := newProber(t, v4)
			p.setTTL(77)
			p.setTOS(0xb8)
			to := addr(v4, "1")
			before := n.Now()
			p.send(to, testID, 9, make([]byte, 56))
			p.send(to, testID, 10, make([]byte, 1000))
			if err := n.Await(t.Context(), 2); err != nil {
				t.Fatal(err)
			}
			got := n.Arrived()
			src, head := n.Addr4, 28
			if !v4 {
				src, head = n.Addr6, 48
			}
			for i, r := range got {
				if r.At < before || r.At > n.Now() {
					t.Errorf("request %d: At = %v, want from %v to %v", i, r.At, before, n.Now())
				}
				if r.Payload != nil {
					t.Errorf("request %d: Payload kept", i)
				}
				want := netsim.Request{
					At: r.At, N: i, Src: src, Dst: to, ID: testID, Seq: uint16(9 + i),
					TOS: 0xb8, TTL: 77, DF: r.DF, Size: head + []int{56, 1000}[i],
				}
				if g, w := describeRequest(r), describeRequest(want); g != w {
					t.Errorf("request %d = %s, want %s", i, g, w)
				}
			}
			if most := n.Peak(time.Hour); most != 2 {
				t.Errorf("Peak(1h) = %d, want 2", most)
			}
		})
	})
}

func describeRequest(r netsim.Request) string {
	return strings.Join([]string{
		r.Src.String(), r.Dst.String(), r.At.String(),
		time.Duration(r.N).String(), time.Duration(r.ID).String(), time.Duration(r.Seq).String(),
		time.Duration(r.TOS).String(), time.Duration(r.TTL).String(), time.Duration(r.Size).String(),
	}, " ")
}

func TestDontFragment(t *testing.T) {
	netsim.Run(t, []netsim.Rule{all(true)}, func(t *testing.T, n *netsim.Net) {
		if err := n.SetMTU(1500); err != nil {
			t.Fatal(err)
		}
		p := newProber(t, true)
		p.set(unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_PROBE)
		p.send(addr(true, "1"), testID, 0, make([]byte, 1472))
		to := &unix.SockaddrInet4{Addr: addr(true, "1").As4()}
		err := unix.Sendto(p.fd, p.message(testID, 1, make([]byte, 1473)), 0, to)
		if !errors.Is(err, unix.EMSGSIZE) {
			t.Errorf("sending 1501 bytes = %v, want EMSGSIZE", err)
		}
		p.read()
		p.set(unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DONT)
		p.send(addr(true, "1"), testID, 2, nil)
		p.read()
		got := n.Arrived()
		if len(got) != 2 || !got[0].DF || got[1].DF {
			t.Errorf("arrived %+v, want one with DF and one without", got)
		}
	})
}

func TestHops(t *testing.T) {
	netsim.Run(t, nil, func(t *testing.T, n *netsim.Net) {
		eachFamily(t, func(t *testing.T, v4 bool) {
			rule := all(v4)
			rule.Hops = netsim.Routers(addr(v4, "1"), netip.Addr{}, addr(v4, "3"))
			n.Set(rule)
			p := newProber(t, v4)
			host, payload := addr(v4, "9"), []byte("0123456789abcdef")
			var got []string
			for ttl := 1; ttl <= 4; ttl++ {
				p.setTTL(ttl)
				p.send(host, testID, ttl, payload)
				if ttl != 2 {
					got = append(got, describe(p, p.read(), host, payload))
				}
			}
			want := "error 11/0 from 198.18.1.1 quote 20+24 seq 1; error 11/0 from 198.18.1.3 quote 20+24 seq 3; seq 4 ttl 61"
			if !v4 {
				want = "error 3/0 from 2001:db8:1::1 quote 40+24 seq 1; error 3/0 from 2001:db8:1::3 quote 40+24 seq 3; seq 4 ttl 61"
			}
			if g := strings.Join(got, "; "); g != want {
				t.Errorf("came back: %s, want %s", g, want)
			}
		})
	})
}

// TestUpAndDown changes the rules between requests.
func TestUpAndDown(t *testing.T) {
	netsim.Run(t, []netsim.Rule{all(true), all(false)}, func(t *testing.T, n *netsim.Net) {
		eachFamily(t, func(t *testing.T, v4 bool) {
			p := newProber(t, v4)
			host := addr(v4, "5")
			for seq, answer := range []netsim.Answer{nil, netsim.Lost, netsim.True, netsim.Lost} {
				n.Set(netsim.Rule{Prefix: prefix(v4, "5"), Answer: answer})
				p.send(host, testID, seq, nil)
				// Rules are looked up when the request is read, not when it
				// is sent.
				p.collectOne(addr(v4, "6"), seq%2 == 0)
			}
		})
		if got := n.Stats(); got.Silent != 4 {
			t.Errorf("Stats = %+v, want 4 silent", got)
		}
	})
}

// collectOne expects at most one reply before that of the fence.
func (p *prober) collectOne(fence netip.Addr, want bool) {
	p.t.Helper()
	if got := p.collect(fence); (len(got) == 1) != want || len(got) > 1 {
		p.t.Errorf("%d replies, want one: %t", len(got), want)
	}
}

func TestDeviceDownAndUp(t *testing.T) {
	netsim.Run(t, []netsim.Rule{all(true), all(false)}, func(t *testing.T, n *netsim.Net) {
		eachFamily(t, func(t *testing.T, v4 bool) {
			p := newProber(t, v4)
			to := addr(v4, "1")
			if err := n.SetUp(false); err != nil {
				t.Fatal(err)
			}
			var sa unix.Sockaddr = &unix.SockaddrInet6{Addr: to.As16()}
			if v4 {
				sa = &unix.SockaddrInet4{Addr: to.As4()}
			}
			if err := unix.Sendto(p.fd, p.message(testID, 0, nil), 0, sa); !errors.Is(err, unix.ENETUNREACH) {
				t.Errorf("sending with the device down = %v, want ENETUNREACH", err)
			}
			if err := n.SetUp(true); err != nil {
				t.Fatal(err)
			}
			p.send(to, testID, 1, nil)
			if r := p.read(); r.seq() != 1 {
				t.Errorf("reply %+v, want seq 1", r)
			}
		})
	})
}

func TestLoopbackAndLinkLocal(t *testing.T) {
	rules := []netsim.Rule{{Prefix: netip.MustParsePrefix("fe80::/64")}}
	netsim.Run(t, rules, func(t *testing.T, n *netsim.Net) {
		p4, p6 := newProber(t, true), newProber(t, false)
		p4.send(netip.MustParseAddr("127.0.0.1"), testID, 1, nil)
		p6.send(netip.MustParseAddr("::1"), testID, 1, nil)
		for _, p := range []*prober{p4, p6} {
			r := p.read()
			for r.typ() == 8 || r.typ() == 128 {
				r = p.read() // a raw socket sees its own request on loopback
			}
			if r.seq() != 1 {
				t.Errorf("loopback reply %+v, want seq 1", r)
			}
		}
		link, err := net.InterfaceByName(netsim.Interface)
		if err != nil {
			t.Fatal(err)
		}
		p6.set(unix.SOL_SOCKET, unix.SO_BINDTOIFINDEX, link.Index)
		p6.send(netip.MustParseAddr("fe80::2"), testID, 2, nil)
		if r := p6.read(); r.seq() != 2 || r.from != netip.MustParseAddr("fe80::2") {
			t.Errorf("link-local reply %+v, want seq 2 of fe80::2", r)
		}
		if got := n.Stats(); got.Other != 0 {
			t.Errorf("Stats = %+v, want nothing but requests: no router solicitations or such", got)
		}
	})
}

// helperEnv makes TestHelperProcess a program without rights.
const helperEnv = "NETSIM_TEST_HELPER"

func TestHelperProcess(t *testing.T) {
	if os.Getenv(helperEnv) == "" {
		t.Log("nothing to do: only TestUnprivileged starts this with something to do")
		return
	}
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		proto := unix.IPPROTO_ICMP
		if family == unix.AF_INET6 {
			proto = unix.IPPROTO_ICMPV6
		}
		_, raw := unix.Socket(family, unix.SOCK_RAW, proto)
		_, datagram := unix.Socket(family, unix.SOCK_DGRAM, proto)
		t.Logf("raw: %v, datagram: %v", raw, datagram)
	}
}

func TestUnprivileged(t *testing.T) {
	netsim.Run(t, nil, func(t *testing.T, n *netsim.Net) {
		for _, tt := range []struct {
			name    string
			allowed bool
			want    string
		}{
			{"datagram allowed", true, "raw: operation not permitted, datagram: <nil>"},
			{"nothing allowed", false, "raw: operation not permitted, datagram: permission denied"},
		} {
			t.Run(tt.name, func(t *testing.T) {
				err := n.AllowDatagram(tt.allowed)
				if errors.Is(err, errors.ErrUnsupported) {
					t.Skipf("netsim: cannot run here: %v", err)
				}
				if err != nil {
					t.Fatal(err)
				}
				cmd := exec.Command(os.Args[0], "-test.run=^TestHelperProcess$", "-test.v")
				cmd.Env = append(os.Environ(), helperEnv+"=1")
				n.Unprivileged(cmd)
				out, err := cmd.CombinedOutput()
				if err != nil || strings.Count(string(out), tt.want) != 2 {
					t.Errorf("the program says (%v):\n%s\nwant twice: %s", err, out, tt.want)
				}
			})
		}
	})
}

// TestFragments sends requests that the kernel has to fragment, and gets replies larger
// than the device's MTU.
func TestFragments(t *testing.T) {
	netsim.Run(t, []netsim.Rule{all(true), all(false)}, func(t *testing.T, n *netsim.Net) {
		eachFamily(t, func(t *testing.T, v4 bool) {
			for _, tt := range []struct{ mtu, size int }{{65535, 65507}, {1500, 65507}, {1280, 1300}, {1280, 10}} {
				n.Forget()
				if err := n.SetMTU(tt.mtu); err != nil {
					t.Fatal(err)
				}
				p := newProber(t, v4)
				payload := make([]byte, tt.size)
				for i := range payload {
					payload[i] = byte(i * 7 >> 3)
				}
				to := addr(v4, "1")
				p.send(to, testID, 1, payload)
				if got := describe(p, p.read(), to, payload); got != "seq 1" {
					t.Errorf("MTU %d, size %d: came back %s, want the true reply", tt.mtu, tt.size, got)
				}
				want := tt.size + 28
				if !v4 {
					want = tt.size + 48
				}
				if got := n.Arrived(); len(got) != 1 || got[0].Size != want {
					t.Errorf("MTU %d, size %d: arrived %+v, want one of %d", tt.mtu, tt.size, got, want)
				}
			}
		})
	})
}

// TestRoutes removes the routes and adds them again.
func TestRoutes(t *testing.T) {
	netsim.Run(t, []netsim.Rule{all(true), all(false)}, func(t *testing.T, n *netsim.Net) {
		if err := n.SetRoutes(false); err != nil {
			t.Fatal(err)
		}
		for _, to := range []netip.Addr{addr(true, "1"), addr(false, "1")} {
			_, err := net.Dial("udp", netip.AddrPortFrom(to, 9).String())
			if !errors.Is(err, unix.ENETUNREACH) {
				t.Errorf("without routes: %v, want ENETUNREACH", err)
			}
		}
		if err := n.SetRoutes(true); err != nil {
			t.Fatal(err)
		}
		eachFamily(t, func(t *testing.T, v4 bool) {
			p := newProber(t, v4)
			p.send(addr(v4, "1"), testID, 1, nil)
			p.read()
		})
	})
}

// TestReaddress replaces the host's address by another one.
func TestReaddress(t *testing.T) {
	netsim.Run(t, []netsim.Rule{all(true), all(false)}, func(t *testing.T, n *netsim.Net) {
		eachFamily(t, func(t *testing.T, v4 bool) {
			old, next := n.Addr4, netip.MustParseAddr("198.18.0.9")
			if !v4 {
				old, next = n.Addr6, netip.MustParseAddr("2001:db8::9")
			}
			n.Forget()
			if err := n.RemoveAddr(old); err != nil {
				t.Fatal(err)
			}
			if err := n.AddAddr(next); err != nil {
				t.Fatal(err)
			}
			p := newProber(t, v4)
			p.send(addr(v4, "1"), testID, 1, nil)
			p.read()
			if got := n.Arrived(); len(got) != 1 || got[0].Src != next {
				t.Errorf("arrived %+v, want one from %s", got, next)
			}
		})
	})
}
