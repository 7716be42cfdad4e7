package telegraf

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pingtel/pingtel/integration/netsim"
	"github.com/pingtel/pingtel/integration/peer"
)

// TestTwins has two names of one address, two traffic classes to one name, and a name
// with an address of each family. Each target must have its own replies.
func TestTwins(t *testing.T) {
	t.Parallel()
	peer.Telegraf(t)
	netsim.Run(t, network(), func(t *testing.T, n *netsim.Net) {
		file := write(t, "pingtel.toml", `[agent]
interval = "2s"
[defaults]
ping_interval = "20ms"
timeout = "1500ms"
[[targets]]
hosts = ["one.example", "two.example"]
[[targets]]
hosts = ["one.example"]
dscp = "EF"
tags = { class = "EF" }
[[targets]]
hosts = ["both.example"]
family = "both"
[[targets]]
hosts = ["`+unknown+`"]
family = "both"
`)
		// Only pingtel sees these names.
		names := write(t, "hosts", fmt.Sprintf("%s one.example two.example both.example\n%s both.example\n", answers, answers6))
		script := "mount --bind " + names + ` /etc/hosts && exec "$0" "$@"`
		r := startText(t, fmt.Sprintf(`[[inputs.execd]]
  command = ["unshare", "-m", "sh", "-c", %q, %q, "telegraf", "--config", %q]
  data_format = "influx"
`, script, peer.Pingtel(), file))
		r.awaitPoints(t, 6, "one.example", "two.example", "both.example", unknown)
		r.Stop()
		points := r.points(t)
		seen := make(map[string]int)
		for _, p := range points {
			if p.Measurement != "ping" {
				continue
			}
			seen[p.Tags["url"]+" "+p.Tags["address"]+p.Tags["class"]]++
			want := int64(0)
			if p.Tags["class"] == "EF" {
				want = 46
			}
			if p.Tags["url"] != unknown && (p.Int("packets_received") != 5 || p.Int("packets_transmitted") != 5 || p.Fields["reply_dscp"] != want) {
				t.Errorf("%v, want five replies of the class %d", p, want)
			}
		}
		for _, target := range []string{"one.example " + answers, "one.example " + answers + "EF", "two.example " + answers,
			"both.example " + answers, "both.example " + answers6, unknown + " "} {
			if seen[target] < 2 {
				t.Errorf("%d points of %s", seen[target], target)
			}
		}
		if len(seen) != 6 {
			t.Errorf("points of %v", seen)
		}
		evenly(t, points, "two.example", 2*time.Second)
		r.checkSent(t, points, len(n.Arrived()))
	})
}

// evenly checks that a host has one point in each interval, from the second one on: the
// first round may be faster.
func evenly(t *testing.T, points []peer.Point, host string, interval time.Duration) {
	t.Helper()
	peer.CheckSteady(t, of(points, host)[1:], interval, points)
}

// TestReload adds and removes targets under Telegraf, and changes an option of all,
// while series of the others run. It also reloads a file with a fault.
func TestReload(t *testing.T) {
	t.Parallel()
	peer.Telegraf(t)
	netsim.Run(t, network(), func(t *testing.T, n *netsim.Net) {
		size := 100
		text := func(hosts ...string) string {
			size++
			return fmt.Sprintf("[agent]\ninterval = \"3s\"\n[defaults]\nsize = %d\nping_interval = \"150ms\"\ntimeout = \"1500ms\"\n[[targets]]\nhosts = [\"%s\"]\ntags = { site = \"lab\" }\n",
				size, strings.Join(hosts, `", "`))
		}
		file := write(t, "pingtel.toml", text(answers, losesSome, unreachable))
		r := start(t, "execd.conf", file)
		r.awaitPoints(t, 2, answers)
		reload := func(to, say string) {
			t.Helper()
			if err := os.WriteFile(file, []byte(to), 0o644); err != nil {
				t.Fatal(err)
			}
			before := strings.Count(r.Text(), say)
			for _, pid := range children(t) {
				kill(t, pid, syscall.SIGHUP)
			}
			peer.Await(t, say, func() bool { return strings.Count(r.Text(), say) > before }, r.Process)
		}
		const done = "configuration in force"
		for range 5 { // at any moment of the others' series
			reload(text(answers, losesSome, answers6), done)
			reload(text(answers, losesSome, losesAll), done)
			reload(text(answers, losesSome, "no name"), "the configuration stays as it was")
			reload(text(answers, losesSome, unknown), done)
			r.awaitPoints(t, len(of(r.points(t), unknown))+1, unknown)
		}
		r.awaitPoints(t, len(of(r.points(t), answers))+2, answers)
		r.Stop()
		points := r.points(t)
		checkPoints(t, points)
		evenly(t, points, answers, 3*time.Second)
		evenly(t, points, losesSome, 3*time.Second)
		for _, host := range []string{answers, losesSome} {
			addr, arrived := netip.MustParseAddr(host), 0
			for _, a := range n.Arrived() {
				if a.Dst == addr {
					arrived++
				}
			}
			r.checkSent(t, of(points, host), arrived)
		}
	})
}

// TestReaderStops stops Telegraf for a while. The series must go on, and Telegraf must
// read the waiting lines when it continues.
func TestReaderStops(t *testing.T) {
	t.Parallel()
	peer.Telegraf(t)
	netsim.Run(t, network(), func(t *testing.T, n *netsim.Net) {
		r := start(t, "execd.conf", pingtelFile(t, "none", answers, losesSome))
		r.awaitPoints(t, 2, answers)
		r.Signal(syscall.SIGSTOP)
		before := len(n.Arrived())
		peer.Await(t, "forty requests while nobody reads", func() bool { return len(n.Arrived()) >= before+40 })
		r.Signal(syscall.SIGCONT)
		r.awaitPoints(t, len(of(r.points(t), answers))+5, answers)
		r.Stop()
		points := r.points(t)
		checkPoints(t, points)
		evenly(t, points, answers, 2*time.Second)
		r.checkSent(t, points, len(n.Arrived()))
	})
}

// TestPollInterval: the flag overrides the schedule of the file.
func TestPollInterval(t *testing.T) {
	t.Parallel()
	peer.Telegraf(t)
	netsim.Run(t, network(), func(t *testing.T, _ *netsim.Net) {
		file := pingtelFile(t, "STDIN", answers)
		r := startText(t, fmt.Sprintf("[[inputs.execd]]\n  command = [%q, \"telegraf\", \"-config\", %q, \"-poll_interval\", \"2500ms\"]\n  data_format = \"influx\"\n", peer.Pingtel(), file))
		r.awaitPoints(t, 4, answers)
		r.Stop()
		points := r.points(t)
		checkPoints(t, points)
		evenly(t, points, answers, 2500*time.Millisecond)
	})
}
