package otel

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pingtel/pingtel/integration/netsim"
	"github.com/pingtel/pingtel/integration/peer"
	"github.com/pingtel/pingtel/internal/config"
)

// TestPrometheus pushes to a Prometheus and asks it by PromQL.
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
		server := peer.Start(t, exec.Command(peer.Prometheus(t), "--config.file="+conf, "--web.enable-otlp-receiver",
			"--web.listen-address=localhost:9090", "--storage.tsdb.path="+t.TempDir()))
		peer.Await(t, "Prometheus is ready", func() bool {
			r, err := http.Get("http://localhost:9090/-/ready")
			return err == nil && r.Body.Close() == nil && r.StatusCode == http.StatusOK
		}, server)
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
		low, high := bucketAround(slow.Seconds())
		if got < low || got > high {
			t.Errorf("p95 is %v s, want within %v to %v, the bucket of %v", got, low, high, slow)
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

// bucketAround returns the bounds of the default histogram's bucket that holds v.
func bucketAround(v float64) (low, high float64) {
	for _, b := range config.DefaultOTelBounds() {
		if v <= b {
			return low, b
		}
		low = b
	}
	return low, 1e9
}

// query returns the one value of an instant query and its labels, -1 where
// there is none.
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
