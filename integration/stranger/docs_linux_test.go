package stranger

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pingtel/pingtel/integration/peer"
)

// TestDocumentedPrograms compiles the programs of docs/library.md as a stranger
// would, in the module of the program of this folder.
func TestDocumentedPrograms(t *testing.T) {
	peer.Stranger(t) // it needs the same modules
	text, err := os.ReadFile("../../docs/library.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	copyModule(t, dir)
	programs := programsOf(string(text))
	if len(programs) != 4 {
		t.Fatalf("docs/library.md has %d programs, want one of each package and a trace", len(programs))
	}
	for i, p := range programs {
		folder := filepath.Join(dir, fmt.Sprint(i))
		if err := os.Mkdir(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, "main.go"), []byte(p), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags=-s", "-o", t.TempDir(), "./...")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-mod=readonly", "GOWORK=off")
	if _, err := peer.Output(cmd); err != nil {
		t.Error(err)
	}
}

// copyModule writes the module of the program, with the whole path of pingtel,
// into dir.
func copyModule(t *testing.T, dir string) {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile(filepath.Join("program", name))
		if err != nil {
			t.Fatal(err)
		}
		absolute := strings.Replace(string(text), "=> ../../..", "=> "+root, 1)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(absolute), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// programsOf returns the programs of a page: from an indented line "package main"
// to the next line that is not indented.
func programsOf(text string) (programs []string) {
	inside := false
	for line := range strings.Lines(text) {
		code, indented := strings.CutPrefix(line, "    ")
		switch {
		case code == "package main\n":
			programs, inside = append(programs, ""), true
		case !indented && strings.TrimSpace(line) != "":
			inside = false
		}
		if inside {
			programs[len(programs)-1] += code
		}
	}
	return programs
}
