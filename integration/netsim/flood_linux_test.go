package netsim_test

import (
	"context"
	"encoding/binary"
	"errors"
	"runtime"
	"slices"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/pingtel/pingtel/integration/netsim"
)

func TestFlood(t *testing.T) {
	netsim.Run(t, []netsim.Rule{all(true), all(false)}, func(t *testing.T, n *netsim.Net) {
		eachFamily(t, func(t *testing.T, v4 bool) {
			const count, rate = 2000, 100_000
			p := newProber(t, v4)
			forged := netsim.Raw{Src: addr(v4, "1"), Dst: n.Addr4, Message: p.message(testID, 0, nil)}
			if !v4 {
				forged.Dst = n.Addr6
			}
			forged.Message[0] = 0
			if !v4 {
				forged.Message[0] = 129
			}
			start := n.Now()
			sent := n.Flood(t.Context(), rate, count, func(i int, b []byte) []byte {
				binary.BigEndian.PutUint16(forged.Message[6:], uint16(i))
				return forged.Append(b)
			})
			took := n.Now() - start
			if sent != count {
				t.Errorf("Flood = %d, want %d", sent, count)
			}
			if least := time.Duration(count-1) * time.Second / rate; took < least {
				t.Errorf("%d packets took %v, at %d/s they must take %v", count, took, rate, least)
			}
			got := p.collect(addr(v4, "2"))
			if len(got) != count {
				t.Errorf("%d forged replies received, want %d", len(got), count)
			}
			for i, r := range got {
				if r.seq() != i || r.id() != testID {
					t.Fatalf("packet %d: id %d, seq %d", i, r.id(), r.seq())
				}
			}
		})
	})
}

func TestFloodStops(t *testing.T) {
	netsim.Run(t, nil, func(t *testing.T, n *netsim.Net) {
		ctx, cancel := context.WithCancel(t.Context())
		raw := netsim.Raw{Src: addr(true, "1"), Dst: n.Addr4, Message: make([]byte, 8)}
		sent := n.Flood(ctx, 1_000_000, 1_000_000, func(i int, b []byte) []byte {
			if i == 10 {
				cancel()
			}
			return raw.Append(b)
		})
		if sent <= 10 || sent == 1_000_000 {
			t.Errorf("Flood = %d packets, want an end soon after 10", sent)
		}
	})
}

// TestEverythingAnswered sends far more requests than the device's queue holds and logs
// the rate.
func TestEverythingAnswered(t *testing.T) {
	netsim.Run(t, []netsim.Rule{all(true), all(false)}, func(t *testing.T, n *netsim.Net) {
		const count, window = 100_000, 500
		eachFamily(t, func(t *testing.T, v4 bool) {
			n.Forget()
			p := newProber(t, v4)
			var sa unix.Sockaddr = &unix.SockaddrInet6{Addr: addr(v4, "1").As16()}
			if v4 {
				sa = &unix.SockaddrInet4{Addr: addr(v4, "1").As4()}
			}
			msg, buf := p.message(testID, 0, make([]byte, 56)), make([]byte, 256)
			start := n.Now()
			for received, sent := 0, 0; received < count; {
				for ; sent < count && sent < received+window; sent++ {
					if err := unix.Sendto(p.fd, msg, 0, sa); err != nil {
						t.Fatal(err)
					}
				}
				_, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(p.fd),
					uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)))
				if errno != 0 && !errors.Is(errno, unix.EINTR) {
					t.Fatalf("after %d of %d: %v", received, count, errno)
				}
				if errno == 0 {
					received++
				}
			}
			took := n.Now() - start
			t.Logf("%.0f echoes/s", count/took.Seconds())
			if got := len(n.Arrived()); got != count {
				t.Errorf("%d requests on record, want %d", got, count)
			}
		})
	})
}

// TestDelayAccuracy logs how exact delays are. It only requires what is also true on a
// busy machine: no reply is early.
func TestDelayAccuracy(t *testing.T) {
	const delay = 3 * time.Millisecond
	rule := all(true)
	rule.Delay = delay
	netsim.Run(t, []netsim.Rule{rule}, func(t *testing.T, n *netsim.Net) {
		p := newProber(t, true)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		var rtts []time.Duration
		for seq := range 100 {
			start := n.Now()
			p.send(addr(true, "1"), testID, seq, make([]byte, 56))
			p.read()
			rtts = append(rtts, n.Now()-start)
		}
		slices.Sort(rtts)
		t.Logf("delay %v: RTT least %v, median %v, p90 %v, most %v",
			delay, rtts[0], rtts[50], rtts[90], rtts[99])
		if rtts[0] < delay {
			t.Errorf("a reply came after %v, want never before %v", rtts[0], delay)
		}
	})
}
