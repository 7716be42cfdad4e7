package monitor

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestMissedIsSaid stops a process twice. The log must have one line for each stop, for any
// number of missed series, and none for a round that misses nothing.
func TestMissedIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fakeProber{took: time.Second}
		var log strings.Builder
		m := New(p, parse(t, "10s", addrs(4)...), slog.New(slog.NewTextHandler(&log, nil)))
		defer m.Close()
		m.mu.Lock()
		m.startSchedule(time.Now())
		m.mu.Unlock()
		step := func(d time.Duration) {
			for end := time.Now().Add(d); time.Now().Before(end); {
				time.Sleep(m.step(time.Now())) // of virtual time
			}
		}
		step(30 * time.Second)
		if log.Len() > 0 {
			t.Errorf("log %q, though nothing was missed", log.String())
		}
		time.Sleep(35 * time.Second)
		step(30 * time.Second)
		first := m.Stats().Missed
		time.Sleep(25 * time.Second)
		step(30 * time.Second)
		second := m.Stats().Missed - first
		want := []string{fmt.Sprintf("series=%d in_all=%d\n", first, first), fmt.Sprintf("series=%d in_all=%d\n", second, first+second)}
		got := log.String()
		if first < 12 || second < 8 || strings.Count(got, "series missed") != 2 || !strings.Contains(got, want[0]) || !strings.Contains(got, want[1]) {
			t.Errorf("%d and %d missed, log %q, want %q", first, second, got, want)
		}
		drain(t, m)
	})
}

// TestMissedIsSaidAtTheEnd lets Run end in the round in which it missed series.
func TestMissedIsSaidAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		m := New(&fakeProber{took: time.Second}, parse(t, "10s", addrs(4)...), slog.New(slog.NewTextHandler(&log, nil)))
		defer m.Close()
		m.missed.Store(3)
		run(t, m, time.Second)
		if got := log.String(); strings.Count(got, "series missed") != 1 || !strings.Contains(got, "series=3 in_all=3") {
			t.Errorf("log %q", got)
		}
		drain(t, m)
	})
}

// TestSkippedIsSaidOnceARound has all targets take longer than the interval: one
// line a round, however many series are left out in it.
func TestSkippedIsSaidOnceARound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		m := New(&fakeProber{took: 15 * time.Second}, parse(t, "10s", addrs(20)...), slog.New(slog.NewTextHandler(&log, nil)))
		defer m.Close()
		run(t, m, 59*time.Second)
		if n := strings.Count(log.String(), "series skipped"); n < 3 || n > 6 {
			t.Errorf("said %d times in six rounds:\n%s", n, log.String())
		}
		drain(t, m)
	})
}

// TestShortIntervalStopped stops a process whose interval is short for many of
// them: then no target has two series at once.
func TestShortIntervalStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fakeProber{took: time.Millisecond}
		c := parse(t, "10s", addrs(20)...)
		c.Agent.Interval = 200 * time.Millisecond
		m := New(p, c, quiet())
		defer m.Close()
		m.mu.Lock()
		m.startSchedule(time.Now())
		m.mu.Unlock()
		m.step(time.Now())
		time.Sleep(10 * time.Second) // of virtual time, in which nobody calls step
		before := len(p.starts)
		m.step(time.Now())
		if burst := len(p.starts) - before; burst == 0 || burst > 11 { // those of half an interval
			t.Errorf("%d series at once", burst)
		}
		drain(t, m)
	})
}

// TestOnceACycle sets the schedule back: no target has a second series in the
// same cycle.
func TestOnceACycle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fakeProber{took: time.Millisecond}
		m := New(p, parse(t, "10s", addrs(4)...), quiet())
		defer m.Close()
		m.mu.Lock()
		m.startSchedule(time.Now())
		m.mu.Unlock()
		time.Sleep(900 * time.Millisecond) // of virtual time: two of the four are due
		m.step(time.Now())
		drain(t, m)
		began := len(p.starts)
		m.mu.Lock()
		m.lanes[0].next, m.lanes[0].cycle = 0, 0
		m.mu.Unlock()
		m.step(time.Now())
		drain(t, m)
		if began == 0 || began == 4 || len(p.starts) != began {
			t.Errorf("%d series, then %d: want some of 4, and no more", began, len(p.starts))
		}
	})
}

// TestResultsAfterRun ends Run while series run: their results must be recorded, with the
// start of each series.
func TestResultsAfterRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := &fakeProber{took: 5 * time.Second}, &sink{}
		m := New(p, parse(t, "10s", addrs(4)...), quiet(), s)
		defer m.Close()
		run(t, m, 3*time.Second)
		if len(s.results) != 0 || m.Stats().Running != 4 {
			t.Fatalf("%d results, %d running when Run returns, want 0 and 4", len(s.results), m.Stats().Running)
		}
		drain(t, m)
		for _, host := range addrs(4) {
			got, starts := s.of(host), p.startsOf(host)
			if len(got) != 1 || len(starts) != 1 || !got[0].Start.Equal(starts[0]) {
				t.Errorf("%s: results %+v of series at %v", host, got, starts)
			}
		}
		if m.Stats().Running != 0 {
			t.Errorf("%+v", m.Stats())
		}
	})
}
