package otel

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"runtime"
	"strconv"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/pingtel/pingtel/icmpcore"
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

// newTarget takes a target into a table.
func (t *table) newTarget(o TargetOptions) *Target {
	target := &Target{options: o}
	t.add(target)
	return target
}

func (t *table) host(host string) *Target { return t.newTarget(TargetOptions{Host: host}) }

// reply is a series of one reply.
func reply(a netip.Addr) *icmpcore.PingResult {
	return &icmpcore.PingResult{Addr: a, Sent: 1, Received: 1, RTTs: []time.Duration{time.Millisecond}, Start: time.Unix(1, 0)}
}

// TestTotals holds the sum of replies and errors equal to the requests,
// whatever came of them.
func TestTotals(t *testing.T) {
	unreachable := icmpcore.EchoError{Kind: icmpcore.DestinationUnreachable}
	for name, tt := range map[string]struct {
		result icmpcore.PingResult
		want   map[failure]uint64
	}{
		"all answered": {icmpcore.PingResult{Sent: 3, Received: 3}, nil},
		"lost":         {icmpcore.PingResult{Sent: 3, Received: 1}, map[failure]uint64{failedTimeout: 2}},
		"late":         {icmpcore.PingResult{Sent: 3, Received: 1, Late: 1}, map[failure]uint64{failedTimeout: 1, failedLate: 1}},
		"late twice":   {icmpcore.PingResult{Sent: 3, Received: 2, Late: 2}, map[failure]uint64{failedLate: 1}},
		"errors": {icmpcore.PingResult{Sent: 4, Errors: []icmpcore.EchoError{unreachable, unreachable, {Kind: icmpcore.PacketTooBig}, {Kind: icmpcore.ParameterProblem}}},
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
	tab := newTable()
	a := tab.host("a")
	for _, err := range []error{context.Canceled, net.ErrClosed} {
		tab.record(a, &icmpcore.PingResult{Err: err})
	}
	if len(a.streams) != 0 {
		t.Error("counted")
	}
	tab.record(a, &icmpcore.PingResult{Sent: 1, Received: 1, RTTs: []time.Duration{1}, Err: net.ErrClosed})
	tab.record(a, &icmpcore.PingResult{Err: errors.New("no socket")})
	if len(a.streams) != 1 || a.streams[0].recorded != 2 {
		t.Errorf("what was decided is not counted: %+v", a)
	}
}

// addresses returns those of a target's streams, in order.
func (e *Target) addresses() []netip.Addr {
	var list []netip.Addr
	for _, s := range e.streams {
		list = append(list, s.addr)
	}
	return list
}

// TestAddressChanges: each address counts on while the name comes back to it,
// and is dropped ten rounds after its last, once all of it has been delivered.
func TestAddressChanges(t *testing.T) {
	tab := newTable()
	a := tab.host("a")
	now := time.Unix(5, 0)
	for range 3 {
		tab.record(a, reply(addrA))
		tab.record(a, reply(addrB))
	}
	e := a
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
	tab := newTable()
	a := tab.host("a")
	for i := range 3 * maxStreams {
		tab.record(a, reply(netip.AddrFrom4([4]byte{198, 18, 1, byte(i)})))
	}
	if n := len(a.streams); n != maxStreams || tab.lost != 2*maxStreams {
		t.Errorf("%d streams, %d lost", n, tab.lost)
	}
}

// deliver is a push of all that a push must carry.
func (t *table) deliver(now time.Time) int {
	refs := t.refs(nil, false)
	for i := range refs {
		refs[i].recorded = refs[i].stream.recorded
	}
	t.delivered(refs, now)
	return len(refs)
}

// TestForget: a removed target is in pushes until one has delivered it, at
// most for as long as it is kept.
func TestForget(t *testing.T) {
	tab := newTable()
	a, b := tab.host("a"), tab.host("b")
	removed := time.Unix(10, 0)
	tab.record(a, reply(addrA))
	tab.record(b, reply(addrB))
	tab.remove(a, removed)
	tab.remove(tab.host("never recorded"), removed)
	if n := tab.deliver(removed); n != 2 {
		t.Fatalf("%d streams to push, want 2", n)
	}
	if n := tab.deliver(removed); n != 1 {
		t.Errorf("%d streams to push after delivery, want 1", n)
	}
	tab.record(b, reply(addrB))
	tab.remove(b, removed)
	if tab.sweep(removed.Add(59*time.Second), time.Minute); len(tab.refs(nil, false)) != 1 {
		t.Error("given up before its time")
	}
	if lost := tab.sweep(removed.Add(time.Minute), time.Minute); lost != 1 || len(tab.refs(nil, false)) != 0 || len(tab.gone) != 0 {
		t.Errorf("lost %d, %d to push, %d gone, want 1 and none", lost, len(tab.refs(nil, false)), len(tab.gone))
	}
}

// TestSuccessor: a target that takes the place of another goes on with its
// counters where the attributes are the same, whatever else differs, and
// whether or not they were delivered meanwhile. They are in one place at a time.
func TestSuccessor(t *testing.T) {
	with := func(f func(*TargetOptions)) TargetOptions {
		o := TargetOptions{Host: "a", DSCP: 46, Attributes: []attribute.KeyValue{attribute.String("k", "v")}}
		f(&o)
		return o
	}
	tag := func(key, value string) func(*TargetOptions) {
		return func(o *TargetOptions) { o.Attributes = []attribute.KeyValue{attribute.String(key, value)} }
	}
	none, ipv4 := func(*TargetOptions) {}, func(o *TargetOptions) { o.Family = icmpcore.FamilyIPv4 }
	no := netip.Addr{}
	for name, tt := range map[string]struct {
		next TargetOptions
		addr netip.Addr
		same bool
	}{
		"the same":             {with(none), addrA, true},
		"a family":             {with(ipv4), addrA, true},
		"another address":      {with(none), addrB, false},
		"no address":           {with(none), no, true},
		"no address, family":   {with(ipv4), no, false},
		"another code point":   {with(func(o *TargetOptions) { o.DSCP = 0 }), addrA, false},
		"another tag":          {with(tag("k", "w")), addrA, false},
		"another kind of tag":  {with(func(o *TargetOptions) { o.Attributes = []attribute.KeyValue{attribute.Bool("k", true)} }), addrA, false},
		"another host":         {with(func(o *TargetOptions) { o.Host = "b" }), addrA, false},
		"tags that look alike": {with(tag("k\"=\"v\" \"x", "v")), addrA, false},
	} {
		for _, push := range []string{"undelivered", "delivered"} {
			t.Run(name+" "+push, func(t *testing.T) {
				tab := newTable()
				old := tab.newTarget(with(none))
				tab.record(old, reply(addrA))
				tab.record(old, reply(no))
				if push == "delivered" {
					tab.deliver(time.Unix(4, 0))
				}
				tab.remove(old, time.Unix(5, 0))
				tab.sweep(time.Unix(6, 0), time.Minute)
				tab.record(old, reply(addrA)) // counts for nothing
				next := tab.newTarget(tt.next)
				tab.record(next, reply(tt.addr))
				s := next.streams[0]
				if same := s.total.requests == 2; same != tt.same {
					t.Errorf("%d requests: goes on %t, want %t", s.total.requests, same, tt.same)
				}
				times := 0
				for _, r := range tab.refs(nil, false) {
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

// TestOrder: streams that the push before did not deliver come first in the next
// one, so that a push that runs out of time does not leave out the same targets
// again; and with newOnly nothing else comes.
func TestOrder(t *testing.T) {
	tab := newTable()
	for range 50 {
		tab.record(tab.host("x"), reply(addrA))
	}
	refs := tab.refs(nil, false)
	for i := range refs {
		refs[i].recorded = 1
	}
	tab.delivered(refs[:20], time.Unix(1, 0))
	if left, all := tab.undelivered(); left != 30 || all != 50 {
		t.Errorf("%d of %d targets are undelivered, want 30 of 50", left, all)
	}
	if next := tab.refs(nil, true); len(next) != 30 {
		t.Errorf("%d new ones, want 30", len(next))
	}
	tab.pushes-- // that was none
	for i, r := range tab.refs(nil, false) {
		if late := r.stream.delivered == 0; late != (i < 30) {
			t.Fatalf("number %d, undelivered %t", i, late)
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
	var targets []*Target
	for i := range 20_000 {
		targets = append(targets, tab.host(strconv.Itoa(i)))
		tab.record(targets[i], reply(addrA))
	}
	held := live() - before
	for _, target := range targets[10:] {
		tab.remove(target, time.Unix(1, 0))
	}
	tab.deliver(time.Unix(1, 0))
	tab.sweep(time.Unix(1, 0).Add(time.Minute), time.Minute)
	clear(targets[10:])
	if left := live() - before; left > held/4 {
		t.Errorf("%d of %d bytes are left of targets that are gone", left, held)
	}
	runtime.KeepAlive(tab)
}

// live returns the bytes on the heap that are in use.
func live() int64 {
	runtime.GC()
	runtime.GC() // for what a finalizer or pool still held
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
