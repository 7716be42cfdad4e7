package web

import (
	"fmt"
	"strings"
	"testing"
)

// TestReload changes each key that the listener depends on. It takes effect, or the log
// says that it needs a restart; what does not change is not named.
func TestReload(t *testing.T) {
	for _, tt := range []struct {
		change string // to the file, where %s stands
		want   string // in the log, "" for nothing
	}{
		{"", ""},
		{"metrics = false", "restart pingtel to change web.metrics"},
		{`config_file = "x"`, "restart pingtel to change web.config_file"},
		{"page = false", "restart pingtel to change web.page, web.keep or web.max_size"},
		{`keep = "1d"`, "restart pingtel to change web.page, web.keep or web.max_size"},
		{`max_size = "1GiB"`, "restart pingtel to change web.page, web.keep or web.max_size"},
		{"[agent]\nstate = \"/s\"", "restart pingtel to change agent.state"},
		{"[otel]\nbounds = [0.01, 0.1]", "restart pingtel to change otel.bounds of /metrics"},
		{"[otel]\nhistogram = \"exponential\"", "restart pingtel to change otel.histogram of /metrics"},
		{"[otel]\nhistogram = \"explicit\"", ""}, // the default
		{"[otel]\nmetrics = [\"ping.up\"]", "restart pingtel to change otel.metrics of /metrics"},
		{"metrics = false\n[otel]\nmetrics = [\"ping.up\"]", "restart pingtel to change web.metrics\""}, // which makes a new store
		{"[otel]\nresource = { a = \"b\" }", ""},                                                        // /metrics has none
		{"[defaults]\ntags = { le = \"x\" }", "le"},
		{"[web.probe]\nallow = [\"192.0.2.0/24\"]", ""}, // in force at once
		{"[agent]\ninterval = \"3s\"", ""},              // the monitor's
	} {
		s := serve(t, "")
		before := len(s.log.String())
		next := parse(t, fmt.Sprintf("[web]\nlisten = %q\n%s", s.config.Listen, tt.change))
		s.Reload(next)
		log := s.log.String()[before:]
		s.Reload(next)
		if tt.want == "" && log != "" || !strings.Contains(log, tt.want) || strings.Count(log, "\n") > 1 {
			t.Errorf("%s: log %q, want %q", tt.change, log, tt.want)
		}
		if on := s.probes.settings.Load().On(); on != strings.Contains(tt.change, "probe") {
			t.Errorf("%s: /probe is on: %t", tt.change, on)
		}
	}
}

// TestReloadTags: a tag that cannot be a label is named once.
func TestReloadTags(t *testing.T) {
	s := serve(t, "")
	next := parse(t, fmt.Sprintf("[web]\nlisten = %q\n[defaults]\ntags = { le = \"x\" }\n", s.config.Listen))
	s.Reload(next)
	s.Reload(next)
	if n := strings.Count(s.log.String(), "level=WARN"); n != 1 {
		t.Errorf("%d warnings: %s", n, s.log.String())
	}
}
