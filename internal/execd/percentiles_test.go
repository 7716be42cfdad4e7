package execd

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/internal/monitor"
	"github.com/pingtel/pingtel/internal/output"
)

// TestPercentiles has targets with percentiles of their own, also none, beside those of
// [telegraf]. A reload changes the measurement of all.
func TestPercentiles(t *testing.T) {
	parse := func(measurement string) *config.Config {
		c, err := config.Parse("f.toml", `[telegraf]
measurement = "`+measurement+`"
[[targets]]
hosts = ["198.18.0.1"]
[[targets]]
hosts = ["198.18.0.2"]
percentiles = [90, 99.9]
[[targets]]
hosts = ["198.18.0.3"]
percentiles = []
`, func(string) (string, bool) { return "", false })
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	var stdout bytes.Buffer
	o, err := Open(parse("ping"), output.Env{Stdout: &stdout, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	for _, measurement := range []string{"ping", "icmp"} {
		c := parse(measurement)
		o.Reload(c)
		for _, target := range c.Targets {
			o.Record(&monitor.Target{Target: target}, &icmpcore.PingResult{Host: target.Host, Sent: 1, Received: 1, RTTs: []time.Duration{time.Millisecond}, Start: time.Unix(1, 0)})
		}
	}
	if err := o.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(stdout.String()), "\n")
	want := []string{"percentile50_ms=1,percentile95_ms=1,percentile99_ms=1", "percentile90_ms=1,percentile99.9_ms=1", ""}
	if len(lines) != 6 {
		t.Fatalf("%d lines:\n%s", len(lines), stdout.String())
	}
	for i, line := range lines {
		var got []string
		for field := range strings.SplitSeq(line, ",") {
			if strings.HasPrefix(field, "percentile") {
				got = append(got, field)
			}
		}
		if strings.Join(got, ",") != want[i%3] || !strings.HasPrefix(line, []string{"ping,", "icmp,"}[i/3]) {
			t.Errorf("line %d has %q, want %q: %s", i, got, want[i%3], line)
		}
	}
}
