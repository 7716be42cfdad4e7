package faults

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/pingtel/pingtel/integration/netsim"
	"github.com/pingtel/pingtel/integration/peer"
)

func TestMain(m *testing.M) { os.Exit(peer.Main(m)) }

const (
	ms = time.Millisecond

	// delay is what the simulated hosts take to answer.
	delay = 5 * ms

	// longest is the longest time of a series in the tests' files.
	longest = 900 * ms
)

// Hosts of the simulated network.
const (
	host4  = "198.18.1.1"
	host6  = "2001:db8::11"
	other4 = "198.18.2.1"
)

// network answers all addresses, each after the delay.
func network() []netsim.Rule {
	return []netsim.Rule{
		{Prefix: netip.MustParsePrefix("198.18.0.0/15"), Delay: delay},
		{Prefix: netip.MustParsePrefix("2001:db8::/32"), Delay: delay},
	}
}

// file is a configuration of series of three echoes, each second.
func file(hosts ...string) string { return fileWith("", "", hosts...) }

// fileWith has more keys for [agent] and for the targets.
func fileWith(agent, targets string, hosts ...string) string {
	return fmt.Sprintf(`[agent]
interval = "1s"
%s
[defaults]
count = 3
ping_interval = "100ms"
timeout = "700ms"
[[targets]]
hosts = ["%s"]
%s
`, agent, strings.Join(hosts, `", "`), targets)
}

// unsound returns the fields of a point that differ from those of a network without
// faults.
func unsound(p peer.Point) string {
	var wrong []string
	want := map[string]int64{"result_code": 0, "packets_transmitted": 3, "packets_received": 3,
		"duplicates": 0, "late": 0, "reordered": 0, "corrupt": 0}
	for field, w := range want {
		if v, ok := p.Fields[field].(int64); !ok || v != w {
			wrong = append(wrong, fmt.Sprintf("%s = %v, want %d", field, p.Fields[field], w))
		}
	}
	for _, field := range []string{"minimum_response_ms", "maximum_response_ms"} {
		v, ok := p.Fields[field].(float64)
		if rtt := time.Duration(v * float64(ms)); !ok || rtt < delay || rtt > longest {
			wrong = append(wrong, fmt.Sprintf("%s = %v", field, p.Fields[field]))
		}
	}
	for _, field := range []string{"error", "icmp_error"} {
		if v, ok := p.Fields[field]; ok {
			wrong = append(wrong, fmt.Sprintf("%s = %v", field, v))
		}
	}
	return strings.Join(wrong, "; ")
}

// pings returns the points of series.
func pings(points []peer.Point) []peer.Point {
	var series []peer.Point
	for _, p := range points {
		if p.Measurement == "ping" {
			series = append(series, p)
		}
	}
	return series
}

// checkNoneLeftOut checks by the service's own counts that no series was left out and
// no packet or line dropped.
func checkNoneLeftOut(t *testing.T, own peer.Point) {
	t.Helper()
	for _, name := range []string{"series_skipped", "series_missed", "lines_dropped", "kernel_drops"} {
		if v, ok := own.Fields[name]; v != int64(0) {
			t.Errorf("%s = %v, %v", name, v, ok)
		}
	}
}

// checkSound checks that the points show a network without faults.
func checkSound(t *testing.T, points []peer.Point) {
	t.Helper()
	if len(points) == 0 {
		t.Error("no points to look at")
	}
	for _, p := range points {
		if wrong := unsound(p); wrong != "" {
			t.Errorf("%s at %s: %s", p.Tags["url"], p.At.Format(time.StampMilli), wrong)
		}
	}
}

// fault is the time window of a fault.
type fault struct{ from, to time.Time }

// split sorts points by their series: outside the fault, within it, or partly within
// it.
func (f fault) split(points []peer.Point) (outside, within, partly []peer.Point) {
	for _, p := range points {
		switch end := p.At.Add(longest); {
		case end.Before(f.from) || p.At.After(f.to):
			outside = append(outside, p)
		case p.At.After(f.from) && end.Before(f.to):
			within = append(within, p)
		default:
			partly = append(partly, p)
		}
	}
	return outside, within, partly
}

// checkRefused checks that the system refused all requests of the points, for this
// reason, and that the points have no other figures.
func checkRefused(t *testing.T, points []peer.Point, reason string) {
	t.Helper()
	if len(points) == 0 {
		t.Error("no series fell within the fault")
	}
	for _, p := range points {
		text, _ := p.Fields["error"].(string)
		if len(p.Fields) != 2 || p.Int("result_code") != 2 || !strings.Contains(text, reason) {
			t.Errorf("%s: %v, want only result_code 2 and an error that says %q", p.Tags["url"], p.Fields, reason)
		}
	}
}

// checkPartly checks that only replies of the network count as received, and that
// missing ones have their reason.
func checkPartly(t *testing.T, points []peer.Point) {
	t.Helper()
	for _, p := range points {
		if p.Int("result_code") == 2 {
			continue
		}
		sent, received := p.Int("packets_transmitted"), p.Int("packets_received")
		_, some := p.Fields["average_response_ms"]
		if sent < 1 || sent > 3 || received > sent || some != (received > 0) || p.Int("late")+p.Int("duplicates")+p.Int("corrupt") > 0 {
			t.Errorf("%s: %v", p.Tags["url"], p.Fields)
		}
	}
}

// checkSteady checks that no series of a host is missing: one started in each
// interval.
func checkSteady(t *testing.T, s *peer.Service, points []peer.Point) {
	t.Helper()
	peer.CheckSteady(t, points, time.Second, s.Points(t))
}
