package fleet

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/internal/discovery"
)

// listFleet is a fleet with the members of a file.
func listFleet(t *testing.T, log *strings.Builder, member, file string) *Fleet {
	t.Helper()
	c, err := config.Parse("f.toml", fmt.Sprintf("[fleet]\nmember = %q\nzone = \"here\"\nmembers = { file = %q, refresh = \"1s\" }\n[[targets]]\nhosts = [\"198.18.0.1\"]\n", member, file), nil)
	if err != nil {
		t.Fatal(err)
	}
	f := New(c, slog.New(slog.NewTextHandler(log, nil)))
	t.Cleanup(f.Close)
	return f
}

// listed is what a source gives at a time.
func listed(at time.Time, members ...string) discovery.Status {
	st := discovery.Status{Name: "the list", Listed: true, Read: at}
	for _, m := range members {
		name, zone, _ := strings.Cut(m, "/")
		p := &config.Probe{}
		if zone != "" {
			p.Tags = []config.Tag{{Key: "zone", Value: zone}}
		}
		st.List = append(st.List, config.Target{Host: name, Probe: p})
	}
	return st
}

// TestList: a member that is not in the list any more is dropped after two refreshes of
// lists without it, and while there is no list nobody is.
func TestList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		f := listFleet(t, &log, "a", "/nowhere/list.json")
		e := f.engine.(*listEngine)
		look := func(want int, members ...string) {
			t.Helper()
			e.look(listed(time.Now(), members...))
			synctest.Wait()
			if got := f.Stats().Members; got != want {
				t.Errorf("after %v: %d members, want %d", members, got, want)
			}
			time.Sleep(time.Second) // a refresh
		}
		broken := func(want int) {
			t.Helper()
			e.look(discovery.Status{Name: "the list", Errors: []string{"no such file"}})
			if got := f.Stats().Members; got != want {
				t.Errorf("without a list: %d members, want %d", got, want)
			}
			time.Sleep(time.Second)
		}
		look(3, "a.pods.example", "b.pods.example", "c.pods.example/far")
		want := []Member{{"a.pods.example", "here"}, {"b.pods.example", ""}, {"c.pods.example", "far"}}
		if d := cmp.Diff(want, f.ownership.members); d != "" {
			t.Errorf("members (-want +got):\n%s", d)
		}
		look(3, "a.pods.example", "c.pods.example")
		look(3, "a.pods.example", "b.pods.example", "c.pods.example") // it was only away for a moment
		look(3, "a.pods.example", "c.pods.example")
		for range 100 {
			broken(3)
		}
		look(3) // an empty list says nothing
		look(3, "a.pods.example", "c.pods.example")
		look(3, "a.pods.example", "c.pods.example")
		look(2, "a.pods.example", "c.pods.example")
		look(2, "a.pods.example", "c.pods.example")
		look(3, "a.pods.example", "c.pods.example", "ab.pods.example")
		if n := strings.Count(log.String(), "cannot be read: the last one stays in force"); n != 1 {
			t.Errorf("log %s", &log)
		}
		if strings.Contains(log.String(), "does not have this prober") {
			t.Errorf("log %s", &log)
		}
	})
}

// TestAlien: a prober that the list does not have counts itself, and says so.
func TestAlien(t *testing.T) {
	var log strings.Builder
	f := listFleet(t, &log, "a", "/nowhere/list.json")
	e := f.engine.(*listEngine)
	for range 2 {
		e.look(listed(time.Now(), "198.18.0.1", "198.18.0.2"))
	}
	if n := f.Stats().Members; n != 3 || strings.Count(log.String(), "does not have this prober") != 1 {
		t.Errorf("%d members, log %s", n, &log)
	}
}

// TestListFile reads a real file, which is replaced.
func TestListFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "probers.json")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	write(`[{"targets": ["a", "b:9473"], "labels": {"zone": "east"}}]`)
	var log strings.Builder
	f := listFleet(t, &log, "a", file)
	f.Start(context.Background())
	if n := f.Stats().Members; n != 2 {
		t.Errorf("%d members, want 2; log %s", n, &log)
	}
	write(`[{"targets": ["a", "b", "c"]}]`)
	limit := time.NewTimer(time.Minute)
	defer limit.Stop()
	for f.Stats().Members != 3 {
		select {
		case <-f.Changed():
		case <-limit.C:
			t.Fatalf("%+v", f.Stats())
		}
	}
}
