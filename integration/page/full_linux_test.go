package page_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/pingtel/pingtel/integration/netsim"
	"github.com/pingtel/pingtel/integration/peer"
)

// TestFullDisk: a disk that is full stops the history and nothing else, also if it is full
// at the start. The page shows what is in memory, and nothing false. With room again
// everything is written.
func TestFullDisk(t *testing.T) {
	netsim.Run(t, []netsim.Rule{rule("198.18.1.1", 1e6, 0)}, func(t *testing.T, _ *netsim.Net) {
		disk := t.TempDir()
		if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=128k"); err != nil {
			t.Skip("cannot mount a file system, which needs root:", err)
		}
		defer syscall.Unmount(disk, syscall.MNT_DETACH)
		ballast := filepath.Join(disk, "ballast")
		if err := os.WriteFile(ballast, make([]byte, 1<<20), 0o600); err == nil {
			t.Fatal("the disk is not full")
		}
		text := fmt.Sprintf("[agent]\nstate = %q\ninterval = \"1s\"\n[defaults]\ncount = 2\nping_interval = \"50ms\"\ntimeout = \"900ms\"\n[web]\nlisten = \"LISTEN\"\n[[targets]]\nhosts = [\"198.18.1.1\", \"198.18.1.99\"]\n", disk)
		url, p := serve(t, text)
		var all struct {
			Targets []struct{ Key, Host, State string }
		}
		peer.Await(t, "a round of both", func() bool {
			get(t, url+"/api/targets", &all)
			return len(all.Targets) == 2 && !slices.ContainsFunc(all.Targets, func(x struct{ Key, Host, State string }) bool { return x.State == "no_data" })
		}, p)
		rounds := func(host string) (n int, states []string) {
			var h struct {
				State []string
				Total struct{ Rounds int }
			}
			for _, x := range all.Targets {
				if x.Host == host {
					get(t, url+"/api/history/"+x.Key, &h)
				}
			}
			slices.Sort(h.State)
			return h.Total.Rounds, slices.Compact(h.State)
		}
		peer.Await(t, "the log", func() bool { return strings.Contains(p.Text(), "history is not written; measuring goes on") }, p)
		full, _ := rounds("198.18.1.1")
		peer.Await(t, "more rounds on a full disk", func() bool { n, _ := rounds("198.18.1.1"); return n >= full+3 }, p)
		check := func(when string) {
			t.Helper()
			for host, want := range map[string]string{"198.18.1.1": "measured", "198.18.1.99": "down"} {
				_, states := rounds(host)
				states = slices.DeleteFunc(states, func(s string) bool { return s == "away" || s == "no_data" && when == "after a kill" })
				if fmt.Sprint(states) != "["+want+"]" {
					t.Errorf("%s: %s: %v, want %s", when, host, states, want)
				}
			}
		}
		check("on a full disk")
		if r, err := http.Get(url + "/-/ready"); err != nil || r.Body.Close() != nil || r.StatusCode != http.StatusOK {
			t.Errorf("not ready: %v, %v", r, err)
		}
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
		before, _ := rounds("198.18.1.1")
		if _, status := p.Stop(); status != 0 {
			t.Fatalf("exit status %d: %s", status, p.Text())
		}
		url, p = serve(t, text)
		if n, _ := rounds("198.18.1.1"); n < before {
			t.Errorf("%d rounds after a restart with room, %d before", n, before)
		}
		check("after a restart")
		p.Kill()
		url, _ = serve(t, text)
		check("after a kill")
	})
}
