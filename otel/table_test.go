package otel

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/internal/monitor"
)

var (
	addrA = netip.MustParseAddr("198.18.0.1")
	addrB = netip.MustParseAddr("198.18.0.2")
)

func newTable() *table {
	b, t := newBounds(nil), new(table)
	t.init(func() histogram { return newExplicit(b) })
	return t
}

func newTarget(host string) *monitor.Target {
	return &monitor.Target{Target: config.Target{Host: host, Probe: &config.Probe{}}}
}

// reply is a series of one reply.
func reply(a netip.Addr) *icmpcore.PingResult {
	return &icmpcore.PingResult{Addr: a, Sent: 1, Received: 1, RTTs: []time.Duration{time.Millisecond}, Start: time.Unix(1, 0)}
}

// TestTotals holds the sum of replies and errors equal to the requests,
// whatever came of them.
func TestTotals(t *testing.T) {
	unreachable := icmpcore.EchoError{Kind: icmpcore.ErrorDestinationUnreachable}
	for name, tt := range map[string]struct {
		result icmpcore.PingResult
		want   map[failure]uint64
	}{
		"all answered": {icmpcore.PingResult{Sent: 3, Received: 3}, nil},
		"lost":         {icmpcore.PingResult{Sent: 3, Received: 1}, map[failure]uint64{failedTimeout: 2}},
		"late":         {icmpcore.PingResult{Sent: 3, Received: 1, Late: 1}, map[failure]uint64{failedTimeout: 1, failedLate: 1}},
		"late twice":   {icmpcore.PingResult{Sent: 3, Received: 2, Late: 2}, map[failure]uint64{failedLate: 1}},
		"errors": {icmpcore.PingResult{Sent: 4, Errors: []icmpcore.EchoError{unreachable, unreachable, {Kind: icmpcore.ErrorPacketTooBig}, {Kind: icmpcore.ErrorParameterProblem}}},
			map[failure]uint64{failedUnreachable: 2, failedTooBig: 1, failedParameter: 1}},
		"late after its error": {icmpcore.PingResult{Sent: 1, Late: 1, Errors: []icmpcore.EchoError{unreachable}}, map[failure]uint64{failedUnreachable: 1}},
		"cut short":            {icmpcore.PingResult{Sent: 2, Received: 2, Err: context.Canceled}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			c := totals{rtts: newExplicit(newBounds(nil))}
			c.record(&tt.result)
			sum := c.replies
			for f, n := range c.failed {
				sum += n
				if n != tt.want[failure(f)] {
					t.Errorf("%s: %d, want %d", failureNames[f], n, tt.want[failure(f)])
				}
			}
			if sum != c.requests {
				t.Errorf("%d replies and errors, %d requests", sum, c.requests)
			}
		})
	}
}

// TestEndedSeries: a series that was ended before its first request is none.
func TestEndedSeries(t *testing.T) {
	tab, a := newTable(), newTarget("a")
	for _, err := range []error{context.Canceled, net.ErrClosed} {
		tab.record(a, &icmpcore.PingResult{Err: err})
	}
	if len(tab.targets) != 0 {
		t.Error("counted")
	}
	tab.record(a, &icmpcore.PingResult{Sent: 1, Received: 1, RTTs: []time.Duration{1}, Err: net.ErrClosed})
	tab.record(a, &icmpcore.PingResult{Err: errors.New("no socket")})
	if e := tab.targets[a]; e == nil || e.streams[0].recorded != 2 {
		t.Errorf("what was decided is not counted: %+v", e)
	}
}

// addresses returns those of a target's streams, in order.
func (e *entry) addresses() []netip.Addr {
	var list []netip.Addr
	for _, s := range e.streams {
		list = append(list, s.addr)
	}
	return list
}

// TestAddressChanges: each address counts on while the name comes back to it,
// and is dropped ten rounds after its last, once all of it has been delivered.
func TestAddressChanges(t *testing.T) {
	tab, a := newTable(), newTarget("a")
	now := time.Unix(5, 0)
	for range 3 {
		tab.record(a, reply(addrA))
		tab.record(a, reply(addrB))
	}
	e := tab.targets[a]
	if got := e.addresses(); len(got) != 2 || got[0] != addrB || e.streams[1].total.requests != 3 {
		t.Fatalf("streams %v", got)
	}
	for range idleRounds - 1 {
		tab.record(a, reply(addrB))
	}
	tab.sweep(now, time.Minute)
	if len(e.streams) != 2 {
		t.Fatal("dropped before ten rounds, or undelivered")
	}
	tab.deliver(now)
	tab.sweep(now, time.Minute)
	if len(e.streams) != 2 {
		t.Fatal("dropped before its ten rounds were over")
	}
	tab.record(a, reply(addrB))
	if lost := tab.sweep(now, time.Minute); lost != 0 || len(e.streams) != 1 || e.streams[0].addr != addrB {
		t.Errorf("lost %d, streams %v", lost, e.addresses())
	}
}

func TestStreamsAreBounded(t *testing.T) {
	tab, a := newTable(), newTarget("a")
	for i := range 3 * maxStreams {
		tab.record(a, reply(netip.AddrFrom4([4]byte{198, 18, 1, byte(i)})))
	}
	if n := len(tab.targets[a].streams); n != maxStreams || tab.lost != 2*maxStreams {
		t.Errorf("%d streams, %d lost", n, tab.lost)
	}
}

// deliver is a push of all that a push must carry.
func (t *table) deliver(now time.Time) int {
	refs := t.refs(nil)
	for i := range refs {
		refs[i].recorded = refs[i].stream.recorded
	}
	t.delivered(refs, now)
	return len(refs)
}

// TestForget: a removed target is in pushes until one has delivered it, at
// most for as long as it is kept.
func TestForget(t *testing.T) {
	tab, a, b := newTable(), newTarget("a"), newTarget("b")
	removed := time.Unix(10, 0)
	tab.record(a, reply(addrA))
	tab.record(b, reply(addrB))
	tab.forget(a, removed)
	tab.forget(newTarget("never recorded"), removed)
	if n := tab.deliver(removed); n != 2 {
		t.Fatalf("%d streams to push, want 2", n)
	}
	if n := tab.deliver(removed); n != 1 {
		t.Errorf("%d streams to push after delivery, want 1", n)
	}
	tab.record(b, reply(addrB))
	tab.forget(b, removed)
	if tab.sweep(removed.Add(59*time.Second), time.Minute); len(tab.refs(nil)) != 1 {
		t.Error("given up before its time")
	}
	if lost := tab.sweep(removed.Add(time.Minute), time.Minute); lost != 1 || len(tab.refs(nil)) != 0 || len(tab.gone) != 0 {
		t.Errorf("lost %d, %d to push, %d gone, want 1 and none", lost, len(tab.refs(nil)), len(tab.gone))
	}
}

// TestSuccessor: a target that takes the place of another goes on with its
// counters where the attributes are the same, whatever else differs, and
// whether or not they were delivered meanwhile. They are in one place at a time.
func TestSuccessor(t *testing.T) {
	change := func(f func(*config.Probe)) *monitor.Target {
		p := &config.Probe{Tags: []config.Tag{{Key: "k", Value: "v"}}}
		p.Options.DSCP = 46
		f(p)
		return &monitor.Target{Target: config.Target{Host: "a", Probe: p}}
	}
	no := netip.Addr{}
	for name, tt := range map[string]struct {
		next *monitor.Target
		addr netip.Addr
		same bool
	}{
		"the same":             {change(func(*config.Probe) {}), addrA, true},
		"another count":        {change(func(p *config.Probe) { p.Options.Count = 9 }), addrA, true},
		"a family":             {change(func(p *config.Probe) { p.Options.Family = icmpcore.FamilyIPv4 }), addrA, true},
		"another address":      {change(func(*config.Probe) {}), addrB, false},
		"no address":           {change(func(*config.Probe) {}), no, true},
		"no address, family":   {change(func(p *config.Probe) { p.Options.Family = icmpcore.FamilyIPv4 }), no, false},
		"another code point":   {change(func(p *config.Probe) { p.Options.DSCP = 0 }), addrA, false},
		"another tag":          {change(func(p *config.Probe) { p.Tags[0].Value = "w" }), addrA, false},
		"another host":         {&monitor.Target{Target: config.Target{Host: "b", Probe: change(func(*config.Probe) {}).Probe}}, addrA, false},
		"tags that look alike": {change(func(p *config.Probe) { p.Tags = []config.Tag{{Key: "k\"=\"v\" \"x", Value: "v"}} }), addrA, false},
	} {
		for _, push := range []string{"undelivered", "delivered"} {
			t.Run(name+" "+push, func(t *testing.T) {
				tab, old := newTable(), change(func(*config.Probe) {})
				tab.record(old, reply(addrA))
				tab.record(old, reply(no))
				if push == "delivered" {
					tab.deliver(time.Unix(4, 0))
				}
				tab.forget(old, time.Unix(5, 0))
				tab.sweep(time.Unix(6, 0), time.Minute)
				tab.record(tt.next, reply(tt.addr))
				s := tab.targets[tt.next].streams[0]
				if same := s.total.requests == 2; same != tt.same {
					t.Errorf("%d requests: goes on %t, want %t", s.total.requests, same, tt.same)
				}
				times := 0
				for _, r := range tab.refs(nil) {
					if r.stream == s {
						times++
					}
				}
				if times != 1 {
					t.Errorf("%d times in a push", times)
				}
			})
		}
	}
}

// TestDelta: what a push took and did not deliver is in the next one, what was
// delivered is not.
func TestDelta(t *testing.T) {
	s := newStream(addrA, time.Unix(1, 0), newExponential())
	take := func(want uint64) {
		t.Helper()
		got := s.take(true)
		if got.requests != want || got.rtts.(*exponential).n != want {
			t.Errorf("taken %d requests, %d RTTs, want %d", got.requests, got.rtts.(*exponential).n, want)
		}
	}
	s.record(reply(addrA))
	s.record(reply(addrA))
	take(2)
	upTo := s.recorded
	s.record(reply(addrA)) // while the push is under way
	s.deliver(upTo, 77)
	if s.start != 77 || s.delivered == s.recorded {
		t.Errorf("start %d, delivered %d of %d", s.start, s.delivered, s.recorded)
	}
	take(1) // and this push fails
	s.record(reply(addrA))
	take(2)
	s.deliver(s.recorded, 88)
	if s.taken != nil {
		t.Error("what was delivered still takes memory")
	}
	take(0)
}

// TestMemoryGivenBack forgets most targets: what they took must go with them.
func TestMemoryGivenBack(t *testing.T) {
	tab := newTable()
	before := live()
	targets := manyTargets(20_000)
	for _, target := range targets {
		tab.record(target, reply(addrA))
	}
	held := live() - before
	for _, target := range targets[10:] {
		tab.forget(target, time.Unix(1, 0))
	}
	tab.deliver(time.Unix(1, 0))
	tab.sweep(time.Unix(1, 0).Add(time.Minute), time.Minute)
	clear(targets[10:])
	if left := live() - before; left > held/4 {
		t.Errorf("%d of %d bytes are left of targets that are gone", left, held)
	}
	runtime.KeepAlive(tab)
}
