package fleet

import (
	"fmt"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/pingtel/pingtel/integration/peer"
)

// probers are the probers of a fleet by name.
type probers struct {
	t       *testing.T
	file    string // with %s for the name
	more    string // of the file
	wrap    func(args ...string) *exec.Cmd
	hosts   int
	running map[string]*peer.Service
	ended   map[string]*peer.Service
}

// startProbers starts n probers that know each other by servers.
func startProbers(t *testing.T, n int, s *servers, targets string, hosts, copies int) *probers {
	t.Helper()
	p := newProbers(t, targets, hosts, copies, fmt.Sprintf(`{ nats = %q, refresh = %q }`, s.urls(), refresh))
	for i := range n {
		p.start(fmt.Sprintf("probe-%d", i))
	}
	return p
}

// newProbers are probers that know each other by members.
func newProbers(t *testing.T, targets string, hosts, copies int, members string) *probers {
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
members = %s
`, interval, targets, copies, members)
	return p
}

func (p *probers) start(name string) *peer.Service {
	p.t.Helper()
	s := peer.StartService(p.t, fmt.Sprintf(p.file, name)+p.more, p.wrap)
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

// steady checks that no target was without a series for longer than limit between two
// times. With a limit below two intervals no round of a target is missing. What the
// probers themselves count as left out, on a busy machine, is no fault.
func (p *probers) steady(from, to time.Time, limit time.Duration) {
	p.t.Helper()
	at, _ := p.points(from)
	longest, over := time.Duration(0), p.hosts-len(at)
	for _, times := range at {
		gap, last := time.Duration(0), from
		for _, x := range times {
			if x.After(to) {
				break
			}
			gap, last = max(gap, x.Sub(last)), x
		}
		gap = max(gap, to.Sub(last))
		longest = max(longest, gap)
		if gap > limit {
			over++
		}
	}
	p.t.Logf("longest time between two series of a target: %v", longest)
	if over == 0 {
		return
	}
	wait(interval + late) // until the probers have reported what they left out
	if lost := p.lost(); int64(over) > lost {
		p.t.Errorf("%d of %d targets were without a series for more than %v, up to %v; the probers count %d series as left out", over, p.hosts, limit, longest, lost)
	}
}

// lost returns how many series the probers have left out, and logs it.
func (p *probers) lost() (lost int64) {
	for _, all := range []map[string]*peer.Service{p.running, p.ended} {
		for name, s := range all {
			if own := s.Internal(p.t); own.Int("series_skipped")+own.Int("series_missed") > 0 {
				p.t.Logf("%s: %d series skipped, %d missed", name, own.Int("series_skipped"), own.Int("series_missed"))
				lost += own.Int("series_skipped") + own.Int("series_missed")
			}
		}
	}
	return lost
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
