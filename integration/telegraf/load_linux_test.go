package telegraf

import (
	"flag"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/pingtel/pingtel/integration/netsim"
	"github.com/pingtel/pingtel/integration/peer"
)

var load = flag.Duration("load", 25*time.Second, "how long TestLoad runs; its figures want 3m and a quiet machine")

// TestPhases counts the requests behind the device: they must be spread over the
// interval from the first one on. At no time may there have been more than were due; a
// busy machine may send some late.
func TestPhases(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		targets int
		hosts   string
	}{
		{126, `"198.18.8.0/25"`},
		{1022, `"198.18.8.0/22"`},
		{2040, `"198.18.8.0/22", "198.18.16.0/23", "198.18.32.0/24", "198.18.33.0/24"`},
	} {
		t.Run(fmt.Sprint(tt.targets), func(t *testing.T) {
			t.Parallel()
			countPhases(t, tt.targets, tt.hosts)
		})
	}
}

func countPhases(t *testing.T, targets int, hosts string) {
	rules := []netsim.Rule{{Prefix: netip.MustParsePrefix("198.18.0.0/16"), Delay: time.Millisecond}}
	netsim.Run(t, rules, func(t *testing.T, n *netsim.Net) {
		began := n.Now()
		s := peer.StartService(t, fmt.Sprintf(`[agent]
interval = "10s"
[defaults]
count = 5
ping_interval = "200ms"
[[targets]]
hosts = [%s]
`, hosts), nil)
		peer.Await(t, "two rounds and a half", func() bool { return len(n.Arrived()) >= 5*targets*5/2 }, s.Process)
		s.End(t)
		arrived := n.Arrived()
		checkSpread(t, arrived, began, targets)
		lost := s.Internal(t).Int("series_missed") + s.Internal(t).Int("series_skipped")
		checkTurns(t, arrived, targets, lost)
	})
}

// checkSpread checks that no request came before its time in a round of ten seconds, in
// which the targets' series start evenly and last 0.8 s.
func checkSpread(t *testing.T, arrived []netsim.Request, began time.Duration, targets int) {
	t.Helper()
	const uneven = 5 // series by which the places in a round are off from even ones
	nearest := len(arrived)
	for i, a := range arrived {
		due := 0.0
		for echo := range 5 {
			if in := a.At - began - time.Duration(echo)*200*time.Millisecond; in >= 0 {
				due += float64(targets)*in.Seconds()/10 + uneven
			}
		}
		nearest = min(nearest, int(due)-i-1)
		if i+1 > int(due) {
			t.Fatalf("%d requests in the first %v, want at most %.0f", i+1, a.At-began, due)
		}
	}
	t.Logf("%d requests, at least %d fewer than were due by then", len(arrived), nearest)
}

// checkTurns checks that all targets have their turns: no target may be a series ahead
// of another, unless that one has lost as many.
func checkTurns(t *testing.T, arrived []netsim.Request, targets int, lost int64) {
	t.Helper()
	requests := make(map[netip.Addr]int)
	for _, a := range arrived {
		requests[a.Dst]++
	}
	least, most := len(arrived), 0
	for addr, n := range requests {
		least, most = min(least, n), max(most, n)
		if n%5 != 0 {
			t.Errorf("%v: %d requests, want series of 5", addr, n)
		}
	}
	if len(requests) != targets || most-least > 5*int(1+lost) {
		t.Errorf("%d of %d targets, with %d to %d requests; %d series were lost", len(requests), targets, least, most, lost)
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
