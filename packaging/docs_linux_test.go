package packaging

import (
	"flag"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// docsDir lets .ci/package-test follow the links where a package is installed.
var docsDir = flag.String("docs", "", "follow the links of the documents in this `folder`, not of those that docs.sh gathers")

var (
	link     = regexp.MustCompile(`\]\(([^)\s]+)\)`) // of Markdown, outside of code
	codeSpan = regexp.MustCompile("`([A-Za-z0-9_./-]+)`")
)

// TestInstalledLinks follows the links of the documents that packages and
// archives have: each leads to a file that is there too, and to a heading in it.
// Files to copy that the documents only name are there as well.
func TestInstalledLinks(t *testing.T) {
	dir := *docsDir
	if dir == "" {
		out := t.TempDir()
		output(t, ".", "./docs.sh", out)
		dir = filepath.Join(out, "doc")
		checkManual(t, out)
	}
	if links := checkLinks(t, dir); links < 15 {
		t.Errorf("%d links found, want more", links)
	}
}

// checkManual: the page of the configuration file is there, and the pages of
// the commands that read the file refer to it.
func checkManual(t *testing.T, out string) {
	t.Helper()
	for name, want := range map[string]string{
		"pingtel.toml.5":     ".TH PINGTEL.TOML 5 ",
		"pingtel-telegraf.1": `\fBpingtel(1)\fP, \fBpingtel.toml(5)\fP`,
		"pingtel-otel.1":     `\fBpingtel(1)\fP, \fBpingtel.toml(5)\fP`,
	} {
		text, err := os.ReadFile(filepath.Join(out, "man", name))
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s does not have %q (%v)", name, want, err)
		}
		for _, m := range regexp.MustCompile(`(?m)^\.BR (\S+) \((\d)\)`).FindAllStringSubmatch(string(text), -1) {
			page := strings.ReplaceAll(m[1], `\-`, "-") + "." + m[2]
			if _, err := os.Stat(filepath.Join(out, "man", page)); err != nil {
				t.Errorf("%s refers to %s, which does not exist: %v", name, page, err)
			}
		}
	}
}

// checkLinks follows all links below a folder and returns their number.
func checkLinks(t *testing.T, dir string) int {
	t.Helper()
	links := 0
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".md" {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		for _, found := range link.FindAllStringSubmatch(string(text), -1) {
			if strings.Contains(found[1], "://") {
				continue
			}
			links++
			checkLink(t, dir, name, found[1])
		}
		for _, found := range codeSpan.FindAllStringSubmatch(string(text), -1) {
			checkNamed(t, dir, name, found[1])
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return links
}

// checkLink follows one link of the document name, which is relative to dir.
func checkLink(t *testing.T, dir, name, to string) {
	t.Helper()
	file, anchor, _ := strings.Cut(to, "#")
	target := name
	if file != "" {
		target = filepath.Join(filepath.Dir(name), file)
	}
	if !filepath.IsLocal(target) {
		t.Errorf("%s: the link %s leads out of the documents", name, to)
		return
	}
	info, err := os.Stat(filepath.Join(dir, target))
	if err != nil {
		t.Errorf("%s: the link %s leads nowhere: %v: if people need the file where pingtel is installed, let docs.sh copy it", name, to, err)
		return
	}
	if anchor == "" || info.IsDir() {
		return
	}
	there, err := os.ReadFile(filepath.Join(dir, target))
	if err != nil || !anchors(string(there))[anchor] {
		t.Errorf("%s: the link %s: there is no such heading (%v)", name, to, err)
	}
}

// checkNamed: a file of the repository that can be copied, or a folder of such
// files, is among the documents if one of them names it. What only developers
// use is not.
func checkNamed(t *testing.T, dir, name, named string) {
	t.Helper()
	switch path.Ext(named) {
	case ".conf", ".json", ".md", ".service", ".toml", ".yaml":
	default:
		if top, _, _ := strings.Cut(named, "/"); top != "deploy" && top != "dashboards" {
			return
		}
	}
	for _, base := range []string{".", filepath.Dir(name)} {
		file := filepath.Join(base, named)
		if _, err := os.Stat(filepath.Join("..", file)); err != nil || !filepath.IsLocal(file) {
			continue // no file of the repository, by that name
		}
		if _, err := os.Stat(filepath.Join(dir, file)); err != nil {
			t.Errorf("%s names %s: %v: let docs.sh copy it", name, named, err)
		}
		return
	}
}

// anchors returns the names by which the headings of a document are linked.
func anchors(text string) map[string]bool {
	found := make(map[string]bool)
	for line := range strings.Lines(text) {
		heading, ok := strings.CutPrefix(line, "#")
		if !ok {
			continue
		}
		name := strings.ToLower(strings.TrimSpace(strings.TrimLeft(heading, "#")))
		name = regexp.MustCompile(`[^\pL\pN _-]`).ReplaceAllString(name, "")
		found[strings.ReplaceAll(name, " ", "-")] = true
	}
	return found
}
