package fleet

import (
	"maps"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/pingtel/pingtel/integration/netsim"
	"github.com/pingtel/pingtel/integration/peer"
)

func TestMain(m *testing.M) { os.Exit(peer.Main(m)) }

const (
	interval = 5 * time.Second
	refresh  = 4 * time.Second
	holdDown = 2 * refresh

	// late is how much later than it should a series may be on a busy machine: more,
	// and pingtel counts it as missed.
	late = time.Second
)

// TestFleet runs five probers with 10,000 targets and two copies, and three servers. No
// target is without a prober for an interval, whatever is killed.
func TestFleet(t *testing.T) {
	peer.NATS(t)
	rules := []netsim.Rule{{Prefix: netip.MustParsePrefix("198.18.0.0/16"), Delay: time.Millisecond}}
	netsim.Run(t, rules, func(t *testing.T, _ *netsim.Net) {
		s := startServers(t, 3)
		p := startProbers(t, 5, s, "198.18.64.0-198.18.103.15", 10_000, 2)
		p.settle()
		began := time.Now()
		loads := slices.Sorted(maps.Values(p.owned()))
		sum := int64(0)
		for _, n := range loads {
			sum += n
		}
		t.Logf("loads %v: max to mean %.4f", loads, float64(loads[4])/4000)
		if sum != 20_000 || loads[4] > 4120 {
			t.Errorf("loads %v, want 20,000 in all and at most 4,120", loads)
		}

		t.Log("one prober is killed")
		killed := time.Now()
		p.running["probe-2"].Kill()
		p.gone("probe-2")
		wait(holdDown + 2*interval + 2*late)
		if gap := p.gap(killed.Add(-interval), time.Now().Add(-2*late)); gap > interval+late {
			t.Errorf("a target was without a prober for %v", gap)
		} else {
			t.Logf("longest time between two series of a target: %v", gap)
		}
		_, by := p.points(killed.Add(holdDown + late))
		one := 0
		for host := range by {
			delete(by[host], "probe-2")
			if len(by[host]) < 2 {
				one++
			}
		}
		if one > 0 || len(by) != p.hosts {
			t.Errorf("%d of %d targets have one prober after the hold-down and an interval", one, len(by))
		}
		p.start("probe-2")
		p.settle()

		t.Log("the leader of the servers is killed")
		before := p.owned()
		from := time.Now()
		leader := s.leader()
		s.kill(leader)
		wait(holdDown + refresh)
		p.unchanged(before, from)
		s.start(leader)
		p.await("the list is known again", p.fresh)

		t.Log("all servers are away for long, and have forgotten everything when they return")
		from = time.Now()
		for i := range s.running {
			s.kill(i)
		}
		wait(2 * holdDown)
		s.forget()
		for i := range s.running {
			s.start(i)
		}
		p.await("the list is known again", p.fresh)
		wait(holdDown + refresh)
		p.unchanged(before, from)
		if gap := p.gap(began, time.Now().Add(-2*late)); gap > interval+late {
			t.Errorf("a target was without a prober for %v", gap)
		}
		p.logLost()
	})
}

// TestOneCopy measures the gap of targets that one prober measures: when that one is
// killed, and when it is stopped.
func TestOneCopy(t *testing.T) {
	peer.NATS(t)
	rules := []netsim.Rule{{Prefix: netip.MustParsePrefix("198.18.0.0/16"), Delay: time.Millisecond}}
	netsim.Run(t, rules, func(t *testing.T, _ *netsim.Net) {
		s := startServers(t, 1)
		p := startProbers(t, 3, s, "198.18.64.0-198.18.67.231", 1000, 1)
		p.settle()

		t.Log("one prober is stopped")
		from := time.Now()
		took, status := p.running["probe-1"].Stop()
		p.gone("probe-1")
		if status != 0 || took > 8*time.Second {
			t.Errorf("the end took %v, status %d", took, status)
		}
		wait(2*interval + 2*late)
		gap := p.gap(from.Add(-interval), time.Now().Add(-2*late))
		t.Logf("longest time between two series of a target: %v", gap)
		if gap > interval+late {
			t.Errorf("a target was without a prober for %v", gap)
		}
		p.start("probe-1")
		p.settle()

		t.Log("one prober is killed")
		from = time.Now()
		p.running["probe-1"].Kill()
		p.gone("probe-1")
		wait(holdDown + 2*interval + 2*late)
		gap = p.gap(from, time.Now().Add(-2*late))
		t.Logf("longest time from then without a series of a target: %v", gap)
		if gap > holdDown+interval+late {
			t.Errorf("a target was without a prober for %v, want at most the hold-down and an interval", gap)
		}
	})
}
