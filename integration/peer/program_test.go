//go:build unix

package peer

import (
	"os/exec"
	"strings"
	"testing"
)

// TestPrograms builds all programs, and asks each for its version: none is an
// empty file, or one of another system.
func TestPrograms(t *testing.T) {
	for _, p := range []*program{prometheus, telegraf, collector} {
		t.Run(p.name, func(t *testing.T) {
			path := p.get(t)
			out, err := Output(exec.Command(path, "--version"))
			if err != nil || !strings.Contains(strings.ToLower(out), "version") && !strings.Contains(out, "Telegraf") {
				t.Errorf("%s --version: %v, %q", path, err, out)
			}
		})
	}
}

// TestNoProgram asks for what the module does not name: the error, which the
// skip shows, says what is missing.
func TestNoProgram(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	p := &program{name: "collector", main: "example.invalid/none"}
	path, err := p.make(t)
	if err == nil || path != "" || !strings.Contains(err.Error(), "example.invalid/none") {
		t.Errorf("make = %q, %v, want an error that names the package", path, err)
	}
}
