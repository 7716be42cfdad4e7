package otel

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pingtel/pingtel/integration/netsim"
	"github.com/pingtel/pingtel/integration/peer"
)

// Accept headers for the formats of /metrics.
const (
	asText     = "text/plain;version=0.0.4"
	asOpen     = "application/openmetrics-text;version=1.0.0"
	asProtobuf = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
)

// scrape returns the answer of /metrics and its Content-Type.
func scrape(t *testing.T, accept string) (body, kind string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1:9473/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", accept)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatal(answer.Status, err)
	}
	return string(b), answer.Header.Get("Content-Type")
}

// value returns the value of the one series of a text that matches a pattern.
func value(t *testing.T, text, pattern string) float64 {
	t.Helper()
	found := regexp.MustCompile("(?m)^"+pattern+` (\S+)$`).FindAllStringSubmatch(text, -1)
	if len(found) != 1 {
		t.Errorf("%d series match %s", len(found), pattern)
		return -1
	}
	v, err := strconv.ParseFloat(found[0][1], 64)
	if err != nil {
		t.Error(err)
	}
	return v
}

// onDemand is a pingtel that measures a round for each line that it reads.
type onDemand struct {
	*peer.Process
	stdin io.WriteCloser
}

func startOnDemand(t *testing.T, file string) *onDemand {
	t.Helper()
	cmd := exec.Command(peer.Pingtel(), "telegraf", "--config", file)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	return &onDemand{peer.Start(t, cmd), stdin}
}

func (p *onDemand) round(t *testing.T) {
	t.Helper()
	if _, err := io.WriteString(p.stdin, "\n"); err != nil {
		t.Fatal(err)
	}
}

const webOnDemand = "enabled = true\n[web]\nlisten = \"127.0.0.1:9473\"\n[telegraf]\nsignal = \"STDIN\"\n"

// TestNativeScrape has one Prometheus that scrapes native histograms and gets
// exponential ones over OTLP, of the same round-trip times: it finds the same in both.
func TestNativeScrape(t *testing.T) {
	peer.Prometheus(t)
	parser := peer.ScrapeParser(t)
	rules := network()
	rules[0].Answer = func(r netsim.Request) []netsim.Packet { // 5 ms to 80 ms, so that the buckets are wider than the finest
		return []netsim.Packet{{After: time.Duration([]int{0, 1, 3, 7, 15}[r.N%5]) * delay}}
	}
	netsim.Run(t, rules, func(t *testing.T, _ *netsim.Net) {
		server := startPrometheus(t, write(t, "prometheus.yaml", `
scrape_configs:
  - job_name: scraped
    scrape_interval: 1s
    scrape_native_histograms: true
    always_scrape_classic_histograms: true
    static_configs: [{targets: ["127.0.0.1:9473"]}]
`))
		p := startOnDemand(t, pingtelFile(t, toPrometheus+"histogram = \"exponential\"\n"+webOnDemand, answers, losesSome, losesAll, unknown))
		for i := range 3 {
			p.round(t)
			peer.Await(t, "a round", func() bool {
				return len(vector(t, fmt.Sprintf("ping_requests_total{job=\"scraped\",server_address=%q} == %d", answers, 5*(i+1)))) == 1 &&
					len(vector(t, fmt.Sprintf("ping_errors_total{job=\"scraped\",error_type=\"resolve\"} == %d", i+1))) == 1
			}, p.Process, server)
		}
		for _, f := range []string{
			"histogram_count(%s)", "histogram_sum(%s)", "histogram_avg(%s)", "histogram_quantile(0.5, %s)", "histogram_quantile(0.95, %s)",
			"histogram_quantile(0.99, %s)", "histogram_fraction(0, 0.012, %s)", "histogram_stddev(%s)",
		} {
			var scraped, pushed map[string]float64
			get := func(job string) map[string]float64 {
				return vector(t, fmt.Sprintf(f, fmt.Sprintf("ping_rtt_seconds{job=%q, server_address!=%q, server_address!=%q}", job, losesAll, unknown)))
			}
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("%s (-scraped +pushed):\n%s", f, cmp.Diff(scraped, pushed))
				}
			})
			peer.Await(t, f+" is the same", func() bool {
				scraped, pushed = get("scraped"), get("pingtel")
				return len(scraped) == 2 && cmp.Equal(scraped, pushed)
			}, p.Process, server)
		}
		for q, want := range map[string]float64{
			fmt.Sprintf("histogram_count(ping_rtt_seconds{job=\"scraped\",server_address=%q})", answers):   15,
			fmt.Sprintf("histogram_count(ping_rtt_seconds{job=\"scraped\",server_address=%q})", losesAll):  0,
			fmt.Sprintf("ping_rtt_seconds_bucket{job=\"scraped\",server_address=%q,le=\"+Inf\"}", answers): 15, // the classic one too
			fmt.Sprintf("count(ping_rtt_seconds_bucket{job=\"scraped\",server_address=%q})", answers):      52,
			`min(min_over_time(up{job="scraped"}[5m]))`:                                                    1,
		} {
			if got, _ := query(t, q); got != want {
				t.Errorf("%s is %v, want %v", q, got, want)
			}
		}
		sameInAllFormats(t, parser)
		p.stdin.Close()
		peer.Await(t, "the end", p.Ended, p.Process)
		if s := grep(p.Text(), "E! ", "a push", "the last push"); s != "" {
			t.Errorf("pingtel said:\n%s", s)
		}
	})
}

// ownFigures are those of the process, some of which change by a scrape.
var ownFigures = regexp.MustCompile(`(?m)^\{__name__="pingtel_.*\n`)

// bound matches the bound of a bucket, which the formats write differently.
var bound = regexp.MustCompile(`le="([^"]*)"`)

// sameInAllFormats reads each format with Prometheus' own parser: all have the same
// series and values, and only protobuf native histograms besides.
func sameInAllFormats(t *testing.T, parser string) {
	t.Helper()
	read := make(map[string]map[string]bool)
	native := 0
	for _, accept := range []string{asText, asOpen, asProtobuf} {
		body, kind := scrape(t, accept)
		cmd := exec.Command(parser, kind)
		cmd.Stdin = strings.NewReader(body)
		out, err := cmd.Output()
		if err != nil {
			t.Errorf("%s: %v", kind, errors.Join(err, cmd.Err))
			continue
		}
		read[accept] = make(map[string]bool)
		for line := range strings.Lines(ownFigures.ReplaceAllString(string(out), "")) {
			if strings.HasPrefix(line, `{__name__="ping_rtt_seconds", `) {
				native++
				continue
			}
			read[accept][bound.ReplaceAllStringFunc(line, func(s string) string {
				v, err := strconv.ParseFloat(s[len(`le="`):len(s)-1], 64)
				if err != nil {
					t.Error(err)
				}
				return fmt.Sprint("le=", v)
			})] = true
		}
	}
	if len(read[asText]) < 100 || native != 4 {
		t.Errorf("%d series, %d native histograms", len(read[asText]), native)
	}
	for _, accept := range []string{asOpen, asProtobuf} {
		if d := cmp.Diff(read[asText], read[accept]); d != "" {
			t.Errorf("-text +%s:\n%s", accept, d)
		}
	}
}

// TestScrapesWithin scrapes while series run, and over a reload: no scrape shows a
// loss that there is none, or another count than the ones before and behind. The same
// process pushes deltas, whose sums are those of the last scrape.
func TestScrapesWithin(t *testing.T) {
	peer.Collector(t)
	netsim.Run(t, network(), func(t *testing.T, n *netsim.Net) {
		c := startCollector(t, "collector.yaml", filepath.Join(t.TempDir(), "metrics.json"))
		config := pingtelFile(t, "temporality = \"delta\"\n"+webOnDemand, answers, losesSome, losesAll, unknown)
		text, err := os.ReadFile(config)
		if err != nil {
			t.Fatal(err)
		}
		slow := strings.NewReplacer(`ping_interval = "20ms"`, `ping_interval = "100ms"`, `"1s"`, `"2s"`).Replace(string(text)) // so that scrapes fall into series
		configure := func(text string) {
			t.Helper()
			if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		configure(slow)
		p := startOnDemand(t, config)
		of := func(text, metric, host string) float64 {
			t.Helper()
			return value(t, text, metric+`\{[^}]*server_address="`+regexp.QuoteMeta(host)+`"[^}]*\}`)
		}
		within := 0 // scrapes while a series ran
		last := 0.
		// round measures one and scrapes until it is over.
		round := func(want float64) {
			t.Helper()
			before := len(n.Arrived())
			p.round(t)
			peer.Await(t, "a round", func() bool {
				if len(n.Arrived()) == before {
					return false
				}
				text, _ := scrape(t, asText)
				if last == 0 && !strings.Contains(text, fmt.Sprintf("ping_up{network_peer_address=%q", answers)) {
					return false // no result yet
				}
				got := of(text, "ping_requests_total", answers)
				if replies := of(text, "ping_replies_total", answers); got != replies || got < last || got != want && got != want-5 {
					t.Errorf("%v requests and %v replies in a scrape after %v, want %v", got, replies, last, want)
				}
				if got != want {
					within++
				}
				last = got
				return got == want && strings.Contains(text, fmt.Sprintf("ping_up{network_peer_address=%q", losesSome)) && strings.Contains(text, `error_type="resolve"} `+fmt.Sprint(want/5)) &&
					of(text, "ping_requests_total", losesSome) == want
			}, p.Process, c.Process)
		}
		round(5)
		round(10)
		configure(strings.Replace(slow, fmt.Sprintf(", %q", losesAll), "", 1))
		p.Signal(syscall.SIGHUP)
		peer.Await(t, "the reload", func() bool {
			text, _ := scrape(t, asText)
			if got := of(text, "ping_requests_total", answers); got != 10 { // in no scrape
				t.Errorf("%v requests around the reload", got)
			}
			if got := value(t, text, `ping_resolved\{[^}]*server_address="`+unknown+`"[^}]*\}`); got != 0 {
				t.Errorf("ping_resolved is %v around the reload", got)
			}
			return !strings.Contains(text, fmt.Sprintf("server_address=%q", losesAll))
		}, p.Process)
		round(15)
		if within == 0 {
			t.Error("no scrape while a series ran")
		}
		p.stdin.Close()
		peer.Await(t, "the end", p.Ended, p.Process)
		c.Stop()
		got, _ := readCollected(t, c.file)
		for host, want := range map[string]float64{answers: 15, losesSome: 15, losesAll: 10} {
			if sum := got.sum("ping.requests", host); sum != want {
				t.Errorf("%v requests to %s in deltas, want %v", sum, host, want)
			}
		}
		for key, s := range got {
			if strings.HasPrefix(key, "ping.requests{") && s.temporality != delta {
				t.Errorf("%s has temporality %v", key, s.temporality)
			}
		}
		t.Logf("%d scrapes while series ran", within)
	})
}
