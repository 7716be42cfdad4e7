package monitor

import (
	"fmt"
	"net/netip"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

// TestLongStop simulates a process that was stopped for hours. Every missed series must be
// counted, for any length of the stop, and the first step after it must look each name up
// once or twice.
func TestLongStop(t *testing.T) {
	hosts := make([]string, 100)
	for i := range hosts {
		hosts[i] = fmt.Sprintf("h%d.example", i)
	}
	for _, begun := range []bool{false, true} { // whether the first round, which is shorter, is over
		for _, stop := range []time.Duration{time.Second, 9 * time.Second, time.Minute, 8 * time.Hour, 30 * 24 * time.Hour} {
			t.Run(fmt.Sprintf("%v, begun %v", stop, begun), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					p := &fakeProber{took: time.Millisecond}
					p.resolve = func(string) (netip.Addr, error) { return netip.MustParseAddr("198.18.0.1"), nil }
					m := New(p, parse(t, "2s", hosts...), quiet(), &sink{})
					defer m.Close()
					m.mu.Lock()
					m.startSchedule(time.Now())
					m.mu.Unlock()
					if begun {
						for range 600 {
							m.step(time.Now())
							time.Sleep(5 * time.Millisecond) // of virtual time
						}
					}
					m.step(time.Now())
					synctest.Wait()
					cycle, next, before := m.lanes[0].cycle, m.lanes[0].next, m.Stats()
					time.Sleep(stop) // in which nobody calls step
					var start, end runtime.MemStats
					runtime.ReadMemStats(&start)
					m.step(time.Now())
					runtime.ReadMemStats(&end)
					synctest.Wait()
					time.Sleep(time.Second)
					after := m.Stats()
					passed := int(m.lanes[0].cycle-cycle)*len(hosts) + m.lanes[0].next - next
					if got := int(after.Series-before.Series) + int(after.Missed-before.Missed); got != passed {
						t.Errorf("%d series passed, %d begun and %d missed", passed, after.Series-before.Series, after.Missed-before.Missed)
					}
					if stop >= time.Minute && (after.Series == before.Series || after.Missed == before.Missed) {
						t.Errorf("Stats = %+v, want some begun and most missed", after)
					}
					if bytes := end.TotalAlloc - start.TotalAlloc; bytes > 4<<20 {
						t.Errorf("one step took %d bytes, want no more than a round does however long the stop", bytes)
					}
				})
			})
		}
	}
}

// TestLongStopAfterReload: a series that a target had before its place changed does not
// count as missed.
func TestLongStopAfterReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := New(&fakeProber{}, parse(t, "2s", "198.18.0.1", "198.18.0.2", "198.18.0.3"), quiet(), &sink{})
		defer m.Close()
		m.mu.Lock()
		m.startSchedule(time.Now())
		s := m.lanes[0]
		s.cycle, s.next = 5, 1
		s.targets[0].cycle, s.targets[1].cycle, s.targets[2].cycle = 5, 5, 6
		m.missed.Add(s.passSeries(s.due(8, 1)))
		m.mu.Unlock()
		// Rounds 5 to 7 of the last two, 6 to 8 of the first; those had before are 5, 5 and 6.
		if got := m.Stats().Missed; got != 3+2+1 || s.cycle != 8 || s.next != 1 {
			t.Errorf("%d missed, at %d of round %d, want 6 at 1 of round 8", got, s.next, s.cycle)
		}
	})
}
