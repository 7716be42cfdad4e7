package config

import (
	"strings"
	"testing"
)

// TestDescribe checks the description of a file.
func TestDescribe(t *testing.T) {
	const text = `[[targets]]
hosts = ["198.18.0.0/29", "a.example", "::1"]
`
	tests := []struct {
		name, text string
		want       []string // the rows, their cells parted by one blank
	}{
		{"with a rate", "[agent]\nmax_rate = 10\n" + text, []string{
			"file f.toml: no fault",
			"targets 8, 1 of them names to look up",
			"interval 10s",
			"echo requests 4 per second, 40 % of max_rate (10 per second)",
			"a series takes at most 1.8s of 10s",
			"a round takes 4s at max_rate, spread over 10s",
			"socket auto",
			"telegraf signal none, measurement ping, percentiles [50 95 99]",
		}},
		{"without", "[agent]\nmax_rate = 0\nsocket = \"raw\"\n" + text, []string{
			"file f.toml: no fault",
			"targets 8, 1 of them names to look up",
			"interval 10s",
			"echo requests 4 per second (no limit)",
			"a series takes at most 1.8s of 10s",
			"socket raw",
			"telegraf signal none, measurement ping, percentiles [50 95 99]",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := Parse("f.toml", tt.text, env)
			if err != nil {
				t.Fatal(err)
			}
			var b strings.Builder
			if err := c.Describe(&b, variables(nil).lookup); err != nil {
				t.Fatal(err)
			}
			var got []string
			for row := range strings.Lines(b.String()) {
				got = append(got, strings.Join(strings.Fields(row), " "))
			}
			if have, want := strings.Join(got, "\n"), strings.Join(tt.want, "\n"); have != want {
				t.Errorf("got\n%s\nwant\n%s", have, want)
			}
		})
	}
}

func TestBoundsText(t *testing.T) {
	for want, bounds := range map[string][]float64{"none": nil, "0.00005 0.1 1 10 s": {5e-5, .1, 1, 10}} {
		if got := boundsText(bounds); got != want {
			t.Errorf("boundsText(%v) = %q, want %q", bounds, got, want)
		}
	}
}
