package path

import (
	"context"
	"encoding/binary"
	"errors"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/integration/netsim"
)

// forger forges Time Exceeded. It sees the id and sequence number of the newest
// request that reaches each hop, but not the cookie.
type forger struct {
	family icmpcore.Family
	last   [forgedHops]atomic.Uint32
}

const (
	forgedHops = 8
	silentHop  = 5 // it never answers
)

// hops returns a path on which the forger looks at every request whose TTL runs out.
func (f *forger) hops() []netsim.Hop {
	hops := netsim.Routers(routers(f.family, forgedHops)...)
	for i := range hops {
		hops[i].Delay = ms
		hops[i].Answer = func(r netsim.Request) []netsim.Packet {
			f.last[i].Store(uint32(r.ID)<<16 | uint32(r.Seq))
			if i+1 == silentHop {
				return nil
			}
			return []netsim.Packet{{Error: &netsim.Error{Kind: netsim.TimeExceeded}}}
		}
	}
	return hops
}

// liar is the source of what is forged, a router of no path.
func (f *forger) liar() netip.Addr { return router(f.family, 99) }

// append appends the i-th forged error: for each hop in turn one with a wrong
// cookie, one with a wrong cookie and MPLS labels, and one without a cookie.
func (f *forger) append(b []byte, n network, i int) []byte {
	hop, kind := i%forgedHops, i/forgedHops%3
	four := f.family == icmpcore.FamilyIPv4
	echo := make([]byte, 8, 8+56)
	echo[0] = 128
	quoted := netsim.Raw{Src: n.Addr6, Dst: target(f.family, 0), TTL: 1}
	header := []byte{3, 0, 0, 0, 0, 0, 0, 0}
	if four {
		echo[0], header[0], quoted.Src = 8, 11, n.Addr4
	}
	binary.BigEndian.PutUint32(echo[4:], f.last[hop].Load())
	if kind < 2 {
		echo = binary.BigEndian.AppendUint64(echo, uint64(i)*0x9e3779b97f4a7c15)
		echo = append(echo, make([]byte, 48)...)
	}
	quoted.Message = echo
	message := quoted.Append(header)
	if kind == 1 {
		for len(message) < 8+128 {
			message = append(message, 0)
		}
		message = append(message, 0x20, 0, 0, 0, 0, 8, 1, 1, 0, 0, 17, 1) // no checksum
		message[4], message[5] = 16, 0
		if four {
			message[4], message[5] = 0, 32
		}
	}
	raw := netsim.Raw{Src: f.liar(), Dst: quoted.Src, Message: message}
	return raw.Append(b)
}

// TestForgedErrors forges 100,000 Time Exceeded a second about the echoes of a trace
// that runs again and again. No hop that answers may have another router than its
// own, and the memory must not grow. What has no cookie can only be believed of the
// hop that does not answer, and says so.
func TestForgedErrors(t *testing.T) {
	var f *forger
	rules := func(family icmpcore.Family) []netsim.Rule {
		f = &forger{family: family}
		return []netsim.Rule{{Prefix: prefix(target(family, 0)), Hops: f.hops()}}
	}
	eachSocket(t, rules, func(t *testing.T, n network) {
		options := icmpcore.Options{Count: 20, Interval: 5 * ms, Timeout: 200 * ms, Flow: 5}
		trace(t, n, forgedHops, options)
		before := heap()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var flood sync.WaitGroup
		injected, begun := 0, time.Now()
		flood.Go(func() {
			injected = n.Flood(ctx, 100_000, 400_000, func(i int, b []byte) []byte { return f.append(b, n, i) })
		})
		answers, most, unproven := 0, uint64(0), 0
		for range 3 {
			for ttl, echoes := range trace(t, n, forgedHops, options) {
				for _, e := range echoes {
					switch {
					case ttl != silentHop && e.From == router(n.family, ttl):
						answers++
					case ttl == silentHop && e.From == f.liar() && !e.Err.(*icmpcore.EchoError).Quote.Cookie:
						unproven++
					case e.Outcome != icmpcore.OutcomeTimeout:
						t.Errorf("TTL %d, echo %d: %s from %s: %v", ttl, e.Seq, e.Outcome, e.From, e.Err)
					}
				}
			}
			most = max(most, heap())
		}
		cancel()
		flood.Wait()
		s := n.p.Stats()
		t.Logf("%d forged errors, %.0f a second, %d seen and refused, %d dropped by the kernel; %d answers, %d unproven; heap %d KiB, at most %d KiB",
			injected, float64(injected)/time.Since(begun).Seconds(), s.Foreign, s.KernelDrops, answers, unproven, before>>10, most>>10)
		if s.Foreign < 10000 || answers < 100 {
			t.Errorf("%d forged errors got as far as the engine, and %d answers", s.Foreign, answers)
		}
		if most > before+8<<20 {
			t.Errorf("the heap grew from %d to %d bytes", before, most)
		}
	})
}

// heap returns the live heap of this process.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestForgedEndless forges errors about an endless series, whose own router answers
// each echo. None of the forged ones may end an echo.
func TestForgedEndless(t *testing.T) {
	var f *forger
	rules := func(family icmpcore.Family) []netsim.Rule {
		f = &forger{family: family}
		return []netsim.Rule{{Prefix: prefix(target(family, 0)), Hops: f.hops()}}
	}
	eachSocket(t, rules, func(t *testing.T, n network) {
		results := make(chan icmpcore.PingResult, 1)
		o := icmpcore.Options{Count: icmpcore.Forever, Keep: 64, Interval: ms, Timeout: 500 * ms, TTL: 2}
		run, err := n.p.Go(icmpcore.Target{Addr: target(n.family, 0)}, o, func(r icmpcore.PingResult) { results <- r })
		if err != nil {
			t.Fatal(err)
		}
		n.Flood(t.Context(), 100_000, 50_000, func(i int, b []byte) []byte { return f.append(b, n, i) })
		run.Cancel()
		r := <-results
		if !errors.Is(r.Err, context.Canceled) || len(r.Errors) == 0 || len(r.Errors) > 64 {
			t.Errorf("%v, %d errors of %d echoes", r.Err, len(r.Errors), r.Sent)
		}
		if i := slices.IndexFunc(r.Errors, func(e icmpcore.EchoError) bool { return e.From != router(n.family, 2) }); i >= 0 {
			t.Errorf("echo %d: %v", r.Errors[i].Seq, &r.Errors[i])
		}
	})
}
