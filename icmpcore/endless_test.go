package icmpcore

import (
	"context"
	"errors"
	"math"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// TestForever runs an endless series past 2^32 echoes. Its counts and running
// statistics cover all echoes, its lists hold the last ones.
func TestForever(t *testing.T) {
	if math.MaxInt == math.MaxInt32 {
		t.Skip("int has 32 bits: a series ends before its numbers turn")
	}
	synctest.Test(t, func(t *testing.T) {
		const start, n = uint64(1)<<32 - 3000, 20000
		c := newFake(t, func(r sent) []answer {
			switch i := uint64(r.number) - start; {
			case uint64(r.number) < start || i%10 == 9:
				return nil
			default:
				return []answer{{time.Duration(1+i%2) * ms / 4, r.reply()}}
			}
		})
		p := openFake(t, c, Config{MaxRate: -1})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		c.refuse = func(r sent) error {
			if r.n == 0 {
				leap(p.slots.at(0), start)
			}
			if uint64(r.number) == start+n {
				cancel()
			}
			return nil
		}
		r, err := p.Ping(ctx, "198.18.0.1", Options{Count: Forever, Interval: ms, Timeout: 20 * ms})
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if got := uint64(r.Sent) - start; got < n-21 || got > n {
			t.Errorf("%d sent, want about %d", got, n)
		}
		if len(r.RTTs) != foreverKept || cap(r.RTTs) > 3*foreverKept {
			t.Errorf("%d RTTs kept, room for %d", len(r.RTTs), cap(r.RTTs))
		}
		if r.Min != ms/4 || r.Max != ms/2 || r.Mean < 350*time.Microsecond || r.Mean > 375*time.Microsecond || r.Jitter == 0 {
			t.Errorf("min %v max %v mean %v jitter %v", r.Min, r.Max, r.Mean, r.Jitter)
		}
		if r.IPDV != ms/4 || r.IPDVPairs < n*8/10-30 || r.Reordered+r.Duplicates+r.Late > 0 {
			t.Errorf("IPDV %v of %d pairs, %d reordered, %d late", r.IPDV, r.IPDVPairs, r.Reordered, r.Late)
		}
		if last := r.Lost[len(r.Lost)-1]; uint64(last) < start+n-40 || len(r.Lost) > n/10+1 {
			t.Errorf("%d lost, the last is %d", len(r.Lost), last)
		}
	})
}

// leap makes a series of one echo go on from number start, as if it had sent all
// echoes before. It may be called before the first echo is sent, when no other
// goroutine reads the series.
func leap(s *series, start uint64) {
	s.number, s.tail, s.base = start+1, start, s.base-uint16(start&0xffff)
	*s.at(start) = *s.at(0)
	s.at(start).state = echoTimedOut
	s.highest = uint32(start & 0xffffffff)
	s.inFlight--
}

// TestForeverEnds runs an endless series up to the last echo that an int can
// count. It ends there with the true count, which does not turn negative.
func TestForeverEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const start = uint64(math.MaxInt - 300) // more than the ring holds
		c := newFake(t, after(ms, sent.reply))
		p := openFake(t, c, Config{MaxRate: -1})
		c.refuse = func(r sent) error {
			if r.n == 0 {
				leap(p.slots.at(0), start)
			}
			return nil
		}
		r, err := p.Ping(t.Context(), "198.18.0.1", Options{Count: Forever, Interval: ms, Timeout: 20 * ms})
		if err != nil {
			t.Fatal(err)
		}
		if r.Sent != math.MaxInt || r.Received != 299 || !slices.Equal(r.Lost, []int{int(start) + 1}) {
			t.Errorf("%d sent, %d received, lost %v", r.Sent, r.Received, r.Lost)
		}
	})
}

// TestKeep bounds what endless series of the same options otherwise hold: lists
// and echoes. All is still counted, and late replies are still known as late.
func TestKeep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFake(t, func(r sent) []answer {
			switch r.number % 4 {
			case 1:
				return []answer{{time.Duration(25) * ms, r.reply()}} // late
			case 3:
				return []answer{{ms, r.errored(3, 1, 8)}}
			}
			return []answer{{ms, r.reply()}}
		})
		p := openFake(t, c, Config{MaxRate: -1})
		for _, keep := range []int{1, 10, foreverKept} {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second+5*ms/2)
			r, _ := p.Ping(ctx, "198.18.0.1", Options{Count: Forever, Keep: keep, Interval: 10 * ms, Timeout: 20 * ms}) // cut short: its error says so
			cancel()
			lists := []int{len(r.RTTs), len(r.Lost), len(r.Errors)}
			want := []int{min(keep, 501), min(keep, 500), min(keep, 250)}
			if !slices.Equal(lists, want) || r.Received != 501 || r.Late < 249 {
				t.Errorf("keep %d: lists of %v, want %v; %d received, %d late", keep, lists, want, r.Received, r.Late)
			}
			if room := max(cap(r.RTTs), cap(r.Lost), cap(r.Errors)); room > 4*max(keep, 8) {
				t.Errorf("keep %d: room for %d", keep, room)
			}
			if n, most := len(p.slots.at(0).echoes), max(6, min(keep, 256)); n > most {
				t.Errorf("keep %d: a ring of %d echoes, want %d at most", keep, n, most)
			}
		}
	})
}

// TestEndlessErrors makes every echo of an endless series end in an error. The
// result keeps the last ones and counts all.
func TestEndlessErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFake(t, after(ms, func(r sent) event { return r.errored(3, 1, 8) }))
		noRoute := os.NewSyscallError("sendmmsg", syscall.ENETUNREACH)
		c.refuse = func(r sent) error {
			if r.number%2 == 1 {
				return noRoute
			}
			return nil
		}
		p := openFake(t, c, Config{MaxRate: -1})
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		r, _ := p.Ping(ctx, "198.18.0.1", Options{Count: Forever, Interval: ms, Timeout: 20 * ms}) // the error says that it ended early
		if r.Sent < 9900 || r.Sent > 10000 || r.Loss != 100 || len(r.Errors) != foreverKept || len(r.Lost) != foreverKept {
			t.Errorf("%d sent, %v %% lost, %d errors, %d lost ones", r.Sent, r.Loss, len(r.Errors), len(r.Lost))
		}
		if cap(r.Errors) > 3*foreverKept || cap(r.Lost) > 3*foreverKept {
			t.Errorf("room for %d errors, %d lost ones", cap(r.Errors), cap(r.Lost))
		}
		if last := r.Errors[len(r.Errors)-1].Seq; last < 19900 {
			t.Errorf("the last error is of echo %d", last)
		}
	})
}

// TestBatchesAgain takes away the timestamps of requests and gives them back, and
// steps the wall clock while many echoes are in flight.
func TestBatchesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFake(t, after(50*ms, sent.reply))
		base := time.Now()
		p := newPinger(c, Config{MaxRate: -1}, func() (int64, int64) { return int64(time.Since(base)), c.wall() })
		defer p.Close() // its error does not matter here
		round := func() (got Timestamps) {
			results := make(chan PingResult, 100)
			for i := range 100 {
				if _, err := p.Go(loopbackTarget(i), Options{}, func(r PingResult) { results <- r }); err != nil {
					t.Fatal(err)
				}
			}
			for range 100 {
				got = (<-results).Timestamps
			}
			synctest.Wait()
			return got
		}
		time.AfterFunc(25*ms, func() { c.step.Store(int64(time.Second)) })
		if round(); p.Stats().ClockSteps != 1 || p.engine.batch != maxBatch {
			t.Errorf("a step of the clock: batches of %d", p.engine.batch)
		}
		c.unstamped.Store(true)
		if got := round(); got == TimestampsKernel || p.engine.batch != 1 {
			t.Errorf("without stamps: %s, batches of %d", got, p.engine.batch)
		}
		c.unstamped.Store(false)
		if got := round(); got != TimestampsKernel || p.engine.batch != maxBatch {
			t.Errorf("with stamps again: %s, batches of %d", got, p.engine.batch)
		}
	})
}

// TestFamilyGone loses the socket of a family. All series of the family end, also
// those in a lane and in the inbox.
func TestFamilyGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		boom := errors.New("boom")
		c := newFake(t, after(10*ms, sent.reply))
		p := openFake(t, c, Config{})
		results := make(chan PingResult, 2)
		start := func(addr string) {
			if _, err := p.Go(Target{Addr: netip.MustParseAddr(addr)}, Options{Count: 5}, func(r PingResult) { results <- r }); err != nil {
				t.Error(err)
			}
		}
		start("2001:db8::1")
		start("198.18.0.1")
		time.Sleep(150 * ms)
		c.arrive(event{kind: eventLost, family: FamilyIPv6, fault: boom})
		if r := <-results; !errors.Is(r.Err, boom) || r.Sent != 2 {
			t.Errorf("the family's series: %v, %d sent", r.Err, r.Sent)
		}
		start("2001:db8::1")
		if r := <-results; !errors.Is(r.Err, boom) || r.Sent != 0 {
			t.Errorf("a series that came later: %v, %d sent", r.Err, r.Sent)
		}
		if r := <-results; r.Err != nil || r.Received != 5 {
			t.Errorf("the other family: %v, %d received", r.Err, r.Received)
		}
		synctest.Wait()
		if err := leftovers(p); err != nil {
			t.Error(err)
		}
	})
}
