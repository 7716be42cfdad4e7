package otel

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pingtel/pingtel/integration/netsim"
	"github.com/pingtel/pingtel/integration/peer"
	"github.com/pingtel/pingtel/internal/config"
)

func TestMain(m *testing.M) { os.Exit(peer.Main(m)) }

// The hosts of the simulated network, and one that no resolver knows.
const (
	answers     = "198.18.1.1"
	losesSome   = "198.18.1.2" // each fifth
	losesAll    = "198.18.1.3"
	unreachable = "198.18.1.4"
	answers6    = "2001:db8::11"
	unknown     = "nosuch.invalid"

	delay = 5 * time.Millisecond
)

func network() []netsim.Rule {
	rule := func(host string, answer netsim.Answer) netsim.Rule {
		a := netip.MustParseAddr(host)
		return netsim.Rule{Prefix: netip.PrefixFrom(a, a.BitLen()), Delay: delay, TTL: 60, Answer: answer}
	}
	return []netsim.Rule{
		rule(answers, nil),
		rule(losesSome, netsim.Every(5, netsim.Lost)),
		rule(losesAll, netsim.Lost),
		rule(unreachable, netsim.Fail(netip.MustParseAddr("198.18.0.254"), netsim.Error{Kind: netsim.DestinationUnreachable, Code: 1})),
		rule(answers6, nil),
	}
}

// write writes a file into the test's own folder.
func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// pingtelFile writes a file for pingtel: series of five echoes, one a second.
func pingtelFile(t *testing.T, otel string, hosts ...string) string {
	t.Helper()
	return write(t, "pingtel.toml", fmt.Sprintf(`[agent]
interval = "1s"
[defaults]
count = 5
ping_interval = "20ms"
timeout = "800ms"
[[targets]]
hosts = ["%s"]
dscp = "EF"
tags = { site = "lab", "rack no" = "a,b=\"c\" ü" }
[otel]
%s
`, strings.Join(hosts, `", "`), otel))
}

// tagText is the tags of pingtelFile in a collected key. The other attributes are
// before and after it.
const tagText = `ping.dscp=46,rack no=a,b="c" ü,server.address=%s,site=lab}`

// collector is a running collector and the file that it writes to.
type collector struct {
	*peer.Process
	file string
}

// startCollector starts a collector with one of the files of this folder, edited to
// write to file, and with the other edits.
func startCollector(t *testing.T, conf, file string, edits ...string) *collector {
	t.Helper()
	text, err := os.ReadFile(conf)
	if err != nil {
		t.Fatal(err)
	}
	edits = append(edits, "/var/lib/otelcol/metrics.json", file)
	path := write(t, "collector.yaml", strings.NewReplacer(edits...).Replace(string(text)))
	c := &collector{peer.Start(t, exec.Command(peer.Collector(t), "--config", path)), file}
	peer.Await(t, "the collector listens", func() bool { return listens("localhost:4317") && listens("localhost:4318") }, c.Process)
	return c
}

func listens(address string) bool {
	conn, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return false
	}
	conn.Close() // it has served
	return true
}

// stopPingtel stops pingtel, which must push a last time.
func stopPingtel(t *testing.T, p *peer.Process) {
	t.Helper()
	if took, status := p.Stop(); status != 0 {
		t.Errorf("pingtel ended after %v with status %d, want 0", took, status)
	}
}

// run measures the whole network over some rounds, with [otel] or variables, and
// compares the collector's file with the requests that the network has seen.
func run(t *testing.T, n *netsim.Net, conf, otel string, variables []string, edits ...string) {
	t.Helper()
	c := startCollector(t, conf, filepath.Join(t.TempDir(), "metrics.json"), edits...)
	hosts := []string{answers, losesSome, losesAll, unreachable, answers6, unknown}
	cmd := exec.Command(peer.Pingtel(), "otel", "--config", pingtelFile(t, otel, hosts...))
	cmd.Env = append(os.Environ(), variables...)
	p := peer.Start(t, cmd)
	peer.Await(t, "four rounds are in the file", func() bool {
		got, _ := readCollected(t, c.file)
		return got.sum("ping.requests", losesAll) >= 20
	}, p, c.Process)
	stopPingtel(t, p)
	if s := p.Text(); strings.Contains(s, "level=ERROR") || strings.Contains(s, "push") {
		t.Errorf("pingtel said:\n%s", s)
	}
	c.Stop() // the collector then completes its file
	compare(t, n, c.file, variables != nil)
}

// compare compares the collector's file with the requests that the network has seen:
// it must have every series, and no other. With deltas the histograms are exponential.
func compare(t *testing.T, n *netsim.Net, file string, deltas bool) {
	t.Helper()
	got, resource := readCollected(t, file)
	arrived := map[string]float64{}
	for _, r := range n.Arrived() {
		arrived[r.Dst.String()]++
	}
	temporality := cumulative
	if deltas {
		temporality = delta
	}
	gauges := []string{"ping.loss", "ping.jitter", "ping.ipdv", "ping.ttl", "ping.hops", "ping.up"}
	known := map[string]bool{}
	find := func(metric, host, family, extra, unit string) *series {
		t.Helper()
		address := ",network.peer.address=" + host + ",network.type=" + family
		if host == unknown {
			address = ""
		}
		key := metric + "{" + strings.TrimPrefix(extra+address+","+fmt.Sprintf(tagText, host), ",")
		known[key] = true
		s := got[key]
		if s == nil {
			t.Errorf("no %s", key)
			return &series{}
		}
		want := temporality
		if slices.Contains(gauges, metric) {
			want = 0
		}
		if s.unit != unit || s.temporality != want || s.points < 3 || want != 0 && s.start >= s.time || s.monotonic != (want != 0 && metric != "ping.rtt") {
			t.Errorf("%s: %+v, want the unit %s and temporality %v", key, s, unit, want)
		}
		return s
	}
	want := func(metric, host, family, extra string, value float64, unit string) *series {
		t.Helper()
		s := find(metric, host, family, extra, unit)
		if s.value != value {
			t.Errorf("%s of %s is %v, want %v", metric, host, s.value, value)
		}
		return s
	}
	absent := func(metric, host string) {
		t.Helper()
		for key := range got {
			if strings.HasPrefix(key, metric+"{") && strings.Contains(key, host) {
				t.Errorf("%s is there", key)
			}
		}
	}
	for host, family := range map[string]string{answers: "ipv4", losesSome: "ipv4", losesAll: "ipv4", unreachable: "ipv4", answers6: "ipv6"} {
		sent := arrived[host]
		if sent < 20 || int(sent)%5 != 0 {
			t.Errorf("%v requests have arrived at %s", sent, host)
		}
		replies := map[string]float64{answers: sent, answers6: sent, losesSome: sent - float64(int(sent)/5)}[host]
		want("ping.requests", host, family, "", sent, "{request}")
		want("ping.replies", host, family, "", replies, "{reply}")
		for _, metric := range []string{"ping.duplicates", "ping.reordered", "ping.corrupt"} {
			want(metric, host, family, "", 0, "{reply}")
		}
		h := want("ping.rtt", host, family, "", replies, "s")
		if h.exponential != deltas || !deltas && replies > 0 && (h.buckets == nil || total(h.buckets[:below(delay)]) > 0) {
			t.Errorf("RTTs of %s, exponential %t: %v in buckets, the network's delay is %v", host, h.exponential, h.buckets, delay)
		}
		if replies > 0 {
			for _, metric := range []string{"ping.jitter", "ping.ipdv"} {
				if s := find(metric, host, family, "", "s"); !(s.value > 0 && s.value < 0.2) {
					t.Errorf("%s of %s is %v", metric, host, s.value)
				}
			}
			// the delay, and the time that a busy machine adds, up to the timeout; a sum below the delay would be a false RTT
			if mean := h.sum / replies; mean < delay.Seconds() || mean > 0.8 {
				t.Errorf("mean RTT of %s is %v s, the network's delay %v", host, mean, delay)
			}
			want("ping.ttl", host, family, "", 60, "{hop}")
			want("ping.hops", host, family, "", 5, "{hop}")
			want("ping.up", host, family, "", 1, "{target}")
			want("ping.loss", host, family, "", (sent-replies)/sent, "1")
		} else {
			want("ping.up", host, family, "", 0, "{target}")
			want("ping.loss", host, family, "", 1, "1")
			for _, metric := range []string{"ping.ttl", "ping.hops", "ping.jitter", "ping.ipdv"} {
				absent(metric, host)
			}
		}
		failed := map[string]float64{"timeout": 0, "destination_unreachable": 0} // these are there also while they are none
		if host == unreachable {
			failed["destination_unreachable"] = sent - replies
		} else {
			failed["timeout"] = sent - replies
		}
		for kind, n := range failed {
			want("ping.errors", host, family, "error.type="+kind, n, "{error}")
		}
	}
	if s := find("ping.errors", unknown, "", "error.type=resolve", "{error}"); s.value < 3 {
		t.Errorf("%v errors of the name that does not resolve", s.value)
	}
	want("ping.requests", unknown, "", "", 0, "{request}")
	want("ping.rtt", unknown, "", "", 0, "s")
	for _, metric := range []string{"ping.replies", "ping.duplicates", "ping.reordered", "ping.corrupt"} {
		want(metric, unknown, "", "", 0, "{reply}")
	}
	want("ping.up", unknown, "", "", 0, "{target}")
	if s := got["ping.target.count{}"]; s == nil || s.value != 6 || s.monotonic || s.unit != "{target}" || s.temporality != cumulative {
		t.Errorf("ping.target.count: %+v", s)
	}
	for _, key := range []string{"ping.rounds.skipped{}", "ping.foreign{}", "ping.kernel.drops{}", "ping.export.failed{}"} {
		if s := got[key]; s == nil || s.value != 0 || !s.monotonic || s.temporality != temporality {
			t.Errorf("%s: %+v", key, s)
		}
	}
	for key := range got {
		if !known[key] && !strings.HasSuffix(key, "{}") {
			t.Errorf("%s is there", key)
		}
	}
	if deltas && (resource["deployment.environment.name"] != "lab, of %") {
		t.Errorf("resource %v", resource)
	}
	if resource["service.name"] != "pingtel" || resource["service.instance.id"] == "" || resource["service.version"] == "" || resource["host.name"] == "" {
		t.Errorf("resource %v", resource)
	}
}

// below returns how many buckets of the default histogram hold only values below d.
func below(d time.Duration) int {
	n := 0
	for _, b := range config.DefaultOTelBounds() {
		if b < d.Seconds() {
			n++
		}
	}
	return n
}

// TestCollector measures the same network over each way to the collector.
func TestCollector(t *testing.T) {
	t.Parallel()
	peer.Collector(t) // where there is a network to build it from
	for _, protocol := range []string{"grpc", "http/protobuf"} {
		for _, compression := range []string{"gzip", "none"} {
			t.Run(protocol+" "+compression, func(t *testing.T) {
				t.Parallel()
				netsim.Run(t, network(), func(t *testing.T, n *netsim.Net) {
					run(t, n, "collector.yaml", fmt.Sprintf("protocol = %q\ncompression = %q", protocol, compression), nil)
				})
			})
		}
		t.Run(protocol+" mutual TLS", func(t *testing.T) {
			t.Parallel()
			netsim.Run(t, network(), func(t *testing.T, n *netsim.Net) {
				pki := newPKI(t)
				endpoint := map[string]string{"grpc": "localhost:4317", "http/protobuf": "https://localhost:4318"}[protocol]
				run(t, n, "collector-tls.yaml", fmt.Sprintf("protocol = %q\nendpoint = %q\nca_file = %q\ncert_file = %q\nkey_file = %q",
					protocol, endpoint, pki.file("ca.pem"), pki.file("client.pem"), pki.file("client-key.pem")), nil,
					"/etc/otelcol/server.pem", pki.file("server.pem"), "/etc/otelcol/server-key.pem", pki.file("server-key.pem"),
					"/etc/otelcol/client-ca.pem", pki.file("ca.pem"))
			})
		})
	}
	t.Run("variables", func(t *testing.T) {
		t.Parallel()
		netsim.Run(t, network(), func(t *testing.T, n *netsim.Net) {
			run(t, n, "collector.yaml", "", []string{
				"OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318", "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
				"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=delta", "OTEL_RESOURCE_ATTRIBUTES=deployment.environment.name=lab%2C of %25",
				"OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION=base2_exponential_bucket_histogram",
			})
		})
	})
}

// TestCollectorKilled kills the collector for half a minute. The measuring must go on,
// and the sums must be complete when the collector is back.
func TestCollectorKilled(t *testing.T) {
	t.Parallel()
	peer.Collector(t)
	netsim.Run(t, network(), func(t *testing.T, n *netsim.Net) {
		const outage = 30 * time.Second
		file := filepath.Join(t.TempDir(), "metrics.json")
		c := startCollector(t, "collector.yaml", file)
		hosts := []string{answers, losesSome, losesAll, unreachable, answers6, unknown}
		p := peer.Start(t, exec.Command(peer.Pingtel(), "otel", "--config", pingtelFile(t, "interval = \"1s\"", hosts...)))
		requests := func() float64 {
			got, _ := readCollected(t, file)
			return got.sum("ping.requests", losesAll)
		}
		peer.Await(t, "two rounds are in the file", func() bool { return requests() >= 10 }, p, c.Process)
		c.Kill()
		before := len(n.Arrived())
		time.Sleep(outage) // not to synchronise: it is what happens
		if during := len(n.Arrived()) - before; during < int(outage.Seconds())*5*5*9/10 {
			t.Errorf("%d requests while the collector was away: the measuring suffered", during)
		}
		c = startCollector(t, "collector.yaml", file)
		back := requests()
		peer.Await(t, "pushes go on", func() bool { return requests() > back }, p, c.Process)
		stopPingtel(t, p)
		c.Stop()
		compareOutage(t, n, file)
		said := p.Text()
		// a connection that breaks and one that is refused are two causes
		if n := strings.Count(said, "level=WARN msg=\"a push has failed"); n < 1 || n > 3 || strings.Count(said, "pushes succeed again") != 1 {
			t.Errorf("pingtel said:\n%s", said)
		}
	})
}

// compareOutage is compare, but allows for an outage: pushes have failed.
func compareOutage(t *testing.T, n *netsim.Net, file string) {
	t.Helper()
	got, _ := readCollected(t, file)
	for _, host := range []string{answers, losesSome, losesAll, unreachable, answers6} {
		sent, address := 0., "network.peer.address="+host+","
		for _, r := range n.Arrived() {
			if r.Dst.String() == host {
				sent++
			}
		}
		if requests := got.sum("ping.requests", address); requests != sent {
			t.Errorf("%s: %v requests, want %v", host, requests, sent)
		}
		replies := got.sum("ping.replies", address)
		if rtts, all := got.sum("ping.rtt", address), replies+got.sum("ping.errors", address); rtts != replies || all != sent {
			t.Errorf("%s: %v RTTs, %v replies, with errors %v of %v", host, rtts, replies, all, sent)
		}
	}
	if got["ping.export.failed{}"].value < 5 {
		t.Errorf("%v failed pushes counted", got["ping.export.failed{}"].value)
	}
}

// TestReload removes and adds targets while pingtel runs. The counters of the target
// that stays must continue, although its options change and it is removed for a moment.
// The series of the removed target must end.
func TestReload(t *testing.T) {
	t.Parallel()
	peer.Collector(t)
	netsim.Run(t, network(), func(t *testing.T, n *netsim.Net) {
		c := startCollector(t, "collector.yaml", filepath.Join(t.TempDir(), "metrics.json"))
		file := pingtelFile(t, "", answers, losesAll)
		p := peer.Start(t, exec.Command(peer.Pingtel(), "otel", "--config", file))
		requests := func(host string) float64 {
			got, _ := readCollected(t, c.file)
			return got.sum("ping.requests", host)
		}
		peer.Await(t, "a round of each", func() bool { return requests(answers) >= 5 && requests(losesAll) >= 5 }, p)
		reload := func(edit string, hosts ...string) {
			t.Helper()
			next, err := os.ReadFile(pingtelFile(t, "", hosts...))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(strings.Replace(string(next), "count = 5", edit, 1)), 0o600); err != nil {
				t.Fatal(err)
			}
			times := strings.Count(p.Text(), "configuration in force")
			peer.Await(t, "no series runs that would be cut short", func() bool {
				all := n.Arrived()
				return n.Now()-all[len(all)-1].At > 10*delay
			}, p)
			p.Signal(syscall.SIGHUP)
			peer.Await(t, "the reload", func() bool { return strings.Count(p.Text(), "configuration in force") > times }, p)
		}
		reload("count = 5", answers6)          // the one that stays is gone
		reload("count = 4", answers, answers6) // and back with another option
		stays := requests(answers)
		peer.Await(t, "the new target", func() bool { return requests(answers6) >= 5 && requests(answers) > stays }, p)
		reload("count = 6\nsize = 100", answers, answers6)
		at := uint64(time.Now().UnixNano())
		stays = requests(answers)
		peer.Await(t, "more of the old one", func() bool { return requests(answers) >= stays+25 }, p)
		stopPingtel(t, p)
		c.Stop()
		got, _ := readCollected(t, c.file)
		sent := map[string]float64{}
		for _, r := range n.Arrived() {
			sent[r.Dst.String()]++
		}
		for _, host := range []string{answers, answers6} {
			if r := got.sum("ping.requests", host); r != sent[host] || got.sum("ping.rtt", host) != r {
				t.Errorf("%s: %v requests and %v RTTs, want %v", host, r, got.sum("ping.rtt", host), sent[host])
			}
		}
		for key, s := range got {
			if strings.Contains(key, losesAll) && s.time > at {
				t.Errorf("%s goes on %v after its end", key, time.Duration(s.time-at))
			}
		}
		if s := p.Text(); strings.Count(s, "configuration in force") != 3 || !strings.Contains(s, "targets=1 removed=2") {
			t.Errorf("pingtel said:\n%s", p.Text())
		}
	})
}

// TestTelegrafPushes: the telegraf command pushes from the same echoes.
func TestTelegrafPushes(t *testing.T) {
	t.Parallel()
	peer.Collector(t)
	netsim.Run(t, network(), func(t *testing.T, n *netsim.Net) {
		c := startCollector(t, "collector.yaml", filepath.Join(t.TempDir(), "metrics.json"))
		cmd := exec.Command(peer.Pingtel(), "telegraf", "--config", pingtelFile(t, "enabled = true", answers))
		stdin, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		p := peer.Start(t, cmd)
		peer.Await(t, "two rounds", func() bool {
			got, _ := readCollected(t, c.file)
			return got.sum("ping.requests") >= 10
		}, p, c.Process)
		if err := stdin.Close(); err != nil {
			t.Error(err)
		}
		peer.Await(t, "the end", p.Ended)
		c.Stop()
		got, _ := readCollected(t, c.file)
		sent, lines := 0, 0
		for line := range strings.SplitSeq(p.Text(), "\n") {
			if strings.HasPrefix(line, "ping,") {
				lines += strings.Count(line, "packets_transmitted=5i")
			}
		}
		sent = len(n.Arrived())
		if got.sum("ping.requests") != float64(sent) || got.sum("ping.rtt") != float64(sent) || lines*5 != sent {
			t.Errorf("%v requests and %v RTTs pushed, %d lines of 5, want all of %d", got.sum("ping.requests"), got.sum("ping.rtt"), lines, sent)
		}
	})
}

// pki is a folder with an authority, a server's certificate and a client's.
type pki struct{ dir string }

func (p pki) file(name string) string { return filepath.Join(p.dir, name) }

func newPKI(t *testing.T) pki {
	t.Helper()
	p := pki{t.TempDir()}
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	key := p.certificate(t, "ca", ca, ca, nil)
	for i, name := range []string{"server", "client"} {
		p.certificate(t, name, &x509.Certificate{
			SerialNumber: big.NewInt(int64(i + 2)), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"},
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, KeyUsage: x509.KeyUsageDigitalSignature,
		}, ca, key)
	}
	return p
}

// certificate writes NAME.pem and NAME-key.pem, signed by parent, or by itself.
func (p pki) certificate(t *testing.T, name string, c, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if parentKey == nil {
		parentKey = key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), parentKey)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{name + ".pem": {Type: "CERTIFICATE", Bytes: der}, name + "-key.pem": {Type: "EC PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(p.file(file), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return key
}
