package otel

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pingtel/pingtel/integration/netsim"
	"github.com/pingtel/pingtel/integration/peer"
)

// TestScrape has one Prometheus that scrapes a process and gets its pushes.
// Rounds come on demand, so that the counts stand still between them: every
// series is there twice, with the same labels and the same value.
func TestScrape(t *testing.T) {
	peer.Prometheus(t)
	netsim.Run(t, network(), func(t *testing.T, n *netsim.Net) {
		server := startPrometheus(t, write(t, "prometheus.yaml", `
scrape_configs:
  - {job_name: scraped, scrape_interval: 1s, static_configs: [{targets: ["127.0.0.1:9473"]}]}
`))
		file := pingtelFile(t, toPrometheus+"enabled = true\n[web]\nlisten = \"127.0.0.1:9473\"\n[telegraf]\nsignal = \"STDIN\"\n",
			answers, losesSome, losesAll, unreachable, unknown)
		cmd := exec.Command(peer.Pingtel(), "telegraf", "--config", file)
		stdin, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		p := peer.Start(t, cmd)
		const rounds = 3
		for i := range rounds {
			if _, err := io.WriteString(stdin, "\n"); err != nil {
				t.Fatal(err)
			}
			peer.Await(t, "a round", func() bool {
				return len(vector(t, fmt.Sprintf("ping_requests_total{job=\"scraped\",server_address=%q} == %d", answers, 5*(i+1)))) == 1 &&
					len(vector(t, fmt.Sprintf("ping_errors_total{job=\"scraped\",error_type=\"resolve\"} == %d", i+1))) == 1
			}, p, server)
		}
		for _, name := range []string{
			"ping_requests_total", "ping_replies_total", "ping_errors_total", "ping_duplicates_total", "ping_reordered_total", "ping_corrupt_total",
			"ping_loss_ratio", "ping_jitter_seconds", "ping_ipdv_seconds", "ping_ttl", "ping_hops", "ping_up", "ping_target_count",
			"ping_rtt_seconds_count", "ping_rtt_seconds_sum", "ping_rtt_seconds_bucket",
		} {
			var scraped, pushed map[string]float64
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("%s (-scraped +pushed):\n%s", name, cmp.Diff(scraped, pushed))
				}
			})
			peer.Await(t, name+" is the same", func() bool {
				scraped, pushed = vector(t, name+`{job="scraped"}`), vector(t, name+`{job="pingtel"}`)
				return len(scraped) > 0 && cmp.Equal(scraped, pushed)
			}, p, server)
		}
		sent := 0.
		for _, r := range n.Arrived() {
			if r.Dst.String() == answers {
				sent++
			}
		}
		if v, _ := query(t, fmt.Sprintf("ping_requests_total{job=\"scraped\",server_address=%q}", answers)); v != sent {
			t.Errorf("%v requests to %s, the network counted %v", v, answers, sent)
		}
		if v, _ := query(t, fmt.Sprintf("ping_resolved{server_address=%q}", unknown)); v != 0 {
			t.Errorf("ping_resolved of a name that does not resolve is %v", v)
		}
		if v, _ := query(t, `min(min_over_time(up{job="scraped"}[5m]))`); v != 1 {
			t.Errorf("a scrape has failed:\n%s", server.Text())
		}
		stdin.Close()
		peer.Await(t, "the end", p.Ended, p)
		if s := grep(p.Text(), "E! ", "a push", "the last push"); s != "" {
			t.Errorf("pingtel said:\n%s", s)
		}
	})
}

// vector returns the series of an instant query, by their labels without those
// that say how they came.
func vector(t *testing.T, q string) map[string]float64 {
	t.Helper()
	r, err := http.Get("http://localhost:9090/api/v1/query?query=" + url.QueryEscape(q))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	var answer struct {
		Data struct {
			Result []struct {
				Metric map[string]string
				Value  [2]any
			}
		}
	}
	if err := json.NewDecoder(r.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	all := make(map[string]float64)
	for _, s := range answer.Data.Result {
		for _, own := range []string{"job", "instance", "service_instance_id", "host_name", "__name__"} {
			delete(s.Metric, own)
		}
		if bound, err := strconv.ParseFloat(s.Metric["le"], 64); err == nil { // of a scrape Prometheus writes 1.0 and 1e-05, of a push 1 and 0.00001
			s.Metric["le"] = strconv.FormatFloat(bound, 'g', -1, 64)
		}
		b, err := json.Marshal(s.Metric) // sorted by key
		if err != nil {
			t.Fatal(err)
		}
		text, ok := s.Value[1].(string)
		if !ok {
			t.Fatalf("value %v", s.Value)
		}
		var v float64
		if _, err := fmt.Sscan(text, &v); err != nil {
			t.Fatal(err)
		}
		all[string(b)] = v
	}
	return all
}
