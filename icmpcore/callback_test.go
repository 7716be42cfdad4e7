package icmpcore

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestCallbackOrder runs many series side by side, with callbacks that take
// longer than their echoes. Callbacks run one at a time on one goroutine, and
// within a series in order: the echoes first, then the result.
func TestCallbackOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := openFake(t, newFake(t, after(10*ms, sent.reply)), Config{})
		const series, count = 20, 5
		var running atomic.Int32
		var goroutine uint64 // written by callbacks only, so the race detector sees two at a time
		callback := func() {
			if running.Add(1) != 1 {
				t.Error("two callbacks at a time")
			}
			if n := goroutineNumber(); goroutine == 0 {
				goroutine = n
			} else if n != goroutine {
				t.Errorf("callbacks on the goroutines %d and %d", goroutine, n)
			}
			time.Sleep(7 * ms)
			running.Add(-1)
		}
		var all sync.WaitGroup
		all.Add(series)
		for range series {
			seq := 0
			o := Options{Count: count, Interval: 3 * ms, OnEcho: func(e Echo) {
				callback()
				if seq++; e.Seq != seq {
					t.Errorf("echo %d, want %d", e.Seq, seq)
				}
			}}
			done := func(r PingResult) {
				callback()
				if seq != count || r.Received != count {
					t.Errorf("the result of %d replies comes after %d of %d echoes", r.Received, seq, count)
				}
				all.Done()
			}
			if _, err := p.Go(Target{Addr: testAddr4}, o, done); err != nil {
				t.Fatal(err)
			}
		}
		all.Wait()
		if goroutine == goroutineNumber() {
			t.Error("callbacks run on the goroutine of the caller of Go")
		}
	})
}

// TestBlockedCallback blocks a callback for ten minutes. The measuring of all
// series goes on as if it did not, and the results wait.
func TestBlockedCallback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := openFake(t, newFake(t, after(10*ms, sent.reply)), Config{})
		release := make(chan struct{})
		results := make(chan PingResult, 2)
		start := func(o Options) {
			if _, err := p.Go(Target{Addr: testAddr4}, o, func(r PingResult) { results <- r }); err != nil {
				t.Fatal(err)
			}
		}
		o := Options{Count: 100, Interval: time.Second}
		slow := o
		slow.OnEcho = func(e Echo) {
			if e.Seq == 1 {
				<-release
			}
		}
		start(slow)
		time.Sleep(time.Second)
		start(o)
		time.Sleep(10 * time.Minute)
		if s := p.Stats(); s.Received != 200 || s.Series != 0 {
			t.Errorf("%d replies, %d series still run, while a callback blocks", s.Received, s.Series)
		}
		if len(results) > 0 {
			t.Error("a result has come before the callback ended")
		}
		close(release)
		for range 2 {
			if r := <-results; r.Received != 100 || r.Max != 10*ms || r.Duration > 99*time.Second+11*ms {
				t.Errorf("%d received, max %v, duration %v", r.Received, r.Max, r.Duration)
			}
		}
	})
}

// TestCallbackCalls makes the calls that a callback may make.
func TestCallbackCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := openFake(t, newFake(t, after(10*ms, sent.reply)), Config{})
		target := Target{Addr: testAddr4}
		next := make(chan PingResult, 1)
		first := make(chan PingResult, 1)
		handle := make(chan Run, 1) // Go may return after the first callback
		o := Options{Count: Forever, Interval: 100 * ms, OnEcho: func(e Echo) {
			if e.Seq == 3 {
				(<-handle).Cancel()
			}
		}}
		run, err := p.Go(target, o, func(r PingResult) {
			if _, err := p.Go(target, Options{}, func(r PingResult) { next <- r }); err != nil {
				t.Errorf("Go in a callback: %v", err)
			}
			if s := p.Stats(); s.Received != 3 {
				t.Errorf("Stats in a callback: %+v", s)
			}
			if k := p.Socket(FamilyIPv4); k != SocketRaw {
				t.Errorf("Socket in a callback: %v", k)
			}
			if p.Timestamps() != TimestampsKernel {
				t.Errorf("Timestamps in a callback: %v", p.Timestamps())
			}
			if got, err := p.Resolve(t.Context(), "198.18.0.9", FamilyAuto); err != nil || got.Addr != netip.MustParseAddr("198.18.0.9") {
				t.Errorf("Resolve in a callback: %v, %v", got, err)
			}
			p.HasRoute(t.Context(), netip.Addr{}) // of no address, so that no real socket is opened here
			first <- r
		})
		if err != nil {
			t.Fatal(err)
		}
		handle <- run
		if r := <-first; !errors.Is(r.Err, context.Canceled) || r.Received != 3 {
			t.Errorf("cancelled by its own callback: %v, %d received", r.Err, r.Received)
		}
		if r := <-next; r.Err != nil || r.Received != 1 {
			t.Errorf("started by a callback: %v, %d received", r.Err, r.Received)
		}
	})
}

// TestCloseWaits closes a Pinger twice while a callback runs, on goroutines that the
// callback starts. Both calls return after the last callback.
func TestCloseWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPinger(newFake(t, after(10*ms, sent.reply)), Config{}, systemClock())
		var calls atomic.Int32
		closed := make(chan error, 2)
		for i := range 10 {
			o := Options{Count: Forever, Interval: time.Second, OnEcho: func(e Echo) {
				if i == 0 && e.Seq == 1 {
					for range 2 {
						go func() { closed <- p.Close() }()
					}
					time.Sleep(time.Minute)
				}
				calls.Add(1)
			}}
			done := func(r PingResult) {
				if !errors.Is(r.Err, net.ErrClosed) {
					t.Errorf("ended by Close: %v", r.Err)
				}
				time.Sleep(time.Second)
				calls.Add(1)
			}
			if _, err := p.Go(Target{Addr: testAddr4}, o, done); err != nil {
				t.Fatal(err)
			}
		}
		start := time.Now()
		for range 2 {
			if err := <-closed; err != nil {
				t.Error(err)
			}
			if took, n := time.Since(start), calls.Load(); took < time.Minute+10*time.Second || n < 11 {
				t.Errorf("Close returned after %v and %d callbacks", took, n)
			}
		}
		atClose := calls.Load()
		time.Sleep(time.Hour)
		if n := calls.Load(); n != atClose {
			t.Errorf("%d callbacks after Close", n-atClose)
		}
	})
}

// TestGoexitInCallback ends the goroutine of the callbacks, which a callback must
// not do: there is no callback after that. Close still returns.
func TestGoexitInCallback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPinger(newFake(t, after(10*ms, sent.reply)), Config{}, systemClock())
		for i := range 3 {
			_, err := p.Go(Target{Addr: testAddr4}, Options{}, func(PingResult) {
				if i == 0 {
					runtime.Goexit()
				}
				t.Error("a callback after runtime.Goexit")
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Hour)
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
}
