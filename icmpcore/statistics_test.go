package icmpcore

import (
	"math"
	"testing"
	"time"
)

// TestStatistics holds the golden vectors of the library whose rules these are.
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
}

func TestIPDV(t *testing.T) {
	tests := []struct {
		rtts []time.Duration
		want time.Duration
	}{{nil, 0}, {[]time.Duration{5}, 0}, {[]time.Duration{5, 9, 7}, 3}, {[]time.Duration{9, 5}, 4}}
	for _, tt := range tests {
		if got := ipdv(tt.rtts); got != tt.want {
			t.Errorf("ipdv(%v) = %d, want %d", tt.rtts, got, tt.want)
		}
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
