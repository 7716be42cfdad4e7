package monitor

import (
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/config"
)

// judge is a sink that checks results against the documentation of [Target].
type judge struct {
	t       *testing.T
	records map[*Target]int
	gone    map[*Target]bool
}

func (j *judge) Record(t *Target, r *icmpcore.PingResult) {
	if j.gone[t] {
		j.t.Errorf("%s: a result behind Forget", t.Host)
	}
	if r.Sent != t.Options.Count {
		j.t.Errorf("%s: %d echoes under a count of %d", t.Host, r.Sent, t.Options.Count)
	}
	j.records[t]++
}

func (j *judge) Forget(t *Target) { j.gone[t] = true }

// TestReloadOptions changes an option and a tag of all targets, twice within a series. The
// series must be recorded with the options that it started with, and no target may move.
func TestReloadOptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fakeProber{took: 3 * time.Second}
		p.resolve = func(string) (netip.Addr, error) { return netip.MustParseAddr("198.18.0.99"), nil }
		j := &judge{t: t, records: make(map[*Target]int), gone: make(map[*Target]bool)}
		hosts := append(addrs(20), "name.example")
		with := func(keys string) *config.Config {
			return parseText(t, "[agent]\nmax_rate = 0\n[[targets]]\nhosts = [\""+strings.Join(hosts, `", "`)+"\"]\n"+keys)
		}
		m := New(p, with(""), quiet(), j)
		defer m.Close()
		var running sync.WaitGroup
		running.Go(func() { run(t, m, 59900*time.Millisecond) })
		time.Sleep(21500 * time.Millisecond) // of virtual time
		m.Reload(with("count = 6\n"))
		time.Sleep(time.Second)
		m.Reload(with("count = 7\ntags = { a = \"b\" }\n"))
		running.Wait()
		drain(t, m)
		for _, host := range hosts {
			got := p.startsOf(host)
			if len(got) != 6 {
				t.Errorf("%s: %d series, want 6", host, len(got))
			}
			for i := 2; i < len(got); i++ {
				if d := got[i].Sub(got[i-1]); d != 10*time.Second {
					t.Errorf("%s: series %d came %v after the one before", host, i, d)
				}
			}
		}
		all := 0
		for _, n := range j.records {
			all += n
		}
		if all != len(p.starts) || len(j.gone) != 2*len(hosts) || m.Stats().Skipped != 0 {
			t.Errorf("%d series, %d results, %d targets forgotten of %d, %+v", len(p.starts), all, len(j.gone), 2*len(hosts), m.Stats())
		}
	})
}

// TestReloadOptionsOverrun changes an option while a series takes longer than the interval:
// its target must never have two series at once. Then it removes the target: the running
// series must give no result.
func TestReloadOptionsOverrun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fakeProber{took: 25 * time.Second}
		j := &judge{t: t, records: make(map[*Target]int), gone: make(map[*Target]bool)}
		with := func(keys string) *config.Config {
			return parseText(t, "[[targets]]\nhosts = [\"198.18.0.1\"]\n"+keys)
		}
		m := New(p, with(""), quiet(), j)
		defer m.Close()
		var running sync.WaitGroup
		running.Go(func() { run(t, m, 40*time.Second) })
		time.Sleep(5 * time.Second) // of virtual time
		first := m.targets[0]
		m.Reload(with("count = 6\n"))
		time.Sleep(31 * time.Second)
		synctest.Wait()
		if len(p.starts) != 2 || j.records[first] != 1 || !j.gone[first] || m.Stats().Skipped != 2 {
			t.Errorf("%d series, %d results, gone %t, %+v", len(p.starts), j.records[first], j.gone[first], m.Stats())
		}
		second := m.targets[0]
		m.Reload(with("count = 7\n"))
		m.Reload(parse(t, "10s", "198.18.0.2"))
		running.Wait()
		drain(t, m)
		if j.records[second] != 0 || !j.gone[second] {
			t.Errorf("%d results of a target that was removed, forgotten %t", j.records[second], j.gone[second])
		}
	})
}

// TestReloadAtTheStart adds a target in the first interval, whose short round is
// over: it has its first series in the next one, as every other, and the log says
// how the reload ended.
func TestReloadAtTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fakeProber{took: time.Second}
		var log strings.Builder
		m := New(p, parse(t, "10s", addrs(3)...), slog.New(slog.NewTextHandler(&log, nil)))
		defer m.Close()
		var running sync.WaitGroup
		running.Go(func() { run(t, m, 19900*time.Millisecond) })
		time.Sleep(3 * time.Second) // of virtual time
		m.Reload(parse(t, "10s", append(addrs(1), "198.18.9.1")...))
		if !strings.Contains(log.String(), "targets=2 removed=2\n") {
			t.Errorf("log %q, want 2 targets and 2 removed", log.String())
		}
		running.Wait()
		drain(t, m)
		for host, want := range map[string]int{"198.18.9.1": 1, "198.18.0.0": 2} {
			if got := p.startsOf(host); len(got) != want {
				t.Errorf("%s: series at %v, want %d", host, got, want)
			}
		}
	})
}

// TestReloadIntervalOfNothing changes the interval while there is no target.
func TestReloadIntervalOfNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fakeProber{took: time.Second}
		m := New(p, parse(t, "10s", addrs(2)...), quiet())
		defer m.Close()
		var running sync.WaitGroup
		running.Go(func() { run(t, m, 59900*time.Millisecond) })
		empty := parse(t, "10s", addrs(2)...)
		empty.Targets = nil
		time.Sleep(15 * time.Second) // of virtual time
		m.Reload(empty)
		before := len(p.starts)
		time.Sleep(10 * time.Second)
		m.Reload(parse(t, "5s", addrs(2)...))
		running.Wait()
		drain(t, m)
		if got := len(p.starts) - before; got != 14 { // in 35 s
			t.Errorf("%d series in seven intervals of two targets", got)
		}
	})
}

// TestReloadTwins changes an option of two targets of one host: each must be replaced by the
// target with its tags.
func TestReloadTwins(t *testing.T) {
	twins := func(keys string) *config.Config {
		var text string
		for _, tag := range []string{"a", "b", "c"} {
			text = "[[targets]]\nhosts = [\"198.18.0.1\"]\ntags = { x = \"" + tag + "\" }\n" + keys + text
		}
		return parseText(t, text)
	}
	m := New(&fakeProber{}, twins(""), quiet())
	defer m.Close()
	before := make(map[string]float64)
	for _, target := range m.targets {
		before[target.Tags[0].Value] = target.phase
	}
	m.Reload(twins("size = 100\n"))
	for _, target := range m.targets {
		if tag := target.Tags[0].Value; target.phase != before[tag] || target.Options.Size != 100 {
			t.Errorf("target %s: phase %v, was %v", tag, target.phase, before[tag])
		}
	}
}

// TestReloadIntervalGaps changes the interval there and back at odd moments.
func TestReloadIntervalGaps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fakeProber{took: time.Second}
		hosts := addrs(100)
		m := New(p, parse(t, "10s", hosts...), quiet())
		defer m.Close()
		var running sync.WaitGroup
		running.Go(func() { run(t, m, 160*time.Second) })
		for i := range 12 {
			time.Sleep(11300 * time.Millisecond) // of virtual time
			m.Reload(parse(t, []string{"25s", "10s", "60s", "5s"}[i%4], hosts...))
		}
		running.Wait()
		drain(t, m)
		for _, host := range hosts {
			got := p.startsOf(host)
			for i := 2; i < len(got); i++ { // the first round may be faster
				if d := got[i].Sub(got[i-1]); d < 5*time.Second-stride || d > 60*time.Second+stride {
					t.Errorf("%s: series %d came %v after the one before", host, i, d)
				}
			}
			if len(got) < 8 {
				t.Errorf("%s: %d series", host, len(got))
			}
		}
		if st := m.Stats(); st.Skipped != 0 || st.Missed != 0 {
			t.Errorf("Stats = %+v", st)
		}
	})
}

// TestIntervals gives targets intervals of their own: each has one series in each, and the
// series of all are spread evenly.
func TestIntervals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fakeProber{took: 10 * time.Millisecond}
		m := New(p, intervals(t, "10s", "3s", "60s"), quiet())
		defer m.Close()
		run(t, m, 121*time.Second)
		drain(t, m)
		for host, want := range map[string]int{"198.18.1.1": 12, "198.18.1.100": 12, "198.18.2.1": 40, "198.18.2.100": 40, "198.18.3.1": 2, "198.18.3.100": 2} {
			if got := len(p.startsOf(host)); got < want || got > want+1 {
				t.Errorf("%s: %d series in 121 s, want %d", host, got, want)
			}
		}
		perSecond := make(map[int]int)
		first := p.starts[0].at
		for _, s := range p.starts {
			perSecond[int(s.at.Sub(first)/time.Second)]++
		}
		for second := range 120 { // 100 targets each: 10 + 33.3 + 1.7 a second
			if n := perSecond[second]; n < 40 || n > 50 {
				t.Errorf("%d series in second %d, want 45", n, second)
			}
		}
	})
}

// intervals is a file with 100 targets of each interval, the first that of the agent.
func intervals(t *testing.T, agent, second, third string) *config.Config {
	t.Helper()
	const table = "[[targets]]\ncount = 1\ntimeout = \"500ms\"\n"
	return parseText(t, "[agent]\ninterval = \""+agent+"\"\n"+
		table+"hosts = [\"198.18.1.1-100\"]\n"+
		table+"hosts = [\"198.18.2.1-100\"]\ninterval = \""+second+"\"\n"+
		table+"hosts = [\"198.18.3.1-100\"]\ninterval = \""+third+"\"\n")
}

// TestReloadIntervals moves targets between intervals that other targets have, at odd
// moments: no gap is longer than the longer interval, or shorter than the shorter one, and
// the targets that do not move keep their places.
func TestReloadIntervals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fakeProber{took: 10 * time.Millisecond}
		m := New(p, intervals(t, "10s", "3s", "20s"), quiet())
		defer m.Close()
		var running sync.WaitGroup
		running.Go(func() { run(t, m, 200*time.Second) })
		for i := range 14 {
			time.Sleep(13300 * time.Millisecond) // of virtual time
			m.Reload(intervals(t, "10s", []string{"20s", "10s", "5s", "3s"}[i%4], "20s"))
		}
		running.Wait()
		drain(t, m)
		for host, gap := range map[string][2]time.Duration{"198.18.1.1": {10 * time.Second, 10 * time.Second}, "198.18.2.1": {3 * time.Second, 20 * time.Second},
			"198.18.2.77": {3 * time.Second, 20 * time.Second}, "198.18.3.50": {20 * time.Second, 20 * time.Second}} {
			got := p.startsOf(host)
			for i := 2; i < len(got); i++ { // the first round may be faster
				if d := got[i].Sub(got[i-1]); d < gap[0]-stride || d > gap[1]+stride {
					t.Errorf("%s: series %d came %v after the one before, want %v", host, i, d, gap)
				}
			}
		}
		if st := m.Stats(); st.Skipped != 0 || st.Missed != 0 {
			t.Errorf("Stats = %+v", st)
		}
	})
}
