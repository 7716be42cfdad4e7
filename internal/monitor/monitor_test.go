package monitor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/config"
)

// fakeProber ends each series after a time, and resolves names by a function.
type fakeProber struct {
	took    time.Duration
	resolve func(host string) (netip.Addr, error)
	refuse  error

	mu     sync.Mutex
	starts []begun
}

type begun struct {
	host string
	at   time.Time
}

func (p *fakeProber) Go(t icmpcore.Target, o icmpcore.Options, done func(icmpcore.PingResult)) (icmpcore.Run, error) {
	now := time.Now()
	p.mu.Lock()
	p.starts = append(p.starts, begun{t.Host, now})
	p.mu.Unlock()
	if p.refuse != nil {
		return icmpcore.Run{}, p.refuse
	}
	time.AfterFunc(p.took, func() {
		done(icmpcore.PingResult{Host: t.Host, Addr: t.Addr, Sent: o.Count, Received: o.Count, Start: now})
	})
	return icmpcore.Run{}, nil
}

func (p *fakeProber) Resolve(ctx context.Context, host string, f icmpcore.Family) (icmpcore.Target, error) {
	a, err := p.resolve(host)
	switch {
	case errors.Is(err, errHang):
		<-ctx.Done()
		err = ctx.Err()
	case err == nil && a.Is4() != (f == icmpcore.FamilyIPv4):
		a, err = netip.Addr{}, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return icmpcore.Target{Host: host, Addr: a}, err
}

func (p *fakeProber) HasRoute(context.Context, netip.Addr) bool { return true }

var errHang = errors.New("hang")

func (p *fakeProber) startsOf(host string) []time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	var got []time.Time
	for _, s := range p.starts {
		if s.host == host {
			got = append(got, s.at)
		}
	}
	return got
}

// sink keeps results, and the targets that it has to forget.
type sink struct {
	mu      sync.Mutex
	results []icmpcore.PingResult
	gone    map[string]time.Time
}

func (s *sink) Record(_ *Target, r *icmpcore.PingResult) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.results = append(s.results, *r)
}

func (s *sink) Forget(t *Target) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone == nil {
		s.gone = make(map[string]time.Time)
	}
	s.gone[t.Host] = time.Now()
}

func (s *sink) of(host string) []icmpcore.PingResult {
	s.mu.Lock()
	defer s.mu.Unlock()
	var got []icmpcore.PingResult
	for _, r := range s.results {
		if r.Host == host {
			got = append(got, r)
		}
	}
	return got
}

// parse makes a configuration of hosts.
func parse(t *testing.T, interval string, hosts ...string) *config.Config {
	t.Helper()
	text := "[agent]\nmax_rate = 0\ninterval = \"" + interval + "\"\n[[targets]]\nhosts = [\"" + strings.Join(hosts, `", "`) + "\"]\n"
	return parseText(t, text)
}

func parseText(t *testing.T, text string) *config.Config {
	t.Helper()
	c, err := config.Parse("test", text, func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// run runs a monitor for a time of a bubble.
func run(t *testing.T, m *Monitor, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	m.Run(ctx)
}

func drain(t *testing.T, m *Monitor) {
	t.Helper()
	if err := m.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func addrs(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)}).String()
	}
	return list
}

// TestSchedule checks when series start: the first ones soon, each target once in every
// interval, at the same place to the nanosecond.
func TestSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := &fakeProber{took: time.Second}, &sink{}
		began := time.Now()
		m := New(p, parse(t, "10s", addrs(40)...), quiet(), s)
		defer m.Close()
		run(t, m, 60*time.Second-time.Millisecond)
		drain(t, m)
		for _, host := range addrs(40) {
			got := p.startsOf(host)
			if len(got) != 6 {
				t.Fatalf("%s: %d series in 60s, want 6", host, len(got))
			}
			if first := got[0].Sub(began); first > firstRound {
				t.Errorf("%s: first series after %v", host, first)
			}
			for i, at := range got {
				if in := at.Sub(began); in < time.Duration(i)*10*time.Second || in >= time.Duration(i+1)*10*time.Second {
					t.Errorf("%s: series %d after %v, outside its interval", host, i, in)
				}
				if i >= 2 && at.Sub(got[i-1]) != 10*time.Second {
					t.Errorf("%s: series %d came %v after the one before", host, i, at.Sub(got[i-1]))
				}
			}
		}
		if st := m.Stats(); st.Series != 240 || st.Skipped != 0 || st.Missed != 0 || st.Targets != 40 || len(s.results) != 240 {
			t.Errorf("Stats = %+v, %d results", st, len(s.results))
		}
	})
}

// TestEven counts the echoes of files of all sizes: no 100 ms have more than
// twice the mean, at the start and after.
func TestEven(t *testing.T) {
	for _, targets := range []int{41, 126, 1022, 2032, 10000} {
		t.Run(fmt.Sprint(targets), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &fakeProber{took: time.Second}
				began := time.Now()
				m := New(p, parse(t, "10s", addrs(targets)...), quiet())
				defer m.Close()
				run(t, m, 25*time.Second+stride/2) // not at the very moment of a stride
				drain(t, m)
				windows := make(map[time.Duration]int)
				for _, x := range p.starts {
					for echo := range 5 {
						windows[(x.at.Sub(began)+time.Duration(echo)*200*time.Millisecond)/(100*time.Millisecond)]++
					}
				}
				mean := float64(targets) * 5 / 100
				for w, n := range windows {
					if float64(n) > max(2*mean, 5) {
						t.Errorf("window %d: %d echoes, mean is %v", w, n, mean)
					}
				}
				if len(p.starts) < targets*5/2-1 {
					t.Errorf("%d series in 2.5 intervals", len(p.starts))
				}
			})
		})
	}
}

// TestOverrun lets series take longer than the interval.
func TestOverrun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fakeProber{took: 25 * time.Second}
		var log strings.Builder
		m := New(p, parse(t, "10s", "198.18.0.1"), slog.New(slog.NewTextHandler(&log, nil)), &sink{})
		defer m.Close()
		run(t, m, 59*time.Second)
		if st := m.Stats(); st.Skipped != 4 || st.Series != 2 || len(p.starts) != 2 {
			t.Errorf("Stats = %+v, want 2 series one at a time, 4 skipped", st)
		}
		if !strings.Contains(log.String(), "series skipped") || !strings.Contains(log.String(), "198.18.0.1") {
			t.Errorf("log = %q", log.String())
		}
		drain(t, m)
	})
}

// TestStopped simulates a stopped process: it must continue without a burst.
func TestStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fakeProber{took: time.Second}
		m := New(p, parse(t, "10s", addrs(100)...), quiet())
		defer m.Close()
		m.mu.Lock()
		m.startSchedule(time.Now())
		m.mu.Unlock()
		m.step(time.Now())
		time.Sleep(35 * time.Second) // of virtual time, in which nobody calls step
		before := len(p.starts)
		m.step(time.Now())
		if burst := len(p.starts) - before; burst > 11 { // those of the last second
			t.Errorf("%d series at once", burst)
		}
		if st := m.Stats(); st.Missed < 300 {
			t.Errorf("Stats = %+v, want what was missed counted", st)
		}
		drain(t, m)
	})
}

// TestReload adds, keeps and removes targets in the middle of their series.
func TestReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := &fakeProber{took: 3 * time.Second}, &sink{}
		m := New(p, parse(t, "10s", addrs(20)...), quiet(), s)
		defer m.Close()
		first := m.targets[0]
		var running sync.WaitGroup
		running.Go(func() { run(t, m, 49900*time.Millisecond) })
		time.Sleep(21500 * time.Millisecond) // of virtual time
		kept := append(addrs(15), "198.18.9.1", "198.18.9.2")
		m.Reload(parse(t, "10s", kept...))
		running.Wait()
		drain(t, m)
		for _, host := range addrs(15) {
			got := p.startsOf(host)
			if len(got) != 5 || len(s.of(host)) != 5 {
				t.Errorf("%s: %d series, %d results, want 5", host, len(got), len(s.of(host)))
			}
			for i := 2; i < len(got); i++ {
				if d := got[i].Sub(got[i-1]); d != 10*time.Second {
					t.Errorf("%s: series %d came %v after the one before", host, i, d)
				}
			}
		}
		for _, host := range addrs(20)[15:] {
			gone, found := s.gone[host]
			if !found {
				t.Errorf("%s was removed, and the sink got no Forget", host)
			}
			for _, r := range s.of(host) {
				if r.Start.Add(3 * time.Second).After(gone) {
					t.Errorf("%s: a result after it was removed", host)
				}
			}
		}
		for _, host := range kept[15:] {
			if n := len(p.startsOf(host)); n < 2 || n > 3 {
				t.Errorf("new target %s: %d series", host, n)
			}
		}
		if m.targets[0] != first || len(s.gone) != 5 || m.Stats().Skipped != 0 {
			t.Errorf("a target that stays has another pointer, or %d are gone, or %+v", len(s.gone), m.Stats())
		}
	})
}

// TestReloadInterval changes the interval, empties the list and fills it again.
// forgetting calls a function for each target that is forgotten.
type forgetting struct {
	*sink
	forget func(*Target)
}

func (f forgetting) Forget(t *Target) { f.forget(t) }

// TestForgetFirst: while a reload calls Forget, no result is recorded. So no
// target has a result before the target that it replaces is forgotten.
func TestForgetFirst(t *testing.T) {
	var m *Monitor
	forgotten := 0
	m = New(&fakeProber{}, parse(t, "10s", addrs(3)...), quiet(), forgetting{new(sink), func(*Target) {
		forgotten++
		if m.recording.TryLock() {
			m.recording.Unlock()
			t.Error("a result could be recorded")
		}
	}})
	m.Reload(parse(t, "10s", addrs(1)...))
	if forgotten != 2 {
		t.Errorf("%d targets forgotten, want 2", forgotten)
	}
}

func TestReloadInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fakeProber{took: time.Second}
		m := New(p, parse(t, "10s", addrs(2)...), quiet())
		defer m.Close()
		var running sync.WaitGroup
		running.Go(func() { run(t, m, 60*time.Second) })
		time.Sleep(15 * time.Second) // of virtual time
		m.Reload(parse(t, "5s", addrs(2)...))
		time.Sleep(19 * time.Second)
		n := len(p.startsOf("198.18.0.0"))
		empty := parse(t, "5s", addrs(2)...)
		empty.Targets = nil
		m.Reload(empty)
		time.Sleep(10 * time.Second)
		if n != 6 || len(p.startsOf("198.18.0.0")) != n {
			t.Errorf("%d series after 34 s, %d after there was none to probe", n, len(p.startsOf("198.18.0.0")))
		}
		m.Reload(parse(t, "5s", addrs(2)...))
		running.Wait()
		drain(t, m)
		if got := len(p.startsOf("198.18.0.0")) - n; got != 4 { // the first at once
			t.Errorf("%d series in the last 16 s, want 4", got)
		}
	})
}

// TestRound runs rounds on demand, one of them while the last still runs.
func TestRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := &fakeProber{took: 5 * time.Second}, &sink{}
		var answer atomic.Value
		answer.Store(netip.MustParseAddr("198.18.7.7"))
		p.resolve = func(string) (netip.Addr, error) { return answer.Load().(netip.Addr), nil }
		m := New(p, parse(t, "10s", "198.18.0.1", "name.example"), quiet(), s)
		defer m.Close()
		if err := m.Round(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(s.results) != 2 || s.of("name.example")[0].Addr != answer.Load() {
			t.Errorf("results = %+v", s.results)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := m.Round(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Round = %v", err)
		}
		if err := m.Round(t.Context()); err != nil || m.Stats().Skipped != 2 {
			t.Errorf("Round = %v, %+v, want 2 skipped", err, m.Stats())
		}
		drain(t, m)
		answer.Store(netip.MustParseAddr("198.18.7.8"))
		if err := m.Round(t.Context()); err != nil || s.of("name.example")[2].Addr != answer.Load() {
			t.Errorf("Round = %v, %+v, want the new address", err, s.of("name.example"))
		}
	})
}

// TestRoundTwins runs a round of targets whose points have the same tags: their
// times must differ.
func TestRoundTwins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := &fakeProber{took: time.Second}, &sink{}
		p.resolve = func(string) (netip.Addr, error) { return netip.Addr{}, errHang }
		m := New(p, parseText(t, `[[targets]]
hosts = ["198.18.0.1"]
[[targets]]
hosts = ["198.18.0.1"]
dscp = 46
[[targets]]
hosts = ["name.example"]
family = "both"
`), quiet(), s)
		defer m.Close()
		if err := m.Round(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, host := range []string{"198.18.0.1", "name.example"} {
			if got := s.of(host); len(got) != 2 || got[0].Start.Equal(got[1].Start) {
				t.Errorf("%s: %+v", host, got)
			}
		}
	})
}

// TestRefused lets the prober refuse a series: that gives a result too.
func TestRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := &fakeProber{refuse: errors.New("no IPv6 socket")}, &sink{}
		m := New(p, parse(t, "10s", "2001:db8::1"), quiet(), s)
		defer m.Close()
		run(t, m, 25*time.Second)
		if got := s.of("2001:db8::1"); len(got) != 3 || got[0].Err != p.refuse || got[0].Start.IsZero() {
			t.Errorf("results = %+v", got)
		}
	})
}

// TestReloadLosesNothing reads the same file again and again, at any moment:
// each target still has one series in each interval.
func TestReloadLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fakeProber{took: time.Second}
		hosts := addrs(1000)
		m := New(p, parse(t, "10s", hosts...), quiet())
		defer m.Close()
		var running sync.WaitGroup
		running.Go(func() { run(t, m, 61*time.Second) })
		for i := range 150 {
			time.Sleep(397 * time.Millisecond) // of virtual time
			if i%2 == 0 {
				m.Reload(parse(t, "10s", hosts...))
			} else {
				m.Reload(parse(t, "10s", append([]string{"198.18.200.1"}, hosts...)...))
			}
		}
		running.Wait()
		drain(t, m)
		for _, host := range hosts {
			got := p.startsOf(host)
			if len(got) < 6 {
				t.Fatalf("%s: %d series in 61 s, want 6 or more", host, len(got))
			}
			for i := 2; i < len(got); i++ { // the first round may be faster
				if gap := got[i].Sub(got[i-1]); gap < 10*time.Second-stride || gap > 10*time.Second+stride {
					t.Fatalf("%s: series %d came %v after the one before", host, i, gap)
				}
			}
		}
		if st := m.Stats(); st.Skipped != 0 || st.Missed != 0 {
			t.Errorf("Stats = %+v", st)
		}
	})
}
