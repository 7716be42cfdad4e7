package config

import (
	"errors"
	"strings"
	"testing"
)

// TestDescribeOTel checks the rows about OpenTelemetry, and which faults are errors and
// which are warnings.
func TestDescribeOTel(t *testing.T) {
	brokenVariable := variables{"OTEL_EXPORTER_OTLP_TIMEOUT": "soon"}
	tests := []struct {
		name, table string
		vars        variables
		want        []string // rows about OpenTelemetry, with one blank between cells; nil: none
		fault       string
	}{
		{"nothing said", "", nil, nil, ""},
		{"variables of others", "", variables{"OTEL_TRACES_EXPORTER": "otlp", "OTEL_SERVICE_NAME": ""}, nil, ""},
		{"a variable alone", "", variables{"OTEL_SERVICE_NAME": "x"}, []string{
			"otel enabled false: only 'pingtel otel' pushes",
			"otel endpoint localhost:4317 (default)", "otel protocol grpc (default)", "otel insecure true (default)",
			"otel compression gzip (default)", "otel timeout 10s (default)", "otel interval 10s (default)",
			"otel temporality cumulative (default)", "otel histogram explicit (default)",
			"otel bounds " + boundsText(DefaultOTelBounds()) + " (default)",
			`otel resource service.name="x" (OTEL_SERVICE_NAME)`,
		}, ""},
		{"turned off", "", variables{"OTEL_SDK_DISABLED": "true"}, []string{
			"otel enabled false: only 'pingtel otel' pushes",
			"warning OTEL_SDK_DISABLED=true turns pushing off: 'pingtel otel' refuses to start, other commands do not push",
			"otel endpoint localhost:4317 (default)", "otel protocol grpc (default)", "otel insecure true (default)",
			"otel compression gzip (default)", "otel timeout 10s (default)", "otel interval 10s (default)",
			"otel temporality cumulative (default)", "otel histogram explicit (default)",
			"otel bounds " + boundsText(DefaultOTelBounds()) + " (default)",
			`otel resource service.name="pingtel" (default)`,
		}, ""},
		{"a tag and a variable that change nothing", "[otel]\nhistogram = \"exponential\"\nmetrics = [\"ping.up\"]\n[[targets]]\nhosts = [\"127.0.0.9\"]\ntags = { job = \"x\" }\n",
			variables{"OTEL_LOG_LEVEL": "debug"}, []string{
				"otel enabled false: only 'pingtel otel' pushes",
				`warning OTEL_LOG_LEVEL: "debug" has no effect: set agent.log_level in the file`,
				`warning f.toml:6: targets: the tag "job" does not reach Prometheus, which uses a label of that name itself: rename the tag`,
				"otel endpoint localhost:4317 (default)", "otel protocol grpc (default)", "otel insecure true (default)",
				"otel compression gzip (default)", "otel timeout 10s (default)", "otel interval 10s (default)",
				"otel temporality cumulative (default)", "otel histogram exponential (file)", "otel metrics ping.up (file)",
				`otel resource service.name="pingtel" (default)`,
			}, ""},
		{
			"file and variables",
			"[otel]\nenabled = true\ninsecure = true\nheaders = { b = \"${TOKEN}\", a = \"1\" }\nhistogram = \"exponential\"\nresource = { x = \"y z\" }\n",
			variables{"OTEL_EXPORTER_OTLP_ENDPOINT": "c.example:4317"},
			[]string{
				"otel enabled true: 'pingtel serve' and 'pingtel telegraf' push too",
				"otel endpoint c.example:4317 (OTEL_EXPORTER_OTLP_ENDPOINT)", "otel protocol grpc (default)", "otel insecure true (file)",
				"otel headers a=***, b=*** (file)",
				"otel compression gzip (default)", "otel timeout 10s (default)", "otel interval 10s (default)",
				"otel temporality cumulative (default)", "otel histogram exponential (file)",
				`otel resource service.name="pingtel" (default)`, `otel resource x="y z" (file)`,
			}, "",
		},
		{"a variable's fault, no table", "", brokenVariable, []string{
			`warning OTEL_EXPORTER_OTLP_TIMEOUT: "soon": want milliseconds, 1 to 3600000 (so 'pingtel otel' would refuse to start)`,
		}, ""},
		{"a variable's fault, not enabled", "[otel]\nenabled = false\n", brokenVariable, []string{
			`warning OTEL_EXPORTER_OTLP_TIMEOUT: "soon": want milliseconds, 1 to 3600000 (so 'pingtel otel' would refuse to start)`,
		}, ""},
		{"a variable's fault, enabled", "[otel]\nenabled = true\n", brokenVariable, nil, `OTEL_EXPORTER_OTLP_TIMEOUT: "soon": want`},
		{"the file's fault, not enabled", "[otel]\nendpoint = \"x\"\n", nil, nil, `f.toml:4: otel.endpoint: "x": want`},
		{"both are reported", "[otel]\nendpoint = \"x\"\n", brokenVariable, nil, "OTEL_EXPORTER_OTLP_TIMEOUT: \"soon\": want milliseconds, 1 to 3600000\nf.toml:4: otel.endpoint"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := Parse("f.toml", minimal+tt.table, env)
			if err != nil {
				t.Fatal(err)
			}
			var b strings.Builder
			err = c.Describe(&b, tt.vars.lookup)
			if tt.fault != "" {
				var faults Faults
				if !errors.As(err, &faults) || !strings.Contains(err.Error(), tt.fault) || b.Len() > 0 {
					t.Fatalf("Describe = %v, wrote %q, want %q and nothing written", err, &b, tt.fault)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for line := range strings.Lines(b.String()) {
				if line = strings.Join(strings.Fields(line), " "); strings.HasPrefix(line, "otel ") || strings.HasPrefix(line, "warning ") {
					got = append(got, line)
				}
			}
			if strings.Join(got, "\n") != strings.Join(tt.want, "\n") {
				t.Errorf("rows\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
		})
	}
}
