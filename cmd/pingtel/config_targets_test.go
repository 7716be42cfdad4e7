package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestConfigTargets prints the targets of files whose sources are well, or are not. What
// goes to stdout can be given to 'pingtel ping -f'.
func TestConfigTargets(t *testing.T) {
	clearOTelVariables(t)
	dir := t.TempDir()
	put := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	whole := put("whole.json", `[{"targets": ["127.0.0.1:9100", "[::1]:9100"], "labels": {"site": "a\nb", "__meta_x": "1"}}, {"targets": ["127.0.1.0/30"]}]`)
	again := put("again.txt", "127.0.0.2 # again\n127.0.0.1\n")
	faulty := put("faulty.yml", "- targets: [127.0.0.3]\n- targets: ['bad host', 'https://x/y', 127.0.0.4]\n  labels: {url: u}\n")
	many := put("many.txt", strings.Repeat("bad host\n", 13)+"127.0.0.5\n")
	cut := put("cut.json", `[{"targets": ["127.0.0.6"]}, {"targ`)
	long := put("long.txt", "127.0.2.0/24\n")
	none := put("none.json", "[]")
	missing := filepath.Join(dir, "missing.json")
	table := func(path string) string { return fmt.Sprintf("[[targets]]\nfile = '%s'\n", path) }
	hosts := "[agent]\nmax_targets = 100\nmax_rate = 1000\n[defaults]\ncount = 1\n[[targets]]\nhosts = [\"127.0.0.2\"]\n"
	for _, tt := range []struct {
		name, file     string
		status         int
		stdout, stderr string
		check          []string // lines of 'config check' about sources
		checkStatus    int
	}{
		{"hosts", hosts, 0, "# hosts: 1 targets\n127.0.0.2\n", "", nil, 0},
		{"sources", hosts + table(whole) + "tags = { x = \"__meta_x\" }\n" + table(again), 0,
			"# hosts: 1 targets\n127.0.0.2\n# file " + whole + ": 4 targets\n127.0.0.1  # site=a b x=1\n::1  # site=a b x=1\n127.0.1.1\n127.0.1.2\n" +
				"# file " + again + ": 2 targets, 1 of them listed before\n127.0.0.2\n127.0.0.1\n", "",
			[]string{"file " + whole + ": 4 targets", "file " + again + ": 2 targets"}, 0},
		{"faults", table(faulty), 0, "# file " + faulty + ": 2 targets\n127.0.0.3\n127.0.0.4\n",
			"pingtel: warning: file " + faulty + ": " + faulty + `: [1].targets[0]: "bad host": contains a space: want one host` + "\n" +
				"pingtel: warning: file " + faulty + ": " + faulty + `: [1].targets[1]: "https://x/y": looks like a URL: want only its host, x` + "\n" +
				"pingtel: warning: file " + faulty + ": " + faulty + `: the label "url" is no tag: pingtel sets a tag of that name itself` + "\n",
			[]string{"file " + faulty + ": 2 targets", `[1].targets[0]: "bad host"`, `[1].targets[1]: "https://x/y"`, `the label "url"`}, 0},
		{"none", table(none), 0, "# file " + none + ": 0 targets\n", "", []string{"file " + none + ": 0 targets"}, 0},
		{"cut", hosts + table(cut), 2, "# hosts: 1 targets\n127.0.0.2\n# file " + cut + ": 0 targets\n",
			"pingtel: file " + cut + ": " + cut + ": [1]: ends too early: it is not complete\n", []string{"file " + cut + ": warning: " + cut + ": [1]: ends too early"}, 0},
		{"missing", table(missing), 2, "# file " + missing + ": 0 targets\n", "pingtel: file " + missing + ": " + missing + ": no such file or directory\n",
			[]string{"file " + missing + ": warning: " + missing + ": no such file or directory"}, 0},
		{"too long", hosts + table(long), 2, "# hosts: 1 targets\n127.0.0.2\n# file " + long + ": 0 targets\n",
			"pingtel: file " + long + ": " + long + ": the list is longer than agent.max_targets, 100\n", []string{"file " + long + ": warning: " + long + ": the list is longer than agent.max_targets, 100"}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := writeConfig(t, tt.file)
			var stdout, stderr strings.Builder
			if status := run(t.Context(), []string{"config", "targets", file}, strings.NewReader(""), &stdout, &stderr); status != tt.status {
				t.Errorf("status %d, want %d", status, tt.status)
			}
			if diff := cmp.Diff(tt.stdout, stdout.String()); diff != "" {
				t.Errorf("stdout (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.stderr, stderr.String()); diff != "" {
				t.Errorf("stderr (-want +got):\n%s", diff)
			}
			stdout.Reset()
			if status := run(t.Context(), []string{"config", "check", file}, strings.NewReader(""), &stdout, &stderr); status != tt.checkStatus {
				t.Errorf("config check: status %d, want %d", status, tt.checkStatus)
			}
			for _, want := range tt.check {
				if !strings.Contains(stdout.String(), want) {
					t.Errorf("config check prints %s, want %q", stdout.String(), want)
				}
			}
		})
	}
	var stdout, stderr strings.Builder
	run(t.Context(), []string{"config", "targets", writeConfig(t, table(many))}, strings.NewReader(""), &stdout, &stderr)
	if got := strings.Count(stderr.String(), "warning"); got != 11 || !strings.Contains(stderr.String(), "3 more entries cannot be targets") {
		t.Errorf("%d warnings of 13 faults: %s", got, stderr.String())
	}
	for _, args := range [][]string{{"config", "targets"}, {"config", "targets", "a", "b"}, {"config", "targets", "/nonexistent.toml"}} {
		if status := run(t.Context(), args, strings.NewReader(""), &stdout, &stderr); status != 2 {
			t.Errorf("%v: status %d, want 2", args, status)
		}
	}
}
