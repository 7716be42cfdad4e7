package check_test

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pingtel/pingtel/integration/netsim"
	"github.com/pingtel/pingtel/integration/peer"
)

// TestTelegrafParses gives what check prints to Telegraf's own parser: it finds
// each value that there is, with its thresholds, and the text.
func TestTelegrafParses(t *testing.T) {
	t.Parallel()
	parser := peer.NagiosParser(t)
	netsim.Run(t, network(), func(t *testing.T, _ *netsim.Net) {
		for _, tt := range []struct {
			args  string
			first string // how the text begins
			below int    // lines of long output
			want  string // label, unit, thresholds, minimum and maximum of each value
		}{
			{"-p 2 -w 2000.5,20% -c 5000,60% --warn-max 3s --crit-jitter 4s 198.18.1.1", "PING OK - 198.18.1.1: rta ", 0,
				"rta ms 2000.5 5000 0 -|pl % 20 60 0 100|rtmin ms - - 0 -|rtmax ms 3000 - 0 -|jitter ms - 4000 0 -"},
			{"-p 2 --echo-timeout 0.1 -w 50 -c 90 198.18.1.5", "PING CRITICAL - 198.18.1.5: loss 100% >= 60%", 0, "pl % 20 60 0 100"}, // what is U, the parser leaves out
			{"-v -p 1 -w 2000 -c 5000,100% 198.18.1.1 198.18.1.1 198.18.1.6", "PING CRITICAL - 2 of 3 hosts ok, 1 critical: 198.18.1.6 CRITICAL ", 4,
				"198.18.1.1 rta ms 2000 5000 0 -|198.18.1.1 pl % 20 100 0 100|198.18.1.1 rtmin ms - - 0 -|198.18.1.1 rtmax ms - - 0 -|" +
					"198.18.1.1 #2 rta ms 2000 5000 0 -|198.18.1.1 #2 pl % 20 100 0 100|198.18.1.1 #2 rtmin ms - - 0 -|198.18.1.1 #2 rtmax ms - - 0 -|" +
					"198.18.1.6 pl % 20 100 0 100"},
			{"-p 1 --perfdata none 198.18.1.6", "PING CRITICAL - 198.18.1.6: ", 0, ""},
			{"--path -p 1 --perfdata none 198.18.1.6", "PING CRITICAL - 198.18.1.6: ", 1, ""},
			{"--path -p 1 -w 2000 -c 5000,100% 198.18.1.6 198.18.1.1", "PING CRITICAL - 1 of 2 hosts ok, 1 critical: 198.18.1.6 CRITICAL ", 1,
				"198.18.1.6 pl % 20 100 0 100|198.18.1.1 rta ms 2000 5000 0 -|198.18.1.1 pl % 20 100 0 100|198.18.1.1 rtmin ms - - 0 -|198.18.1.1 rtmax ms - - 0 -"},
			{"-p 1 --echo-timeout 3 -w 3s,99% -c 3s,100% 198.18.1.0/25", "PING CRITICAL - ", 1000, // as many as fit
				"hosts_ok  - - 0 126|hosts_warning  - - 0 126|hosts_critical  - - 0 126|hosts_unknown  - - 0 126"},
		} {
			status, stdout := outcome(t, exec.Command(peer.Pingtel(), append([]string{"check"}, strings.Fields(tt.args)...)...))
			cmd := exec.Command(parser)
			cmd.Stdin = strings.NewReader(stdout)
			out, err := cmd.Output()
			if err != nil {
				t.Errorf("%s: status %d: %v", tt.args, status, err)
				continue
			}
			got, text, long := values(t, string(out))
			if tt.below == 1000 {
				tt.below = strings.Count(stdout, "\n") - 1
			}
			if !strings.HasPrefix(text, tt.first) || tt.below > 0 && strings.Count(long, "\n")+1 != tt.below || tt.below == 0 && long != "" {
				t.Errorf("%s: text %q, want %q; below it %d lines are wanted: %q", tt.args, text, tt.first, tt.below, long)
			}
			if path := strings.HasPrefix(tt.args, "--path"); path != strings.Contains(long, "path: 198.18.0.99 reports: host unreachable") {
				t.Errorf("%s: below it %q", tt.args, long)
			}
			if diff := cmp.Diff(tt.want, strings.Join(got, "|")); diff != "" {
				t.Errorf("%s: values (-want +got)\n%s\nof %s", tt.args, diff, stdout)
			}
		}
	})
}

// values reads what the parser printed: of each value how it is described, and
// both texts.
func values(t *testing.T, out string) (described []string, text, long string) {
	t.Helper()
	for line := range strings.Lines(out) {
		var p struct {
			Name   string
			Tags   map[string]string
			Fields map[string]any
		}
		if err := json.Unmarshal([]byte(line), &p); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		if p.Name == "nagios_state" {
			text, _ = p.Fields["service_output"].(string)
			long, _ = p.Fields["long_service_output"].(string)
			continue
		}
		words := []string{p.Tags["perfdata"], p.Tags["unit"]}
		for _, key := range []string{"warning_gt", "critical_gt", "min", "max"} {
			word := "-"
			if v, ok := p.Fields[key]; ok {
				b, err := json.Marshal(v)
				if err != nil {
					t.Fatal(err)
				}
				word = string(b)
			}
			words = append(words, word)
		}
		if _, ok := p.Fields["value"].(float64); !ok {
			t.Errorf("no value in %s", line)
		}
		described = append(described, strings.Join(words, " "))
	}
	return described, text, long
}
