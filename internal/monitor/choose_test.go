package monitor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
)

var (
	addr4, addr6 = netip.MustParseAddr("198.18.0.1"), netip.MustParseAddr("2001:db8::1")
	errNone      = &net.DNSError{Err: "no such host", IsNotFound: true}
	errServer    = &net.DNSError{Err: "server misbehaving", IsTemporary: true}
)

// TestHalves checks what is known of a name after its first look-up, and after
// later ones that follow earlier answers.
func TestHalves(t *testing.T) {
	const ms = time.Millisecond
	now := time.Unix(1_700_000_000, 0)
	known := func(a netip.Addr, err error) half {
		return half{ended: now, answered: isAnswer(err), addr: a, usable: a.IsValid(), err: err}
	}
	first := half{looking: true}
	again := func(h half) half { h.looking = true; return h }
	ago := func(h half, d time.Duration) half { h.ended = now.Add(-d); return h }
	noRoute := func(h half) half { h.usable = false; return h }
	ipv4, ipv6 := icmpcore.FamilyIPv4, icmpcore.FamilyIPv6
	for _, tt := range []struct {
		name    string
		family  icmpcore.Family
		h       halves
		settled bool
		wait    time.Duration
		addr    netip.Addr
		err     error
	}{
		{name: "nothing known", h: halves{first, first}, err: errNoAnswer},
		{name: "not looked up", h: halves{}, settled: true, err: errNoAnswer},
		{name: "A first", h: halves{known(addr4, nil), first}, settled: true, addr: addr4},
		{name: "A dropped", h: halves{first, known(addr6, nil)}, wait: 50 * ms, addr: addr6},
		{name: "A slow, within the delay", h: halves{first, ago(known(addr6, nil), 20*ms)}, wait: 30 * ms, addr: addr6},
		{name: "A slow, after the delay", h: halves{first, ago(known(addr6, nil), 50*ms)}, settled: true, addr: addr6},
		{name: "A late in the next round", h: halves{known(addr4, nil), again(known(addr6, nil))}, settled: true, addr: addr4},
		{name: "A empty", h: halves{known(netip.Addr{}, errNone), known(addr6, nil)}, settled: true, addr: addr6},
		{name: "A empty, AAAA slow", h: halves{known(netip.Addr{}, errNone), first}, err: errNoAnswer},
		{name: "A SERVFAIL, AAAA slow", h: halves{known(netip.Addr{}, errServer), first}, err: errServer},
		{name: "A SERVFAIL, AAAA answered", h: halves{known(netip.Addr{}, errServer), known(addr6, nil)}, settled: true, addr: addr6},
		{name: "A fails after it was known", h: halves{known(addr4, errServer), known(addr6, nil)}, settled: true, addr: addr4, err: errServer},
		{name: "A hangs after it was known", h: halves{again(known(addr4, nil)), ago(known(addr6, nil), time.Second)}, settled: true, addr: addr4},
		{name: "AAAA hangs", h: halves{known(addr4, nil), again(half{ended: now, err: errServer})}, settled: true, addr: addr4},
		{name: "no route for A", h: halves{noRoute(known(addr4, nil)), known(addr6, nil)}, settled: true, addr: addr6},
		{name: "no route for A, AAAA slow", h: halves{noRoute(known(addr4, nil)), first}, addr: addr4},
		{name: "no route for either", h: halves{noRoute(known(addr4, nil)), noRoute(known(addr6, nil))}, settled: true, addr: addr4},
		{name: "no route for AAAA, A empty", h: halves{known(netip.Addr{}, errNone), noRoute(known(addr6, nil))}, settled: true, addr: addr6},
		{name: "no route for AAAA, A fails", h: halves{known(netip.Addr{}, errServer), noRoute(known(addr6, nil))}, settled: true, err: errServer},
		{name: "no route for AAAA, A fails though it was empty", h: halves{{ended: now, answered: true, err: errServer}, noRoute(known(addr6, nil))}, settled: true, addr: addr6},
		{name: "no such name", h: halves{known(netip.Addr{}, errNone), known(netip.Addr{}, errNone)}, settled: true, err: errNone},
		{name: "A empty, AAAA fails", h: halves{known(netip.Addr{}, errNone), known(netip.Addr{}, errServer)}, settled: true, err: errServer},
		{name: "A fails, AAAA empty", h: halves{known(netip.Addr{}, errServer), known(netip.Addr{}, errNone)}, settled: true, err: errServer},
		{name: "ipv4", family: ipv4, h: halves{known(addr4, nil), first}, settled: true, addr: addr4},
		{name: "ipv4 hangs", family: ipv4, h: halves{first, known(addr6, nil)}, err: errNoAnswer},
		{name: "ipv4 fails, AAAA is not asked", family: ipv4, h: halves{known(netip.Addr{}, errServer), {}}, settled: true, err: errServer},
		{name: "ipv6", family: ipv6, h: halves{{}, known(addr6, nil)}, settled: true, addr: addr6},
		{name: "ipv6 hangs after it was known", family: ipv6, h: halves{{}, again(known(addr6, nil))}, addr: addr6},
	} {
		settled, wait := tt.h.settled(tt.family, now)
		addr, err := tt.h.best(tt.family)
		if settled != tt.settled || wait != tt.wait || addr != tt.addr || !errors.Is(err, tt.err) {
			t.Errorf("%s: settled %v, wait %v, %v, %v, want %v, %v, %v, %v", tt.name, settled, wait, addr, err, tt.settled, tt.wait, tt.addr, tt.err)
		}
	}
}

// TestAnswers lets look-ups end in each way, with and without an earlier address.
func TestAnswers(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	for _, tt := range []struct {
		name   string
		before netip.Addr
		addr   netip.Addr
		err    error
		want   netip.Addr
	}{
		{"the first", netip.Addr{}, addr4, nil, addr4},
		{"another", netip.MustParseAddr("198.18.0.7"), addr4, nil, addr4},
		{"a failure", addr4, netip.Addr{}, errServer, addr4},
		{"no answer", addr4, netip.Addr{}, errHang, addr4},
		{"no such name", addr4, netip.Addr{}, errNone, netip.Addr{}},
	} {
		h := half{looking: true, addr: tt.before}
		h.answer(now, tt.addr, true, tt.err)
		if h.looking || h.ended != now || h.addr != tt.want || h.usable != tt.want.IsValid() || !errors.Is(h.err, tt.err) {
			t.Errorf("%s: %+v, want address %v", tt.name, h, tt.want)
		}
	}
}

// answerOf is the result of a family's query, and its delay.
type answerOf struct {
	after time.Duration
	addr  netip.Addr
	err   error
}

// byFamily is a prober whose resolver answers for each family separately.
type byFamily struct {
	*fakeProber
	answers map[icmpcore.Family]answerOf
	noRoute netip.Addr
}

func (p *byFamily) Resolve(ctx context.Context, host string, f icmpcore.Family) (icmpcore.Target, error) {
	a := p.answers[f]
	select {
	case <-ctx.Done():
		return icmpcore.Target{}, &icmpcore.ResolveError{Host: host, Family: f, Err: ctx.Err()}
	case <-time.After(a.after):
	}
	if a.err != nil {
		return icmpcore.Target{}, &icmpcore.ResolveError{Host: host, Family: f, Err: a.err}
	}
	return icmpcore.Target{Host: host, Addr: a.addr}, nil
}

func (p *byFamily) HasRoute(_ context.Context, a netip.Addr) bool { return a != p.noRoute }

// TestFamilyRounds follows a name through rounds on the schedule and a round on demand: when
// its first series starts, and to which addresses the series go.
func TestFamilyRounds(t *testing.T) {
	const ms, never = time.Millisecond, time.Hour
	a := func(after time.Duration) answerOf { return answerOf{after, addr4, nil} }
	aaaa := func(after time.Duration) answerOf { return answerOf{after, addr6, nil} }
	for _, tt := range []struct {
		name, family string
		four, six    answerOf
		noRoute      netip.Addr
		first        time.Duration // when the first series begins
		want         []netip.Addr  // of the first three series
		demand       time.Duration // what a round on demand takes beside its series
	}{
		{"both", "auto", a(2 * ms), aaaa(ms), netip.Addr{}, 2 * ms, []netip.Addr{addr4, addr4, addr4}, 2 * ms},
		{"AAAA dropped", "auto", a(2 * ms), aaaa(never), netip.Addr{}, 2 * ms, []netip.Addr{addr4, addr4, addr4}, 2 * ms},
		{"A dropped", "auto", a(never), aaaa(2 * ms), netip.Addr{}, 52 * ms, []netip.Addr{addr6, addr6, addr6}, 52 * ms},
		{"A late", "auto", a(4 * time.Second), aaaa(2 * ms), netip.Addr{}, 52 * ms, []netip.Addr{addr6, addr4, addr4}, 52 * ms},
		{"A empty", "auto", answerOf{2 * ms, netip.Addr{}, errNone}, aaaa(9 * ms), netip.Addr{}, 9 * ms, []netip.Addr{addr6, addr6, addr6}, 9 * ms},
		{"A fails, AAAA slow", "auto", answerOf{ms, netip.Addr{}, errServer}, aaaa(3 * time.Second), netip.Addr{}, 3 * time.Second, []netip.Addr{addr6, addr6, addr6}, 3 * time.Second},
		{"no way to A", "auto", a(ms), aaaa(9 * ms), addr4, 9 * ms, []netip.Addr{addr6, addr6, addr6}, 9 * ms},
		{"both dropped", "auto", a(never), aaaa(never), netip.Addr{}, 0, []netip.Addr{{}, {}, {}}, lookupWait},
		{"no such name", "auto", answerOf{ms, netip.Addr{}, errNone}, answerOf{ms, netip.Addr{}, errNone}, netip.Addr{}, 0, []netip.Addr{{}, {}, {}}, ms},
		{"ipv4, AAAA dropped", "ipv4", a(ms), aaaa(never), netip.Addr{}, ms, []netip.Addr{addr4, addr4, addr4}, ms},
		{"ipv6, A dropped", "ipv6", a(never), aaaa(ms), netip.Addr{}, ms, []netip.Addr{addr6, addr6, addr6}, ms},
		{"ipv4 slow", "ipv4", a(2 * time.Second), aaaa(ms), netip.Addr{}, 2 * time.Second, []netip.Addr{addr4, addr4, addr4}, 2 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := fmt.Sprintf("[agent]\nmax_rate = 0\n[[targets]]\nhosts = [\"name.example\"]\nfamily = %q\n", tt.family)
			prober := func() *byFamily {
				return &byFamily{&fakeProber{}, map[icmpcore.Family]answerOf{icmpcore.FamilyIPv4: tt.four, icmpcore.FamilyIPv6: tt.six}, tt.noRoute}
			}
			synctest.Test(t, func(t *testing.T) {
				p, s := prober(), &sink{}
				m := New(p, parseText(t, file), quiet(), s)
				defer m.Close()
				began := time.Now()
				run(t, m, 25*time.Second)
				if got := p.startsOf("name.example"); tt.want[0].IsValid() && got[0].Sub(began) != tt.first {
					t.Errorf("the first series began after %v, want %v", got[0].Sub(began), tt.first)
				}
				time.Sleep(lookupTimeout)
				for i, r := range s.of("name.example")[:3] {
					if r.Addr != tt.want[i] || (r.Err == nil) != r.Addr.IsValid() {
						t.Errorf("series %d: %v, %v, want %v", i, r.Addr, r.Err, tt.want[i])
					}
				}
			})
			synctest.Test(t, func(t *testing.T) {
				m := New(prober(), parseText(t, file), quiet(), &sink{})
				defer m.Close()
				began := time.Now()
				if err := m.Round(t.Context()); err != nil || time.Since(began) != tt.demand {
					t.Errorf("a round on demand took %v, %v, want %v", time.Since(began), err, tt.demand)
				}
			})
		})
	}
}

// TestBothFamilies probes a name as two targets: a query without an answer for one must not
// change the other.
func TestBothFamilies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := &byFamily{fakeProber: &fakeProber{}, answers: map[icmpcore.Family]answerOf{
			icmpcore.FamilyIPv4: {0, addr4, nil}, icmpcore.FamilyIPv6: {after: time.Hour}}}, &sink{}
		m := New(p, parseText(t, "[[targets]]\nhosts = [\"name.example\"]\nfamily = \"both\"\n"), quiet(), s)
		defer m.Close()
		if err := m.Round(t.Context()); err != nil {
			t.Fatal(err)
		}
		results := s.of("name.example")
		if len(results) != 2 || results[0].Addr != addr4 || results[0].Err != nil || !errors.Is(results[1].Err, errNoAnswer) {
			t.Errorf("%+v, want a series to %v, and none of IPv6", results, addr4)
		}
	})
}

// TestFailedNamesLeaveRoom: thousands of names without an answer do not use up
// all look-ups.
func TestFailedNamesLeaveRoom(t *testing.T) {
	var l lookups
	for range 3 * lookupsMost {
		l.failed = append(l.failed, question{t: &Target{}})
	}
	good := &Target{}
	take := func() (n int) {
		for {
			q, ok := l.next()
			if !ok {
				return n
			}
			if q.t == good {
				return -1
			}
			n++
		}
	}
	total := 0
	for range 2 * lookupsMost / lookupsAtOnce {
		total += take()
		l.quick = 0 // all of them have become slow
	}
	if total != lookupsMost/2 {
		t.Errorf("%d look-ups of names that failed before run at once, want %d", total, lookupsMost/2)
	}
	l.queue = append(l.queue, question{t: good})
	if take() != -1 {
		t.Error("a name that may be answered does not get its turn")
	}
	for range 3 * lookupsMost {
		l.queue = append(l.queue, question{t: &Target{}})
	}
	for range 2 * lookupsMost / lookupsAtOnce {
		take()
		l.quick = 0
	}
	if l.all != lookupsMost {
		t.Errorf("%d look-ups at once, want %d", l.all, lookupsMost)
	}
}

// TestQueues queues each half by how its last look-up ended: a failed one comes
// after the others.
func TestQueues(t *testing.T) {
	m := New(&fakeProber{}, parse(t, "10s", "new.example", "none.example", "fails.example", "mixed.example"), quiet())
	defer m.Close()
	m.lookups.all = lookupsMost // none begins
	last := map[string][2]error{"none.example": {errNone, errNone}, "fails.example": {errServer, errHang}, "mixed.example": {nil, errServer}}
	for _, target := range m.targets {
		for i, err := range last[target.Host] {
			target.halves[i].err = err
		}
		m.lookup(target)
		m.lookup(target) // is queued already
	}
	count := make(map[string]int)
	for _, q := range m.lookups.queue {
		count[q.t.Host]++
	}
	for _, q := range m.lookups.failed {
		count["failed "+q.t.Host]++
	}
	want := map[string]int{"new.example": 2, "none.example": 2, "failed fails.example": 2, "mixed.example": 1, "failed mixed.example": 1}
	if !maps.Equal(count, want) {
		t.Errorf("queued %v, want %v", count, want)
	}
}
