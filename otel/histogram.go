package otel

import (
	"math"
	"slices"
	"time"
)

// histogram counts round-trip times in buckets. The sum is kept in whole
// nanoseconds, so that it does not lose the small against the large.
type histogram interface {
	observe(rtt time.Duration)
	merge(other histogram) // of the same type and bounds
	reset()
	empty() histogram // like it
}

// DefaultBounds returns the default bounds of ping.rtt, in seconds. From 0.1 ms
// to 1 s each is at most 1.25 times the one before it, so that a percentile read
// from the buckets is off by 25 % at most. The caller owns the slice.
func DefaultBounds() []float64 {
	return []float64{
		1e-5, 2.5e-5, 5e-5,
		1e-4, 1.25e-4, 1.55e-4, 1.9e-4, 2.3e-4, 2.8e-4, 3.5e-4, 4.3e-4, 5.3e-4, 6.5e-4, 8e-4,
		.001, .00125, .00155, .0019, .0023, .0028, .0035, .0043, .0053, .0065, .008,
		.01, .0125, .0155, .019, .023, .028, .035, .043, .053, .065, .08,
		.1, .125, .155, .19, .23, .28, .35, .43, .53, .65, .8,
		1, 2, 5, 10,
	}
}

// explicit is a histogram with fixed bounds. The RTTs of a target lie in few of its
// buckets, so it holds only those from the first to the last that has a value.
type explicit struct {
	bounds *bounds
	offset int      // of counts[0] among the buckets, of which there is one more than bounds
	counts []uint64 // empty at first
	sum    uint64   // nanoseconds
}

// bounds are the upper bounds, inclusive, of an explicit histogram's buckets.
type bounds struct {
	seconds []float64 // for messages
	nanos   []int64   // for comparisons
}

// newBounds takes ascending bounds in seconds. It rounds a bound down to whole
// nanoseconds, because RTTs are whole nanoseconds.
func newBounds(seconds []float64) *bounds {
	b := &bounds{seconds: seconds, nanos: make([]int64, len(seconds))}
	for i, s := range seconds {
		const slack = 1e-3 // 5e-5 * 1e9 may be slightly below 50000
		b.nanos[i] = int64(math.Floor(s*1e9 + slack))
	}
	return b
}

func newExplicit(b *bounds) *explicit { return &explicit{bounds: b} }

func (h *explicit) observe(rtt time.Duration) {
	i, _ := slices.BinarySearch(h.bounds.nanos, int64(rtt))
	if at := i - h.offset; uint(at) >= uint(len(h.counts)) {
		h.offset, h.counts = reach(h.offset, h.counts, i, i)
	}
	h.counts[i-h.offset]++
	h.sum += uint64(rtt)
}

func (h *explicit) merge(other histogram) {
	o := other.(*explicit)
	h.sum += o.sum
	if len(o.counts) == 0 {
		return
	}
	h.offset, h.counts = reach(h.offset, h.counts, o.offset, o.offset+len(o.counts)-1)
	for i, n := range o.counts {
		h.counts[o.offset+i-h.offset] += n
	}
}

func (h *explicit) reset() { *h = explicit{bounds: h.bounds, counts: h.counts[:0]} }

func (h *explicit) empty() histogram { return newExplicit(h.bounds) }

func (h *explicit) count() uint64 {
	var n uint64
	for _, c := range h.counts {
		n += c
	}
	return n
}

// reach extends counts, whose first bucket is offset, so that it holds the buckets
// from low to high, and returns the new offset and buckets. If counts is empty, the
// offset does not matter.
func reach[T int | int32](offset T, counts []uint64, low, high T) (T, []uint64) {
	if len(counts) == 0 {
		offset = low
	}
	extend := func(by int) { // by empty buckets
		n := len(counts)
		counts = slices.Grow(counts, by)[:n+by]
		clear(counts[n:])
	}
	if grow := int(offset - low); grow > 0 {
		n := len(counts)
		extend(grow)
		copy(counts[grow:], counts[:n])
		clear(counts[:grow])
		offset = low
	}
	if grow := int(high-offset) + 1 - len(counts); grow > 0 {
		extend(grow)
	}
	return offset, counts
}

const (
	maxScale   = 20  // of an exponential histogram: buckets a millionth wide
	maxBuckets = 160 // of an exponential histogram: as in other SDKs; 19 % wide for 1 µs to 1 h
)

// exponential is a base-2 exponential histogram (OpenTelemetry metrics data
// model): bucket i holds the values above base^i up to base^(i+1), where base
// is 2^(2^-scale). It begins with the finest scale and halves it whenever its
// values spread over more than maxBuckets.
type exponential struct {
	scale  int32
	offset int32    // index of counts[0]
	counts []uint64 // empty at first
	zero   uint64   // values that were zero
	n      uint64   // all values
	sum    uint64   // nanoseconds
}

func newExponential() *exponential { return &exponential{scale: maxScale} }

func (h *exponential) observe(rtt time.Duration) {
	h.n++
	h.sum += uint64(rtt)
	if rtt == 0 {
		h.zero++
		return
	}
	v := rtt.Seconds()
	i := bucketOf(v, h.scale)
	if at := i - h.offset; uint32(at) < uint32(len(h.counts)) {
		h.counts[at]++
		return
	}
	if excess := h.excess(i, i); excess > 0 {
		h.coarsen(excess)
		i >>= excess
	}
	h.offset, h.counts = reach(h.offset, h.counts, i, i)
	h.counts[i-h.offset]++
}

// perLog holds, by scale, how many buckets a factor of e spans.
var perLog = func() (f [maxScale + 1]float64) {
	for scale := range f {
		f[scale] = math.Log2E * float64(int64(1)<<scale)
	}
	return f
}()

// bucketOf returns the index of the bucket that holds v, which is positive.
func bucketOf(v float64, scale int32) int32 {
	fraction, exponent := math.Frexp(v) // v = fraction * 2^exponent, 0.5 <= fraction < 1
	if fraction == 0.5 {
		fraction, exponent = 1, exponent-1 // a power of two is an upper bound, and belongs below it
	}
	if scale <= 0 {
		return int32(exponent-1) >> -scale
	}
	return int32(exponent)<<scale + int32(math.Ceil(math.Log(fraction)*perLog[scale])) - 1
}

// excess returns by how many steps the scale must fall so that the buckets from low
// to high fit beside those that are there.
func (h *exponential) excess(low, high int32) int32 {
	if len(h.counts) > 0 {
		low, high = min(low, h.offset), max(high, h.offset+int32(len(h.counts))-1)
	}
	var steps int32
	for int64(high)-int64(low) >= maxBuckets {
		low, high = low>>1, high>>1
		steps++
	}
	return steps
}

// coarsen merges each 2^steps buckets into one.
func (h *exponential) coarsen(steps int32) {
	h.scale -= steps
	if len(h.counts) == 0 {
		return
	}
	first := h.offset >> steps
	for i, n := range h.counts { // in place: the new index is never above the old one
		to := (h.offset+int32(i))>>steps - first
		h.counts[i] = 0
		h.counts[to] += n
	}
	last := (h.offset + int32(len(h.counts)) - 1) >> steps
	h.counts = h.counts[:last-first+1]
	h.offset = first
}

func (h *exponential) merge(other histogram) {
	o := other.(*exponential)
	h.n, h.zero, h.sum = h.n+o.n, h.zero+o.zero, h.sum+o.sum
	if len(o.counts) == 0 {
		return
	}
	if h.scale > o.scale {
		h.coarsen(h.scale - o.scale)
	}
	shift := o.scale - h.scale
	low, high := o.offset>>shift, (o.offset+int32(len(o.counts))-1)>>shift
	if excess := h.excess(low, high); excess > 0 {
		h.coarsen(excess)
		shift += excess
		low, high = low>>excess, high>>excess
	}
	h.offset, h.counts = reach(h.offset, h.counts, low, high)
	for i, n := range o.counts {
		h.counts[(o.offset+int32(i))>>shift-h.offset] += n
	}
}

func (h *exponential) reset() { *h = exponential{scale: maxScale, counts: h.counts[:0]} }

func (h *exponential) empty() histogram { return newExponential() }

// both is a histogram of either kind over the same values.
type both struct {
	explicit    explicit
	exponential exponential
}

func newBoth(b *bounds) *both { return &both{*newExplicit(b), *newExponential()} }

func (h *both) observe(rtt time.Duration) {
	h.explicit.observe(rtt)
	h.exponential.observe(rtt)
}

func (h *both) merge(other histogram) {
	o := other.(*both)
	h.explicit.merge(&o.explicit)
	h.exponential.merge(&o.exponential)
}

func (h *both) reset() {
	h.explicit.reset()
	h.exponential.reset()
}

func (h *both) empty() histogram { return newBoth(h.explicit.bounds) }
