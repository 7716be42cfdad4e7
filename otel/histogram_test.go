package otel

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pingtel/pingtel/internal/config"
)

func TestExplicitBounds(t *testing.T) {
	seconds := config.DefaultOTelBounds()
	b := newBounds(seconds)
	for i, s := range seconds {
		edge := time.Duration(math.Round(s * 1e9))
		for _, tt := range []struct {
			rtt  time.Duration
			want int
		}{{edge - 1, i}, {edge, i}, {edge + 1, i + 1}} {
			h := newExplicit(b)
			h.observe(tt.rtt)
			if h.counts[tt.want] != 1 {
				t.Errorf("observe(%v) counts %v, want it in bucket %d", tt.rtt, h.counts, tt.want)
			}
		}
	}
	h := newExplicit(newBounds(nil))
	h.observe(time.Second)
	if h.count() != 1 || h.sum != 1e9 {
		t.Errorf("without bounds: count %d, sum %d, want 1, 1e9", h.count(), h.sum)
	}
}

// sample returns RTTs from nanoseconds to an hour.
func sample(rng *rand.Rand, n int) []time.Duration {
	rtts := make([]time.Duration, n)
	for i := range rtts {
		rtts[i] = time.Duration(math.Exp2(rng.Float64() * 41.6))
	}
	return rtts
}

// TestExponentialHolds checks that each bucket holds the values that lie
// between its bounds, whatever the order they came in.
func TestExponentialHolds(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{1, 2, 3, 10, 1000} {
		rtts := append(sample(rng, n), 0, time.Second, time.Second/2, time.Nanosecond)
		h := newExponential()
		for _, rtt := range rtts {
			h.observe(rtt)
		}
		want := make(map[int32]uint64)
		for _, rtt := range rtts {
			if rtt > 0 {
				want[slowBucket(rtt.Seconds(), h.scale)]++
			}
		}
		got := make(map[int32]uint64)
		for i, c := range h.counts {
			if c > 0 {
				got[h.offset+int32(i)] = c
			}
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%d values, scale %d: buckets (-want +got):\n%s", n, h.scale, d)
		}
		if h.zero != 1 || h.n != uint64(len(rtts)) || len(h.counts) > maxBuckets {
			t.Errorf("%d values: zero %d, count %d, %d buckets", n, h.zero, h.n, len(h.counts))
		}
	}
}

// slowBucket looks for the bucket by its bounds alone.
func slowBucket(v float64, scale int32) int32 {
	base := math.Exp2(math.Exp2(-float64(scale)))
	i := int32(math.Floor(math.Log(v)/math.Log(base))) - 2
	for !(v <= math.Exp2(float64(i+1)*math.Exp2(-float64(scale)))) {
		i++
	}
	return i
}

func TestExponentialScale(t *testing.T) {
	h := newExponential()
	h.observe(time.Millisecond)
	if h.scale != maxScale || len(h.counts) != 1 {
		t.Errorf("one value: scale %d, %d buckets, want %d, 1", h.scale, len(h.counts), maxScale)
	}
	h.observe(2 * time.Millisecond) // one doubling in 160 buckets
	if h.scale != 7 {
		t.Errorf("two values a factor of 2 apart: scale %d, want 7", h.scale)
	}
	h.reset()
	if h.scale != maxScale || h.n != 0 || len(h.counts) != 0 || h.sum != 0 {
		t.Errorf("after reset: %+v", *h)
	}
}

// TestMerge holds the merging of two halves equal to observing all, for both
// kinds.
func TestMerge(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	b := newBounds(config.DefaultOTelBounds())
	kinds := map[string]func() histogram{
		"explicit":    func() histogram { return newExplicit(b) },
		"exponential": func() histogram { return newExponential() },
	}
	for name, make := range kinds {
		for _, sizes := range [][2]int{{0, 5}, {5, 0}, {1, 1}, {3, 500}, {500, 3}} {
			first, second, all := make(), make(), make()
			for i, rtts := range [][]time.Duration{sample(rng, sizes[0]), sample(rng, sizes[1])} {
				for _, rtt := range rtts {
					[]histogram{first, second}[i].observe(rtt)
					all.observe(rtt)
				}
			}
			first.merge(second)
			if d := cmp.Diff(trim(all), trim(first), cmp.AllowUnexported(exponential{}, explicit{}, bounds{})); d != "" {
				t.Errorf("%s, %v: merged is not observed (-want +got):\n%s", name, sizes, d)
			}
		}
	}
}

// trim takes empty buckets off the ends, which say nothing.
func trim(h histogram) histogram {
	e, ok := h.(*exponential)
	if !ok {
		return h
	}
	c := *e
	for len(c.counts) > 0 && c.counts[0] == 0 {
		c.counts, c.offset = c.counts[1:], c.offset+1
	}
	for len(c.counts) > 0 && c.counts[len(c.counts)-1] == 0 {
		c.counts = c.counts[:len(c.counts)-1]
	}
	return &c
}

func TestObserveAllocatesNothing(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	rtts := sample(rng, 1000)
	for name, h := range map[string]histogram{
		"explicit": newExplicit(newBounds(config.DefaultOTelBounds())), "exponential": newExponential(),
	} {
		for _, rtt := range rtts { // the buckets grow to what these values take
			h.observe(rtt)
		}
		n := testing.AllocsPerRun(10, func() {
			for _, rtt := range rtts {
				h.observe(rtt)
			}
		})
		if n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkObserve(b *testing.B) {
	rtts := sample(rand.New(rand.NewPCG(7, 8)), 1024)
	for name, h := range map[string]histogram{
		"explicit": newExplicit(newBounds(config.DefaultOTelBounds())), "exponential": newExponential(),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				h.observe(rtts[i%len(rtts)])
			}
		})
	}
}
