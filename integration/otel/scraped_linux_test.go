package otel

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pingtel/pingtel/integration/netsim"
	"github.com/pingtel/pingtel/integration/peer"
)

var (
	scraped     = flag.Int("scraped", 0, "loopback targets of TestManyScraped, which needs some: 100000")
	scrapedTime = flag.Duration("scrapedtime", 10*time.Minute, "how long TestManyScraped runs")
)

// rtts are the round-trip times of lines for Telegraf, which it reads as they come.
type rtts struct {
	mu    sync.Mutex
	at    []int64
	rtt   []float32 // ms
	lost  int
	wrong string
}

func (r *rtts) add(line string) {
	if !strings.HasPrefix(line, "ping,") {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	_, value, ok := strings.Cut(line, "minimum_response_ms=")
	if !ok {
		r.lost++
		return
	}
	rtt, err := strconv.ParseFloat(value[:strings.IndexAny(value, ", ")], 32)
	at, err2 := strconv.ParseInt(line[strings.LastIndexByte(line, ' ')+1:], 10, 64)
	if err != nil || err2 != nil {
		r.wrong = line
	}
	r.at, r.rtt = append(r.at, at), append(r.rtt, float32(rtt))
}

func (r *rtts) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.rtt)
}

// TestManyScraped has a real Prometheus scrape very many targets with five tags each
// every 15 seconds, with native histograms: no scrape may fail, and none be missing.
// It logs what a scrape costs, and the effect on the round-trip times.
func TestManyScraped(t *testing.T) {
	if *scraped == 0 {
		t.Skip("go test -timeout 30m ./integration/otel -run TestManyScraped -scraped 100000 -v")
	}
	peer.Prometheus(t)
	netsim.Run(t, nil, func(t *testing.T, _ *netsim.Net) {
		file := manyFile(t, *scraped)
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text, _, _ = bytes.Cut(text, []byte("[otel]"))
		text = bytes.Replace(text, []byte("[agent]\n"), []byte("[agent]\nmax_rate = 20000\n"), 1) // twice what the targets need: it can make up for a pause
		if err := os.WriteFile(file, append(text, "[otel]\nhistogram = \"exponential\"\n[web]\nlisten = \"127.0.0.1:9473\"\n"...), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(peer.Pingtel(), "telegraf", "--config", file)
		if _, err := cmd.StdinPipe(); err != nil {
			t.Fatal(err)
		}
		r := new(rtts)
		cmd.Stdout = peer.EachLine(r.add)
		p := peer.Start(t, cmd)
		peer.Await(t, "two rounds", func() bool { return r.count() >= 2**scraped }, p)
		without := peer.Status(t, p.Pid(), "VmHWM")
		server := startPrometheus(t, write(t, "prometheus.yaml", `
scrape_configs:
  - job_name: scraped
    scrape_interval: 15s
    scrape_timeout: 15s
    scrape_native_histograms: true
    static_configs: [{targets: ["127.0.0.1:9473"]}]
`))
		before, begun := peer.CPUTime(t, p.Pid()), time.Now()
		time.Sleep(*scrapedTime) // not to synchronise: it is the time that is measured
		cpu, took := peer.CPUTime(t, p.Pid())-before, time.Since(begun)
		peak := peer.Status(t, p.Pid(), "VmHWM")
		scrapes := scrapesOf(t)
		if n, _ := query(t, "count(ping_up)"); int(n) != *scraped {
			t.Errorf("%v targets in Prometheus, want %d", n, *scraped)
		}
		if n, _ := query(t, "sum(ping_replies_total) - sum(ping_requests_total)"); n != 0 {
			t.Errorf("%v replies more than requests", n)
		}
		series, _ := query(t, "scrape_samples_scraped")
		t.Logf("%d scrapes of %v series in %v; pingtel: %v of CPU, at most %d MiB of memory, %d MiB before the first scrape; Prometheus: at most %d MiB; load %s",
			len(scrapes), series, took.Round(time.Second), cpu, peak>>10, without>>10, peer.Status(t, server.Pid(), "VmHWM")>>10, load(t))
		if want := int(took/(15*time.Second)) - 1; len(scrapes) < want {
			t.Errorf("%d scrapes, want %d", len(scrapes), want)
		}
		r.compare(t, scrapes)
		if s := grep(p.Text(), "E! ", "W! "); s != "" {
			t.Errorf("pingtel said: %s", s)
		}
	})
}

func load(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		t.Fatal(err)
	}
	return string(bytes.TrimSpace(text))
}

// during is when something went on.
type during struct{ from, to time.Time }

// scrapesOf returns the scrapes that Prometheus has made, none of which may have
// failed or come too late.
func scrapesOf(t *testing.T) (scrapes []during) {
	t.Helper()
	samples := func(metric string) [][2]any {
		r, err := http.Get("http://localhost:9090/api/v1/query?query=" + url.QueryEscape(metric+"[1h]"))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		var answer struct {
			Data struct{ Result []struct{ Values [][2]any } }
		}
		if err := json.NewDecoder(r.Body).Decode(&answer); err != nil || len(answer.Data.Result) != 1 {
			t.Fatal(err, answer)
		}
		return answer.Data.Result[0].Values
	}
	var worst time.Duration
	for i, s := range samples("scrape_duration_seconds") {
		at, ok := s[0].(float64)
		length, err := strconv.ParseFloat(fmt.Sprint(s[1]), 64)
		if !ok || err != nil {
			t.Fatal(s)
		}
		from := time.UnixMilli(int64(at * 1e3))
		scrapes = append(scrapes, during{from, from.Add(time.Duration(length * 1e9))})
		worst = max(worst, time.Duration(length*1e9))
		if i > 0 && from.Sub(scrapes[i-1].from) > 20*time.Second {
			t.Errorf("no scrape from %v to %v", scrapes[i-1].from, from)
		}
	}
	for _, s := range samples("up") {
		if s[1] != "1" {
			t.Errorf("a scrape has failed: %v", s)
		}
	}
	t.Logf("a scrape took %v at most", worst)
	return scrapes
}

// compare compares the round-trip times during scrapes with those between them.
func (r *rtts) compare(t *testing.T, scrapes []during) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	var within, between []float32
	for i, at := range r.at {
		if at < scrapes[0].from.UnixNano() {
			continue
		}
		n, _ := slices.BinarySearchFunc(scrapes, at, func(s during, at int64) int { return int(s.to.UnixNano()/1e3 - at/1e3) })
		if n < len(scrapes) && at >= scrapes[n].from.UnixNano() {
			within = append(within, r.rtt[i])
		} else {
			between = append(between, r.rtt[i])
		}
	}
	if r.lost > 0 || r.wrong != "" {
		t.Errorf("%d false losses; line %q", r.lost, r.wrong)
	}
	if len(within) < 1000 || len(between) < 1000 {
		t.Errorf("%d RTTs during scrapes, %d between", len(within), len(between))
		return
	}
	slices.Sort(within)
	slices.Sort(between)
	at := func(sorted []float32, percent int) float32 { return sorted[len(sorted)*percent/100] }
	t.Logf("RTT p50, p99: %.4f, %.4f ms of %d during scrapes; %.4f, %.4f ms of %d between; p99 ratio %.2f",
		at(within, 50), at(within, 99), len(within), at(between, 50), at(between, 99), len(between), at(within, 99)/at(between, 99))
}
