package icmpcore

import (
	"math"
	"slices"
	"time"
)

// Percentile returns the p-th percentile, 0 to 100, of a sorted list. It
// interpolates linearly between the closest ranks, where the rank is
// (n-1)*p/100. A p below 0 counts as 0, one above 100 as 100. The result is 0
// for an empty list and if p is NaN.
func Percentile(sorted []time.Duration, p float64) time.Duration {
	if len(sorted) == 0 || math.IsNaN(p) {
		return 0
	}
	rank := float64(len(sorted)-1) * min(max(p, 0), 100) / 100
	low := int(rank)
	if low+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	part := rank - float64(low)
	a, b := float64(sorted[low]), float64(sorted[low+1])
	return time.Duration(math.Round(a + (b-a)*part))
}

// fillStatistics computes the fields of r that depend only on its RTTs and
// counts.
func (r *PingResult) fillStatistics() {
	if r.Sent > 0 {
		r.Loss = float64(r.Sent-r.Received) / float64(r.Sent) * 100
	}
	n := len(r.RTTs)
	if n == 0 {
		return
	}
	if n == 1 { // the usual case in a sweep: there is nothing to sort
		rtt := r.RTTs[0]
		r.Min, r.Max, r.Mean, r.Median = rtt, rtt, rtt, rtt
		r.P50, r.P90, r.P95, r.P99 = rtt, rtt, rtt, rtt
		return
	}
	r.Mean, r.Jitter = meanAndJitter(r.RTTs)
	var few [64]time.Duration // keeps short series off the heap
	sorted := append(few[:0], r.RTTs...)
	slices.Sort(sorted)
	r.Min, r.Max = sorted[0], sorted[n-1]
	r.P50, r.P90 = Percentile(sorted, 50), Percentile(sorted, 90)
	r.P95, r.P99 = Percentile(sorted, 95), Percentile(sorted, 99)
	r.Median = r.P50
}

// meanAndJitter returns the mean and the sample standard deviation. It takes two
// passes, because the difference of two large sums would lose the digits that
// matter.
func meanAndJitter(rtts []time.Duration) (mean, jitter time.Duration) {
	sum := 0.0
	for _, d := range rtts {
		sum += float64(d)
	}
	m := sum / float64(len(rtts))
	if len(rtts) < 2 {
		return time.Duration(math.Round(m)), 0
	}
	squares := 0.0
	for _, d := range rtts {
		squares += (float64(d) - m) * (float64(d) - m)
	}
	s := math.Sqrt(squares / float64(len(rtts)-1))
	return time.Duration(math.Round(m)), time.Duration(math.Round(s))
}

// initialTTL returns the most likely initial value of a TTL or hop limit: the
// next higher of 64, 128 and 255, which nearly all systems use.
func initialTTL(ttl int) int {
	switch {
	case ttl <= 64:
		return 64
	case ttl <= 128:
		return 128
	}
	return 255
}

// hops estimates the length of the way back in hops, including the target.
func hops(ttl int) int { return initialTTL(ttl) - ttl + 1 }

// osGuess names the systems that usually start at the initial value of ttl.
func osGuess(ttl int) string {
	switch initialTTL(ttl) {
	case 64:
		return "Linux/Unix/BSD/macOS/Android"
	case 128:
		return "Windows"
	}
	return "Network device (e.g., Cisco)"
}
