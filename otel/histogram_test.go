package otel

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestExplicitBounds(t *testing.T) {
	seconds := DefaultBounds()
	b := newBounds(seconds)
	for i, s := range seconds {
		edge := time.Duration(math.Round(s * 1e9))
		for _, tt := range []struct {
			rtt  time.Duration
			want int
		}{{edge - 1, i}, {edge, i}, {edge + 1, i + 1}} {
			h := newExplicit(b)
			h.observe(tt.rtt)
			if h.offset != tt.want || len(h.counts) != 1 || h.counts[0] != 1 {
				t.Errorf("observe(%v) counts %v from %d on, want it in bucket %d", tt.rtt, h.counts, h.offset, tt.want)
			}
		}
	}
	h := newExplicit(newBounds(nil))
	h.observe(time.Second)
	if h.count() != 1 || h.sum != 1e9 {
		t.Errorf("without bounds: count %d, sum %d, want 1, 1e9", h.count(), h.sum)
	}
}

// draw returns RTTs from nanoseconds to an hour.
func draw(rng *rand.Rand, n int) []time.Duration {
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
		rtts := append(draw(rng, n), 0, time.Second, time.Second/2, time.Nanosecond)
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
	b := newBounds(DefaultBounds())
	kinds := map[string]func() histogram{
		"explicit":    func() histogram { return newExplicit(b) },
		"exponential": func() histogram { return newExponential() },
	}
	for name, make := range kinds {
		for _, sizes := range [][2]int{{0, 5}, {5, 0}, {1, 1}, {3, 500}, {500, 3}} {
			first, second, all := make(), make(), make()
			for i, rtts := range [][]time.Duration{draw(rng, sizes[0]), draw(rng, sizes[1])} {
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
	if x, isExplicit := h.(*explicit); isExplicit && len(x.counts) == 0 {
		return &explicit{bounds: x.bounds}
	}
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

// quantile is PromQL's histogram_quantile over the buckets of an explicit
// histogram (promql/quantile.go): linear interpolation within the bucket.
func (h *explicit) quantile(q float64) float64 {
	rank, below := q*float64(h.count()), 0.
	for i, n := range h.counts {
		if below+float64(n) < rank {
			below += float64(n)
			continue
		}
		b, low := h.offset+i, 0.
		if b == len(h.bounds.seconds) {
			return h.bounds.seconds[b-1]
		}
		if b > 0 {
			low = h.bounds.seconds[b-1]
		}
		return low + (h.bounds.seconds[b]-low)*(rank-below)/float64(n)
	}
	return math.NaN()
}

// TestPercentile reads percentiles from the default histogram as Prometheus
// does, for paths with RTTs that lie close together, which are the hardest, and
// far apart. Between 0.1 ms and 1 s they are off by 25 % at most.
func TestPercentile(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	b, worst := newBounds(DefaultBounds()), 0.
	for low := 1e-4; low < 1; low *= 1.01 {
		for _, spread := range []float64{1, 1.001, 1.05, 1.3, 2, 10} {
			h, rtts := newExplicit(b), []float64(nil)
			for range 200 {
				rtt := min(low*(1+(spread-1)*rng.Float64()), 1)
				rtts = append(rtts, rtt)
				h.observe(time.Duration(rtt * 1e9))
			}
			slices.Sort(rtts)
			for _, q := range []float64{0.5, 0.95, 0.99} {
				truth := rtts[int(math.Ceil(q*200))-1]
				off := math.Abs(h.quantile(q)-truth) / truth
				if worst = max(worst, off); off > 0.25 {
					t.Errorf("RTTs of %.4g to %.4g s: p%v reads %.4g, is %.4g", rtts[0], rtts[199], 100*q, h.quantile(q), truth)
				}
			}
		}
	}
	t.Logf("off by %.1f %% at most", 100*worst)
}

func TestObserveAllocatesNothing(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	rtts := draw(rng, 1000)
	for name, h := range map[string]histogram{
		"explicit": newExplicit(newBounds(DefaultBounds())), "exponential": newExponential(),
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
	rtts := draw(rand.New(rand.NewPCG(7, 8)), 1024)
	for name, h := range map[string]histogram{
		"explicit": newExplicit(newBounds(DefaultBounds())), "exponential": newExponential(),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				h.observe(rtts[i%len(rtts)])
			}
		})
	}
}
