package watch

import (
	"math"
	"slices"
)

// figures are the statistics of the round-trip times in a target's window, in
// nanoseconds. They mean something where n is above zero.
type figures struct {
	n                      int
	min, max, mean, jitter float64
	median, p90, p95, p99  float64
}

// figures works out the statistics. scratch is used and returned, so that the
// next target needs no memory of its own.
func (t *target) figures(scratch []float32) (figures, []float32) {
	scratch = t.rtts(scratch[:0])
	if len(scratch) == 0 {
		return figures{}, scratch
	}
	slices.Sort(scratch)
	f := figures{n: len(scratch), min: float64(scratch[0]), max: float64(scratch[len(scratch)-1])}
	f.mean, f.jitter = spread(scratch)
	f.median, f.p90 = percentile(scratch, 50), percentile(scratch, 90)
	f.p95, f.p99 = percentile(scratch, 95), percentile(scratch, 99)
	return f, scratch
}

// spread returns the mean and the sample standard deviation, 0 where there is
// only one.
func spread(list []float32) (mean, jitter float64) {
	sum := 0.0
	for _, x := range list {
		sum += float64(x)
	}
	mean = sum / float64(len(list))
	if len(list) < 2 {
		return mean, 0
	}
	squares := 0.0
	for _, x := range list {
		squares += (float64(x) - mean) * (float64(x) - mean)
	}
	return mean, math.Sqrt(squares / float64(len(list)-1))
}

// rtts appends the round-trip times in the window.
func (t *target) rtts(b []float32) []float32 {
	for _, s := range t.ring {
		if s > 0 {
			b = append(b, float32(s))
		}
	}
	return b
}

// percentile interpolates linearly between closest ranks, as
// [icmpcore.Percentile] does.
func percentile(sorted []float32, p float64) float64 {
	rank := float64(len(sorted)-1) * p / 100
	low := int(rank)
	if low+1 >= len(sorted) {
		return float64(sorted[len(sorted)-1])
	}
	a, b := float64(sorted[low]), float64(sorted[low+1])
	return a + (b-a)*(rank-float64(low))
}

// selectAt returns the element that sorting would put at k (Hoare's
// quickselect). It changes the order of list.
func selectAt(list []float32, k int) float32 {
	low, high := 0, len(list)-1
	for low < high {
		pivot := list[low+(high-low)/2]
		i, j := low, high
		for i <= j {
			for list[i] < pivot {
				i++
			}
			for list[j] > pivot {
				j--
			}
			if i <= j {
				list[i], list[j] = list[j], list[i]
				i++
				j--
			}
		}
		switch {
		case k <= j:
			high = j
		case k >= i:
			low = i
		default:
			return list[k]
		}
	}
	return list[k]
}
