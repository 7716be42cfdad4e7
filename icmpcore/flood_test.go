package icmpcore

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// TestReplyBehindFlood has packets of others come in for two seconds without a
// pause. The reply that came in time before them all counts, however late it is
// read.
func TestReplyBehindFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFake(t, after(10*ms, sent.reply))
		began := time.Now().Add(time.Minute)
		c.flood = func() bool { in := time.Since(began); return in >= 5*ms && in < 2*time.Second }
		p := openFake(t, c, Config{})
		time.Sleep(time.Minute) // so that the Pinger has been open for long
		r, err := p.Ping(t.Context(), "198.18.0.1", Options{Count: 3, Interval: 2 * ms, Timeout: 100 * ms})
		if err != nil || r.Received != 3 || r.Max != 10*ms {
			t.Errorf("%v: %s", err, r)
		}
	})
}

// TestFloodWithoutEnd has packets of others come in for ever: lost echoes are
// given up all the same, though five seconds late, and a series that is cancelled
// has its result soon.
func TestFloodWithoutEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFake(t, func(sent) []answer { return nil })
		began := time.Now()
		c.flood = func() bool { in := time.Since(began); return in >= 5*ms && in < time.Minute }
		p := openFake(t, c, Config{})
		time.AfterFunc(time.Second, func() {
			ctx, cancel := context.WithTimeout(t.Context(), 100*ms)
			defer cancel()
			r, err := p.Ping(ctx, "198.18.0.2", Options{Count: 1, Timeout: time.Hour})
			if late := time.Since(began) - 1100*ms; err == nil || r.Sent != 0 || late > 100*ms {
				t.Errorf("%v: %s, %v after it was cancelled", err, r, late)
			}
		})
		r, err := p.Ping(t.Context(), "198.18.0.1", Options{Timeout: 100 * ms})
		late := time.Since(began) - 100*ms
		if err != nil || len(r.Lost) != 1 || late < 4*time.Second || late > 5500*ms {
			t.Errorf("%v: %s, %v after its timeout", err, r, late)
		}
		synctest.Wait()
	})
}
