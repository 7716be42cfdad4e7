package fleet

import (
	"flag"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pingtel/pingtel/integration/netsim"
	"github.com/pingtel/pingtel/integration/peer"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil { // they wait most of the time, whatever the number of processors
		panic(err)
	}
	os.Exit(peer.Main(m))
}

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
	t.Parallel()
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
		p.steady(killed.Add(-interval), time.Now().Add(-2*late), interval+late)
		_, by := p.points(killed.Add(holdDown + late))
		one := 0
		for host := range by {
			delete(by[host], "probe-2")
			if len(by[host]) < 2 {
				one++
			}
		}
		if one += p.hosts - len(by); int64(one) > p.lost() {
			t.Errorf("%d of %d targets have one prober after the hold-down and an interval", one, p.hosts)
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
		p.withoutServers(s, before, func() { wait(2 * holdDown) })
		p.steady(began, time.Now().Add(-2*late), interval+late)
		p.lost()
	})
}

// withoutServers kills all servers, lets them return with nothing stored after pause, and
// checks that each prober has what it owned before all the time.
func (p *probers) withoutServers(s *servers, before map[string]int64, pause func()) {
	p.t.Helper()
	from := time.Now()
	for i := range s.running {
		s.kill(i)
	}
	pause()
	s.forget()
	for i := range s.running {
		s.start(i)
	}
	p.await("the list is known again", p.fresh)
	wait(holdDown + refresh)
	p.unchanged(before, from)
}

// TestOneCopy measures the gap of targets that one prober measures: when that one is
// killed, and when it is stopped.
func TestOneCopy(t *testing.T) {
	t.Parallel()
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
		p.steady(from.Add(-interval), time.Now().Add(-2*late), interval+late)
		p.start("probe-1")
		p.settle()

		t.Log("one prober is killed")
		from = time.Now()
		p.running["probe-1"].Kill()
		p.gone("probe-1")
		wait(holdDown + 2*interval + 2*late)
		p.steady(from, time.Now().Add(-2*late), holdDown+interval+late)
	})
}

// TestTakeOverRate: a prober that takes over the targets of another one keeps to max_rate,
// although it begins with them at once.
func TestTakeOverRate(t *testing.T) {
	t.Parallel()
	peer.NATS(t)
	rules := []netsim.Rule{{Prefix: netip.MustParsePrefix("198.18.0.0/16"), Delay: time.Millisecond}}
	netsim.Run(t, rules, func(t *testing.T, n *netsim.Net) {
		const hosts, maxRate = 1000, 220 // the survivor needs 200 echoes a second, and has 100
		s := startServers(t, 1)
		p := newProbers(t, "198.18.64.0-198.18.67.231", hosts, 1, fmt.Sprintf(`{ nats = %q, refresh = "1s" }`, s.urls()))
		p.file = strings.Replace(p.file, "[agent]\n", fmt.Sprintf("[agent]\nmax_rate = %d\n", maxRate), 1)
		p.start("probe-0")
		p.start("probe-1")
		p.settle()
		p.running["probe-1"].Kill()
		p.gone("probe-1")
		n.Forget()
		killed := time.Now()
		p.settle()
		wait(2*interval + late)
		p.steady(killed, time.Now().Add(-2*late), 2*time.Second+interval+late)
		peak := n.Peak(time.Second)
		t.Logf("at most %d echoes in a second, max_rate %d", peak, maxRate)
		const burst = 64 // that may go out together after a pause
		if peak <= 100 || peak > maxRate+burst {
			t.Errorf("%d echoes in a second, want at most %d", peak, maxRate+burst)
		}
	})
}
