package otel

import (
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pingtel/pingtel/integration/dns"
	"github.com/pingtel/pingtel/integration/netsim"
	"github.com/pingtel/pingtel/integration/peer"
)

// blackboxJob is a job for blackbox_exporter as its README has it. Only the address
// at its end says who probes.
const blackboxJob = `
  - job_name: %s
    metrics_path: /probe
    params: {module: [icmp]}
    scrape_interval: 3s
    static_configs: [{targets: [%s]}]
    relabel_configs:
      - {source_labels: [__address__], target_label: __param_target}
      - {source_labels: [__param_target], target_label: instance}
      - {target_label: __address__, replacement: "%s"}
`

// TestBlackbox has a real Prometheus scrape a real blackbox_exporter and pingtel by
// the same job, with one address changed, over the same hosts. What both measure is
// the same. The process has no target of its own, and no privileges any more.
func TestBlackbox(t *testing.T) {
	peer.Prometheus(t)
	peer.Blackbox(t)
	netsim.Run(t, network(), func(t *testing.T, n *netsim.Net) {
		hosts := []string{answers, losesAll, unreachable, answers6, unknown}
		var quoted []string
		for _, h := range hosts {
			quoted = append(quoted, fmt.Sprintf("%q", h))
		}
		list := strings.Join(quoted, ", ")
		other := peer.Start(t, exec.Command(peer.Blackbox(t), "--web.listen-address=127.0.0.1:9115",
			"--config.file="+write(t, "blackbox.yml", "modules: {icmp: {prober: icmp, icmp: {preferred_ip_protocol: ip4}}}\n")))
		p := peer.Start(t, exec.Command(peer.Pingtel(), "serve", "--config", write(t, "pingtel.toml",
			"[web]\nlisten = \"127.0.0.1:9473\"\n[web.probe]\nallow = [\"198.18.0.0/15\", \"2001:db8::/32\"]\n[web.probe.modules.icmp]\ncount = 3\nping_interval = \"50ms\"\n")))
		server := startPrometheus(t, write(t, "prometheus.yaml", "scrape_configs:"+
			fmt.Sprintf(blackboxJob, "blackbox", list, "127.0.0.1:9115")+fmt.Sprintf(blackboxJob, "pingtel", list, "127.0.0.1:9473")))
		of := func(name, job string) map[string]float64 {
			return vector(t, fmt.Sprintf(`label_replace(%s{job=%q}, "target", "$1", "instance", "(.*)")`, name, job))
		}
		for name, count := range map[string]int{"up": 5, "probe_success": 5, "probe_icmp_reply_hop_limit": 2, "probe_ip_protocol": 4, "probe_ip_addr_hash": 4} {
			var want, got map[string]float64
			peer.Await(t, name+" of every host", func() bool {
				want, got = of(name, "blackbox"), of(name, "pingtel")
				for labels, v := range want { // blackbox_exporter has 0 where there is no address, pingtel has nothing
					if v == 0 && strings.HasPrefix(name, "probe_ip") {
						delete(want, labels)
					}
				}
				return len(want) == count && len(got) == count
			}, p, other, server)
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("%s (-blackbox_exporter +pingtel):\n%s", name, d)
			}
		}
		for _, job := range []string{"blackbox", "pingtel"} {
			rtt := of("probe_icmp_duration_seconds", job)[fmt.Sprintf(`{"phase":"rtt","target":%q}`, answers)]
			if rtt < delay.Seconds() {
				t.Errorf("%s: rtt %v s, less than %v", job, rtt, delay)
			}
			for _, name := range []string{"probe_duration_seconds", "probe_dns_lookup_time_seconds"} {
				if got := of(name, job); len(got) != len(hosts) {
					t.Errorf("%s: %s of %v", job, name, got)
				}
			}
		}
		if got, want := of("ping_probe_loss_ratio", "pingtel"), map[string]float64{answers: 0, losesAll: 1, unreachable: 1, answers6: 0}; len(got) != len(want) {
			t.Errorf("loss of %v, want %v", got, want)
		} else {
			for host, loss := range want {
				if got[fmt.Sprintf(`{"target":%q}`, host)] != loss {
					t.Errorf("loss %v of %s, want %v", got, host, loss)
				}
			}
		}
		failed := of("ping_probe_errors", "pingtel")
		for _, want := range []string{
			fmt.Sprintf(`{"error_type":"timeout","target":%q}`, losesAll),
			fmt.Sprintf(`{"error_type":"destination_unreachable","reason":"host unreachable","target":%q}`, unreachable),
		} {
			if failed[want] != 3 {
				t.Errorf("errors %v, want 3 of %s", failed, want)
			}
		}
		if v, _ := query(t, fmt.Sprintf("ping_probe_errors{job=\"pingtel\",error_type=\"resolve\",instance=%q}", unknown)); v != 1 {
			t.Errorf("errors %v, want one of the name", failed)
		}
		if r, err := http.Get("http://127.0.0.1:9473/-/ready"); err != nil || r.Body.Close() != nil || r.StatusCode != http.StatusOK {
			t.Errorf("/-/ready: %v, %v", r, err)
		}
	})
}

// TestProbeAttack asks the real process for everything that it must not send, and
// looks at what came out: only echoes to the allowed addresses.
func TestProbeAttack(t *testing.T) {
	netsim.Run(t, []netsim.Rule{{Prefix: netip.MustParsePrefix("198.18.0.0/15")}, {Prefix: netip.MustParsePrefix("2001:db8::/32")}}, func(t *testing.T, n *netsim.Net) {
		const inside, outside, inside6, outside6 = "198.18.1.1", "198.19.1.1", "2001:db8:1::1", "2001:db8:2::1"
		var mu sync.Mutex
		asked := make(map[string]int)
		dns.Serve(t, func(name string, ipv6 bool) dns.Reply {
			mu.Lock()
			defer mu.Unlock()
			if ipv6 && !strings.HasPrefix(name, "six") && name != "both.test" {
				return dns.Reply{}
			}
			asked[name]++
			switch name {
			case "rebind.test":
				return dns.Addr([]string{inside, outside}[min(asked[name]-1, 1)])
			case "both.test":
				return dns.Addr(outside, inside6)
			case "mapped.test", "six.test":
				return dns.Addr(outside6)
			case "inside.test":
				return dns.Addr(inside)
			}
			return dns.Addr(outside) // 0xc6130101 and its like too, if they come here
		})
		p := peer.Start(t, dns.Asking(t, "timeout:3 attempts:1")(peer.Pingtel(), "serve", "--config", write(t, "pingtel.toml",
			"[web]\nlisten = \"127.0.0.1:9473\"\n[web.probe]\nallow = [\"198.18.0.0/16\", \"2001:db8:1::/48\"]\n[web.probe.modules.icmp]\ncount = 1\n")))
		get := func(target, more string) (int, string) {
			t.Helper()
			r, err := http.Get("http://127.0.0.1:9473/probe?target=" + url.QueryEscape(target) + more)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Body.Close()
			b, err := io.ReadAll(r.Body)
			if err != nil {
				t.Fatal(err)
			}
			return r.StatusCode, string(b)
		}
		peer.Await(t, "it answers", func() bool {
			r, err := http.Get("http://127.0.0.1:9473/-/ready")
			return err == nil && r.Body.Close() == nil && r.StatusCode == http.StatusOK
		}, p)
		for _, tt := range []struct {
			target string
			status int
		}{
			{inside, 200}, {"inside.test", 200}, {"::ffff:" + inside, 200}, {inside6, 200}, {"rebind.test", 200}, {"rebind.test", 403}, {"rebind.test", 403},
			{outside, 403}, {"::ffff:" + outside, 403}, {"[" + outside6 + "]", 403}, {outside6, 403}, {"both.test", 403}, {"six.test", 403},
			{inside6 + "%tun0", 403}, {"fe80::1%lo", 403}, {"ff02::1", 403}, {"ff02::1%lo", 403}, {"224.0.0.1", 403}, {"255.255.255.255", 403}, {"0.0.0.0", 403}, {"::", 403},
			{"127.0.0.1", 403}, {"localhost", 403}, {"3323134209", 0}, {"0306.023.01.01", 0}, {"0xc6.0x13.1.1", 0}, {"0xc6130101", 0}, {"198.1245441", 0}, {"198.19.257", 0},
			{outside + ".", 0}, {"a@" + outside, 0}, {inside + "#@" + outside, 0}, {inside + "\x00." + outside, 0}, {inside + " " + outside, 0}, {"１９８.19.1.1", 0},
		} {
			before := len(n.Arrived())
			status, text := get(tt.target, "")
			if tt.status == 0 && status != 200 || status == tt.status {
				continue
			}
			if sent := len(n.Arrived()) - before; tt.status == 0 && sent == 0 && strings.Contains(text, "probe_success 0") { // a name that does not resolve
				continue
			}
			t.Errorf("%q: %d, want %d: %s", tt.target, status, tt.status, text)
		}
		for _, more := range []string{"&source=" + outside, "&interface=lo", "&ttl=1", "&size=9000", "&count=1000", "&family=ipv6", "&target=" + outside, "&hostname=" + outside} {
			if status, text := get(inside, more); status != 200 || !strings.Contains(text, "ping_probe_requests 1\n") {
				t.Errorf("%s: %d %s", more, status, text)
			}
		}
		for _, r := range n.Arrived() {
			if !netip.MustParsePrefix("198.18.0.0/16").Contains(r.Dst) && !netip.MustParsePrefix("2001:db8:1::/48").Contains(r.Dst) || r.TTL != 64 || r.Size > 200 {
				t.Errorf("an echo to %s, TTL %d, %d bytes", r.Dst, r.TTL, r.Size)
			}
		}
		if len(n.Arrived()) < 13 {
			t.Errorf("%d echoes", len(n.Arrived()))
		}
	})
}
