package monitor

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
)

// TestLookups follows a name whose resolver answers, changes its answer, fails, hangs and
// says that there is no such name, together with a name that hangs forever and an address.
func TestLookups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := netip.MustParseAddr("198.18.0.1"), netip.MustParseAddr("198.18.0.2")
		began := time.Now()
		var log strings.Builder
		p, s := &fakeProber{took: time.Second}, &sink{}
		p.resolve = func(host string) (netip.Addr, error) {
			in := time.Since(began)
			switch {
			case host == "never.example", in >= 29*time.Second && in < 38*time.Second:
				return netip.Addr{}, errHang
			case in < 7*time.Second:
				return one, nil
			case in < 17*time.Second:
				return two, nil
			case in < 29*time.Second:
				return netip.Addr{}, &net.DNSError{Err: "server misbehaving", Name: host, IsTemporary: true}
			}
			return netip.Addr{}, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
		}
		m := New(p, parse(t, "10s", "name.example", "never.example", "198.18.0.9"), slog.New(slog.NewTextHandler(&log, nil)), s)
		defer m.Close()
		run(t, m, 59*time.Second)
		drain(t, m)
		results := s.of("name.example")
		want := []netip.Addr{one, two, two, two, {}, {}}
		if len(results) != len(want) {
			t.Fatalf("%d results, want %d", len(results), len(want))
		}
		var resolve *icmpcore.ResolveError
		for i, r := range results {
			if r.Addr != want[i] || (r.Err == nil) != want[i].IsValid() || r.Err != nil && !errors.As(r.Err, &resolve) {
				t.Errorf("round %d: address %s, error %v, want %s", i, r.Addr, r.Err, want[i])
			}
		}
		never := s.of("never.example")
		if len(never) != 6 {
			t.Errorf("%d results of the name that hangs, want one in each interval", len(never))
		}
		for _, r := range never {
			if !errors.As(r.Err, &resolve) || r.Start.IsZero() {
				t.Errorf("name that hangs: %+v", r)
			}
		}
		if n := len(s.of("198.18.0.9")); n != 6 {
			t.Errorf("%d results of the address beside", n)
		}
		if n := strings.Count(log.String(), "look-up failed"); n != 2 || m.Stats().LookupFailures < 6 {
			t.Errorf("%d failures, said %d times:\n%s", m.Stats().LookupFailures, n, log.String())
		}
	})
}

// TestHungLookups has a resolver that never answers for most names: each still
// has its point in every interval, and the last of them all, which does
// resolve, is probed from the first interval on.
func TestHungLookups(t *testing.T) {
	names := make([]string, 1000)
	for i := range names {
		names[i] = fmt.Sprintf("hung%d.example", i)
	}
	hosts := append(names, "good.example", "198.18.0.9")
	resolve := func(host string) (netip.Addr, error) {
		if host == "good.example" {
			return netip.MustParseAddr("198.18.0.1"), nil
		}
		return netip.Addr{}, errHang
	}
	perInterval := func(t *testing.T, results []icmpcore.PingResult, host string, began time.Time, interval time.Duration) {
		t.Helper()
		count := make(map[time.Duration]int)
		for _, r := range results {
			count[r.Start.Sub(began)/interval]++
			if good := !strings.HasPrefix(host, "hung"); good != (r.Err == nil) {
				t.Errorf("%s: error %v", host, r.Err)
			}
		}
		for i := range 60 * time.Second / interval {
			if count[i] != 1 {
				t.Fatalf("%s: %d points in interval %d, want 1", host, count[i], i)
			}
		}
	}
	for _, interval := range []time.Duration{time.Second, 30 * time.Second} {
		t.Run(interval.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, s := &fakeProber{took: interval / 2, resolve: resolve}, &sink{}
				began := time.Now()
				c := parse(t, "30s", hosts...)
				c.Agent.Interval = interval // too short for a file, which Parse would refuse
				m := New(p, c, quiet(), s)
				defer m.Close()
				run(t, m, 60*time.Second+2*stride)
				time.Sleep(lookupTimeout) // the last ones end
				of := make(map[string][]icmpcore.PingResult)
				for _, r := range s.results {
					of[r.Host] = append(of[r.Host], r)
				}
				for _, host := range hosts {
					perInterval(t, of[host], host, began, interval)
				}
			})
		})
	}
}

// TestQuickLookups asks for many names of a resolver that answers in a tenth of
// a second: so many at once as are said, and each is answered in its turn.
func TestQuickLookups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most atomic.Int64
		p, s := &fakeProber{took: time.Second}, &sink{}
		p.resolve = func(string) (netip.Addr, error) {
			if n := now.Add(1); n > most.Load() {
				most.Store(n)
			}
			time.Sleep(100 * time.Millisecond) // of virtual time
			now.Add(-1)
			return netip.MustParseAddr("198.18.0.1"), nil
		}
		hosts := make([]string, 640)
		for i := range hosts {
			hosts[i] = fmt.Sprintf("h%d.example", i)
		}
		m := New(p, parse(t, "10s", hosts...), quiet(), s)
		defer m.Close()
		began := time.Now()
		if err := m.Round(t.Context()); err != nil {
			t.Fatal(err)
		}
		// Two families of each name, 128 at once: ten turns, and the series.
		if took := time.Since(began); most.Load() != lookupsAtOnce || took != 2*time.Second {
			t.Errorf("%d look-ups at once, want %d; the round took %v", most.Load(), lookupsAtOnce, took)
		}
		if got := s.of("h639.example"); len(s.results) != len(hosts) || got[0].Err != nil {
			t.Errorf("%d results of %d, %+v", len(s.results), len(hosts), got)
		}
	})
}

// TestRoundWithHungLookups: a round ends within the time that its caller waits.
func TestRoundWithHungLookups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := &fakeProber{took: time.Second}, &sink{}
		p.resolve = func(host string) (netip.Addr, error) {
			if host == "slow.example" {
				time.Sleep(5100 * time.Millisecond) // a dead server before one that answers
				return netip.MustParseAddr("198.18.0.1"), nil
			}
			return netip.Addr{}, errHang
		}
		hosts := []string{"slow.example", "198.18.0.9"}
		for i := range 1000 {
			hosts = append(hosts, fmt.Sprintf("hung%d.example", i))
		}
		m := New(p, parse(t, "10s", hosts...), quiet(), s)
		defer m.Close()
		began := time.Now()
		if err := m.Round(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > 7*time.Second {
			t.Errorf("the round took %v", took)
		}
		if len(s.results) != len(hosts) || s.of("slow.example")[0].Err != nil {
			t.Errorf("%d results of %d, %+v", len(s.results), len(hosts), s.of("slow.example"))
		}
	})
}
