package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestReady: without a listener to ask a container counts as ready, with a warning;
// where nobody answers it does not.
func TestReady(t *testing.T) {
	const targets = "[[targets]]\nhosts = [\"127.0.0.1\"]\n"
	for _, tt := range []struct {
		name, text string
		status     int
		stderr     string
	}{
		{"no listener", targets, 0, "pingtel: warning: "},
		{"nobody answers", targets + "[web]\nlisten = \"127.0.0.1:1\"\n", statusNotReady, "pingtel: no answer: "},
		{"a fault", "x = 1\n", statusUnable, "unknown key"},
	} {
		file := filepath.Join(t.TempDir(), "pingtel.toml")
		if err := os.WriteFile(file, []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		status, out, errs := runWith(t, "", "ready", "--config", file)
		if status != tt.status || out != "" || !strings.Contains(errs, tt.stderr) {
			t.Errorf("%s: status %d, %q, %q", tt.name, status, out, errs)
		}
	}
	if status, _, errs := runWith(t, "", "ready"); status != statusUnable || !strings.Contains(errs, "--config FILE") {
		t.Errorf("without a file: %d, %q", status, errs)
	}
}
