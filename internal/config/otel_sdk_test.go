package config

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// TestOTelSDK: the variables for the SDK as a whole take effect or give a warning.
func TestOTelSDK(t *testing.T) {
	const disabled, exporter, timeout, level = "OTEL_SDK_DISABLED", "OTEL_METRICS_EXPORTER", "OTEL_METRIC_EXPORT_TIMEOUT", "OTEL_LOG_LEVEL"
	tests := []struct {
		name, table string
		vars        variables
		off         string
		timeout     time.Duration
		warns       []string
	}{
		{"nothing", "", nil, "", DefaultOTelTimeout, nil},
		{"on", "", variables{disabled: "false", exporter: "OTLP"}, "", DefaultOTelTimeout, nil},
		{"disabled", "", variables{disabled: "True"}, "OTEL_SDK_DISABLED=True", DefaultOTelTimeout, nil},
		{"no word", "", variables{disabled: "1"}, "", DefaultOTelTimeout, []string{`OTEL_SDK_DISABLED: "1" counts as false: want true or false`}},
		{"none", "", variables{exporter: "none"}, "OTEL_METRICS_EXPORTER=none", DefaultOTelTimeout, nil},
		{"longer than the default", "", variables{timeout: "30000"}, "", 30 * time.Second, nil},
		{"shorter than the exporter's", "", variables{timeout: "2000", "OTEL_EXPORTER_OTLP_TIMEOUT": "3000"}, "", 2 * time.Second, nil},
		{"longer than the exporter's", "", variables{timeout: "4000", "OTEL_EXPORTER_OTLP_TIMEOUT": "3000"}, "", 3 * time.Second, nil},
		{"the file's", `timeout = "5s"`, variables{timeout: "1000"}, "", 5 * time.Second, nil},
		{"level", "", variables{level: "debug"}, "", DefaultOTelTimeout, []string{`OTEL_LOG_LEVEL: "debug" has no effect: set agent.log_level in the file`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := settings(t, tt.table, tt.vars)
			if err != nil {
				t.Fatal(err)
			}
			var warns []string
			for _, w := range s.Warnings {
				warns = append(warns, w.Error())
			}
			if s.Off != tt.off || s.Timeout != tt.timeout || !slices.Equal(warns, tt.warns) {
				t.Errorf("off %q, timeout %v, warnings %q, want %q, %v, %q", s.Off, s.Timeout, warns, tt.off, tt.timeout, tt.warns)
			}
		})
	}
}

// TestOTelMetrics refuses lists that name no instruments.
func TestOTelMetrics(t *testing.T) {
	for table, want := range map[string]string{
		`metrics = ["ping.upp"]`:            `f.toml:4: otel.metrics: "ping.upp": did you mean ping.up?`,
		`metrics = ["rtt"]`:                 `otel.metrics: "rtt": want one or more of ping.rtt, `,
		`metrics = []`:                      "otel.metrics: is empty: want one or more of ping.rtt, ",
		`metrics = ["ping.up", "ping.up"]`:  `otel.metrics: "ping.up" is in the list twice`,
		`metrics = "ping.up"`:               "otel.metrics: is a string: want a list of instruments",
		`metrics = [1]`:                     "otel.metrics: is a whole number: want a string",
		`metrics = ["ping.up", "ping.rtt"]`: "",
	} {
		_, err := Parse("f.toml", minimal+"[otel]\n"+table, env)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", table, err, want)
		}
	}
}

// TestTagWarnings has tags that Prometheus loses or joins.
func TestTagWarnings(t *testing.T) {
	for tags, want := range map[string]string{
		`site = "a", "rack no" = "b"`: "",
		`instance = "a"`:              `f.toml:4: targets: the tag "instance" does not reach Prometheus`,
		`job = "a"`:                   `the tag "job" does not reach Prometheus`,
		`__name__ = "a"`:              `the tag "__name__" does not reach Prometheus`,
		`le = "a"`:                    `the tag "le" does not reach Prometheus`,
		`"a.b" = "1", a_b = "2"`:      `the tags "a.b" and "a_b" become the same label in Prometheus, a_b`,
		`"a..b" = "1", "a-b" = "2"`:   `the tags "a-b" and "a..b" become the same label`,
		`server_address = "fake"`:     `the tags "server.address" and "server_address" become the same label in Prometheus, server_address`,
		`network_type = "fake"`:       `the tags "network.type" and "network_type" become the same`,
		`error_type = "fake"`:         `the tags "error.type" and "error_type" become the same`,
	} {
		c, err := Parse("f.toml", "[defaults]\ncount = 1\n\n[[targets]]\nhosts = [\"127.0.0.1\", \"127.0.0.2\"]\ntags = { "+tags+" }\n", env)
		if err != nil {
			t.Fatal(err)
		}
		got := c.TagWarnings()
		if want == "" && len(got) > 0 || want != "" && (len(got) != 1 || !strings.Contains(got[0].Error(), want)) {
			t.Errorf("%s: %v, want %q", tags, got, want)
		}
		s, err := c.PushSettings(variables{}.lookup)
		if err != nil || len(s.Warnings) != len(got) {
			t.Errorf("%s: %v, %v, want the same warnings for a process that pushes", tags, s, err)
		}
	}
}
