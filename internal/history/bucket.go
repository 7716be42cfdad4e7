package history

import (
	"math"
	"time"
)

// growth is the ratio of the bounds of a bucket. A round-trip time is taken to be in
// the middle of its bucket, which is within 1 % of it. So a percentile, which lies
// between two round-trip times, is within 1 % of the true one.
const growth = 1.02

// maxBucket is the bucket of an hour, the longest timeout.
const maxBucket = 1460

var logGrowth = math.Log(growth)

// bucketOf returns the bucket of a round-trip time.
func bucketOf(d time.Duration) int {
	if d <= 1 {
		return 0
	}
	return min(int(math.Log(float64(d))/logGrowth), maxBucket)
}

// middles holds the middles of the buckets in seconds.
var middles = func() (m [maxBucket + 1]float64) {
	for b := range m {
		m[b] = math.Exp((float64(b)+0.5)*logGrowth) / 1e9
	}
	return m
}()

// Histogram counts round-trip times by bucket. The zero value is empty.
type Histogram struct {
	first  int      // the bucket that counts[0] counts
	counts []uint32 // consecutive buckets
	total  uint64
}

// add adds n round-trip times to a bucket.
func (h *Histogram) add(bucket int, n uint32) {
	if len(h.counts) == 0 {
		h.first, h.counts = bucket, append(h.counts, 0)
	}
	if bucket < h.first {
		room := h.first - max(bucket-8, 0) // a little more than needed
		h.counts = append(make([]uint32, room, room+len(h.counts)), h.counts...)
		h.first -= room
	}
	for bucket-h.first >= len(h.counts) {
		h.counts = append(h.counts, 0)
	}
	h.counts[bucket-h.first] += n
	h.total += uint64(n)
}

// Add adds all of another histogram.
func (h *Histogram) Add(other *Histogram) {
	for i, n := range other.counts {
		if n > 0 {
			h.add(other.first+i, n)
		}
	}
}

// Total returns the number of round-trip times.
func (h *Histogram) Total() uint64 { return h.total }

// Percentiles returns the p-th percentiles in seconds, by linear interpolation
// between closest ranks, as [icmpcore.Percentile] has them. ps must ascend. It
// returns nil if there is no round-trip time.
func (h *Histogram) Percentiles(ps ...float64) []float64 {
	if h.total == 0 {
		return nil
	}
	values := make([]float64, len(ps))
	i, below := 0, uint64(0) // round-trip times in the buckets before counts[i]
	at := func(rank uint64) float64 {
		for below+uint64(h.counts[i]) <= rank {
			below += uint64(h.counts[i])
			i++
		}
		return middles[h.first+i]
	}
	for k, p := range ps {
		rank := p / 100 * float64(h.total-1)
		low := math.Floor(rank)
		v := at(uint64(low))
		if part := rank - low; part > 0 {
			i0, below0 := i, below
			v += part * (at(uint64(low)+1) - v)
			i, below = i0, below0
		}
		values[k] = v
	}
	return values
}

// Each calls f for each bucket that is not empty, with its bounds in seconds.
func (h *Histogram) Each(f func(low, high float64, n uint32)) {
	for i, n := range h.counts {
		if n > 0 {
			b := float64(h.first + i)
			f(math.Exp(b*logGrowth)/1e9, math.Exp((b+1)*logGrowth)/1e9, n)
		}
	}
}
