package fleet

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/pingtel/pingtel/integration/peer"
)

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

// logLost logs how many series were left out.
func (p *probers) logLost() {
	for name, s := range p.running {
		if own := s.Internal(p.t); own.Int("series_skipped")+own.Int("series_missed") > 0 {
			p.t.Logf("%s: %d series skipped, %d missed", name, own.Int("series_skipped"), own.Int("series_missed"))
		}
	}
}
