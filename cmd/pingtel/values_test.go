package main

import (
	"strings"
	"testing"
	"time"
)

func TestParseDuration(t *testing.T) {
	tests := []struct {
		text string
		want time.Duration
	}{
		{"1", time.Second}, {"0.5", 500 * time.Millisecond}, {".25", 250 * time.Millisecond}, {"2.", 2 * time.Second},
		{"0.000001", time.Microsecond}, {"0.1", 100 * time.Millisecond}, {"0", 0},
		{"500ms", 500 * time.Millisecond}, {"1m30s", 90 * time.Second}, {"1h", time.Hour}, {"10us", 10 * time.Microsecond},
	}
	for _, tt := range tests {
		if got, err := parseDuration(tt.text); err != nil || got != tt.want {
			t.Errorf("parseDuration(%q) = %v, %v, want %v", tt.text, got, err, tt.want)
		}
	}
	for _, text := range []string{"", ".", "1.2.3", "-1", "-1s", "+1", "1e3", "0x10", "1_000", "Inf", "NaN", "1 s", "5ns5", "9223372037", "99999999999999999999999999", "1d"} {
		if got, err := parseDuration(text); err == nil || got != 0 {
			t.Errorf("parseDuration(%q) = %v, %v, want only an error", text, got, err)
		}
	}
}

func TestFormatDurationReadsBack(t *testing.T) {
	for d, want := range map[time.Duration]string{
		time.Second: "1s", 100 * time.Millisecond: "100ms", time.Hour: "1h", 24 * time.Hour: "24h", 90 * time.Second: "1m30s", 10 * time.Minute: "10m", time.Hour + time.Second: "1h0m1s",
	} {
		if got := formatDuration(d); got != want {
			t.Errorf("formatDuration(%v) = %q, want %q", d, got, want)
		}
		if back, err := parseDuration(formatDuration(d)); err != nil || back != d {
			t.Errorf("parseDuration(formatDuration(%v)) = %v, %v", d, back, err)
		}
	}
}

func TestParseMark(t *testing.T) {
	for text, want := range map[string]uint32{"0": 0, "42": 42, "0xffffffff": 1<<32 - 1} {
		if got, err := parseMark(text); err != nil || got != want {
			t.Errorf("parseMark(%q) = %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "-1", "4294967296", "x"} {
		if got, err := parseMark(text); err == nil {
			t.Errorf("parseMark(%q) = %d, want an error", text, got)
		}
	}
}

func FuzzParseDuration(f *testing.F) {
	for _, s := range []string{"1", "0.5", "500ms", "1h", "-1", "9223372036.9", "."} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := parseDuration(text)
		if err != nil {
			if d != 0 || strings.ContainsAny(err.Error(), "\n") {
				t.Errorf("parseDuration(%q) = %v, %v", text, d, err)
			}
			return
		}
		if d < 0 {
			t.Errorf("parseDuration(%q) = %v", text, d)
		}
		if back, err := parseDuration(formatDuration(d)); err != nil || back != d {
			t.Errorf("parseDuration(%q) = %v, read back as %v, %v", text, d, back, err)
		}
	})
}
