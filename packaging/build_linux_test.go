package packaging

import (
	"bytes"
	"debug/buildinfo"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestReproducible builds the last commit twice, in clones at different places
// and with different caches, and compares the bytes.
func TestReproducible(t *testing.T) {
	if testing.Short() {
		t.Skip("builds everything, the standard library included: run without -short")
	}
	first, second := clone(t), clone(t)
	a := build(t, first)
	b := build(t, second, "GOCACHE="+t.TempDir())
	bytesA, err := os.ReadFile(a)
	if err != nil {
		t.Fatal(err)
	}
	bytesB, err := os.ReadFile(b)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(bytesA, bytesB) {
		t.Errorf("two builds of one commit differ: %d and %d bytes", len(bytesA), len(bytesB))
	}
	for _, dir := range []string{first, second, filepath.Dir(first)} {
		if bytes.Contains(bytesA, []byte(dir)) || bytes.Contains(bytesB, []byte(dir)) {
			t.Errorf("the binary holds %s, where it was built", dir)
		}
	}
	checkStatic(t, a)
	checkInfo(t, a, strings.TrimSpace(output(t, first, "git", "rev-parse", "HEAD")))
}

// checkStatic looks for what a program needs that is not static: an
// interpreter, and libraries.
func checkStatic(t *testing.T, name string) {
	t.Helper()
	f, err := elf.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("the binary has a segment %v: it is not static", p.Type)
		}
	}
}

// checkInfo looks at what the binary says of its build.
func checkInfo(t *testing.T, name, commit string) {
	t.Helper()
	info, err := buildinfo.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"CGO_ENABLED": "0", "-trimpath": "true", "-tags": "grpcnotrace", "vcs.revision": commit, "vcs.modified": "false"}
	for _, s := range info.Settings {
		if w, ok := want[s.Key]; ok && s.Value != w {
			t.Errorf("build setting %s = %s, want %s", s.Key, s.Value, w)
		}
		delete(want, s.Key)
	}
	if len(want) > 0 {
		t.Errorf("build settings missing: %v", want)
	}
	if v := info.Main.Version; v == "" || v == "(devel)" {
		t.Errorf("version %q, want one of the commit", v)
	}
	if out := output(t, ".", name, "version"); !strings.Contains(out, commit) || !strings.Contains(out, info.Main.Version) {
		t.Errorf("pingtel version says %q, want commit %s and version %s", out, commit, info.Main.Version)
	}
}

// clone checks the last commit of this repository out into a new place.
func clone(t *testing.T) string {
	t.Helper()
	top := strings.TrimSpace(output(t, ".", "git", "rev-parse", "--show-toplevel"))
	dir := filepath.Join(t.TempDir(), "src")
	output(t, ".", "git", "clone", "-q", top, dir)
	return dir
}

// build builds the command as build.sh does and returns the binary's path.
func build(t *testing.T, dir string, env ...string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "pingtel")
	cmd := exec.Command("go", "build", "-trimpath", "-tags", "grpcnotrace", "-buildvcs=true", "-o", name, "./cmd/pingtel")
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "CGO_ENABLED=0"), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, out)
	}
	return name
}

func output(t *testing.T, dir string, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", cmd, err)
	}
	return string(out)
}
