package discovery

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/internal/testlog"
)

// start starts the sources of a configuration, until the end of the test.
func start(t testing.TB, c *config.Config, o Options) (*Set, *testlog.Buffer) {
	t.Helper()
	log := new(testlog.Buffer)
	o.Log = slog.New(slog.NewTextHandler(log, nil))
	s := New(c, o)
	t.Cleanup(s.Close)
	s.Start(t.Context())
	return s, log
}

// await waits until a condition holds, for a minute.
func await(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not after a minute: %s", what)
		}
	}
}

// inForce returns the hosts of the targets in force.
func inForce(s *Set) string {
	var all []string
	for _, t := range s.Targets() {
		all = append(all, t.Host)
	}
	return strings.Join(all, " ")
}

func awaitHosts(t testing.TB, s *Set, want string) {
	t.Helper()
	await(t, "targets "+want, func() bool { return inForce(s) == want })
}

// awaitError waits until a source has an error, "" for none.
func awaitError(t testing.TB, s *Set, want string) {
	t.Helper()
	await(t, "the error "+want, func() bool {
		errs := s.Status()[0].Errors
		return want == "" && len(errs) == 0 || want != "" && len(errs) > 0 && strings.Contains(strings.Join(errs, "; "), want)
	})
}

// write writes a file in place.
func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// replace replaces a file by a new one.
func replace(t testing.TB, path, text string) {
	t.Helper()
	next := filepath.Join(filepath.Dir(path), ".next")
	write(t, next, text)
	if err := os.Rename(next, path); err != nil {
		t.Fatal(err)
	}
}

func list(hosts ...string) string {
	return `[{"targets": ["` + strings.Join(hosts, `", "`) + `"]}]`
}

// fileConfig is a configuration with a source of files that is refreshed too seldom to
// matter.
func fileConfig(t testing.TB, more string, patterns ...string) *config.Config {
	t.Helper()
	return parse(t, fmt.Sprintf("[[targets]]\nfile = ['%s']\nrefresh = \"1h\"\n%s", strings.Join(patterns, "', '"), more))
}

// TestFiles changes files in the ways in which people and programs do, of which none may
// take a list that is not whole.
func TestFiles(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a.json"), filepath.Join(dir, "b.yml")
	write(t, a, list("a1", "a2"))
	write(t, b, "- targets: [b1]\n")
	s, log := start(t, fileConfig(t, "", filepath.Join(dir, "*.json"), filepath.Join(dir, "*.yml")), Options{})
	if got := inForce(s); got != "a1 a2 b1" {
		t.Fatalf("targets %q at the start; %s", got, log)
	}
	replace(t, a, list("a1", "a3"))
	awaitHosts(t, s, "a1 a3 b1")
	replace(t, a, `[{"targets": ["a1"]}, {"tar`)
	awaitError(t, s, "a.json: [1]: ends too early: it is not complete")
	replace(t, a, "")
	awaitError(t, s, "a.json: is empty")
	if got := inForce(s); got != "a1 a3 b1" {
		t.Errorf("targets %q after a file that is not whole", got)
	}
	replace(t, a, "[]")
	awaitHosts(t, s, "b1")
	awaitError(t, s, "")
	replace(t, a, list("a4"))
	awaitHosts(t, s, "a4 b1")
	replace(t, filepath.Join(dir, "c.json"), list("c1"))
	awaitHosts(t, s, "a4 c1 b1")
	if err := os.Remove(a); err != nil { // of two files of a pattern
		t.Fatal(err)
	}
	awaitHosts(t, s, "c1 b1")
	if err := os.Remove(filepath.Join(dir, "c.json")); err != nil { // the last one: the source is away
		t.Fatal(err)
	}
	awaitError(t, s, "c.json: no file matches")
	if got := inForce(s); got != "c1 b1" {
		t.Errorf("targets %q when the source is away", got)
	}
	replace(t, a, list("a5"))
	awaitHosts(t, s, "a5 b1")
	if got := log.String(); !strings.Contains(got, "a source cannot be read: its targets stay as they were") || !strings.Contains(got, "a source can be read again") {
		t.Errorf("log %s", got)
	}
}

// TestWrittenInPlace has a program write a text of hosts slowly, in the file that is in
// force: any part of it is a list too, but only the whole may be taken.
func TestWrittenInPlace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hosts.txt")
	write(t, path, "a\nb\nc\nd\n")
	s, _ := start(t, fileConfig(t, "", path), Options{})
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	for _, host := range []string{"a", "b", "c", "e"} {
		if _, err := f.WriteString(host + "\n"); err != nil {
			t.Fatal(err)
		}
		for range 30 {
			seen[inForce(s)] = true
			time.Sleep(10 * time.Millisecond) // a slow writer, but not one that stops for two seconds
		}
	}
	f.Close()
	awaitHosts(t, s, "a b c e")
	if len(seen) != 1 || !seen["a b c d"] {
		t.Errorf("while it was written the targets were %v", seen)
	}
}

// TestConfigMap swaps the links of a volume as the kubelet does, whose files never change.
func TestConfigMap(t *testing.T) {
	dir := t.TempDir()
	volume := func(name, text string) {
		t.Helper()
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name, "targets.json"), text)
		if err := os.Symlink(name, filepath.Join(dir, "..data_tmp")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	volume("..2026_01", list("a"))
	path := filepath.Join(dir, "targets.json")
	if err := os.Symlink(filepath.Join("..data", "targets.json"), path); err != nil {
		t.Skip("no symbolic links: ", err)
	}
	s, _ := start(t, fileConfig(t, "", path), Options{})
	for i := range 3 {
		volume(fmt.Sprintf("..2026_1%d", i), list(fmt.Sprintf("b%d", i)))
		awaitHosts(t, s, fmt.Sprintf("b%d", i))
	}
}

// TestFolderComes starts before the folder of the files is there, and moves it away later.
func TestFolderComes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "targets")
	path := filepath.Join(dir, "a.json")
	c := parse(t, "[[targets]]\nfile = '"+path+"'\n")
	c.Sources[0].Refresh = 50 * time.Millisecond // sooner than a file may ask for
	s, _ := start(t, c, Options{})
	if errs := s.Status()[0].Errors; len(errs) != 1 || s.Without() == nil {
		t.Errorf("errors %q", errs)
	}
	for i := range 2 {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, path, list(fmt.Sprintf("a%d", i)))
		awaitHosts(t, s, fmt.Sprintf("a%d", i))
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		awaitError(t, s, "no such file")
	}
	if got := inForce(s); got != "a1" || s.Without() != nil {
		t.Errorf("targets %q when the folder is away; %v", got, s.Without())
	}
}

// TestRefused gives lists that are too much: the old one stays, and the message says why.
func TestRefused(t *testing.T) {
	for agent, want := range map[string]string{
		"max_targets = 3": "the list is longer than agent.max_targets, 3",
		"max_rate = 2":    "6 targets need 3 echo requests per second, but only 2 are allowed",
	} {
		t.Run(agent, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "a.json")
			write(t, path, list("a", "b"))
			s, log := start(t, parse(t, "[agent]\n"+agent+"\n[[targets]]\nhosts = [\"own\"]\n[[targets]]\nfile = '"+path+"'\n"), Options{})
			replace(t, path, list("c", "d", "e", "f", "g"))
			awaitError(t, s, want)
			if got := inForce(s); got != "own a b" || !strings.Contains(log.String(), want) {
				t.Errorf("targets %q, log %s", got, log)
			}
			replace(t, path, list("c"))
			awaitHosts(t, s, "own c")
			awaitError(t, s, "")
		})
	}
}

// TestNoWatch reads files where the system has no watches to give.
func TestNoWatch(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.json")
	write(t, path, list("a"))
	c := parse(t, "[[targets]]\nfile = '"+path+"'\n")
	c.Sources[0].Refresh = 50 * time.Millisecond // sooner than a file may ask for
	s := New(c, Options{})
	s.noWatch = true
	t.Cleanup(s.Close)
	s.Start(t.Context())
	replace(t, path, list("b"))
	awaitHosts(t, s, "b")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, list("c")) // as long, in the same file, at the same time by its stamp
	if err := os.Chtimes(path, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	awaitHosts(t, s, "c")
}

// TestRestless changes a file all the time. If each change is another file, which is whole,
// it is read now and then; if it is written in place, that is an error. The last one is in
// force in the end.
func TestRestless(t *testing.T) {
	for _, inPlace := range []bool{false, true} {
		t.Run(fmt.Sprintf("in place %v", inPlace), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "hosts.txt")
			write(t, path, "first\n")
			s, _ := start(t, fileConfig(t, "", path), Options{system: system{restless: 500 * time.Millisecond}})
			n := 0
			again := func() {
				n++
				if text := fmt.Sprintf("h%d\n", n); inPlace {
					write(t, path, text)
				} else {
					replace(t, path, text)
				}
			}
			if inPlace {
				await(t, "the error", func() bool { again(); return len(s.Status()[0].Errors) > 0 })
				if st := s.Status()[0]; !strings.Contains(st.Errors[0], "is written all the time") || st.Failures != 1 || inForce(s) != "first" {
					t.Errorf("%+v", st)
				}
			} else {
				await(t, "another list", func() bool { again(); return inForce(s) != "first" })
			}
			again()
			awaitHosts(t, s, fmt.Sprintf("h%d", n))
			awaitError(t, s, "")
		})
	}
}

// TestNotAFile: what is no file is an error, and holds nothing up.
func TestNotAFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.json")
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	s, _ := start(t, fileConfig(t, "", path), Options{})
	if errs := s.Status()[0].Errors; !slices.Equal(errs, []string{path + ": is not a file"}) {
		t.Errorf("errors %q", errs)
	}
}

// replaceBy moves a file into the place of another.
func replaceBy(t testing.TB, path, next string) {
	t.Helper()
	if err := os.Rename(next, path); err != nil {
		t.Fatal(err)
	}
}

// changedNow takes the value of Changed, if there is one.
func (s *Set) changedNow() bool {
	select {
	case <-s.changed:
		return true
	default:
		return false
	}
}
