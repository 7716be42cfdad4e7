package config

import (
	"strings"
	"testing"
)

// TestKeyBounds gives each key the smallest and the largest value that it takes, and what
// lies beyond them.
func TestKeyBounds(t *testing.T) {
	tests := []struct {
		header, key string
		good, bad   []string
	}{
		{"agent", "interval", []string{`"100ms"`, `0.1`, `86400`, `"24h"`}, []string{`"99ms"`, `86401`, `"24h1ns"`, `0`, `-1`, `1e300`, `inf`, `nan`}},
		{"agent", "max_rate", []string{`0`, `10000000`}, []string{`-1`, `10000001`}},
		{"agent", "max_prefix_hosts", []string{`1`, `10000000`}, []string{`0`, `10000001`}},
		{"defaults", "count", []string{`1`, `10000`}, []string{`0`, `10001`}},
		{"defaults", "ping_interval", []string{`0.001`, `"24h"`}, []string{`"999us"`, `"25h"`}},
		{"defaults", "timeout", []string{`0.001`, `0.5`}, []string{`"999us"`, `"1h1ns"`}},
		{"defaults", "size", []string{`8`, `65507`}, []string{`7`, `65508`}},
		{"defaults", "ttl", []string{`0`, `1`, `255`}, []string{`-1`, `256`}},
		{"defaults", "dscp", []string{`0`, `63`}, []string{`-1`, `64`}},
		{"defaults", "mark", []string{`0`, `4294967295`}, []string{`-1`, `4294967296`}},
		{"defaults", "interval", []string{`"100ms"`, `"24h"`}, []string{`"99ms"`, `"24h1ns"`, `0`}},
		{"defaults", "percentiles", []string{`[0, 100]`, `[]`}, []string{`[-0.1]`, `[50, 50]`}},
		{"telegraf", "percentiles", []string{`[0, 100]`, `[]`, `[0.1]`}, []string{`[-0.1]`, `[100.1]`, `[50, 50]`, `[99, 50]`, `[nan]`}},
	}
	for _, tt := range tests {
		base := map[string]string{"agent.interval": "86400", "defaults.count": "1", "defaults.timeout": "0.001"} // room for any series
		parse := func(value string) error {
			var b strings.Builder
			for k, v := range base {
				if k != tt.header+"."+tt.key {
					b.WriteString(k + " = " + v + "\n")
				}
			}
			b.WriteString(tt.header + "." + tt.key + " = " + value + "\n")
			_, err := Parse("f.toml", b.String()+minimal, env)
			return err
		}
		for _, v := range tt.good {
			if err := parse(v); err != nil {
				t.Errorf("%s.%s = %s: %v", tt.header, tt.key, v, err)
			}
		}
		for _, v := range tt.bad {
			if err := parse(v); err == nil || !strings.Contains(err.Error(), tt.header+"."+tt.key+": ") {
				t.Errorf("%s.%s = %s: %v, want a fault of the key", tt.header, tt.key, v, err)
			}
		}
	}
}

// TestNesting has keys of as many parts, and lists in each other as deep, as
// there may be, and of one more.
func TestNesting(t *testing.T) {
	const within = "targets[0].x: unknown key"
	for _, tt := range []struct{ text, want string }{
		{strings.Repeat("x.", maxParts-1) + "x = 1\n", within},
		{strings.Repeat("x.", maxParts) + "x = 1\n", "f.toml:3: a key of more than 16 parts"},
		{"x = " + strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth) + "\n", within},
		{"x = " + strings.Repeat("[", maxDepth+1) + strings.Repeat("]", maxDepth+1) + "\n", "f.toml:3: more than 16 lists or tables"},
	} {
		if _, err := Parse("f.toml", minimal+tt.text, env); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.text, err, tt.want)
		}
	}
}

// TestFullPlan asks for just as much as there is room for: the interval is as long
// as a series, and the rate is all that is allowed.
func TestFullPlan(t *testing.T) {
	for _, text := range []string{
		"[agent]\ninterval = \"1.8s\"\n" + minimal,
		"[agent]\nmax_rate = 4\n[[targets]]\nhosts = [\"198.18.0.0/29\", \"198.18.1.0/31\"]\n", // 8 targets
	} {
		if _, err := Parse("f.toml", text, env); err != nil {
			t.Errorf("%v in:\n%s", err, text)
		}
	}
}

// TestNearest finds the key that was meant, and none where that is a guess.
func TestNearest(t *testing.T) {
	known := []string{"hosts", "size", "timeout", "ttl"}
	for key, want := range map[string]string{
		"host": "hosts", "hosst": "hosts", "xhosts": "hosts", "hots": "hosts", "tl": "ttl", "xxttl": "ttl", "TIMEOUT": "", "time": "size", "sizzze": "size",
		"deadline": "", "": "",
	} {
		if got := nearest(key, known); got != want {
			t.Errorf("nearest(%q) = %q, want %q", key, got, want)
		}
	}
}
