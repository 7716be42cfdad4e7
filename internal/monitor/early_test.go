package monitor

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestReloadSoon: targets that another prober has just stopped to measure have a series
// within the time, spread over it, and then at their places: never two at once, and none
// later than an interval after the one before. Those that were there do not move.
func TestReloadSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const within = 1500 * time.Millisecond
		p := &fakeProber{took: time.Second}
		few, all := addrs(40), addrs(400)
		m := New(p, parse(t, "10s", few...), quiet())
		defer m.Close()
		began := time.Now()
		done := make(chan struct{})
		go func() {
			defer close(done)
			run(t, m, 60*time.Second)
		}()
		time.Sleep(23 * time.Second) // of virtual time
		before := make(map[string]time.Duration)
		for _, host := range few {
			got := p.startsOf(host)
			before[host] = got[len(got)-1].Sub(began) % (10 * time.Second)
		}
		at := time.Now()
		m.ReloadSoon(parse(t, "10s", all...), within)
		time.Sleep(within / 2)
		half := 0
		for _, host := range all[40:] {
			half += len(p.startsOf(host))
		}
		if half < 120 || half > 240 {
			t.Errorf("%d of 360 series in half the time", half)
		}
		<-done
		drain(t, m)
		for i, host := range all {
			starts := p.startsOf(host)
			if i < 40 {
				if place := starts[len(starts)-1].Sub(began) % (10 * time.Second); place-before[host] > 2*stride || before[host]-place > 2*stride {
					t.Errorf("%s moved from %v to %v", host, before[host], place)
				}
				continue
			}
			last := at.Add(1900*time.Millisecond - 10*time.Second) // a place that comes before such a series would end is soon enough
			for _, s := range starts {
				if gap := s.Sub(last); gap > 10*time.Second+2*stride {
					t.Errorf("%s: %v without a series", host, gap)
				}
				last = s
			}
		}
		if s := m.Stats(); s.Skipped+s.Missed > 0 {
			t.Errorf("%+v", s)
		}
	})
}

// TestEarlyTooLate: after a time in which the process did not run, an early series is left
// out if its target's place has come or comes soon. Then the target has one series, not
// one and another one that is skipped.
func TestEarlyTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fakeProber{took: 900 * time.Millisecond}
		few, all := addrs(40), addrs(400)
		m := New(p, parse(t, "10s", few...), quiet())
		defer m.Close()
		m.mu.Lock()
		m.startSchedule(time.Now())
		m.mu.Unlock()
		for range 200 {
			time.Sleep(100 * time.Millisecond)
			m.step(time.Now())
		}
		m.ReloadSoon(parse(t, "10s", all...), 1500*time.Millisecond)
		for range 4 {
			time.Sleep(3100 * time.Millisecond) // of virtual time, in which nothing ran
			m.step(time.Now())
		}
		drain(t, m)
		if s := m.Stats(); s.Skipped > 0 || s.Series == 0 {
			t.Errorf("%+v, want nothing skipped", s)
		}
	})
}
