package otel

import (
	"flag"
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pingtel/pingtel/integration/netsim"
	"github.com/pingtel/pingtel/integration/peer"
)

var (
	many     = flag.Int("many", 5_000, "loopback targets of TestMany")
	manyTime = flag.Duration("manytime", 25*time.Second, "how long TestMany runs; its figures want 2m and a quiet machine")
)

// TestMany pushes very many targets with five tags each to a collector with its
// default limits: every series must arrive. The test logs the cost, and the effect on
// the RTTs.
func TestMany(t *testing.T) {
	peer.Collector(t)
	netsim.Run(t, nil, func(t *testing.T, _ *netsim.Net) {
		c := startCollector(t, "collector.yaml", filepath.Join(t.TempDir(), "metrics.json"), "append: true", "append: false\n    rotation: {max_megabytes: 400, max_backups: 2}")
		cmd := exec.Command(peer.Pingtel(), "telegraf", "--config", manyFile(t, *many))
		stdin, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		p := peer.Start(t, cmd)
		time.Sleep(*manyTime) // not to synchronise: it is the time that is measured
		cpu, peak := peer.CPUTime(t, p.Pid()), peer.Status(t, p.Pid(), "VmHWM")
		if err := stdin.Close(); err != nil {
			t.Error(err)
		}
		peer.Await(t, "the end", p.Ended)
		c.Stop()
		said := grep(p.Text(), "E! ", "W! ", "I! ")
		if s := grep(said, "E! ", "smaller", "rejected", "refuse", "dropped", "skipped"); s != "" {
			t.Errorf("pingtel said: %s", s)
		}
		if s := c.Text(); strings.Contains(s, "larger than max") {
			t.Error("the collector refused a message")
		}
		hosts, pushes := arrivedHosts(t, c.file)
		for metric, n := range hosts {
			want := *many
			if metric == "ping.errors" {
				want *= 2 // of two kinds, which count from zero
			}
			if n != want {
				t.Errorf("%s has %d series, want %d", metric, n, want)
			}
		}
		if len(hosts) != 11 { // all but jitter and ipdv, which take two replies
			t.Errorf("%d metrics of targets: %v", len(hosts), hosts)
		}
		t.Logf("%v of CPU, at most %d kB of memory, %d B a target; %s", cpu, peak, peak<<10 / *many, said)
		logDisturbance(t, p.Text(), pushes)
	})
}

// manyFile sends one echo request to each target in ten seconds.
func manyFile(t *testing.T, targets int) string {
	t.Helper()
	var hosts []string
	for i := range targets {
		hosts = append(hosts, fmt.Sprintf("%q", fmt.Sprintf("127.%d.%d.%d", 2+i/62500, i/250%250, i%250+1)))
	}
	return write(t, "pingtel.toml", fmt.Sprintf(`[agent]
interval = "10s"
[defaults]
count = 1
tags = { country = "de", rack = "r17", role = "edge", site = "fra", team = "network" }
[[targets]]
hosts = [%s]
[otel]
enabled = true
interval = "5s"
`, strings.Join(hosts, ",")))
}

// arrivedHosts counts the hosts of each metric in everything that the collector has
// written, and returns the times of the pushes.
func arrivedHosts(t *testing.T, file string) (map[string]int, []time.Time) {
	t.Helper()
	files, err := filepath.Glob(strings.TrimSuffix(file, ".json") + "*.json")
	if err != nil {
		t.Fatal(err)
	}
	got := collected{}
	var pushes []time.Time
	for _, f := range files {
		part, _ := readCollected(t, f)
		maps.Copy(got, part)
		if s := part["ping.target.count{}"]; s != nil { // one point a push
			for _, at := range s.times {
				pushes = append(pushes, time.Unix(0, int64(at)))
			}
		}
	}
	hosts := map[string]int{}
	for key := range got {
		if metric, attributes, _ := strings.Cut(key, "{"); attributes != "}" {
			hosts[metric]++
		}
	}
	return hosts, pushes
}

// logDisturbance compares the RTTs during pushes with those between them.
func logDisturbance(t *testing.T, lines string, pushes []time.Time) {
	t.Helper()
	const length = 500 * time.Millisecond // of a push, about
	var during, between []float64
	for line := range strings.Lines(lines) {
		if !strings.HasPrefix(line, "ping,") {
			continue
		}
		points, err := peer.ParsePoints([]byte(line))
		if err != nil || len(points) != 1 {
			t.Fatal(err, line)
		}
		rtt, ok := points[0].Fields["minimum_response_ms"].(float64)
		if !ok {
			t.Errorf("a false loss: %s", line)
			continue
		}
		if slices.ContainsFunc(pushes, func(at time.Time) bool {
			return points[0].At.After(at) && points[0].At.Before(at.Add(length))
		}) {
			during = append(during, rtt)
		} else {
			between = append(between, rtt)
		}
	}
	slices.Sort(during)
	slices.Sort(between)
	if len(during) < 100 || len(between) < 100 {
		t.Errorf("%d RTTs during %d pushes, %d between", len(during), len(pushes), len(between))
		return
	}
	p99 := func(sorted []float64) float64 { return sorted[len(sorted)*99/100] }
	t.Logf("RTT p99 %.4f ms of %d during %d pushes, %.4f ms of %d between: ratio %.2f",
		p99(during), len(during), len(pushes), p99(between), len(between), p99(during)/p99(between))
}

// grep returns the lines that contain one of the words.
func grep(s string, words ...string) string {
	var b strings.Builder
	for line := range strings.Lines(s) {
		if slices.ContainsFunc(words, func(w string) bool { return strings.Contains(line, w) }) {
			b.WriteString(line)
		}
	}
	return b.String()
}
