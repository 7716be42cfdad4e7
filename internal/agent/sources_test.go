package agent

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pingtel/pingtel/internal/discovery"
)

// await waits until a condition holds, for a minute. Files are not seen in virtual time.
func (r *rig) await(what string, holds func() bool) {
	r.t.Helper()
	for end := time.Now().Add(time.Minute); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			r.t.Fatalf("not after a minute: %s; log %s", what, r.log.String())
		}
	}
}

// run serves in real time until the end of the test.
func (r *rig) run() {
	r.t.Helper()
	r.prober.took = 5 * time.Millisecond
	r.make()
	go func() { r.result <- r.agent.run(r.t.Context()) }()
	r.t.Cleanup(func() {
		if _, err := r.end(); err != nil {
			r.t.Error(err)
		}
	})
}

// replace puts a file into the place of another.
func replace(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// probed waits until the targets are these, and each of them has been probed.
func (r *rig) probed(from int, hosts ...string) {
	r.t.Helper()
	r.await(fmt.Sprintf("targets %v", hosts), func() bool {
		for _, host := range hosts {
			if !strings.Contains(r.out.String()[from:], "url="+host+" ") && !strings.Contains(r.out.String()[from:], "url="+host+",") {
				return false
			}
		}
		return strings.Contains(r.log.String(), "started") && r.agent.monitor.Stats().Targets == len(hosts)
	})
}

// TestRetarget changes the list of a source while the process runs. What is wrong with a
// list is in the log, and what is right is probed.
func TestRetarget(t *testing.T) {
	path := filepath.Join(t.TempDir(), "nobody-knows-me.json")
	list := func(hosts ...string) string {
		var all []string
		for _, h := range hosts {
			all = append(all, fmt.Sprintf(`{"targets": [%q], "labels": {"site": "s"}}`, h))
		}
		return "[" + strings.Join(all, ", ") + "]"
	}
	replace(t, path, list("198.18.0.1", "198.18.0.2"))
	file := fmt.Sprintf("[agent]\ninterval = \"1s\"\nmax_targets = 5\nmax_rate = 9\n[defaults]\ncount = 2\nping_interval = \"10ms\"\ntimeout = \"100ms\"\n[[targets]]\nfile = '%s'\n", path)
	r := newRig(t, file)
	r.run()
	r.probed(0, "198.18.0.1", "198.18.0.2")
	for _, tt := range []struct {
		name, text string
		want       []string // hosts from then on
		log        []string
	}{
		{"one comes, one goes", list("198.18.0.2", "198.18.0.3"), []string{"198.18.0.2", "198.18.0.3"}, []string{"configuration in force targets=2 removed=1"}},
		{"faults", list("198.18.0.2", "bad host", "198.18.0.4", "http://x/y"), []string{"198.18.0.2", "198.18.0.4"}, []string{
			`entries=2`, `[1].targets[0]: \"bad host\": contains a space: want one host; `, `[3].targets[0]: \"http://x/y\": looks like a URL: want only its host, x`}},
		{"half of a file", list("198.18.0.2", "198.18.0.5")[:60], []string{"198.18.0.2", "198.18.0.4"}, []string{"a source cannot be read: its targets stay as they were", "[1]: ends too early: it is not complete"}},
		{"an empty file", "", []string{"198.18.0.2", "198.18.0.4"}, []string{"is empty"}},
		{"too many", list("198.18.1.1-6"), []string{"198.18.0.2", "198.18.0.4"}, []string{"the list is longer than agent.max_targets, 5"}},
		{"too many echoes", list("198.18.1.1-5"), []string{"198.18.0.2", "198.18.0.4"}, []string{"5 targets need 10 echo requests per second, but only 9 are allowed"}},
		{"none", "[]", nil, []string{"configuration in force targets=0 removed=2"}},
		{"again", list("198.18.0.6"), []string{"198.18.0.6"}, []string{"configuration in force targets=1 removed=0"}},
	} {
		said := len(r.log.String())
		replace(t, path, tt.text)
		for _, want := range tt.log {
			r.await(tt.name+": "+want, func() bool { return strings.Contains(r.log.String()[said:], want) })
		}
		r.probed(len(r.out.String()), tt.want...)
	}
	for line := range strings.Lines(r.out.String()) {
		if strings.HasPrefix(line, "ping,") && (strings.Contains(line, "nobody-knows-me") || !strings.Contains(line, ",site=s,")) {
			t.Errorf("a point tells its source, or has not the labels: %s", line)
		}
	}
	if out := r.out.String(); !strings.Contains(out, "\npingtel_source,source=file\\ "+path) {
		t.Errorf("no figures on the source in %s", out)
	}
}

// TestReadSources reads the file again. Lists that are in force go on without a look at
// their sources, as what the file makes of them; the targets of the file itself are those of
// a start.
func TestReadSources(t *testing.T) {
	path := filepath.Join(t.TempDir(), "t.txt")
	replace(t, path, "198.18.0.1\n198.18.0.2\n")
	file := fmt.Sprintf("[agent]\ninterval = \"1s\"\n[defaults]\ncount = 1\ntimeout = \"100ms\"\n[[targets]]\nhosts = [\"198.18.9.1\"]\n[[targets]]\nhosts = [\"198.18.9.1\"]\nsize = 1400\n[[targets]]\nfile = '%s'\n", path)
	r := newRig(t, file)
	r.run()
	const own = "198.18.9.1"
	r.probed(0, own, own, "198.18.0.1", "198.18.0.2")
	for _, tt := range []struct {
		name string
		do   func()
		want []string
		tag  string
	}{
		{"nothing changes", func() {}, []string{own, own, "198.18.0.1", "198.18.0.2"}, ""},
		{"the source is away", func() { os.Remove(path) }, []string{own, own, "198.18.0.1", "198.18.0.2"}, ""},
		{"it has a tag", func() { r.file = file + "tags = { class = \"far\" }\n" }, []string{own, own, "198.18.0.1", "198.18.0.2"}, ""}, // that it gets with the next list
		{"it is there again", func() { replace(t, path, "198.18.0.2\n") }, []string{own, own, "198.18.0.2"}, ",class=far,"},
		{"the file has no source", func() { r.file = file[:strings.LastIndex(file, "[[targets]]")] }, []string{own, own}, ""},
	} {
		said := len(r.log.String())
		tt.do()
		r.signals <- syscall.SIGHUP
		r.await(tt.name, func() bool { return strings.Contains(r.log.String()[said:], "configuration in force") })
		from := len(r.out.String())
		r.probed(from, tt.want...)
		r.await(tt.name+": the tag "+tt.tag, func() bool { return strings.Contains(r.out.String()[from:], tt.tag) })
	}
	if log := r.log.String(); strings.Contains(log, "is left out") || strings.Contains(log, "E! ") {
		t.Errorf("log %s", log)
	}
}

// TestSourcesOf has a source that has given a list, and one that never has: its age counts
// from the start of the process.
func TestSourcesOf(t *testing.T) {
	started := time.Now().Add(-time.Hour)
	got := sourcesOf([]discovery.Status{
		{Name: "a", Targets: 3, Listed: true, Read: time.Now().Add(-time.Minute), Failures: 2, Refused: 1},
		{Name: "b"},
		{Name: "c", Listed: true, Read: time.Now().Add(time.Minute)}, // a copy from a wrong clock
	}, started)
	for i, want := range []time.Duration{time.Minute, time.Hour, 0} {
		if age := got[i].Age; age < want || age > want+time.Minute/2 {
			t.Errorf("%s: age %v, want %v", got[i].Name, age, want)
		}
	}
	if a := got[0]; a.Name != "a" || a.Targets != 3 || a.Failures != 2 || a.Refused != 1 {
		t.Errorf("%+v", a)
	}
	if sourcesOf(nil, started) != nil {
		t.Error("figures on sources without any")
	}
}
