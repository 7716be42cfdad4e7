// Package telegraf runs pingtel under a real Telegraf.
package telegraf

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pingtel/pingtel/integration/netsim"
	"github.com/pingtel/pingtel/integration/peer"
)

func TestMain(m *testing.M) { os.Exit(peer.Main(m)) }

// The hosts of the simulated network, one that no resolver knows, and one without a
// route.
const (
	answers     = "198.18.1.1"
	losesSome   = "198.18.1.2" // each fifth
	losesAll    = "198.18.1.3"
	unreachable = "198.18.1.4"
	answers6    = "2001:db8::11"
	unknown     = "nosuch.invalid"
	noRoute     = "192.0.2.1"

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

// pingtelFile writes a file for pingtel: series of five echoes, two seconds apart if
// pingtel keeps the schedule. Replies have much time, since the simulator shares the
// machine with other work.
func pingtelFile(t *testing.T, signal string, hosts ...string) string {
	t.Helper()
	return write(t, "pingtel.toml", fmt.Sprintf(`[agent]
interval = "2s"
[defaults]
count = 5
ping_interval = "20ms"
timeout = "1500ms"
warning = "1s,10%%"
critical = "1400ms,60%%"
[[targets]]
hosts = ["%s"]
tags = { site = "lab" }
[telegraf]
signal = %q
`, strings.Join(hosts, `", "`), signal))
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// running is a Telegraf, and the file that it writes metrics to.
type running struct {
	*peer.Process
	file string
}

// start starts Telegraf with one of the files of this folder, edited to use the binary
// under test and this file.
func start(t *testing.T, conf, pingtelFile string, edits ...string) *running {
	t.Helper()
	text, err := os.ReadFile(conf)
	if err != nil {
		t.Fatal(err)
	}
	edits = append(edits, "/usr/bin/pingtel", peer.Pingtel(), "/etc/pingtel/pingtel.toml", pingtelFile, `"10s"`, `"1s"`)
	return startText(t, strings.NewReplacer(edits...).Replace(string(text)))
}

func startText(t *testing.T, text string) *running {
	t.Helper()
	file := filepath.Join(t.TempDir(), "metrics")
	return &running{peer.Start(t, exec.Command(peer.Telegraf(t), "--config", telegrafFile(t, file, text))), file}
}

// telegrafFile writes a file for Telegraf, which then writes metrics to this file.
func telegrafFile(t *testing.T, file, text string) string {
	t.Helper()
	return write(t, "telegraf.conf", fmt.Sprintf(`[agent]
  interval = "1s"
  flush_interval = "200ms"
  flush_jitter = "0s"
  omit_hostname = true
[[outputs.file]]
  files = [%q]
  data_format = "influx"
  influx_sort_fields = true
%s`, file, text))
}

type point = peer.Point

// points reads the whole lines that Telegraf has written so far.
func (r *running) points(t *testing.T) []point {
	t.Helper()
	text, err := os.ReadFile(r.file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return parse(t, text[:strings.LastIndexByte(string(text), '\n')+1])
}

func parse(t *testing.T, text []byte) []point {
	t.Helper()
	points, err := peer.ParsePoints(text)
	if err != nil {
		t.Fatal(err)
	}
	return points
}

// of returns the points of a host, of measurement ping.
func of(points []point, host string) []point {
	var got []point
	for _, p := range points {
		if p.Measurement == "ping" && p.Tags["url"] == host {
			got = append(got, p)
		}
	}
	return got
}

// awaitPoints waits until each host has this many points.
func (r *running) awaitPoints(t *testing.T, count int, hosts ...string) {
	t.Helper()
	peer.Await(t, fmt.Sprintf("%d points of each of %v", count, hosts), func() bool {
		points := r.points(t)
		for _, h := range hosts {
			if len(of(points, h)) < count {
				return false
			}
		}
		return true
	}, r.Process)
}

// children returns the processes whose command line begins with the binary
// under test.
func children(t *testing.T) []string {
	t.Helper()
	here, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var pids []string
	for _, f := range files {
		line, err := os.ReadFile(f)
		if err != nil || !strings.HasPrefix(string(line), peer.Pingtel()+"\x00") { // an error: it has ended meanwhile
			continue
		}
		if net, err := os.Readlink(filepath.Join(filepath.Dir(f), "ns", "net")); err != nil || net != here {
			continue // of another test
		}
		pids = append(pids, filepath.Base(filepath.Dir(f)))
	}
	return pids
}

// kill sends a signal to a process that children has found.
func kill(t *testing.T, pid string, s syscall.Signal) {
	t.Helper()
	n, err := strconv.Atoi(pid)
	if err == nil {
		err = syscall.Kill(n, s)
	}
	if err != nil {
		t.Fatalf("%v to %s: %v", s, pid, err)
	}
}

// want is the expected figures of each series of a host.
type want struct {
	sent, received, result int64
	loss                   float64
	icmp                   string // error
}

var wants = map[string]want{
	answers:     {5, 5, 0, 0, ""},
	losesSome:   {5, 4, 0, 20, ""},
	losesAll:    {5, 0, 1, 100, ""},
	unreachable: {5, 0, 1, 100, "host unreachable"},
	answers6:    {5, 5, 0, 0, ""},
}

// checkPoints compares all points with the rules of the simulated network.
func checkPoints(t *testing.T, points []point) {
	t.Helper()
	for host, w := range wants {
		for _, p := range of(points, host) {
			got := want{}
			got.sent, _ = p.Fields["packets_transmitted"].(int64)
			got.received, _ = p.Fields["packets_received"].(int64)
			got.result, _ = p.Fields["result_code"].(int64)
			got.loss, _ = p.Fields["percent_packet_loss"].(float64)
			if e, ok := p.Fields["icmp_error"].(string); ok {
				got.icmp, _, _ = strings.Cut(e, ",")
			}
			if got != w || p.Tags["site"] != "lab" || p.Tags["address"] != host {
				t.Errorf("%s: %+v, want %+v, tags %v", host, got, w, p.Tags)
			}
			low, ok := p.Fields["minimum_response_ms"].(float64)
			if ok != (w.received > 0) || ok && low < 5 {
				t.Errorf("%s: shortest RTT %v, %v, the network takes 5 ms", host, low, ok)
			}
			if ttl, ok := p.Fields["ttl"].(int64); ok != (w.received > 0) || ok && ttl != 60 {
				t.Errorf("%s: ttl %v", host, ttl)
			}
		}
	}
	for _, p := range of(points, unknown) {
		text, ok := p.Fields["error"].(string)
		if len(p.Fields) != 2 || p.Fields["result_code"] != int64(2) || !ok || !strings.Contains(text, unknown) {
			t.Errorf("%s: %v", unknown, p.Fields)
		}
	}
}

// sent adds up the requests of points.
func sent(points []point) (n int64) {
	for _, p := range points {
		if p.Measurement == "ping" {
			v, _ := p.Fields["packets_transmitted"].(int64)
			n += v
		}
	}
	return n
}

// closedEarly is Telegraf's message if it closes its end of a pipe before it has read
// everything. On a busy machine it does so when a plugin ends.
const closedEarly = "file already closed"

// complaints returns Telegraf's other messages.
func (r *running) complaints() string {
	var b strings.Builder
	for line := range strings.Lines(r.Text()) {
		if !strings.Contains(line, closedEarly) {
			b.WriteString(line)
		}
	}
	return b.String()
}

// checkSent compares the requests of the points with those that left the host. The last
// ones may be missing only if Telegraf has not read them.
func (r *running) checkSent(t *testing.T, points []peer.Point, want int) {
	t.Helper()
	got := sent(points)
	if got != int64(want) && (got > int64(want) || !strings.Contains(r.Text(), closedEarly)) {
		t.Errorf("points have %d requests, %d were sent", got, want)
	}
}

var everyHost = []string{answers, losesSome, losesAll, unreachable, answers6, unknown}

// TestExecd lets Telegraf run pingtel in all signal modes.
func TestExecd(t *testing.T) {
	t.Parallel()
	peer.Telegraf(t) // which takes the real network
	for _, signal := range []string{"none", "STDIN", "SIGHUP", "SIGUSR1", "SIGUSR2"} {
		conf := "execd-stdin.conf"
		if signal == "none" {
			conf = "execd.conf"
		}
		t.Run(signal, func(t *testing.T) {
			t.Parallel()
			netsim.Run(t, network(), func(t *testing.T, n *netsim.Net) {
				r := start(t, conf, pingtelFile(t, signal, everyHost...), "STDIN", signal)
				r.awaitPoints(t, 3, everyHost...)
				// Telegraf kills a plugin that does not end by itself in five seconds, and logs it.
				if took, status := r.Stop(); status != 0 || strings.Contains(r.Text(), "signal: killed") {
					t.Errorf("Telegraf ended with %d after %v, said\n%s", status, took, r.Text())
				}
				if left := children(t); len(left) > 0 {
					t.Errorf("processes %v are left", left)
				}
				points := r.points(t)
				checkPoints(t, points)
				r.checkSent(t, points, len(n.Arrived()))
				log := r.complaints()
				if again := strings.LastIndex(log, "Starting process"); strings.HasPrefix(signal, "SIG") && strings.Count(log, "Starting process") == 2 {
					log = log[again:] // the first one was signalled before it could catch that
				}
				if strings.Contains(log, "E! [inputs.execd]") || !strings.Contains(log, "W! [inputs.execd] look-up failed host="+unknown) {
					t.Errorf("log:\n%s", log)
				}
			})
		})
	}
}

// TestBeginning lets Telegraf run pingtel with the file that the guide starts from.
func TestBeginning(t *testing.T) {
	t.Parallel()
	peer.Telegraf(t)
	netsim.Run(t, nil, func(t *testing.T, _ *netsim.Net) {
		file, err := filepath.Abs("pingtel.toml")
		if err != nil {
			t.Fatal(err)
		}
		r := start(t, "execd.conf", file)
		r.awaitPoints(t, 1, "127.0.0.1", "::1")
		r.Stop()
		for _, p := range append(of(r.points(t), "127.0.0.1"), of(r.points(t), "::1")...) {
			if p.Int("packets_received") != 5 || p.Tags["site"] != "local" {
				t.Errorf("%v", p)
			}
		}
	})
}

// TestExecdRestarts kills pingtel under Telegraf, which starts it again.
func TestExecdRestarts(t *testing.T) {
	t.Parallel()
	peer.Telegraf(t)
	netsim.Run(t, network(), func(t *testing.T, _ *netsim.Net) {
		r := start(t, "execd.conf", pingtelFile(t, "none", answers, losesAll))
		r.awaitPoints(t, 2, answers)
		old := children(t)
		if len(old) != 1 {
			t.Fatalf("processes %v, want one", old)
		}
		kill(t, old[0], syscall.SIGKILL)
		peer.Await(t, "another pingtel", func() bool {
			now := children(t)
			return len(now) == 1 && now[0] != old[0]
		}, r.Process)
		r.awaitPoints(t, len(of(r.points(t), answers))+2, answers)
		r.Stop()
		if left := children(t); len(left) > 0 {
			t.Errorf("processes %v are left", left)
		}
		checkPoints(t, r.points(t))
	})
}

// TestTelegrafKilled kills Telegraf twice and starts it again. pingtel must end by
// itself, and all points must be true.
func TestTelegrafKilled(t *testing.T) {
	t.Parallel()
	peer.Telegraf(t)
	netsim.Run(t, network(), func(t *testing.T, _ *netsim.Net) {
		file := pingtelFile(t, "none", answers, losesSome)
		for range 3 {
			r := start(t, "execd.conf", file)
			r.awaitPoints(t, 2, answers, losesSome)
			if len(children(t)) != 1 {
				t.Fatal("pingtel does not run")
			}
			r.Kill()
			peer.Await(t, "pingtel ends", func() bool { return len(children(t)) == 0 })
			checkPoints(t, r.points(t))
		}
	})
}

// TestExec lets Telegraf start pingtel for each round.
func TestExec(t *testing.T) {
	t.Parallel()
	peer.Telegraf(t)
	netsim.Run(t, network(), func(t *testing.T, _ *netsim.Net) {
		r := start(t, "exec.conf", pingtelFile(t, "none", everyHost...), `timeout = "10s"`, `timeout = "9s"`)
		r.awaitPoints(t, 2, everyHost...)
		r.Stop()
		points := r.points(t)
		checkPoints(t, points)
		if p := of(points, unknown)[0]; p.At.Equal(p.At.Truncate(time.Second)) {
			t.Errorf("%v: its time is rounded", p)
		}
	})
}

// TestNagios lets Telegraf read the output of check.
func TestNagios(t *testing.T) {
	t.Parallel()
	peer.Telegraf(t)
	netsim.Run(t, network(), func(t *testing.T, _ *netsim.Net) {
		r := start(t, "nagios.conf", pingtelFile(t, "none", answers, losesSome), `"15s"`, `"5s"`)
		var state, loss []point
		peer.Await(t, "a state and performance data", func() bool {
			state, loss = nil, nil
			for _, p := range r.points(t) {
				switch {
				case p.Measurement == "nagios_state":
					state = append(state, p)
				case p.Measurement == "nagios" && p.Tags["perfdata"] == losesSome+" pl":
					loss = append(loss, p)
				}
			}
			return len(state) > 0 && len(loss) > 0
		}, r.Process)
		if state[0].Fields["state"] != int64(1) {
			t.Errorf("state %v, want 1: a warning", state[0].Fields)
		}
		f := loss[0].Fields
		if f["value"] != 20.0 || f["warning_gt"] != 10.0 || f["critical_gt"] != 60.0 {
			t.Errorf("loss %v, want 20 of 10 and 60", f)
		}
		r.Stop()
	})
}

// TestParser lets Telegraf's own parser read tags that are hard to write.
func TestParser(t *testing.T) {
	t.Parallel()
	peer.Telegraf(t)
	netsim.Run(t, network(), func(t *testing.T, _ *netsim.Net) {
		file := pingtelFile(t, "none", answers)
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		tags := map[string]string{
			"space": "a b", "comma": "a,b", "equals": "a=b", "back": `a\b`, "slash": `C:\dir\ `, "quote": `"a"`, "utf8": "Zürich 東京 🙂",
			"newline": "a\nb", "last": `a\`, "only": `\\`, "empty": "", "a key, = odd": "x",
		}
		var b strings.Builder
		for k, v := range tags {
			fmt.Fprintf(&b, "%q = %q\n", k, v)
		}
		config := strings.Replace(string(text), `tags = { site = "lab" }`, "[targets.tags]\nsite = \"lab\"\n"+b.String(), 1)
		r := start(t, "execd.conf", write(t, "pingtel.toml", config))
		r.awaitPoints(t, 1, answers)
		r.Stop()
		want := map[string]string{"url": answers, "address": answers, "site": "lab"}
		maps.Copy(want, tags)
		want["newline"], want["last"] = `a\nb`, "a" // as the plugin's documentation says
		delete(want, "only")
		delete(want, "empty")
		got := of(r.points(t), answers)[0].Tags
		for k := range want {
			if got[k] != want[k] {
				t.Errorf("tag %q = %q, want %q", k, got[k], want[k])
			}
		}
		if len(got) != len(want) || strings.Contains(r.complaints(), "E!") {
			t.Errorf("tags %q, log\n%s", got, r.Text())
		}
	})
}
