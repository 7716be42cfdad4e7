package integration

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/pingtel/pingtel/integration/netsim"
	"github.com/pingtel/pingtel/integration/peer"
)

var soak = flag.Duration("soak", 0, "how long TestSoak runs; 0 leaves it out")

// soakFile has 10,236 loopback targets and 126 of the simulated network. Every second
// reload adds 126 more.
func soakFile(round int) string {
	hosts := []string{`"127.2.0.0/19"`, `"127.3.0.0/21"`}
	if round%2 == 1 {
		hosts = append(hosts, `"198.18.1.0/25"`)
	}
	hosts = append(hosts, `"198.18.2.0/25"`)
	return fmt.Sprintf(`[agent]
interval = "10s"
[defaults]
tags = { site = "soak" }
[[targets]]
hosts = [%s]
[otel]
enabled = true
timeout = "3s"
`, strings.Join(hosts, ", "))
}

// lasting is the prefix of the hosts that no reload removes.
const lasting = "127."

// losses counts the series that lost an echo, from pingtel's lines as they come.
type losses struct {
	mu       sync.Mutex
	points   int
	requests int64 // to the targets that every file has
	replies  int64
	lost     []peer.Point
	internal peer.Point // the last one
}

func (l *losses) read(t *testing.T, r io.Reader) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		b := lines.Bytes()
		own := bytes.HasPrefix(b, []byte("pingtel_internal"))
		sound := !own && bytes.Contains(b, []byte(" packets_transmitted=5i,packets_received=5i,"))
		var points []peer.Point
		if !sound {
			var err error
			if points, err = peer.ParsePoints(b); err != nil || len(points) != 1 {
				t.Errorf("line %q: %v", b, err)
				continue
			}
		}
		l.mu.Lock()
		switch {
		case own:
			l.internal = points[0]
		case sound:
			l.points++
			if bytes.Contains(b, []byte(",url="+lasting)) {
				l.requests, l.replies = l.requests+5, l.replies+5
			}
		default:
			l.points++
			l.lost = append(l.lost, points[0])
			if strings.HasPrefix(points[0].Tags["url"], lasting) {
				l.requests += points[0].Int("packets_transmitted")
				l.replies += points[0].Int("packets_received")
			}
		}
		l.mu.Unlock()
	}
	if err := lines.Err(); err != nil {
		t.Errorf("stdout: %v", err)
	}
}

const linkDown = "link down"

// window is the time of a fault, in which series may lose echoes.
type window struct {
	what     string
	from, to time.Time
}

// sampleOf returns the resources that a process has now.
type sampleOf struct{ rss, heap, threads, descriptors, goroutines int }

// TestSoak runs both outputs for a long time, with a reload every minute and a fault
// every two minutes. It looks for growth, and for losses outside the faults.
func TestSoak(t *testing.T) {
	if *soak == 0 {
		t.Skip("integration: a long run: go test ./integration -v -run TestSoak -soak=15m -timeout=30m")
	}
	peer.Collector(t)
	rules := []netsim.Rule{{Prefix: netip.MustParsePrefix("198.18.0.0/15"), Delay: 5 * time.Millisecond}}
	netsim.Run(t, rules, func(t *testing.T, n *netsim.Net) {
		collected := "" // the folder that the collector writes to
		startCollector := func() *peer.Process {
			text, err := os.ReadFile("otel/collector.yaml")
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			collected = dir
			conf := filepath.Join(dir, "collector.yaml")
			edited := strings.NewReplacer("/var/lib/otelcol/metrics.json", filepath.Join(dir, "metrics.json"),
				"append: true", "rotation: {max_megabytes: 100, max_backups: 1}").Replace(string(text))
			if err := os.WriteFile(conf, []byte(edited), 0o644); err != nil {
				t.Fatal(err)
			}
			return peer.Start(t, exec.Command(peer.Collector(t), "--config", conf))
		}
		collector := startCollector()
		file := filepath.Join(t.TempDir(), "pingtel.toml")
		configure := func(round int) {
			if err := os.WriteFile(file, []byte(soakFile(round)), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		configure(0)
		cmd := exec.Command(peer.Pingtel(), "telegraf", "--config", file)
		stdin, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, in, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd.Stdout = in
		p := peer.Start(t, cmd)
		if err := in.Close(); err != nil {
			t.Error(err)
		}
		var got losses
		var reading sync.WaitGroup
		reading.Go(func() { got.read(t, out) })

		var windows []window
		fault := func(what string, length time.Duration, begin, end func()) {
			w := window{what: what, from: time.Now().Add(-2 * time.Second)} // series that have begun
			begin()
			time.Sleep(length)
			end()
			w.to = time.Now().Add(2 * time.Second)
			windows = append(windows, w)
		}
		link := func(up bool) func() {
			return func() {
				if err := n.SetUp(up); err != nil {
					t.Error(err)
				}
			}
		}
		faults := []func(){
			func() { fault(linkDown, 5*time.Second, link(false), link(true)) },
			func() {
				fault("collector killed", 15*time.Second, collector.Kill, func() { collector = startCollector() })
			},
			func() {
				fault("process stopped", 10*time.Second, func() { p.Signal(syscall.SIGSTOP) }, func() { p.Signal(syscall.SIGCONT) })
			},
		}
		var samples []sampleOf
		start := time.Now()
		for minute := 1; time.Since(start) < *soak; minute++ {
			next := start.Add(time.Duration(minute) * time.Minute)
			if minute > 1 && minute%2 == 0 {
				faults[(minute/2-1)%len(faults)]()
			}
			if minute > 1 { // before it has started, SIGHUP would end it
				configure(minute)
				p.Signal(syscall.SIGHUP)
			}
			time.Sleep(time.Until(next))
			got.mu.Lock()
			s := sampleOf{peer.Status(t, p.Pid(), "VmRSS"), int(got.internal.Int("heap_live_bytes") >> 10), peer.Status(t, p.Pid(), "Threads"), descriptors(t, p.Pid()), int(got.internal.Int("goroutines"))}
			t.Logf("minute %d: %d points, %d kB, of which %d live, %d threads, %d descriptors, %d goroutines; %d lost; skipped %d, missed %d, lines dropped %d",
				minute, got.points, s.rss, s.heap, s.threads, s.descriptors, s.goroutines, len(got.lost),
				got.internal.Int("series_skipped"), got.internal.Int("series_missed"), got.internal.Int("lines_dropped"))
			got.mu.Unlock()
			samples = append(samples, s)
		}
		if err := stdin.Close(); err != nil {
			t.Error(err)
		}
		peer.Await(t, "the end", p.Ended)
		reading.Wait()
		collector.Stop()
		checkPushed(t, collected, &got)
		checkSoak(t, p.Text(), &got, windows, samples)
	})
}

// checkPushed compares the collector's sums of the lasting targets with those of the
// lines.
func checkPushed(t *testing.T, dir string, got *losses) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "metrics*.json")) // the older one first, by their names
	if err != nil || len(files) == 0 {
		t.Fatalf("the collector's files: %q, %v", files, err)
	}
	type key struct{ metric, host string }
	last := make(map[key]int64)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(text) {
			var m metricspb.MetricsData
			if err := protojson.Unmarshal(line, &m); err != nil {
				t.Fatalf("%v in %.200s", err, line)
			}
			for _, metric := range m.ResourceMetrics[0].ScopeMetrics[0].Metrics {
				note := func(attributes []*commonpb.KeyValue, value int64) {
					for _, a := range attributes {
						if h := a.Value.GetStringValue(); a.Key == "server.address" && strings.HasPrefix(h, lasting) {
							last[key{metric.Name, h}] = value
						}
					}
				}
				if metric.Name == "ping.requests" || metric.Name == "ping.replies" {
					for _, p := range metric.GetSum().DataPoints {
						note(p.Attributes, p.GetAsInt())
					}
				}
				for _, p := range metric.GetHistogram().GetDataPoints() {
					note(p.Attributes, int64(p.Count))
				}
			}
		}
	}
	sums := make(map[string]int64)
	for k, v := range last {
		sums[k.metric] += v
	}
	want := map[string]int64{"ping.requests": got.requests, "ping.replies": got.replies, "ping.rtt": got.replies}
	if !maps.Equal(sums, want) {
		t.Errorf("the collector has %v, the lines %v", sums, want)
	}
	t.Logf("the collector has %v of %d targets, as the lines do", sums, len(last)/3)
}

func descriptors(t *testing.T, pid string) int {
	t.Helper()
	list, err := os.ReadDir("/proc/" + pid + "/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// checkSoak looks for losses while the link was up, which no other fault may
// cause, and for growth since the third minute.
func checkSoak(t *testing.T, said string, got *losses, windows []window, samples []sampleOf) {
	t.Helper()
	outside := 0
	within := map[string]int{}
	for _, p := range got.lost {
		what := ""
		for _, w := range windows {
			if p.At.After(w.from) && p.At.Before(w.to) {
				what = w.what
			}
		}
		if within[what]++; what != linkDown {
			if outside++; outside < 10 {
				t.Errorf("a loss while the link was up: %v %v at %v, %s", p.Tags["url"], p.Fields, p.At, what)
			}
		}
	}
	t.Logf("%d points; series that lost something, by fault: %v", got.points, within)
	if got.internal.Int("lines_dropped") > 0 || got.internal.Int("kernel_drops") > 0 {
		t.Errorf("dropped: %v", got.internal.Fields)
	}
	if strings.Contains(said, "E! ") || strings.Contains(said, "panic") {
		t.Errorf("pingtel said:\n%s", said)
	}
	t.Logf("pingtel said:\n%s", said)
	if len(samples) < 5 {
		t.Fatal("too short to tell growth: want -soak=5m or more")
	}
	early, late := samples[2], samples[len(samples)-1]
	// The live heap must not grow. The runtime decides how much garbage there is besides, within the bounds of its pacing.
	if late.heap > early.heap*11/10 || late.rss > early.rss*3/2 || late.threads > early.threads+3 || late.descriptors > early.descriptors || late.goroutines > early.goroutines+3 {
		t.Errorf("growth from %+v to %+v", early, late)
	}
}
