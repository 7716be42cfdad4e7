package discovery

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/pingtel/pingtel/internal/config"
)

// copyConfig is a configuration with a source behind HTTP and a folder for its state.
func copyConfig(t testing.TB, state, url, more string) *config.Config {
	t.Helper()
	c := parse(t, "[agent]\nstate = '"+state+"'\n[[targets]]\nhttp = \""+url+"\"\n"+more)
	c.Sources[0].Refresh = 50 * time.Millisecond // sooner than a file may ask for
	return c
}

// TestCopy starts again without the source: from the copy of the list, whose age is that of the
// list. When the source is back its list counts.
func TestCopy(t *testing.T) {
	state := t.TempDir()
	srv := newServer(t, false)
	srv.answer(text(`[{"targets": ["a", "b"], "labels": {"__name": "x"}}, {"targets": ["bad host"]}]`))
	s, log := start(t, copyConfig(t, state, srv.URL, ""), Options{Keep: true})
	awaitHosts(t, s, "a b")
	s.Close()
	copies, err := filepath.Glob(filepath.Join(state, "targets", "*"))
	if err != nil || len(copies) != 1 {
		t.Fatalf("copies %q, %v, log %s", copies, err, log)
	}
	for path, want := range map[string]os.FileMode{copies[0]: 0o600, filepath.Dir(copies[0]): 0o700} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want && runtime.GOOS != "windows" {
			t.Errorf("%s: mode %v, want %v; %v", path, info.Mode(), want, err)
		}
	}
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(copies[0], old, old); err != nil {
		t.Fatal(err)
	}
	srv.answer(func(_ http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) })
	again, log := start(t, copyConfig(t, state, srv.URL, "tags = { name = \"__name\" }\n"), Options{Keep: true})
	st := again.Status()[0]
	if got := lines(again.Targets()); len(got) != 2 || got[0] != "a name=x" || st.Read.Sub(old).Abs() > time.Second || len(st.Errors) == 0 {
		t.Errorf("targets %q, %+v", got, st)
	}
	if got := log.String(); !strings.Contains(got, "a source starts from the copy of its last list") || !strings.Contains(got, "targets=2 age=1h0m0s") {
		t.Errorf("log %s", got)
	}
	srv.answer(text(list("c")))
	awaitHosts(t, again, "c")
	again.Close()
	srv.Close()
	third, _ := start(t, copyConfig(t, state, srv.URL, ""), Options{}) // which only reads copies
	if got := inForce(third); got != "c" {
		t.Errorf("targets %q, want those of the last list", got)
	}
}

// TestCopyOfAnother: a copy that is torn, changed, or of another source is named, and ignored.
func TestCopyOfAnother(t *testing.T) {
	const url = "http://127.0.0.1:1/"
	name := "http " + url
	whole := func(c copies, source string) {
		w := c.create(source, "")
		w.add([]byte(`{"targets": ["a"]}`))
		if err := w.commit(); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name, want string
		make       func(c copies)
	}{
		{"whole", "starts from the copy", func(c copies) { whole(c, name) }},
		{"torn", "it is not complete, or was changed", func(c copies) {
			whole(c, name)
			change(t, c.path(name, ""), func(s string) string { return s[:len(s)-20] })
		}},
		{"torn in the first line", "it is not complete, or was changed", func(c copies) { whole(c, name); change(t, c.path(name, ""), func(s string) string { return s[:20] }) }},
		{"changed", "it is not complete, or was changed", func(c copies) {
			whole(c, name)
			change(t, c.path(name, ""), func(s string) string { return strings.Replace(s, `["a"]`, `["b"]`, 1) })
		}},
		{"of another source", "it is a copy of http http://other/ under another name", func(c copies) {
			whole(c, "http http://other/")
			if err := os.Rename(c.path("http http://other/", ""), c.path(name, "")); err != nil {
				t.Fatal(err)
			}
		}},
		{"something else", "it is not a list that pingtel has written", func(c copies) {
			whole(c, name)
			change(t, c.path(name, ""), func(string) string { return "hello\n" })
		}},
		{"another source's, in its place", "", func(c copies) { whole(c, "http http://other/") }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			state := t.TempDir()
			c := copiesIn(state, true)
			tt.make(c)
			s, log := start(t, copyConfig(t, state, url, ""), Options{Keep: true})
			want := ""
			if tt.name == "whole" {
				want = "a"
			}
			if got := inForce(s); got != want || !strings.Contains(log.String(), tt.want) || tt.want == "" && strings.Contains(log.String(), "copy") {
				t.Errorf("targets %q, log %s, want %q", got, log, tt.want)
			}
			if tt.want != "" && want == "" && !strings.Contains(log.String(), c.path(name, "")) {
				t.Errorf("the log does not name the file: %s", log)
			}
		})
	}
}

// change changes the text of a file.
func change(t *testing.T, path string, edit func(string) string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, edit(string(b)))
}

// TestCopiesOfFiles starts again with one file broken, and with all of them away. A file that
// went while there was a process has no copy.
func TestCopiesOfFiles(t *testing.T) {
	state, dir := t.TempDir(), filepath.Join(t.TempDir(), "targets")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	config := func() *config.Config {
		return parse(t, "[agent]\nstate = '"+state+"'\n[[targets]]\nfile = '"+filepath.Join(dir, "*.json")+"'\n")
	}
	for _, name := range []string{"a", "b", "c"} {
		write(t, filepath.Join(dir, name+".json"), list(name))
	}
	s, _ := start(t, config(), Options{Keep: true})
	awaitHosts(t, s, "a b c")
	if err := os.Remove(filepath.Join(dir, "b.json")); err != nil {
		t.Fatal(err)
	}
	awaitHosts(t, s, "a c")
	await(t, "two copies", func() bool {
		copies, err := filepath.Glob(filepath.Join(state, "targets", "*.list"))
		return err == nil && len(copies) == 2
	})
	s.Close()
	write(t, filepath.Join(dir, "c.json"), `[{"targets": ["c2"]`)
	write(t, filepath.Join(dir, "a.json"), list("a2"))
	s, log := start(t, config(), Options{Keep: true})
	if got := inForce(s); got != "a2 c" {
		t.Errorf("targets %q, log %s", got, log)
	}
	s.Close()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	s, log = start(t, config(), Options{Keep: true})
	if got := inForce(s); got != "a2 c" && got != "c a2" {
		t.Errorf("targets %q without any file, log %s", got, log)
	}
}

// TestNoState: a folder that cannot be written is said once, and changes nothing else.
func TestNoState(t *testing.T) {
	srv := newServer(t, false)
	n := 0
	srv.answer(func(w http.ResponseWriter, _ *http.Request) { n++; fmt.Fprint(w, list(fmt.Sprintf("a%d", min(n, 3)))) })
	file := filepath.Join(t.TempDir(), "file")
	write(t, file, "")
	s, log := start(t, copyConfig(t, file, srv.URL, ""), Options{Keep: true})
	awaitHosts(t, s, "a3")
	if got := strings.Count(log.String(), "is not kept for a restart"); got != 1 {
		t.Errorf("said %d times: %s", got, log)
	}
}

// TestSlowStart has a source that takes longer than a start waits: the copy counts until the
// answer comes.
func TestSlowStart(t *testing.T) {
	state := t.TempDir()
	srv := newServer(t, false)
	srv.answer(text(list("a")))
	s, _ := start(t, copyConfig(t, state, srv.URL, ""), Options{Keep: true})
	awaitHosts(t, s, "a")
	s.Close()
	answer := make(chan struct{})
	srv.answer(func(w http.ResponseWriter, _ *http.Request) { <-answer; fmt.Fprint(w, list("b")) })
	s, _ = start(t, copyConfig(t, state, srv.URL, ""), Options{Keep: true})
	if got := inForce(s); got != "a" {
		t.Errorf("targets %q", got)
	}
	close(answer)
	awaitHosts(t, s, "b")
}

// TestAdopt puts another configuration in force: sources that stay keep their lists, also
// where they cannot be read at the moment, and other tags come with the next answer.
func TestAdopt(t *testing.T) {
	srv := newServer(t, false)
	srv.answer(text(`[{"targets": ["a", "b"], "labels": {"__x": "y"}}]`))
	s, _ := start(t, httpConfig(t, srv.URL, ""), Options{})
	awaitHosts(t, s, "a b")
	probe := s.Targets()[0].Probe
	srv.answer(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
	s.Close()
	same, _ := start(t, httpConfig(t, srv.URL, ""), Options{Before: s})
	if got := inForce(same); got != "a b" || same.Targets()[0].Probe != probe || same.Status()[0].Failures == 0 {
		t.Errorf("targets %q, %+v", got, same.Status())
	}
	same.Close()
	other, _ := start(t, httpConfig(t, srv.URL, "tags = { x = \"__x\" }\ncount = 7\n"), Options{Before: same})
	if got := inForce(other); got != "a b" {
		t.Errorf("targets %q", got)
	}
	srv.answer(text(`[{"targets": ["a", "b"], "labels": {"__x": "y"}}]`))
	await(t, "the new tags", func() bool {
		first := other.Targets()[0]
		return len(first.Tags) == 1 && first.Tags[0].Value == "y" && first.Options.Count == 7
	})
	other.Close()
	third, _ := start(t, httpConfig(t, srv.URL+"/elsewhere", ""), Options{Before: other})
	awaitHosts(t, third, "a b")
	srv.Close()
	third.Close()
	fourth, _ := start(t, httpConfig(t, srv.URL+"/nowhere", ""), Options{Before: third})
	if got := inForce(fourth); got != "" {
		t.Errorf("targets %q of another source", got)
	}
}
