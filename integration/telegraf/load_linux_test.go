package telegraf

import (
	"context"
	"flag"
	"fmt"
	"net/netip"
	"os/exec"
	"testing"
	"time"

	"github.com/pingtel/pingtel/integration/netsim"
	"github.com/pingtel/pingtel/integration/peer"
)

var load = flag.Duration("load", 25*time.Second, "how long TestLoad runs; its figures want 3m and a quiet machine")

// TestPhases counts, behind the device, how evenly requests are spread, from the
// first one on.
func TestPhases(t *testing.T) {
	for _, tt := range []struct {
		targets int
		hosts   string
	}{
		{126, `"198.18.8.0/25"`},
		{1022, `"198.18.8.0/22"`},
		{2032, `"198.18.8.0/22", "198.18.16.0/23", "198.18.32.0/24", "198.18.33.0/24"`},
	} {
		t.Run(fmt.Sprint(tt.targets), func(t *testing.T) { countPhases(t, tt.targets, tt.hosts) })
	}
}

func countPhases(t *testing.T, targets int, hosts string) {
	rules := []netsim.Rule{{Prefix: netip.MustParsePrefix("198.18.0.0/16"), Delay: time.Millisecond}}
	netsim.Run(t, rules, func(t *testing.T, n *netsim.Net) {
		const count, window = 5, 100 * time.Millisecond
		file := write(t, "pingtel.toml", fmt.Sprintf(`[agent]
interval = "10s"
[defaults]
count = 5
ping_interval = "200ms"
[[targets]]
hosts = [%s]
`, hosts))
		cmd := exec.Command(peer.Pingtel(), "telegraf", "--config", file)
		stdin, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		p := peer.Start(t, cmd)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		if err := n.Await(ctx, 5*targets*count/2); err != nil { // two rounds and a half
			t.Fatal(err, len(n.Arrived()))
		}
		if err := stdin.Close(); err != nil {
			t.Error(err)
		}
		peer.Await(t, "the end", p.Ended)
		arrived := n.Arrived()
		mean := float64(targets*count) / 10 * window.Seconds()
		if peak := n.Peak(window); float64(peak) > 2*mean {
			t.Errorf("%d requests within %v, mean %.1f", peak, window, mean)
		} else {
			t.Logf("%d requests, at most %d within %v, mean %.1f", len(arrived), peak, window, mean)
		}
		checkGaps(t, arrived)
	})
}

// checkGaps looks for targets that come too early or too late in a later
// round.
func checkGaps(t *testing.T, arrived []netsim.Request) {
	t.Helper()
	const slack = 50 * time.Millisecond
	first := make(map[netip.Addr]time.Duration)
	for _, a := range arrived {
		switch a.N {
		case 5:
			first[a.Dst] = a.At
		case 10:
			if gap := a.At - first[a.Dst]; gap < 10*time.Second-slack || gap > 10*time.Second+slack {
				t.Errorf("%v: %v from one series to the next, want 10 s", a.Dst, gap)
			}
		}
	}
}

// TestLoad measures ten thousand targets on loopback under a real Telegraf:
// five echoes each, 200 ms apart, every ten seconds.
func TestLoad(t *testing.T) {
	peer.Telegraf(t)
	netsim.Run(t, nil, func(t *testing.T, _ *netsim.Net) {
		const targets = 10362 // of the prefixes below
		file := write(t, "pingtel.toml", `[agent]
interval = "10s"
[defaults]
count = 5
ping_interval = "200ms"
timeout = "1s"
[[targets]]
hosts = ["127.1.0.0/19", "127.2.0.0/21", "127.3.0.0/25"]
`)
		r := start(t, "execd.conf", file, `"10s"`, `"10s"`)
		peer.Await(t, "pingtel runs", func() bool { return len(children(t)) == 1 }, r.Process)
		pid := children(t)[0]
		timer := time.NewTimer(*load)
		defer timer.Stop()
		minute := time.NewTimer(min(time.Minute, *load/2))
		defer minute.Stop()
		<-minute.C
		rss := peer.Status(t, pid, "VmRSS")
		<-timer.C
		end, cpu := peer.Status(t, pid, "VmRSS"), peer.CPUTime(t, pid)
		peak := peer.Status(t, pid, "VmHWM")
		points := r.points(t)
		r.Stop()
		seen := make(map[string]bool)
		lost := 0
		var own point
		for _, p := range points {
			if p.Measurement == "pingtel_internal" {
				own = p
				continue
			}
			seen[p.Tags["url"]] = true
			if p.Fields["packets_received"] != int64(5) || p.Fields["packets_transmitted"] != int64(5) {
				lost++
				t.Log(p)
			}
		}
		if lost > 0 || len(seen) != targets {
			t.Errorf("%d of %d points with a loss, %d targets of %d", lost, len(points), len(seen), targets)
		}
		for _, name := range []string{"series_skipped", "series_missed", "lines_dropped", "kernel_drops", "send_errors"} {
			if own.Fields[name] != int64(0) {
				t.Errorf("%s = %v", name, own.Fields[name])
			}
		}
		echoes := sent(points)
		t.Logf("%d points, %d lost; %.2f µs of CPU an echo (%v of %d echoes); RSS %d kB, %d kB at the end, %d kB at most",
			len(points), lost, float64(cpu.Microseconds())/float64(echoes), cpu, echoes, rss, end, peak)
	})
}
