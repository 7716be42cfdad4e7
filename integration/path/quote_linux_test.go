package path

import (
	"errors"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/integration/netsim"
)

// trace runs one series of a flow for each TTL from 1 on, and returns what happened
// to their echoes, by TTL.
func trace(t *testing.T, n network, ttls int, o icmpcore.Options) [][]icmpcore.Echo {
	t.Helper()
	found := make([][]icmpcore.Echo, ttls+1)
	var series sync.WaitGroup
	for ttl := 1; ttl <= ttls; ttl++ {
		series.Add(1)
		o.TTL = ttl
		o.OnEcho = func(e icmpcore.Echo) { found[ttl] = append(found[ttl], e) }
		_, err := n.p.Go(icmpcore.Target{Addr: target(n.family, 0)}, o, func(r icmpcore.PingResult) { series.Done() })
		if err != nil {
			t.Fatal(err)
		}
	}
	series.Wait()
	return found
}

// reported returns the error that an echo must have met.
func reported(t *testing.T, e icmpcore.Echo) *icmpcore.EchoError {
	t.Helper()
	var err *icmpcore.EchoError
	if !errors.As(e.Err, &err) || e.Outcome != icmpcore.OutcomeError || err.Quote == nil {
		t.Fatalf("echo %d to TTL %d: %s, %v, want an ICMP error", e.Seq, e.TTL, e.Outcome, e.Err)
	}
	return err
}

// TestQuote has routers that change the code point, quote eight bytes only, and
// send MPLS labels, in all the ways that there are.
func TestQuote(t *testing.T) {
	labels := []netsim.Label{{Label: 16001, TC: 5, TTL: 1}, {Label: 24, TTL: 3}}
	want := []icmpcore.MPLSLabel{{Label: 16001, TC: 5, TTL: 1}, {Label: 24, TTL: 3, Bottom: true}}
	af11 := uint8(10 << 2)
	flip := func(b []byte) []byte { b[len(b)-1] ^= 1; return b }
	rules := func(f icmpcore.Family) []netsim.Rule {
		hops := netsim.Routers(routers(f, 8)...)
		hops[1].Quote.Labels = labels
		hops[2].Quote = netsim.Quote{Labels: labels, Unsized: true}
		hops[2].TOS = &af11
		hops[3].Quote.Bytes = 8
		hops[4].Answer = netsim.Packets(netsim.Packet{Edit: flip, Error: &netsim.Error{
			Kind: netsim.TimeExceeded, Quote: netsim.Quote{Labels: labels}}})
		hops[5].Quote.Labels = labels[:1]
		hops[6].Refuse = &netsim.Error{Kind: netsim.DestinationUnreachable, Code: 1, Quote: netsim.Quote{Labels: labels}}
		return []netsim.Rule{{Prefix: prefix(target(f, 0)), Hops: hops}}
	}
	eachSocket(t, rules, func(t *testing.T, n network) {
		for _, size := range []int{10, 56, 200, 2000} {
			found := trace(t, n, 8, icmpcore.Options{Size: size, DSCP: 46, Flow: 3, Timeout: 300 * ms})
			for ttl := 1; ttl <= 8; ttl++ {
				e := reported(t, found[ttl][0])
				q := icmpcore.Quote{TTL: 1, DSCP: 46, Cookie: ttl != 4}
				from, kind := router(n.family, ttl), icmpcore.TimeExceeded
				switch ttl {
				case 2, 3:
					q.Labels = want
				case 6:
					q.Labels = []icmpcore.MPLSLabel{{Label: 16001, TC: 5, TTL: 1, Bottom: true}}
				case 8:
					q.TTL, q.Labels, kind, from = 2, want, icmpcore.DestinationUnreachable, router(n.family, 7)
				}
				if ttl > 3 {
					q.DSCP = 10
				}
				if n.kind == icmpcore.SocketDatagram { // the kernel keeps the quoted IP header to itself
					q.TTL, q.DSCP = -1, -1
				}
				if e.Kind != kind || e.From != from || !reflect.DeepEqual(*e.Quote, q) {
					t.Errorf("size %d, TTL %d: %s from %s, quote %+v; want %s from %s, %+v", size, ttl, e.Kind, e.From, *e.Quote, kind, from, q)
				}
			}
		}
	})
}

// TestErrorTimes compares the times of errors with those that the simulated links
// take. An error that quotes eight bytes counts only after the timeout, and has the
// same time.
func TestErrorTimes(t *testing.T) {
	const count, link = 20, 7 * ms
	rules := func(f icmpcore.Family) []netsim.Rule {
		hops := netsim.Routers(routers(f, 6)...)
		for i := range hops[1:] { // the first answers at once, while its request is being sent
			hops[i+1].Delay = link
		}
		hops[3].Quote.Bytes = 8
		hops[4].Slow = 30 * ms
		return []netsim.Rule{{Prefix: prefix(target(f, 0)), Hops: hops}}
	}
	eachSocket(t, rules, func(t *testing.T, n network) {
		found := trace(t, n, 7, icmpcore.Options{Count: count, Interval: 10 * ms, Timeout: 2 * time.Second, Flow: 9})
		for ttl := 1; ttl <= 7; ttl++ {
			want := time.Duration(min(ttl, 6)-1) * link
			if ttl == 5 {
				want += 30 * ms
			}
			exact := 0
			var times []time.Duration
			for _, e := range found[ttl] {
				if ttl <= 6 {
					reported(t, e)
				}
				if e.RTT < want || e.Timestamps < icmpcore.TimestampsKernelRX {
					t.Errorf("TTL %d, echo %d: %s after %v by %s, want at least %v by the kernel", ttl, e.Seq, e.Outcome, e.RTT, e.Timestamps, want)
				}
				if e.Timestamps == icmpcore.TimestampsKernel {
					exact++
				}
				times = append(times, e.RTT)
			}
			if len(times) != count {
				t.Fatalf("TTL %d: %d echoes, want %d", ttl, len(times), count)
			}
			slices.Sort(times)
			t.Logf("TTL %d: %v least, %v median, %v most, %d by the kernel alone; simulated %v", ttl, times[0], times[count/2], times[count-1], exact, want)
			if exact < count/2 { // a busy machine may seem to have stepped its clock
				t.Errorf("TTL %d: the kernel took both times of only %d echoes of %d", ttl, exact, count)
			}
			if times[0] > want+link/2 { // a busy machine delays some answers, not all of twenty
				t.Errorf("TTL %d: at least %v, want %v", ttl, times[0], want)
			}
		}
	})
}
