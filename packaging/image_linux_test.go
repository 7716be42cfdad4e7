package packaging

import (
	"bytes"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

// dockerfile is what deploy/Dockerfile makes.
type dockerfile struct {
	user    string
	command []string
	health  []string // the command of its health check
}

// readDockerfile reads the file and checks what it names of the repository.
func readDockerfile(t *testing.T) dockerfile {
	t.Helper()
	b, err := os.ReadFile("../deploy/Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	var d dockerfile
	for line := range strings.Lines(string(b)) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch fields := strings.Fields(rest); word {
		case "USER":
			d.user = rest
		case "CMD":
			if err := yaml.Unmarshal([]byte(rest), &d.command); err != nil {
				t.Fatal(err)
			}
		case "HEALTHCHECK":
			_, check, _ := strings.Cut(rest, "CMD ")
			if err := yaml.Unmarshal([]byte(check), &d.health); err != nil {
				t.Fatal(err)
			}
		case "COPY":
			if strings.HasPrefix(rest, "--from=") {
				continue
			}
			if _, err := os.Stat(filepath.Join("..", fields[0])); err != nil {
				t.Error(err)
			}
		}
	}
	if len(d.command) == 0 || d.user == "" {
		t.Fatalf("deploy/Dockerfile has user %q and command %q", d.user, d.command)
	}
	return d
}

// TestHealthcheck: the image's health check runs, about the file with which it
// starts. The first part of its command is the entry point, which is in the image.
func TestHealthcheck(t *testing.T) {
	d := readDockerfile(t)
	if len(d.health) < 2 || d.health[0] != "/pingtel" || d.health[len(d.health)-1] != d.command[len(d.command)-1] {
		t.Fatalf("health check %q, command %q", d.health, d.command)
	}
	output(t, ".", build(t, ".."), append(d.health[1:], "--help")...) // fails on a flag that is not there
}

// TestDockerfile: the image's binary is built as that of the packages is, and
// by a named version of Go, on which its bytes depend.
func TestDockerfile(t *testing.T) {
	b, err := os.ReadFile("../deploy/Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	script, err := os.ReadFile("build.sh")
	if err != nil {
		t.Fatal(err)
	}
	how := regexp.MustCompile(`go build (-trimpath -tags grpcnotrace -buildvcs=true) -o \S+ (\./cmd/pingtel)`)
	for name, text := range map[string][]byte{"Dockerfile": b, "build.sh": script} {
		if !how.Match(text) || !bytes.Contains(text, []byte("CGO_ENABLED=0")) {
			t.Errorf("%s does not build %s without cgo", name, how)
		}
	}
	if !regexp.MustCompile(`(?m)^FROM --platform=\$BUILDPLATFORM \S+/golang:1\.\d+\.\d+ AS build$`).Match(b) {
		t.Error("the Dockerfile names no patch version of Go")
	}
}

// TestDockerignore: the build sees what git holds and nothing beside it, that
// is secrets. Less would give a version that is called modified.
func TestDockerignore(t *testing.T) {
	b, err := os.ReadFile("../.dockerignore")
	if err != nil {
		t.Fatal(err)
	}
	var got, again []string
	everything := false
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		switch name, whole := strings.CutPrefix(line, "!"); {
		case line == "" || strings.HasPrefix(line, "#"):
		case line == "*":
			everything = true
		case whole:
			got = append(got, name)
		default:
			again = append(again, line)
		}
	}
	want := []string{".git"}
	for line := range strings.Lines(output(t, "..", "git", "ls-files")) {
		line = strings.TrimSpace(line)
		top, _, _ := strings.Cut(line, "/")
		if !slices.Contains(want, top) {
			want = append(want, top)
		}
		for _, pattern := range again {
			if ok, err := path.Match(strings.TrimPrefix(pattern, "**/"), path.Base(line)); ok || err != nil {
				t.Errorf("%s of git's is left out by %s (%v)", line, pattern, err)
			}
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if d := cmp.Diff(want, got); d != "" || !everything {
		t.Errorf("all but these left out: %t (-want +got):\n%s", everything, d)
	}
}
