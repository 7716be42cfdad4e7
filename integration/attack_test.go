//go:build linux

package integration

import (
	"context"
	"net/netip"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/integration/netsim"
)

// TestFlood floods the host with 100,000 forged packets a second while it pings 1,000
// targets. Their source, id and sequence number are right; they are replies with
// forged cookies, and errors with forged cookies or without one. No figure may be
// wrong and no true reply lost.
func TestFlood(t *testing.T) {
	const targets = 1000
	var forger *netsim.Forger
	eachSocket(t, func(f icmpcore.Family) []netsim.Rule {
		bits := 16
		if f == icmpcore.FamilyIPv6 {
			bits = 48
		}
		hosts := make([]netip.Addr, targets)
		for i := range hosts {
			hosts[i] = host(f, i)
		}
		forger = netsim.NewForger(hosts)
		return []netsim.Rule{{Prefix: netip.PrefixFrom(host(f, 0), bits).Masked(), Delay: 5 * ms, Answer: forger.Answer}}
	}, func(t *testing.T, n *netsim.Net, p *icmpcore.Pinger, f icmpcore.Family) {
		ctx, cancel := context.WithCancel(t.Context())
		var flood sync.WaitGroup
		injected, begun := 0, time.Now()
		flood.Go(func() {
			injected = forger.Flood(ctx, n, 100_000, 1_000_000)
		})
		results := make(chan icmpcore.PingResult, targets)
		for i := range targets {
			o := icmpcore.Options{Count: 10, Interval: 100 * ms, Timeout: 10 * time.Second}
			if _, err := p.Go(icmpcore.Target{Addr: host(f, i)}, o, func(r icmpcore.PingResult) { results <- r }); err != nil {
				t.Fatal(err)
			}
		}
		for range targets {
			r := <-results
			if r.Received != 10 || r.Min < 5*ms || r.Duplicates+r.Late+r.Corrupt+r.Reordered+len(r.Errors) > 0 || r.Err != nil {
				t.Errorf("%s: received %d min %v duplicates %d late %d corrupt %d errors %v, %v",
					r.Addr, r.Received, r.Min, r.Duplicates, r.Late, r.Corrupt, r.Errors, r.Err)
			}
		}
		cancel()
		flood.Wait()
		s := p.Stats()
		t.Logf("%d forged packets, %.0f a second, %d seen and refused, %d dropped by the kernel",
			injected, float64(injected)/time.Since(begun).Seconds(), s.Foreign, s.KernelDrops)
		if s.Foreign < 10000 {
			t.Errorf("only %d forged packets got as far as the engine", s.Foreign)
		}
	})
}

// TestKernelDrops sends more than a small receive buffer holds. On every kind of
// socket the drops of the kernel are counted: replies are lost, but no figure is
// wrong.
func TestKernelDrops(t *testing.T) {
	const echoes, delay = 3, 20 * ms
	eachSocket(t, func(f icmpcore.Family) []netsim.Rule {
		return []netsim.Rule{{Prefix: prefix(host(f, 0)), Delay: delay, Answer: netsim.Forged(500, netsim.WrongCookie)}}
	}, func(t *testing.T, _ *netsim.Net, p *icmpcore.Pinger, f icmpcore.Family) {
		shrinkBuffers(t)
		r := ping(t, p, host(f, 0), icmpcore.Options{Count: echoes, Interval: 10 * ms, Timeout: 500 * ms})
		s := p.Stats()
		if s.KernelDrops == 0 {
			t.Error("no packet counted as dropped")
		}
		if r.Sent != echoes || r.Received > 0 && r.Min < delay || r.Duplicates+r.Late+r.Corrupt+len(r.Errors) > 0 {
			t.Errorf("sent %d received %d min %v duplicates %d late %d corrupt %d errors %v",
				r.Sent, r.Received, r.Min, r.Duplicates, r.Late, r.Corrupt, r.Errors)
		}
		t.Logf("%d dropped, %d foreign, %d of %d replies", s.KernelDrops, s.Foreign, r.Received, r.Sent)
	})
}

// shrinkBuffers gives the ICMP sockets of this process the smallest possible receive
// buffer.
func shrinkBuffers(t *testing.T) {
	t.Helper()
	links, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	shrunk := 0
	for _, link := range links {
		fd, err := strconv.Atoi(filepath.Base(link))
		if err != nil {
			t.Fatal(err)
		}
		protocol, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PROTOCOL)
		if err != nil || protocol != unix.IPPROTO_ICMP && protocol != unix.IPPROTO_ICMPV6 {
			continue // another file
		}
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 1); err != nil {
			t.Fatal(err)
		}
		shrunk++
	}
	if shrunk == 0 {
		t.Fatal("no ICMP socket is open")
	}
}
