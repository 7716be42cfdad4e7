package main

import (
	"math"
	"testing"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
)

func TestRunTime(t *testing.T) {
	const s, ms = time.Second, time.Millisecond
	five := icmpcore.Options{Count: 5, Interval: 100 * ms, Timeout: s}
	one := icmpcore.Options{Count: 1, Interval: 100 * ms, Timeout: 2 * s}
	for _, tt := range []struct {
		name    string
		options []icmpcore.Options
		n, rate int
		want    time.Duration
	}{
		{"one host", []icmpcore.Options{five}, 1, 10_000, 1400 * ms},
		{"a rate below that of the host", []icmpcore.Options{five}, 1, 2, 3 * s},
		{"the last host begins late", []icmpcore.Options{five}, 501, 10_000, 1450 * ms},
		{"the rate decides", []icmpcore.Options{five}, 20_000, 10_000, 10*s + s - 100*time.Microsecond},
		{"no rate", []icmpcore.Options{five}, 1_000_000, -1, 1400 * ms},
		{"single echoes", []icmpcore.Options{one}, 10_001, 1000, 12 * s},
		{"options of their own", []icmpcore.Options{one, five, one}, 3, 100, 2*s + 60*ms},
		{"beyond all bounds", []icmpcore.Options{{Count: 1 << 30, Interval: 24 * time.Hour, Timeout: s}}, 1, 10, math.MaxInt64},
		{"echoes beyond all bounds", []icmpcore.Options{{Count: 1 << 30, Timeout: s}}, 1 << 30, 1, math.MaxInt64},
	} {
		if got := runTime(tt.options, tt.n, tt.rate); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestEchoTimeout(t *testing.T) {
	const s, ms = time.Second, time.Millisecond
	for _, tt := range []struct {
		name                 string
		critical, left, want time.Duration
	}{
		{"a second", 500 * ms, 8 * s, s},
		{"the critical RTT where it is longer", 5 * s, 8 * s, 5 * s},
		{"what is left", 5 * s, 3 * s, 3 * s},
		{"less than a second", 500 * ms, 700 * ms, 700 * ms},
		{"never below the critical RTT", 500 * ms, 100 * ms, 500 * ms},
		{"nor below a second for a longer one", 5 * s, -s, s},
		{"never above an hour", 2 * time.Hour, 24 * time.Hour, time.Hour},
	} {
		if got := echoTimeout(tt.critical, tt.left); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}
