package packaging

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

var (
	pinnedAction = regexp.MustCompile(`^([^@]+)@([0-9a-f]{40})$`)
	versionTag   = regexp.MustCompile(`^# v\d+\.\d+\.\d+$`)
	imageGo      = regexp.MustCompile(`golang:(1\.\d+\.\d+) AS build`)
)

// TestWorkflows: every action is pinned by the hash of a commit, with its tag
// beside it, and is the same everywhere. Each job that builds has the Go of the
// image, on which the bytes of the binary depend. Whether GitHub understands
// the files is for actionlint, which .ci/run starts.
func TestWorkflows(t *testing.T) {
	image, err := os.ReadFile("../deploy/Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	goVersion := imageGo.FindSubmatch(image)
	if goVersion == nil {
		t.Fatal("the Dockerfile names no version of Go")
	}
	hashes := make(map[string]string)
	for _, name := range files(t, "../.github/workflows") {
		text, err := os.ReadFile(filepath.Join("../.github/workflows", name))
		if err != nil {
			t.Fatal(err)
		}
		var w struct {
			Permissions map[string]string
			Jobs        map[string]struct {
				Uses  string
				Env   map[string]string
				Steps []struct{ Uses yaml.Node }
			}
		}
		if err := yaml.Unmarshal(text, &w); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if len(w.Permissions) != 1 || w.Permissions["contents"] != "read" {
			t.Errorf("%s: permissions %v of all jobs, want contents: read", name, w.Permissions)
		}
		for job, j := range w.Jobs {
			if j.Uses != "" {
				if !strings.HasPrefix(j.Uses, "./.github/workflows/") {
					t.Errorf("%s: job %s uses %s, want a workflow of this repository", name, job, j.Uses)
				}
				continue
			}
			if want := "go" + string(goVersion[1]); j.Env["GOTOOLCHAIN"] != want {
				t.Errorf("%s: job %s has GOTOOLCHAIN %q, the Dockerfile %s", name, job, j.Env["GOTOOLCHAIN"], want)
			}
			for _, s := range j.Steps {
				if s.Uses.Value != "" {
					checkPinned(t, name, s.Uses, hashes)
				}
			}
		}
	}
	if len(hashes) == 0 {
		t.Error("no action found: not even one that checks the repository out")
	}
}

// checkPinned looks at the action that a step uses. hashes has those seen.
func checkPinned(t *testing.T, name string, uses yaml.Node, hashes map[string]string) {
	t.Helper()
	m := pinnedAction.FindStringSubmatch(uses.Value)
	if m == nil || !versionTag.MatchString(uses.LineComment) {
		t.Errorf("%s:%d: %s %s: want ACTION@HASH # vN.N.N", name, uses.Line, uses.Value, uses.LineComment)
		return
	}
	if other, ok := hashes[m[1]]; ok && other != m[2]+uses.LineComment {
		t.Errorf("%s:%d: %s has another hash or tag elsewhere: %s", name, uses.Line, uses.Value, other)
	}
	hashes[m[1]] = m[2] + uses.LineComment
}
