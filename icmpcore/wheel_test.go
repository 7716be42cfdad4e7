package icmpcore

import (
	"math/rand/v2"
	"testing"
	"time"
)

// wheelOf returns a wheel over nodes in a slice.
func wheelOf(now int64, n int) (*wheel, []timerNode) {
	nodes := make([]timerNode, n)
	return newWheel(now, func(i int32) *timerNode { return &nodes[i] }), nodes
}

// TestWheel sets, moves and clears timers at random and compares the wheel with
// a plain list. No timer fires early or more than a tick late, none is lost,
// and next is never late.
func TestWheel(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 1))
		const n = 200
		now := rng.Int64N(1 << 40)
		w, _ := wheelOf(now, n)
		when := make(map[int32]int64)
		spans := []int64{1 << 16, 1 << 20, 1 << 26, 1 << 34, 1 << 41, 1 << 50}
		for range 3000 {
			i := int32(rng.IntN(n))
			switch rng.IntN(4) {
			case 0:
				w.clear(i)
				delete(when, i)
			default:
				at := now + rng.Int64N(spans[rng.IntN(len(spans))]) - 1000
				w.set(i, at)
				when[i] = at
			}
			if rng.IntN(3) > 0 {
				continue
			}
			next, some := w.next()
			earliest, any := int64(0), false
			for _, at := range when {
				if !any || at < earliest {
					earliest, any = at, true
				}
			}
			if some != any || some && next > max(earliest, now)+1<<tickBits {
				t.Fatalf("seed %d: next = %d %v, earliest timer at %d %v", seed, next, some, earliest, any)
			}
			now += rng.Int64N(spans[rng.IntN(len(spans)-1)])
			w.advance(now, func(i int32) {
				if at, ok := when[i]; !ok || at > now {
					t.Fatalf("seed %d: %d fired at %d, was set for %d (%v)", seed, i, now, at, ok)
				}
				delete(when, i)
			})
			for i, at := range when {
				if at+1<<tickBits <= now {
					t.Fatalf("seed %d: %d did not fire by %d, was set for %d", seed, i, now, at)
				}
			}
			if w.count != len(when) {
				t.Fatalf("seed %d: count = %d, want %d", seed, w.count, len(when))
			}
		}
	}
}

// TestWheelNextLeadsThere follows only next, as the engine does, and reaches a
// distant timer in few steps.
func TestWheelNextLeadsThere(t *testing.T) {
	for _, d := range []time.Duration{1, time.Microsecond, time.Second, time.Hour, 24 * time.Hour, 100 * 24 * time.Hour} {
		w, _ := wheelOf(12345678, 1)
		w.set(0, 12345678+int64(d))
		fired, steps := false, 0
		for !fired && steps < 200 {
			next, ok := w.next()
			if !ok {
				t.Fatalf("%v: nothing set", d)
			}
			w.advance(next, func(int32) { fired = true })
			steps++
		}
		if !fired {
			t.Errorf("%v: not there after %d steps", d, steps)
		}
	}
}

func BenchmarkWheel(b *testing.B) {
	const n = 1 << 20
	w, _ := wheelOf(0, n)
	b.ReportAllocs()
	for i := range b.N {
		w.set(int32(i%n), int64(i)*1000+int64(time.Second))
		if i >= n/2 {
			w.clear(int32((i - n/2) % n))
		}
	}
}
