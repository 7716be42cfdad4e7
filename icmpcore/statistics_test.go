package icmpcore

import (
	"math"
	"slices"
	"testing"
	"time"
)

// TestStatistics compares with the golden vectors of pyminiping, whose rules
// these are.
func TestStatistics(t *testing.T) {
	tests := []struct {
		name                      string
		rtts                      []float64 // seconds
		mean, median, jitter, p95 float64
	}{
		{"five", []float64{.0062, .0044, .0045, .0044, .0045}, .0048, .0045, .000784219357067906, .00586},
		{"one", []float64{.01}, .01, .01, 0, .01},
		{"two", []float64{.01, .02}, .015, .015, .007071067811865475, .0195},
		{"four", []float64{.001, .002, .003, .004}, .0025, .0025, .0012909944487358056, .00385},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := PingResult{Sent: len(tt.rtts), Received: len(tt.rtts)}
			for _, s := range tt.rtts {
				r.RTTs = append(r.RTTs, time.Duration(math.Round(s*1e9)))
			}
			r.fillStatistics()
			check := func(name string, got time.Duration, want float64) {
				t.Helper()
				if want := time.Duration(math.Round(want * 1e9)); got != want {
					t.Errorf("%s = %v, want %v", name, got, want)
				}
			}
			check("mean", r.Mean, tt.mean)
			check("median", r.Median, tt.median)
			check("jitter", r.Jitter, tt.jitter)
			check("p95", r.P95, tt.p95)
		})
	}
}

func TestPercentile(t *testing.T) {
	sorted := []time.Duration{10, 20, 30, 40, 50}
	tests := []struct {
		p    float64
		want time.Duration
	}{{0, 10}, {-5, 10}, {25, 20}, {50, 30}, {90, 46}, {99, 50}, {100, 50}, {200, 50}}
	for _, tt := range tests {
		if got := Percentile(sorted, tt.p); got != tt.want {
			t.Errorf("Percentile(%v) = %d, want %d", tt.p, got, tt.want)
		}
	}
	if got := Percentile(nil, 50); got != 0 {
		t.Errorf("Percentile of nothing = %v", got)
	}
	if got := Percentile(sorted, math.NaN()); got != 0 {
		t.Errorf("Percentile of no rank = %v", got)
	}
}

func TestTally(t *testing.T) {
	const lost, unsent, cut = -1, -2, -3
	tests := []struct {
		name  string
		rtts  []int64
		ipdv  time.Duration
		pairs int
		lost  []int
	}{
		{"nothing", nil, 0, 0, nil},
		{"one", []int64{5}, 0, 0, nil},
		{"two", []int64{9, 5}, 4, 1, nil},
		{"three", []int64{5, 9, 7}, 3, 2, nil},
		{"not across a lost echo", []int64{10, 10, 50, lost, 10, 30}, 20, 3, []int{4}},
		{"no two in succession", []int64{10, lost, 20, unsent, 30, cut, 40}, 0, 0, []int{2}},
		{"no time at all", []int64{0, 0, 4}, 2, 2, nil},
		{"all lost", []int64{lost, lost}, 0, 0, []int{1, 2}},
	}
	states := map[int64]echoState{lost: echoTimedOut, unsent: echoUnsent, cut: echoCutShort}
	for _, tt := range tests {
		ta, r := newTally(), PingResult{}
		for i, rtt := range tt.rtts {
			e := echo{rtt: rtt, state: states[rtt]}
			if rtt >= 0 {
				e.state = echoReplied
				r.Received++
			}
			ta.add(uint64(i), &e, 0)
		}
		ta.fill(&r)
		if r.IPDV != tt.ipdv || r.IPDVPairs != tt.pairs || !slices.Equal(r.Lost, tt.lost) {
			t.Errorf("%s: IPDV %d of %d pairs, lost %v, want %d of %d, %v", tt.name, r.IPDV, r.IPDVPairs, r.Lost, tt.ipdv, tt.pairs, tt.lost)
		}
	}
}

// TestRunning compares the statistics of numbers that are not kept with those
// of a list of them.
func TestRunning(t *testing.T) {
	list := []time.Duration{7e6, 1e6, 3e6, 3e6, 25e6, 4e6 + 1}
	var w running
	if w.jitter() != 0 {
		t.Errorf("jitter of nothing = %v", w.jitter())
	}
	for _, d := range list {
		w.add(float64(d))
	}
	mean, jitter := meanAndJitter(list)
	if got := time.Duration(math.Round(w.mean)); got != mean || w.jitter() != jitter || w.min != 1e6 || w.max != 25e6 {
		t.Errorf("mean %v jitter %v min %v max %v, want %v %v 1e6 25e6", got, w.jitter(), w.min, w.max, mean, jitter)
	}
}

func TestHops(t *testing.T) {
	tests := []struct {
		ttl, hops int
		os        string
	}{
		{64, 1, "Linux/Unix/BSD/macOS/Android"}, {57, 8, "Linux/Unix/BSD/macOS/Android"}, {1, 64, "Linux/Unix/BSD/macOS/Android"},
		{128, 1, "Windows"}, {65, 64, "Windows"},
		{255, 1, "Network device (e.g., Cisco)"}, {129, 127, "Network device (e.g., Cisco)"},
	}
	for _, tt := range tests {
		if h, os := hops(tt.ttl), osGuess(tt.ttl); h != tt.hops || os != tt.os {
			t.Errorf("TTL %d: %d hops, %q, want %d, %q", tt.ttl, h, os, tt.hops, tt.os)
		}
	}
}
