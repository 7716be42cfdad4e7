// Package stranger runs a program that uses pingtel's public packages from a
// module outside of pingtel, and holds what it reports against the simulated
// network.
package stranger

import (
	"bufio"
	"bytes"
	"fmt"
	"maps"
	"math"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pingtel/pingtel/integration/netsim"
	"github.com/pingtel/pingtel/integration/peer"
	"github.com/pingtel/pingtel/otel"
)

func TestMain(m *testing.M) { os.Exit(peer.Main(m)) }

// The program sends three echo requests to each of 1,000 addresses.
const (
	first   = "198.18.16.0"
	targets = 1000
	echoes  = 3
)

// group is a part of the addresses that behaves the same.
type group struct {
	prefix  string
	targets int
	delay   time.Duration
	answer  netsim.Answer
	replies int // to each target's requests
}

var groups = []group{
	{"198.18.16.0/22", 768, 20 * time.Millisecond, nil, 3},
	{"198.18.19.0/25", 128, slow, nil, 3},
	{"198.18.19.128/26", 64, 20 * time.Millisecond, netsim.Every(3, netsim.Lost), 2},
	{"198.18.19.192/26", silent, 0, netsim.Lost, 0},
}

const (
	slow   = 150 * time.Millisecond
	silent = 40 // targets that never answer
)

// groupOf returns the group whose prefix is the longest that holds an address.
func groupOf(t *testing.T, host string) *group {
	t.Helper()
	for i := range slices.Backward(groups) {
		if netip.MustParsePrefix(groups[i].prefix).Contains(netip.MustParseAddr(host)) {
			return &groups[i]
		}
	}
	t.Fatalf("%s was not to be pinged", host)
	return nil
}

// TestLibrary lets the program ping 1,000 addresses through one Pinger, and
// reads its line protocol and what Prometheus would scrape.
func TestLibrary(t *testing.T) {
	peer.Stranger(t) // its build needs the real network
	var rules []netsim.Rule
	for _, g := range groups {
		rules = append(rules, netsim.Rule{Prefix: netip.MustParsePrefix(g.prefix), Delay: g.delay, TTL: 60, Answer: g.answer})
	}
	netsim.Run(t, rules, func(t *testing.T, n *netsim.Net) {
		var lines bytes.Buffer
		cmd := exec.Command(peer.Stranger(t), first, strconv.Itoa(targets))
		cmd.Stdout = &lines
		stdin, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		p := peer.Start(t, cmd)
		peer.Await(t, "all series have ended", func() bool { return strings.Contains(p.Text(), "\n") }, p)
		base := "http://" + strings.TrimSpace(strings.TrimPrefix(p.Text(), "listening on "))
		recorder, store := scrape(t, base+"/recorder"), scrape(t, base+"/store")
		stdin.Close()
		peer.Await(t, "the program ends", p.Ended)
		if status := cmd.ProcessState.ExitCode(); status != 0 {
			t.Fatalf("the program ended with %d:\n%s", status, p.Text())
		}

		sent := make(map[string]int)
		for _, r := range n.Arrived() {
			sent[r.Dst.String()]++
		}
		seconds := checkLines(t, lines.Bytes(), sent)
		checkSeries(t, store, sent, seconds)
		compareSeries(t, recorder, store)
	})
}

// checkLines holds the lines against the network, and returns the sum of all
// round-trip times in seconds.
func checkLines(t *testing.T, lines []byte, sent map[string]int) (seconds float64) {
	t.Helper()
	points, err := peer.ParsePoints(lines)
	if err != nil {
		t.Fatal(err)
	}
	if len(points) != targets || len(sent) != targets {
		t.Errorf("%d lines, and requests to %d addresses, want %d", len(points), len(sent), targets)
	}
	var quick []float64 // shortest RTTs of the first group, in ms
	for _, p := range points {
		host := p.Tags["url"]
		g := groupOf(t, host)
		if p.Measurement != "stranger" || p.Tags["address"] != host || p.Tags["site"] != "lab" {
			t.Errorf("measurement %s, tags %v", p.Measurement, p.Tags)
		}
		if tx, rx := p.Int("packets_transmitted"), p.Int("packets_received"); tx != echoes || sent[host] != echoes || rx != int64(g.replies) {
			t.Errorf("%s: %d sent and %d received, the network saw %d and answered %d", host, tx, rx, sent[host], g.replies)
		}
		low, ok := p.Fields["minimum_response_ms"].(float64)
		if ok != (g.replies > 0) || ok && low < float64(g.delay)/1e6 {
			t.Errorf("%s: shortest RTT %v ms, %v, the network takes %v", host, low, ok, g.delay)
		}
		if g == &groups[0] {
			quick = append(quick, low)
		}
		mean, _ := p.Fields["average_response_ms"].(float64)
		seconds += mean / 1e3 * float64(p.Int("packets_received"))
	}
	slices.Sort(quick)
	if len(quick) == 0 {
		t.Fatal("no line of the first group")
	}
	median := quick[len(quick)/2]
	t.Logf("half of the shortest RTTs are at most %.2f ms with a delay of %v", median, groups[0].delay)
	if median >= slow.Seconds()*1e3 {
		t.Errorf("the first group takes %.2f ms, as long as the slow one", median)
	}
	return seconds
}

// series are the samples of a scrape, by name and labels.
type series map[string]float64

var label = regexp.MustCompile(`([a-z_]+)="([^"]*)"`)

// scrape reads the text format. It leaves the labels out that name the scope,
// and what the exporter says of the resource.
func scrape(t *testing.T, url string) series {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	s := make(series)
	in := bufio.NewScanner(r.Body)
	for in.Scan() {
		line := in.Text()
		if strings.HasPrefix(line, "#") || strings.HasPrefix(line, "target_info{") {
			continue
		}
		name, _, _ := strings.Cut(line, "{")
		var labels []string
		for _, l := range label.FindAllStringSubmatch(line, -1) {
			if !strings.HasPrefix(l[1], "otel_scope_") {
				labels = append(labels, l[0])
			}
		}
		slices.Sort(labels)
		v, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
		if err != nil {
			t.Fatalf("%s: line %q: %v", url, line, err)
		}
		key := name + "{" + strings.Join(labels, ",") + "}"
		if _, there := s[key]; there {
			t.Errorf("%s: %s is there twice", url, key)
		}
		s[key] = v
	}
	if err := in.Err(); err != nil || r.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", url, r.Status, err)
	}
	return s
}

// checkSeries holds a scrape of the store against the network.
func checkSeries(t *testing.T, s series, sent map[string]int, seconds float64) {
	t.Helper()
	for host, requests := range sent {
		g := groupOf(t, host)
		labels := fmt.Sprintf("network_peer_address=%q,network_type=\"ipv4\",server_address=%q,site=\"lab\"}", host, host)
		want := map[string]float64{
			"ping_requests_total{" + labels:                                    float64(requests),
			"ping_replies_total{" + labels:                                     float64(g.replies),
			"ping_rtt_seconds_count{" + labels:                                 float64(g.replies),
			`ping_errors_total{error_type="timeout",` + labels:                 float64(requests - g.replies),
			`ping_errors_total{error_type="destination_unreachable",` + labels: 0,
			"ping_up{" + labels:                                                1,
		}
		if g.replies == 0 {
			want["ping_up{"+labels] = 0
		}
		for key, v := range want {
			if got, ok := s[key]; !ok || got != v {
				t.Errorf("%s is %v, %v, want %v", key, got, ok, v)
			}
		}
	}
	counts, sum := make(map[string]int), 0.0
	for key, v := range s {
		name, _, _ := strings.Cut(key, "{")
		counts[name]++
		if name == "ping_rtt_seconds_sum" {
			sum += v
		}
	}
	if math.Abs(sum-seconds) > seconds*1e-6 {
		t.Errorf("the round-trip times are %v s in all, %v in the lines", sum, seconds)
	}
	for name, want := range map[string]int{
		"ping_requests_total": targets, "ping_replies_total": targets, "ping_errors_total": 2 * targets, "ping_up": targets,
		"ping_loss_ratio": targets, "ping_ttl": targets - silent, "ping_rtt_seconds_count": targets,
	} {
		if counts[name] != want {
			t.Errorf("%s has %d series, want %d", name, counts[name], want)
		}
	}
	t.Logf("series by name: %v", counts)
}

// compareSeries demands the same of the recorder as of the store. The store has
// a figure on the program too, and an empty histogram for a target that has not
// answered yet, which no instrument can have.
func compareSeries(t *testing.T, recorder, store series) {
	t.Helper()
	delete(store, "ping_export_failed_total{}")
	different, empty := 0, 0
	for _, key := range slices.Sorted(maps.Keys(store)) {
		want := store[key]
		got, ok := recorder[key]
		switch {
		case ok && math.Abs(got-want) <= math.Abs(want)*1e-9:
		case !ok && want == 0 && strings.HasPrefix(key, "ping_rtt_seconds_"):
			empty++
		default:
			if different++; different <= 10 {
				t.Errorf("%s is %v, %v with the recorder, %v with the store", key, got, ok, want)
			}
		}
	}
	buckets := len(otel.DefaultBounds()) + 1
	if want := silent * (buckets + 2); different > 0 || empty != want || len(recorder) != len(store)-empty {
		t.Errorf("%d of %d series differ; %d of empty histograms, want %d; %d series of the recorder",
			different, len(store), empty, want, len(recorder))
	}
}
