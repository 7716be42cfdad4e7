package packaging

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// link is a link of Markdown, outside of code.
var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

// TestInstalledLinks follows the links of the documents that the packages
// install: each leads to a file that is installed too, and to a heading there.
func TestInstalledLinks(t *testing.T) {
	dir := t.TempDir()
	output(t, ".", "./docs.sh", dir)
	links := 0
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".md" {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, found := range link.FindAllStringSubmatch(string(text), -1) {
			if strings.Contains(found[1], "://") {
				continue
			}
			links++
			name, anchor, _ := strings.Cut(found[1], "#")
			target := path
			if name != "" {
				target = filepath.Join(filepath.Dir(path), name)
			}
			there, err := os.ReadFile(target)
			if err != nil {
				t.Errorf("%s: the link %s leads nowhere: %v", path, found[1], err)
				continue
			}
			if anchor != "" && !anchors(string(there))[anchor] {
				t.Errorf("%s: the link %s: there is no such heading", path, found[1])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if links < 15 {
		t.Errorf("%d links found, want more", links)
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
