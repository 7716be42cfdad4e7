//go:build linux

package integration

import (
	"context"
	"encoding/binary"
	"net/netip"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/integration/netsim"
)

// TestFlood floods the host with 100,000 forged packets a second, right in
// source, id and a sequence number in flight, while it pings 1,000 targets:
// replies with cookies made up, and errors with and without. Not one figure
// may be wrong and not one true reply lost.
func TestFlood(t *testing.T) {
	const targets = 1000
	var last [targets]atomic.Uint32 // id and seq of the newest request to each
	index := func(a netip.Addr) int {
		if a.Is4() {
			b := a.As4()
			return int(b[2]-1)*250 + int(b[3]-1)
		}
		b := a.As16()
		return int(b[14]-1)*250 + int(b[15]-1)
	}
	spy := func(r netsim.Request) []netsim.Packet {
		last[index(r.Dst)].Store(uint32(r.ID)<<16 | uint32(r.Seq))
		return netsim.True(r)
	}
	eachSocket(t, func(f icmpcore.Family) []netsim.Rule {
		bits := 16
		if f == icmpcore.FamilyIPv6 {
			bits = 48
		}
		return []netsim.Rule{{Prefix: netip.PrefixFrom(host(f, 0), bits).Masked(), Delay: 5 * ms, Answer: spy}}
	}, func(t *testing.T, n *netsim.Net, p *icmpcore.Pinger, f icmpcore.Family) {
		ctx, cancel := context.WithCancel(t.Context())
		var flood sync.WaitGroup
		injected, begun := 0, time.Now()
		flood.Go(func() {
			injected = n.Flood(ctx, 100_000, 1_000_000, func(i int, b []byte) []byte {
				to := i * 7 % targets
				return forged(b, n, f, host(f, to), last[to].Load(), i)
			})
		})
		results := make(chan icmpcore.PingResult, targets)
		for i := range targets {
			o := icmpcore.Options{Count: 10, Interval: 100 * ms, Timeout: 3 * time.Second}
			if err := p.Go(icmpcore.Target{Addr: host(f, i)}, o, func(r icmpcore.PingResult) { results <- r }); err != nil {
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

// TestKernelDrops sends more than a small receive buffer holds: what the kernel
// drops is counted, on every kind of socket, and costs replies, not truth.
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

// shrinkBuffers gives the ICMP sockets of this process the smallest receive
// buffer there is.
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

// forged appends the i-th forged packet, about the request whose id and seq
// are in key.
func forged(b []byte, n *netsim.Net, f icmpcore.Family, from netip.Addr, key uint32, i int) []byte {
	reply, request, unreachable := byte(0), byte(8), byte(3)
	raw := netsim.Raw{Src: from, Dst: n.Addr4}
	if f == icmpcore.FamilyIPv6 {
		reply, request, unreachable = 129, 128, 1
		raw.Dst = n.Addr6
	}
	echo := make([]byte, 8, 8+56)
	echo[0] = reply
	binary.BigEndian.PutUint32(echo[4:], key)
	switch i % 4 {
	case 0, 1: // a reply with a cookie made up
		echo = binary.BigEndian.AppendUint64(echo, uint64(i)*0x9e3779b97f4a7c15)
		raw.Message = append(echo, make([]byte, 48)...)
	default: // an error that quotes eight bytes, or a cookie made up too
		echo[0] = request
		if i%4 == 3 {
			echo = binary.BigEndian.AppendUint64(echo, uint64(i)*0x9e3779b97f4a7c15)
		}
		quoted := netsim.Raw{Src: raw.Dst, Dst: from, Message: echo}
		raw.Message = quoted.Append([]byte{unreachable, 1, 0, 0, 0, 0, 0, 0})
	}
	return raw.Append(b)
}
