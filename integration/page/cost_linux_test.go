package page_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/integration/peer"
)

var cost = flag.Int("cost", 0, "how many times to measure round-trip times with the page and without")

// costTargets are pinged once a second.
const costTargets, costWindow = 2000, 20 * time.Second

// TestCost is a measurement of round-trip times with the page and without, by turns in one
// run: go test ./integration/page -run TestCost -cost 6 -v -timeout 30m
func TestCost(t *testing.T) {
	if *cost == 0 {
		t.Skip("a measurement: run it with -cost 6 -timeout 30m, on a machine with nothing else to do")
	}
	kinds := []string{"without the page", "with the page", "with the page and a reader"}
	p50s, p99s := make([][]time.Duration, len(kinds)), make([][]time.Duration, len(kinds))
	state := t.TempDir()
	for turn := range *cost {
		for i := range kinds {
			k := (i + turn) % len(kinds)
			rtts := timesOf(t, state, k > 0, k > 1)
			slices.Sort(rtts)
			p50, p99 := icmpcore.Percentile(rtts, 50), icmpcore.Percentile(rtts, 99)
			t.Logf("%s: %d round-trip times, p50 %v, p99 %v", kinds[k], len(rtts), p50, p99)
			p50s[k], p99s[k] = append(p50s[k], p50), append(p99s[k], p99)
		}
	}
	for k, kind := range kinds {
		slices.Sort(p50s[k])
		slices.Sort(p99s[k])
		ratio := float64(icmpcore.Percentile(p99s[k], 50)) / float64(icmpcore.Percentile(p99s[0], 50))
		t.Logf("%s: median of the p50 %v, of the p99 %v (%v to %v), ratio %.3f", kind, icmpcore.Percentile(p50s[k], 50), icmpcore.Percentile(p99s[k], 50),
			p99s[k][0], p99s[k][len(p99s[k])-1], ratio)
		if ratio > 1.1 {
			t.Errorf("%s: p99 is %.3f times that without it, want 1.1 at most", kind, ratio)
		}
	}
}

// timesOf returns the round-trip times of a run of pingtel. Its results come to us in
// Telegraf's format, with the page and without.
func timesOf(t *testing.T, state string, page, reader bool) []time.Duration {
	t.Helper()
	address := freeAddress(t)
	file := filepath.Join(t.TempDir(), "pingtel.toml")
	text := fmt.Sprintf("[agent]\nstate = %q\ninterval = \"1s\"\n[defaults]\ncount = 1\n[web]\nlisten = %q\nmetrics = false\npage = %v\n[[targets]]\nhosts = [\"127.1.0.0/21\"]\n",
		state, address, page)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(peer.Pingtel(), "telegraf", "--config", file)
	stdin, hold, err := os.Pipe() // its end would end pingtel
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	defer hold.Close()
	times := &times{t: t}
	cmd.Stdin, cmd.Stdout = stdin, peer.EachLine(times.add)
	p := peer.Start(t, cmd)
	peer.Await(t, "a round of all targets", func() bool { return times.count() >= costTargets }, p)
	end := make(chan struct{})
	var read sync.WaitGroup
	if reader {
		read.Go(func() { look(t, "http://"+address, end) })
	}
	times.take()
	pause(t.Context(), costWindow)
	rtts := times.take()
	close(end)
	read.Wait()
	if len(rtts) < costTargets*int(costWindow.Seconds())*9/10 {
		t.Fatalf("only %d results", len(rtts))
	}
	p.Signal(os.Interrupt)
	peer.Await(t, "the end of pingtel", p.Ended, p)
	return rtts
}

// look asks for what a browser with the page asks for: the map each ten seconds, and a
// graph each five.
func look(t *testing.T, url string, end <-chan struct{}) {
	var all struct{ Targets []struct{ Key string } }
	for i := 0; ; i++ {
		paths := []string{"/api/targets"}
		if i > 0 {
			paths = append(paths[i%2:], "/api/history/"+all.Targets[i%len(all.Targets)].Key)
		}
		for _, path := range paths {
			body, err := fetch(url + path)
			if err == nil && path == "/api/targets" {
				err = json.Unmarshal(body, &all)
			}
			if err != nil || len(all.Targets) == 0 {
				t.Errorf("%s: %v", path, err)
				return
			}
		}
		select {
		case <-time.After(5 * time.Second):
		case <-end:
			return
		}
	}
}

func fetch(url string) ([]byte, error) {
	r, err := http.Get(url)
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	return io.ReadAll(r.Body)
}

// times keeps the round-trip times of lines in Telegraf's format.
type times struct {
	t    *testing.T
	mu   sync.Mutex // guards list
	list []time.Duration
}

func (c *times) add(line string) {
	_, value, ok := strings.Cut(line, "average_response_ms=")
	if !ok {
		return
	}
	ms, err := strconv.ParseFloat(value[:strings.IndexAny(value+",", ", ")], 64)
	if err != nil {
		c.t.Error(err)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = append(c.list, time.Duration(ms*1e6))
}

func (c *times) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.list)
}

// take returns what there is, and begins anew.
func (c *times) take() []time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := c.list
	c.list = nil
	return list
}
