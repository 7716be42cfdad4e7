package otel

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pingtel/pingtel/integration/netsim"
	"github.com/pingtel/pingtel/integration/peer"
)

// TestPrometheus pushes to a Prometheus and queries it with PromQL.
func TestPrometheus(t *testing.T) {
	peer.Prometheus(t)
	const slow = 60 * time.Millisecond // of each fifth reply, beside 5 ms
	prefix := netip.MustParsePrefix(answers + "/32")
	rules := append(network(), netsim.Rule{Prefix: prefix, Delay: delay, TTL: 60, Answer: netsim.Every(5, netsim.Packets(netsim.Packet{After: slow - delay}))})
	netsim.Run(t, rules, func(t *testing.T, n *netsim.Net) {
		conf, err := filepath.Abs("prometheus.yaml")
		if err != nil {
			t.Fatal(err)
		}
		server := startPrometheus(t, conf)
		p := peer.Start(t, exec.Command(peer.Pingtel(), "otel", "--config", pingtelFile(t,
			"protocol = \"http/protobuf\"\nendpoint = \"http://localhost:9090/api/v1/otlp/v1/metrics\"", answers, losesSome, losesAll, unknown)))
		peer.Await(t, "ten rounds", func() bool {
			v, _ := query(t, fmt.Sprintf("ping_requests_total{server_address=%q}", losesAll))
			return v >= 50
		}, p, server)
		stopPingtel(t, p)
		if s := p.Text(); strings.Contains(s, "push") {
			t.Errorf("pingtel said:\n%s", s)
		}

		// The truth: a fifth of the replies takes 60 ms, so that is the 95th percentile.
		got, labels := query(t, fmt.Sprintf("histogram_quantile(0.95, ping_rtt_seconds_bucket{server_address=%q})", answers))
		if got < slow.Seconds()*0.75 || got > slow.Seconds()*1.25 {
			t.Errorf("p95 is %v s, want %v, off by 25 %% at most", got, slow)
		}
		t.Logf("p95 %.4f s, the truth %v", got, slow)
		for label, want := range map[string]string{
			"network_peer_address": answers, "network_type": "ipv4", "ping_dscp": "46", "site": "lab", "job": "pingtel", "rack_no": `a,b="c" ü`,
		} {
			if labels[label] != want {
				t.Errorf("label %s is %q, want %q", label, labels[label], want)
			}
		}
		sent := map[string]float64{}
		for _, r := range n.Arrived() {
			sent[r.Dst.String()]++
		}
		for q, want := range map[string]float64{
			fmt.Sprintf("ping_requests_total{server_address=%q}", answers):                        sent[answers],
			fmt.Sprintf("ping_rtt_seconds_count{server_address=%q}", answers):                     sent[answers],
			fmt.Sprintf("ping_replies_total{server_address=%q}", losesSome):                       sent[losesSome] - float64(int(sent[losesSome])/5),
			fmt.Sprintf("ping_errors_total{server_address=%q, error_type=\"timeout\"}", losesAll): sent[losesAll],
			fmt.Sprintf("ping_loss_ratio{server_address=%q}", losesAll):                           1,
			fmt.Sprintf("ping_up{server_address=%q}", answers):                                    1,
			fmt.Sprintf("ping_up{server_address=%q}", unknown):                                    0,
			fmt.Sprintf("ping_ttl{server_address=%q}", answers):                                   60,
			"ping_target_count": 4,
		} {
			if got, _ := query(t, q); got != want {
				t.Errorf("%s is %v, want %v", q, got, want)
			}
		}
	})
}

// startPrometheus starts a Prometheus with a configuration.
func startPrometheus(t *testing.T, conf string) *peer.Process {
	t.Helper()
	server := peer.Start(t, exec.Command(peer.Prometheus(t), "--config.file="+conf, "--web.enable-otlp-receiver",
		"--web.listen-address=localhost:9090", "--storage.tsdb.path="+t.TempDir()))
	peer.Await(t, "Prometheus is ready", func() bool {
		r, err := http.Get("http://localhost:9090/-/ready")
		return err == nil && r.Body.Close() == nil && r.StatusCode == http.StatusOK
	}, server)
	return server
}

// toPrometheus is an [otel] table that pushes to it.
const toPrometheus = "protocol = \"http/protobuf\"\nendpoint = \"http://localhost:9090/api/v1/otlp/v1/metrics\"\n"

// TestPrometheusDefaults pushes many targets in several messages, over a restart, to a
// Prometheus with its default settings. It must take every point and have no series
// twice.
func TestPrometheusDefaults(t *testing.T) {
	peer.Prometheus(t)
	netsim.Run(t, nil, func(t *testing.T, _ *netsim.Net) {
		const targets = 1500
		server := startPrometheus(t, write(t, "prometheus.yaml", "otlp: {promote_resource_attributes: [service.instance.id]}\n"))
		file := manyFile(t, targets)
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(strings.Replace(string(text), "interval = \"5s\"", "interval = \"1s\"\n"+toPrometheus, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		for start := range 2 {
			p := peer.Start(t, exec.Command(peer.Pingtel(), "otel", "--config", file))
			at := time.Now()
			peer.Await(t, "some pushes with all targets", func() bool {
				v, _ := query(t, "count(ping_up)")
				return v >= targets && time.Since(at) > 12*time.Second // each target has a series in ten seconds
			}, p, server)
			stopPingtel(t, p)
			if s := p.Text(); strings.Contains(s, "push") {
				t.Errorf("start %d: pingtel said:\n%s", start, s)
			}
		}
		for q, want := range map[string]float64{
			"count(ping_up)": targets, "count(ping_requests_total)": targets, "count(ping_errors_total)": 2 * targets,
			"count(ping_rtt_seconds_count)": targets, "count(target_info)": 1, "count(count by (instance) (ping_up))": 1,
			"max(max_over_time(ping_export_failed_total[5m]))": 0,
		} {
			if got, _ := query(t, q); got != want {
				t.Errorf("%s is %v, want %v", q, got, want)
			}
		}
		if s := grep(server.Text(), "out of order", "level=WARN", "level=ERROR"); s != "" {
			t.Errorf("Prometheus said:\n%s", s)
		}
	})
}

// TestPrometheusOutage: an increase of ping.errors shows an outage, even the first one.
func TestPrometheusOutage(t *testing.T) {
	peer.Prometheus(t)
	var down atomic.Bool
	rule := func(host string, answer netsim.Answer) netsim.Rule {
		return netsim.Rule{Prefix: netip.MustParsePrefix(host + "/32"), Delay: delay, TTL: 60, Answer: func(r netsim.Request) []netsim.Packet {
			if down.Load() {
				return answer(r)
			}
			return netsim.True(r)
		}}
	}
	rules := []netsim.Rule{
		rule(answers, netsim.Lost),
		rule(losesAll, netsim.Fail(netip.MustParseAddr("198.18.0.254"), netsim.Error{Kind: netsim.DestinationUnreachable, Code: 1})),
	}
	netsim.Run(t, rules, func(t *testing.T, _ *netsim.Net) {
		server := startPrometheus(t, write(t, "prometheus.yaml", "otlp: {promote_resource_attributes: [service.instance.id]}\n"))
		p := peer.Start(t, exec.Command(peer.Pingtel(), "otel", "--config", pingtelFile(t, toPrometheus, answers, losesAll)))
		value := func(q string) float64 { v, _ := query(t, q); return v }
		peer.Await(t, "two rounds", func() bool { return value("min(ping_requests_total)") >= 10 }, p, server)
		down.Store(true)
		for host, kind := range map[string]string{answers: "timeout", losesAll: "destination_unreachable"} {
			q := fmt.Sprintf("ping_errors_total{server_address=%q, error_type=%q}", host, kind)
			peer.Await(t, "an outage", func() bool { return value(q) > 0 }, p, server)
			if got := value("increase(" + q + "[5m])"); got < 1 {
				t.Errorf("the increase of %s is %v", q, got)
			}
		}
		stopPingtel(t, p)
	})
}

// query returns the one value of an instant query and its labels, -1 if there is none.
func query(t *testing.T, q string) (float64, map[string]string) {
	t.Helper()
	r, err := http.Get("http://localhost:9090/api/v1/query?query=" + url.QueryEscape(q))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	var answer struct {
		Error string
		Data  struct {
			Result []struct {
				Metric map[string]string
				Value  [2]any
			}
		}
	}
	if err := json.NewDecoder(r.Body).Decode(&answer); err != nil || answer.Error != "" {
		t.Fatalf("%s: %v %s", q, err, answer.Error)
	}
	if len(answer.Data.Result) == 0 {
		return -1, nil
	}
	if len(answer.Data.Result) > 1 {
		t.Errorf("%s has %d results", q, len(answer.Data.Result))
	}
	v, err := strconv.ParseFloat(answer.Data.Result[0].Value[1].(string), 64)
	if err != nil {
		t.Fatal(err)
	}
	return v, answer.Data.Result[0].Metric
}
