package icmpcore

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestEngineRests counts how often the engine wakes up: for what happens, and in
// beats while many series run, but never round and round.
func TestEngineRests(t *testing.T) {
	for _, tt := range []struct {
		name   string
		series int
		opts   Options
		most   int64         // times that it may wake up
		unread time.Duration // the longest that a reply may wait to be read
	}{
		{"one lost echo", 1, Options{Timeout: time.Second}, 20, 0},
		{"one series", 1, Options{Count: 10}, 100, 0},
		{"many series", 1000, Options{Count: 2, Interval: time.Second, Timeout: 500 * ms}, 600, 4500 * time.Microsecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newFake(t, func(r sent) []answer {
					if tt.opts.Count < 2 {
						return nil
					}
					return []answer{{time.Duration(10+int(r.addr.As4()[3])) * ms, r.reply()}}
				})
				p := openFake(t, c, Config{MaxRate: -1})
				results := make(chan PingResult, tt.series)
				before := c.waits.Load()
				for i := range tt.series {
					if _, err := p.Go(Target{Addr: testHost(i)}, tt.opts, func(r PingResult) { results <- r }); err != nil {
						t.Fatal(err)
					}
				}
				for range tt.series {
					<-results
				}
				if n := c.waits.Load() - before; n > tt.most {
					t.Errorf("the engine woke up %d times, want %d at most", n, tt.most)
				}
				if d := time.Duration(c.unread.Load()); d > tt.unread {
					t.Errorf("a reply waited %v to be read, want %v at most", d, tt.unread)
				}
			})
		})
	}
}

// TestNoRestWithoutStamps has many series at once on a system that stamps
// nothing. When a reply is read is its time then, and each request has its own:
// the engine must not let them wait for one another.
func TestNoRestWithoutStamps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFake(t, after(10*ms, sent.reply))
		c.source = TimestampsUser
		const takes = 10 * time.Microsecond // of each send
		c.refuse = func(sent) error { time.Sleep(takes); return nil }
		p := openFake(t, c, Config{MaxRate: -1})
		const series = 300
		results := make(chan PingResult, series)
		for i := range series {
			if _, err := p.Go(Target{Addr: testHost(i)}, Options{Count: 3, Interval: 40 * ms}, func(r PingResult) { results <- r }); err != nil {
				t.Fatal(err)
			}
		}
		for range series {
			if r := <-results; r.Received != 3 || r.Min < 10*ms || r.Max > 10*ms+2*takes || r.Timestamps != TimestampsUser {
				t.Fatalf("%s, by %s", r, r.Timestamps)
			}
		}
	})
}

// TestFullQueueIsLeftAlone has the system's queue full for a second: it is tried
// again ever more slowly, up to every four milliseconds, and again at once when
// it takes something.
func TestFullQueueIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFake(t, after(ms, sent.reply))
		began := time.Now()
		c.refuse = func(sent) error {
			if time.Since(began) < time.Second {
				return errFull
			}
			return nil
		}
		p := openFake(t, c, Config{})
		r, err := p.Ping(t.Context(), "198.18.0.1", Options{Timeout: 2 * time.Second})
		if n := p.Stats().SendWaits; err != nil || n < 200 || n > 270 {
			t.Errorf("%v: tried %d times in a second, want about 250", err, n)
		}
		if late := r.Start.Sub(began) - time.Second; r.Received != 1 || r.Max != ms || late < 0 || late > 5*ms {
			t.Errorf("%s, begun %v after there was room", r, late)
		}
		if r.Duration != ms {
			t.Errorf("the series took %v, want the one reply's %v", r.Duration, ms)
		}
	})
}
