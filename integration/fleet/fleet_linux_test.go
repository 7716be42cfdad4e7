package fleet

import (
	"fmt"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

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

// servers is a cluster of NATS servers on loopback.
type servers struct {
	t       *testing.T
	dir     string
	running []*peer.Process // nil for one that is killed
}

// startServers starts a cluster of n servers, or a single one.
func startServers(t *testing.T, n int) *servers {
	s := &servers{t: t, dir: t.TempDir(), running: make([]*peer.Process, n)}
	for i := range n {
		s.start(i)
	}
	s.await()
	return s
}

// start starts a server with what it had stored.
func (s *servers) start(i int) {
	s.t.Helper()
	name := fmt.Sprintf("n%d", i)
	conf := fmt.Sprintf("server_name: %s\nlisten: 127.0.0.1:%d\njetstream { store_dir: %q }\n", name, 4222+i, filepath.Join(s.dir, name))
	if n := len(s.running); n > 1 {
		var routes []string
		for j := range n {
			routes = append(routes, fmt.Sprintf("nats://127.0.0.1:%d", 6222+j))
		}
		conf += fmt.Sprintf("cluster { name: fleet, listen: 127.0.0.1:%d, routes: [%s] }\n", 6222+i, strings.Join(routes, ", "))
	}
	file := filepath.Join(s.dir, name+".conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.running[i] = peer.Start(s.t, exec.Command(peer.NATS(s.t), "-c", file))
}

// kill kills a server with SIGKILL.
func (s *servers) kill(i int) {
	s.running[i].Kill()
	s.running[i] = nil
}

// forget removes all that the servers have stored.
func (s *servers) forget() {
	s.t.Helper()
	for i := range s.running {
		if err := os.RemoveAll(filepath.Join(s.dir, fmt.Sprintf("n%d", i))); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *servers) urls() string {
	var urls []string
	for i := range s.running {
		urls = append(urls, fmt.Sprintf("nats://127.0.0.1:%d", 4222+i))
	}
	return strings.Join(urls, ",")
}

// await waits until JetStream works.
func (s *servers) await() {
	s.t.Helper()
	peer.Await(s.t, "JetStream works", func() bool {
		return s.ask(func(js nats.JetStreamContext) error { _, err := js.AccountInfo(); return err }) == nil
	})
}

func (s *servers) ask(f func(nats.JetStreamContext) error) error {
	conn, err := nats.Connect(s.urls(), nats.Timeout(time.Second))
	if err != nil {
		return err
	}
	defer conn.Close()
	js, err := conn.JetStream(nats.MaxWait(time.Second))
	if err != nil {
		return err
	}
	return f(js)
}

// leader returns the number of the server that leads the bucket.
func (s *servers) leader() int {
	s.t.Helper()
	leader := -1
	peer.Await(s.t, "the bucket has a leader", func() bool {
		err := s.ask(func(js nats.JetStreamContext) error {
			info, err := js.StreamInfo("KV_pingtel")
			if err != nil {
				return err
			}
			if info.Cluster == nil || info.Config.Replicas != 3 {
				s.t.Fatalf("the bucket has %d replicas", info.Config.Replicas)
			}
			_, err = fmt.Sscanf(info.Cluster.Leader, "n%d", &leader)
			return err
		})
		return err == nil && leader >= 0
	})
	return leader
}

// probers are the probers of a fleet by name.
type probers struct {
	t       *testing.T
	file    string // with %s for the name
	hosts   int
	running map[string]*peer.Service
	ended   map[string]*peer.Service
}

func startProbers(t *testing.T, n int, s *servers, targets string, hosts, copies int) *probers {
	t.Helper()
	p := &probers{t: t, hosts: hosts, running: make(map[string]*peer.Service), ended: make(map[string]*peer.Service)}
	p.file = fmt.Sprintf(`[agent]
interval = %q
[defaults]
count = 1
timeout = "1s"
[[targets]]
hosts = [%q]
[fleet]
member = "%%s"
copies = %d
members = { nats = %q, refresh = %q }
`, interval, targets, copies, s.urls(), refresh)
	for i := range n {
		p.start(fmt.Sprintf("probe-%d", i))
	}
	return p
}

func (p *probers) start(name string) *peer.Service {
	p.t.Helper()
	s := peer.StartService(p.t, fmt.Sprintf(p.file, name), nil)
	p.running[name] = s
	return s
}

// gone notes that a prober has ended.
func (p *probers) gone(name string) {
	p.ended[name] = p.running[name]
	delete(p.running, name)
}

// settle waits until each prober knows all others and measures its own targets alone.
func (p *probers) settle() {
	p.t.Helper()
	p.await("the fleet has settled", func() bool {
		for _, s := range p.running {
			own := s.Internal(p.t)
			if own.Int("fleet_members") != int64(len(p.running)) || own.Int("targets") != own.Int("fleet_owned") {
				return false
			}
		}
		return true
	})
}

// owned returns how many targets the probers own.
func (p *probers) owned() map[string]int64 {
	owned := make(map[string]int64)
	for name, s := range p.running {
		owned[name] = s.Internal(p.t).Int("fleet_owned")
	}
	return owned
}

// points returns when each target was measured from a time on, and by whom.
func (p *probers) points(from time.Time) (at map[string][]time.Time, by map[string]map[string]bool) {
	at, by = make(map[string][]time.Time), make(map[string]map[string]bool)
	for _, all := range []map[string]*peer.Service{p.running, p.ended} {
		for name, s := range all {
			for _, x := range s.Points(p.t) {
				if x.Measurement != "ping" || x.At.Before(from) {
					continue
				}
				if x.Tags["prober"] != name {
					p.t.Fatalf("a point of %s has the tags %v", name, x.Tags)
				}
				host := x.Tags["url"]
				at[host] = append(at[host], x.At)
				if by[host] == nil {
					by[host] = make(map[string]bool)
				}
				by[host][name] = true
			}
		}
	}
	for host := range at {
		slices.SortFunc(at[host], time.Time.Compare)
	}
	return at, by
}

// gap returns the longest time between two series of a target from from to to. Targets
// without any count from from.
func (p *probers) gap(from, to time.Time) time.Duration {
	p.t.Helper()
	at, _ := p.points(from)
	if len(at) != p.hosts {
		p.t.Errorf("%d of %d targets were measured", len(at), p.hosts)
	}
	longest := time.Duration(0)
	for _, times := range at {
		last := from
		for _, x := range times {
			if x.After(to) {
				break
			}
			longest, last = max(longest, x.Sub(last)), x
		}
		longest = max(longest, to.Sub(last))
	}
	return longest
}

// await waits for something that the probers' lines say. It looks seldom: there are many
// lines.
func (p *probers) await(what string, done func() bool) {
	p.t.Helper()
	peer.Await(p.t, what, func() bool {
		wait(500 * time.Millisecond)
		return done()
	})
}

// wait lets time pass: in this test that is what happens.
func wait(d time.Duration) { time.Sleep(d) }

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
		for name, service := range p.running {
			if own := service.Internal(t); own.Int("series_skipped")+own.Int("series_missed") > 0 {
				t.Logf("%s: %d series skipped, %d missed", name, own.Int("series_skipped"), own.Int("series_missed"))
			}
		}
	})
}

// fresh reports whether all probers know who is there now.
func (p *probers) fresh() bool {
	for _, s := range p.running {
		if own := s.Internal(p.t); own.Int("fleet_view_age_ms") > refresh.Milliseconds() || time.Since(own.At) > 2*interval {
			return false
		}
	}
	return true
}

// unchanged checks that no prober has had other targets than before, since from.
func (p *probers) unchanged(before map[string]int64, from time.Time) {
	p.t.Helper()
	for name, s := range p.running {
		most := int64(0)
		for _, x := range s.Points(p.t) {
			if x.Measurement == "pingtel_internal" && x.At.After(from) {
				most = max(most, x.Int("targets"))
			}
		}
		if own := s.Internal(p.t); most != before[name] || own.Int("fleet_owned") != before[name] {
			p.t.Errorf("%s measures %d targets, up to %d, want the %d from before", name, own.Int("fleet_owned"), most, before[name])
		}
	}
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
