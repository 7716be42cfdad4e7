package icmpcore

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestSteppedClock steps the wall clock of the kernel's timestamps while an
// echo is in flight. No round-trip time shows it, nothing is late or lost, and
// the next series has the new time.
func TestSteppedClock(t *testing.T) {
	const rtt = 10 * ms
	tests := []struct {
		name  string
		step  time.Duration
		at    time.Duration // after the start of a series with an echo every 100 ms
		steps uint64
	}{
		{"forward an hour, in flight", time.Hour, 205 * ms, 1},
		{"back an hour, in flight", -time.Hour, 205 * ms, 1},
		{"forward half a second, less than the timeout", 500 * ms, 305 * ms, 1},
		{"back 3 ms, less than a round trip", -3 * ms, 305 * ms, 1},
		{"forward 3 ms", 3 * ms, 305 * ms, 1},
		{"between two echoes", 30 * time.Minute, 250 * ms, 1},
		{"as a time daemon slews", 50 * time.Microsecond, 205 * ms, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newFake(t, after(rtt, sent.reply))
				base := time.Now()
				p := newPinger(c, Config{}, func() (int64, int64) { return int64(time.Since(base)), c.wall() })
				defer p.Close() // its error does not matter here
				time.AfterFunc(tt.at, func() { c.step.Store(int64(tt.step)) })
				o := Options{Count: 10, Interval: 100 * ms}
				for series := range 2 {
					wall := time.Unix(0, c.wall())
					r, err := p.Ping(t.Context(), "198.18.0.1", o)
					if err != nil || r.Received != 10 || r.Late != 0 || r.Loss != 0 || r.Duration.Round(ms) != 900*ms+rtt {
						t.Errorf("received %d late %d in %v, %v", r.Received, r.Late, r.Duration, err)
					}
					for i, got := range r.RTTs {
						if off := got - rtt; off < 0 || off > 50*time.Microsecond {
							t.Errorf("series %d: RTT %d is %v, want %v", series, i, got, rtt)
						}
					}
					if !r.Start.Equal(wall) {
						t.Errorf("series %d started at %v, want %v", series, r.Start, wall)
					}
					if series == 1 && r.Timestamps != TimestampsKernel {
						t.Errorf("timestamps %s after the step, want the kernel's again", r.Timestamps)
					}
				}
				if s := p.Stats(); s.ClockSteps != tt.steps || s.Timeouts+s.Late != 0 {
					t.Errorf("Stats = %+v, want %d steps", s, tt.steps)
				}
			})
		})
	}
}
