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
	tests := []struct {
		name           string
		args           []string
		status         int
		stdout, stderr []string // one for each line
	}{
		{"good", []string{"config", "check", "../../config.example.toml"}, 0, []string{"no fault", "targets ", "interval ", "echo requests", "a series takes", "a round takes", "socket", "telegraf"}, nil},
		{"faults, a line each", []string{"config", "check", broken}, 2, nil, []string{"broken.toml:3: agent.foo: unknown key", `broken.toml:4: agent.socket: "tcp": want one of auto`}},
		{"no such file", []string{"config", "check", "/nonexistent.toml"}, 2, nil, []string{"/nonexistent.toml: no such file"}},
		{"no file", []string{"config", "check"}, 2, nil, []string{"accepts 1 arg"}},
		{"no command", []string{"config"}, 2, nil, []string{"want 'pingtel config check FILE'"}},
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
