package otel

import (
	"flag"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pingtel/pingtel/integration/netsim"
	"github.com/pingtel/pingtel/integration/peer"
)

var exporters = flag.Bool("exporters", false, "run TestExporters, which needs prometheus-smokeping-prober, prometheus-blackbox-exporter and stress-ng in PATH")

// An exporter is what TestExporters compares.
type exporter struct {
	name  string
	hosts int // how many it gets
	// start starts it with hosts and returns it.
	start func(t *testing.T, hosts []string) *peer.Process
	// reload gives it other hosts, and returns the process that has them; nil: it has no
	// list of its own.
	reload func(t *testing.T, p *peer.Process, hosts []string) *peer.Process
	// figures returns requests and replies of each host since its start.
	figures func(t *testing.T, hosts []string) (requests, replies map[string]float64)
}

const (
	exporterDelay = 50 * time.Millisecond // of each reply
	exporterHosts = 1000

	// rawHosts is how many hosts smokeping_prober gets with a raw socket for each: every
	// socket receives the replies of all hosts. With 250 hosts it had not started all its
	// pingers after 15 seconds on a machine with two processors, and it opens its port
	// only then.
	rawHosts = 100
)

// TestExporters has pingtel, smokeping_prober and blackbox_exporter ping the same
// hosts once a second, of which a quarter each loses nothing, each tenth, each
// fourth or all requests. A scrape a second says how many hosts have other figures
// than the network: at the start, over a reload that replaces a host, and while the
// processors are busy with other work.
func TestExporters(t *testing.T) {
	if !*exporters {
		t.Skip("go test -timeout 30m ./integration/otel -run TestExporters -exporters -v")
	}
	for _, name := range []string{"prometheus-smokeping-prober", "prometheus-blackbox-exporter", "stress-ng"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Fatal(err)
		}
	}
	var rules []netsim.Rule
	for i, answer := range []netsim.Answer{nil, netsim.Every(10, netsim.Lost), netsim.Every(4, netsim.Lost), netsim.Lost} {
		rules = append(rules, netsim.Rule{Prefix: netip.MustParsePrefix(fmt.Sprintf("198.18.%d.0/24", i)), Delay: exporterDelay, Answer: answer})
	}
	netsim.Run(t, rules, func(t *testing.T, n *netsim.Net) {
		if err := os.WriteFile("/proc/sys/net/ipv4/ping_group_range", []byte("0 2147483647"), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, e := range []exporter{
			pingtelExporter, newSmokeping("smokeping_prober, datagram sockets", "udp", exporterHosts), newBlackbox(), newSmokeping("smokeping_prober", "icmp", rawHosts),
		} {
			t.Run(e.name, func(t *testing.T) {
				n.Forget()
				e.compare(t)
			})
		}
	})
}

// hostList is n hosts, as many of each kind, without the first some of each.
func hostList(n, without int) (hosts []string) {
	for i := range n {
		if i/4 >= without {
			hosts = append(hosts, fmt.Sprintf("198.18.%d.%d", i%4, i/4+1))
		}
	}
	return hosts
}

// lostOf returns how many of some requests the network loses.
func lostOf(host string, requests float64) float64 {
	switch {
	case strings.HasPrefix(host, "198.18.0."):
		return 0
	case strings.HasPrefix(host, "198.18.1."):
		return math.Floor(requests / 10)
	case strings.HasPrefix(host, "198.18.2."):
		return math.Floor(requests / 4)
	}
	return requests
}

// verdict is what some scrapes said.
type verdict struct {
	scrapes, figures, wrong int
	worst                   float64 // loss shown where it is lower, in percent of requests
	fell, absent            int
	last                    map[string]float64
}

// add holds one scrape against the network.
func (v *verdict) add(hosts []string, requests, replies map[string]float64) {
	v.scrapes++
	for _, h := range hosts {
		sent, ok := requests[h]
		if !ok {
			if _, was := v.last[h]; was {
				v.absent++
			}
			continue
		}
		if sent < v.last[h] {
			v.fell++
		}
		if sent == 0 {
			continue
		}
		v.figures++
		if lost := sent - replies[h]; lost != lostOf(h, sent) {
			v.wrong++
			v.worst = max(v.worst, 100*(lost-lostOf(h, sent))/sent)
		}
	}
	v.last = maps.Clone(requests)
}

func (v *verdict) String() string {
	return fmt.Sprintf("%d scrapes, %d figures, %d wrong (%.2f %%), at worst %.0f points too high; %d counters fell, %d series missing",
		v.scrapes, v.figures, v.wrong, 100*float64(v.wrong)/float64(max(1, v.figures)), v.worst, v.fell, v.absent)
}

func (e exporter) compare(t *testing.T) {
	hosts := hostList(e.hosts, 0)
	begun := time.Now()
	p := e.start(t, hosts)
	if !e.awaitFirst(t, p, hosts, begun) {
		return
	}
	var last map[string]float64
	watch := func(what string, hosts []string, length time.Duration) {
		v := verdict{last: last}
		for end := time.Now().Add(length); time.Now().Before(end); {
			next := time.Now().Add(time.Second)
			requests, replies := e.figures(t, hosts)
			v.add(hosts, requests, replies)
			time.Sleep(time.Until(next)) // not to synchronise: it is the time of a scraper
		}
		last = v.last
		t.Logf("%s: %s: %s", e.name, what, &v)
	}
	watch("start", hosts, 10*time.Second)
	watch("steady", hosts, 20*time.Second)
	if e.reload != nil {
		without := hostList(e.hosts, 1)
		begun, was := time.Now(), p
		if p = e.reload(t, p, without); p != was && !e.awaitFirst(t, p, without, begun) {
			return
		}
		watch("reload", without, 10*time.Second)
		requests, _ := e.figures(t, hosts)
		gone := 0
		for _, h := range hosts {
			if _, ok := requests[h]; ok {
				gone++
			}
		}
		t.Logf("%s: %d hosts in the file, %d have series", e.name, len(without), gone)
		hosts = without
	}
	stress := peer.Start(t, exec.Command("stress-ng", "--cpu", "8", "--quiet"))
	watch("busy", hosts, 20*time.Second)
	stress.Stop()
	watch("after", hosts, 3*time.Second)
	p.Stop()
}

// awaitFirst waits until an exporter that was started has figures, and reports false
// after a minute without.
func (e exporter) awaitFirst(t *testing.T, p *peer.Process, hosts []string, begun time.Time) bool {
	for first, _ := e.figures(t, hosts[:1]); len(first) == 0; first, _ = e.figures(t, hosts[:1]) {
		if p.Ended() || time.Since(begun) > time.Minute {
			t.Logf("%s: no figure after %v: ended %t", e.name, time.Since(begun).Round(time.Second), p.Ended())
			p.Kill()
			return false
		}
		time.Sleep(50 * time.Millisecond) // not to synchronise: so as not to ask all the time
	}
	t.Logf("%s: first figures after %v", e.name, time.Since(begun).Round(100*time.Millisecond))
	return true
}

// page returns a page, "" while there is none.
func page(t *testing.T, address string) string {
	t.Helper()
	r, err := http.Get(address)
	if err != nil {
		return ""
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return ""
	}
	return string(b)
}

// read returns the values of a metric by a label.
func read(text, metric, label string) map[string]float64 {
	values := make(map[string]float64)
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, metric+"{") {
			continue
		}
		_, of, _ := strings.Cut(line, label+`="`)
		host, _, _ := strings.Cut(of, `"`)
		if v, err := strconv.ParseFloat(strings.TrimSpace(line[strings.LastIndexByte(line, ' '):]), 64); err == nil {
			values[host] = v
		}
	}
	return values
}

func pingtelHosts(hosts []string) string {
	return fmt.Sprintf("[agent]\ninterval = \"1s\"\n[defaults]\ncount = 1\ntimeout = \"800ms\"\n[web]\nlisten = \"127.0.0.1:9473\"\n[[targets]]\nhosts = [\"%s\"]\n",
		strings.Join(hosts, `", "`))
}

var pingtelExporter = exporter{
	name:  "pingtel",
	hosts: exporterHosts,
	start: func(t *testing.T, hosts []string) *peer.Process {
		return peer.Start(t, exec.Command(peer.Pingtel(), "serve", "--config", write(t, "pingtel.toml", pingtelHosts(hosts))))
	},
	reload: func(t *testing.T, p *peer.Process, hosts []string) *peer.Process {
		if err := os.WriteFile(p.Cmd.Args[len(p.Cmd.Args)-1], []byte(pingtelHosts(hosts)), 0o600); err != nil {
			t.Fatal(err)
		}
		p.Signal(syscall.SIGHUP)
		return p
	},
	figures: func(t *testing.T, _ []string) (requests, replies map[string]float64) {
		text := page(t, "http://127.0.0.1:9473/metrics")
		return read(text, "ping_requests_total", "server_address"), read(text, "ping_replies_total", "server_address")
	},
}

// newSmokeping returns smokeping_prober with its default, a raw socket for each of n
// targets (the protocol icmp), or with datagram sockets (udp). The flag --no-privileged
// is not for targets of the file.
func newSmokeping(name, protocol string, n int) exporter {
	start := func(t *testing.T, hosts []string) *peer.Process {
		file := write(t, "smokeping.yml", fmt.Sprintf("targets:\n- {hosts: [\"%s\"], interval: 1s, network: ip4, protocol: %s}\n", strings.Join(hosts, `", "`), protocol))
		return peer.Start(t, exec.Command("prometheus-smokeping-prober", "--log.level=warn", "--web.listen-address=127.0.0.1:9374", "--config.file="+file))
	}
	return exporter{
		name:  name,
		hosts: n,
		start: start,
		reload: func(t *testing.T, p *peer.Process, hosts []string) *peer.Process {
			p.Stop() // it reads the file again since 0.8, and SIGHUP ends this one
			return start(t, hosts)
		},
		figures: func(t *testing.T, _ []string) (requests, replies map[string]float64) {
			text := page(t, "http://127.0.0.1:9374/metrics")
			return read(text, "smokeping_requests_total", "host"), read(text, "smokeping_response_duration_seconds_count", "host")
		},
	}
}

// newBlackbox returns blackbox_exporter, which sends a request in each scrape and
// counts nothing itself.
func newBlackbox() exporter {
	requests, replies := make(map[string]float64), make(map[string]float64)
	return exporter{
		name:  "blackbox_exporter",
		hosts: exporterHosts,
		start: func(t *testing.T, _ []string) *peer.Process {
			file := write(t, "blackbox.yml", "modules:\n  icmp: {prober: icmp, timeout: 1s, icmp: {preferred_ip_protocol: ip4}}\n")
			p := peer.Start(t, exec.Command("prometheus-blackbox-exporter", "--web.listen-address=127.0.0.1:9115", "--config.file="+file))
			peer.Await(t, "it listens", func() bool { return listens("127.0.0.1:9115") }, p)
			return p
		},
		figures: func(t *testing.T, hosts []string) (map[string]float64, map[string]float64) {
			var mu sync.Mutex
			var all sync.WaitGroup
			for _, h := range hosts { // as Prometheus has it, at the same time
				all.Go(func() {
					text := page(t, "http://127.0.0.1:9115/probe?module=icmp&target="+url.QueryEscape(h))
					mu.Lock()
					defer mu.Unlock()
					if strings.Contains(text, "\nprobe_success ") {
						requests[h]++
					}
					if strings.Contains(text, "\nprobe_success 1\n") {
						replies[h]++
					}
				})
				time.Sleep(time.Second / exporterHosts) // not to synchronise: evenly over the interval
			}
			all.Wait()
			return maps.Clone(requests), maps.Clone(replies)
		},
	}
}
