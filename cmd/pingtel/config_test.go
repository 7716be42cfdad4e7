package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestConfigCheck(t *testing.T) {
	broken := filepath.Join(t.TempDir(), "broken.toml")
	if err := os.WriteFile(broken, []byte("[agent]\ninterval = 7\nfoo = 1\nsocket = \"tcp\"\n[[targets]]\nhosts = [\"127.0.0.1\"]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	push := writeConfig(t, "[[targets]]\nhosts = [\"127.0.0.1\"]\n[otel]\nca_file = \"/nonexistent.pem\"\nendpoint = \"localhost\"\n")
	clearOTelVariables(t)
	tests := []struct {
		name           string
		args           []string
		status         int
		stdout, stderr []string // one for each line
	}{
		{"good", []string{"config", "check", "../../config.example.toml"}, 0, []string{"no fault", "targets ", "interval ", "echo requests", "a series takes", "a round takes", "socket", "telegraf",
			"otel enabled ", "otel endpoint ", "otel protocol ", "otel insecure ", "otel compression ", "otel timeout ", "otel interval ", "otel temporality ", "otel histogram ", "otel bounds ", "otel resource "}, nil},
		{"faults of [otel]", []string{"config", "check", push}, 2, nil, []string{"pingtel.toml:4: otel.ca_file: ", `pingtel.toml:5: otel.endpoint: "localhost": want`}},
		{"faults, a line each", []string{"config", "check", broken}, 2, nil, []string{"broken.toml:3: agent.foo: unknown key", `broken.toml:4: agent.socket: "tcp": want one of auto`}},
		{"no such file", []string{"config", "check", "/nonexistent.toml"}, 2, nil, []string{"/nonexistent.toml: no such file"}},
		{"no file", []string{"config", "check"}, 2, nil, []string{"0 files given: want 'pingtel config check FILE'"}},
		{"no command", []string{"config"}, 2, nil, []string{"no command given: want one of check"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var stdout, stderr strings.Builder
			if status := run(t.Context(), tt.args, strings.NewReader(""), &stdout, &stderr); status != tt.status {
				t.Errorf("status %d, want %d", status, tt.status)
			}
			compareLines(t, "stdout", stdout.String(), tt.stdout)
			compareLines(t, "stderr", stderr.String(), tt.stderr)
		})
	}
}

// TestConfigCheckVariable has a fault in a variable, which is only a warning for a file
// that does not push.
func TestConfigCheckVariable(t *testing.T) {
	clearOTelVariables(t)
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")
	const targets = "[[targets]]\nhosts = [\"127.0.0.1\"]\n"
	for _, tt := range []struct {
		name, text     string
		status         int
		stdout, stderr string
	}{
		{"telegraf alone", targets, 0, "warning", ""},
		{"both", targets + "[otel]\nenabled = true\n", 2, "", "OTEL_EXPORTER_OTLP_PROTOCOL: \"http/json\" is not supported"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var stdout, stderr strings.Builder
			status := run(t.Context(), []string{"config", "check", writeConfig(t, tt.text)}, strings.NewReader(""), &stdout, &stderr)
			if status != tt.status || !strings.Contains(stdout.String(), tt.stdout) || !strings.Contains(stderr.String(), tt.stderr) {
				t.Errorf("status %d, want %d; stdout\n%s\nstderr\n%s", status, tt.status, &stdout, &stderr)
			}
		})
	}
}

// clearOTelVariables removes the OTEL_* variables of the environment in which the tests
// run.
func clearOTelVariables(t *testing.T) {
	t.Helper()
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "OTEL_") {
			t.Setenv(name, "") // an empty variable counts as unset
		}
	}
}

// writeConfig writes a config file and returns its path.
func writeConfig(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pingtel.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// compareLines looks for one text in each line.
func compareLines(t *testing.T, name, got string, want []string) {
	t.Helper()
	var lines []string
	if got != "" {
		lines = strings.Split(strings.TrimSuffix(got, "\n"), "\n")
	}
	if len(lines) != len(want) {
		t.Fatalf("%s has %d lines, want %d:\n%s", name, len(lines), len(want), got)
	}
	for i := range lines {
		if !strings.Contains(lines[i], want[i]) {
			t.Errorf("%s line %d = %q, want %q in it", name, i+1, lines[i], want[i])
		}
	}
}
