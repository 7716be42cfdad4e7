package agent

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pingtel/pingtel/internal/config"
)

func TestOutermost(t *testing.T) {
	for _, tt := range []struct{ list, want []string }{
		{[]string{"/b", "/a/b", "/a", "/a/b/c", "/b", "/a-b", "/ab/"}, []string{"/a", "/a-b", "/ab", "/b"}},
		{[]string{"/b", "/", "/a"}, []string{"/"}},
	} {
		if d := cmp.Diff(tt.want, outermost(tt.list)); d != "" {
			t.Errorf("%v (-want +got):\n%s", tt.list, d)
		}
	}
	wd, err := os.Getwd()
	if got := outermost([]string{"."}); err != nil || !slices.Equal(got, []string{wd}) {
		t.Errorf("of the working folder: %v, %v", got, err)
	}
}

// fileOutput is an output that reads files.
type fileOutput struct {
	stubOutput
	files []string
}

func (o *fileOutput) Files() []string { return o.files }

// TestConfine: what a process confines itself to, when, and what it says.
func TestConfine(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []string{"conf", "real", "certs", "sub"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "conf", "pingtel.toml")
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "real", "x.toml"), nil, 0o600), os.Symlink(filepath.Join(dir, "real", "x.toml"), file)); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SSL_CERT_DIR", filepath.Join(dir, "certs"))
	t.Setenv("SSL_CERT_FILE", "")
	for _, tt := range []struct {
		name, listen string
		fails        error
		want         string // in the log
		confined     bool
	}{
		{"no listener", "", nil, "", false},
		{"listener", ":9473", nil, "confined: this process can read and write only the files below these folders", true},
		{"no Landlock", ":9473", fmt.Errorf("%w: x", errors.ErrUnsupported), "D! not confined: this system has no Landlock", false},
		{"refused", ":9473", syscall.EPERM, "W! not confined: this process can still read and write all files of its user", false},
	} {
		r := newRig(t, fileOf("none"))
		r.make()
		r.agent.Log = slog.New(slog.NewTextHandler(&r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		var read []string
		r.agent.Confine = func(r, write []string) error {
			read = r
			if _, err := os.Stat(filepath.Join(dir, "state")); err != nil || !slices.Equal(write, []string{filepath.Join(dir, "state")}) {
				t.Errorf("it may write to %v, %v", write, err)
			}
			return tt.fails
		}
		c := &config.Config{File: file, Web: config.Web{Listen: tt.listen}, Agent: config.Agent{State: filepath.Join(dir, "state")},
			Sources: []*config.Source{{Kind: config.SourceFile, Places: []string{filepath.Join(dir, "lists", "*.json")}}, {Kind: config.SourceHTTP, BearerFile: filepath.Join(dir, "tokens", "x")}}}
		r.agent.outputs = []running{{&fileOutput{files: []string{filepath.Join(dir, "sub", "key.pem")}}, kind{}, new(sync.WaitGroup)}}
		r.agent.confine(c)
		log := r.log.String()
		if !strings.Contains(log, strings.TrimLeft(tt.want, "DW! ")) || tt.want == "" && log != "" || r.agent.confined != tt.confined ||
			strings.HasPrefix(tt.want, "W!") != strings.Contains(log, "WARN") {
			t.Errorf("%s: confined %t, log %q", tt.name, r.agent.confined, log)
		}
		for _, d := range []string{"conf", "real", "sub", "certs", "lists", "tokens"} {
			if got := slices.Contains(read, filepath.Join(dir, d)); got != (tt.listen != "") {
				t.Errorf("%s: %s is in %v: %t", tt.name, d, read, got)
			}
		}
		if tt.listen != "" && (!slices.Contains(read, "/etc") || !slices.Contains(read, "/proc")) {
			t.Errorf("%s: %v", tt.name, read)
		}
		err := r.agent.explained(errors.New("x: " + syscall.EACCES.Error()))
		if got := strings.Contains(err.Error(), "restart pingtel"); got != tt.confined {
			t.Errorf("%s: %v", tt.name, err)
		}
		r.stdin.Close()
	}
}
