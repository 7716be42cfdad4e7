package packaging

import (
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestDependencies holds docs/dependencies.md equal to go.mod.
func TestDependencies(t *testing.T) {
	want := directRequirements(t)
	text, err := os.ReadFile("../docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	got := documented(string(text))
	slices.Sort(got)
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("docs/dependencies.md (+) is not what go.mod requires (-):\n%s", d)
	}
}

// directRequirements returns the modules that go.mod does not mark as indirect.
func directRequirements(t *testing.T) []string {
	t.Helper()
	out, err := exec.Command("go", "mod", "edit", "-json", "../go.mod").Output()
	if err != nil {
		t.Fatalf("go mod edit: %v", err)
	}
	var mod struct {
		Require []struct {
			Path     string
			Indirect bool
		}
	}
	if err := json.Unmarshal(out, &mod); err != nil {
		t.Fatal(err)
	}
	var direct []string
	for _, r := range mod.Require {
		if !r.Indirect {
			direct = append(direct, r.Path)
		}
	}
	if len(direct) == 0 {
		t.Skip("go.mod marks everything as indirect: run go mod tidy")
	}
	slices.Sort(direct)
	return direct
}

var (
	requirementRow = regexp.MustCompile("(?m)^\\| `([^`]+)` \\|")
	toolsHeading   = regexp.MustCompile(`(?m)^## Tools$`)
)

// documented returns the modules of the first table of the text.
func documented(text string) []string {
	if at := toolsHeading.FindStringIndex(text); at != nil {
		text = text[:at[0]]
	}
	var modules []string
	for _, m := range requirementRow.FindAllStringSubmatch(text, -1) {
		modules = append(modules, m[1])
	}
	return modules
}

func TestDocumented(t *testing.T) {
	const text = "# D\n| module | for |\n|---|---|\n| `a/b` | x |\n| `c` | `d` |\nso `e` not\n## Tools\n| `f` | y |\n"
	if d := cmp.Diff([]string{"a/b", "c"}, documented(text)); d != "" {
		t.Errorf("documented (-want +got):\n%s", d)
	}
}
