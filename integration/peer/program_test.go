//go:build unix

package peer

import (
	"errors"
	"os/exec"
	"strings"
	"testing"
)

// TestPrograms builds all programs, and asks each for its version or usage: none
// is an empty file, or one of another system.
func TestPrograms(t *testing.T) {
	for _, tt := range []struct {
		p      *program
		ask    string
		answer string
	}{
		{prometheus, "--version", "prometheus, version "},
		{promtool, "--version", "promtool, version "},
		{telegraf, "--version", "Telegraf "},
		{blackbox, "--version", "blackbox_exporter, version "},
		{collector, "--version", "version "},
		{natsServer, "--version", "nats-server: v"},
		{telegrafInput, "--sample", "[[inputs.pingtel]]"},
		{stranger, "--help", "usage: stranger "},
		{grafanaSchema, "--help", "usage: grafana_schema "},
		{kubernetes, "--help", "usage: kubernetes_types "},
		{scrapeParser, "application/openmetrics-text; version=1.0.0", "data does not end with # EOF"},
	} {
		t.Run(tt.p.name, func(t *testing.T) {
			t.Parallel() // one links while another one compiles
			path := tt.p.get(t)
			if out, err := Output(exec.Command(path, tt.ask)); !strings.Contains(out, tt.answer) {
				t.Errorf("%s %s: %v, %q, want %q in it", path, tt.ask, err, out, tt.answer)
			}
		})
	}
}

// TestBroken builds programs that cannot be built. Where the program is ours and
// the fault is in its module, that is a failure and no reason to skip.
func TestBroken(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	const none = "github.com/pingtel/pingtel/none"
	for _, tt := range []struct {
		name    string
		p       *program
		modules string // where they are downloaded to, if that is not possible
		broken  bool
	}{
		{"a package that is not there", &program{main: none, ours: true}, "", true},
		{"another's program", &program{main: none}, "", false},
		{"no proxy", &program{main: ".", ours: true}, t.TempDir(), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.p.name, tt.p.folder = "stranger", "stranger/program"
			if tt.modules != "" {
				t.Setenv("GOMODCACHE", tt.modules)
				t.Setenv("GOPROXY", "off")
			}
			path, err := tt.p.make(t)
			if err == nil || path != "" || errors.Is(err, errBroken) != tt.broken {
				t.Errorf("make = %q, %v, want an error of a broken program: %v", path, err, tt.broken)
			}
		})
	}
}

// TestNoProgram asks for what the module does not name: the error, which the
// skip shows, says what is missing.
func TestNoProgram(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	p := &program{name: "collector", folder: "peer/collector", main: "example.invalid/none"}
	path, err := p.make(t)
	if err == nil || path != "" || !strings.Contains(err.Error(), "example.invalid/none") {
		t.Errorf("make = %q, %v, want an error that names the package", path, err)
	}
}
