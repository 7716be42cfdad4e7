package path

import (
	"strings"
	"testing"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/integration/netsim"
	"github.com/pingtel/pingtel/internal/path"
)

// TestChanges traces healthy paths, changes them, and traces them again. The verdict
// must say what is new, and may use what the path was before.
func TestChanges(t *testing.T) {
	usual := change(nil)
	tests := []struct {
		name    string
		rule    func(place) netsim.Rule
		cause   path.Cause
		lastHop int
		says    string // in the verdict
	}{
		{"nothing", usual, path.None, 7, "the target answers"},
		{"another hop 3", func(p place) netsim.Rule {
			return p.hops(length, func(h []netsim.Hop) { h[2].Addr = p.router(33) })
		}, path.Changed, 7, "the path has changed"},
		{"a hop more", func(p place) netsim.Rule {
			return p.hops(length+1, func(h []netsim.Hop) { h[6].Addr = p.router(37) })
		}, path.Changed, 8, "the path has changed"},
		{"a hop less", func(p place) netsim.Rule { return p.hops(length-1, nil) }, path.Changed, 6, "the path has changed"},
		{"hop 3 falls silent", change(func(h []netsim.Hop) { silence(h, 3) }), path.None, 7, "the target answers"},
		{"the target goes down", ending(netsim.Lost), path.TargetItself, 6, "but the target does not"},
		{"hop 4 goes down", change(func(h []netsim.Hop) { h[3].Loss = 1 }), path.SilentBeyond, 3, "before the loss the path continued to hop 4"},
		{"hop 4 goes down behind another hop 2", func(p place) netsim.Rule {
			return p.hops(length, func(h []netsim.Hop) { h[1].Addr, h[3].Loss = p.router(32), 1 })
		}, path.SilentBeyond, 3, "the path has changed"},
		{"a loss that is over", usual, path.None, 7, "the loss of 3 of 5 echoes before it is over or rare"},
	}
	rules := func(f icmpcore.Family) []netsim.Rule {
		var rules []netsim.Rule
		for i := range tests {
			rules = append(rules, usual(place{f, i}))
		}
		return rules
	}
	eachSocket(t, rules, func(t *testing.T, n network) {
		traces := func() []*path.Trace {
			done := make([]chan *path.Trace, len(tests))
			for i := range tests {
				done[i] = make(chan *path.Trace, 1)
				to := icmpcore.Target{Addr: place{n.family, i}.target()}
				path.Go(n.p, to, path.Options{Echoes: icmpcore.Options{Timeout: 2 * time.Second}}, func(tr *path.Trace) { done[i] <- tr })
			}
			all := make([]*path.Trace, len(tests))
			for i := range done {
				all[i] = <-done[i]
			}
			return all
		}
		healthy := traces()
		for i, tt := range tests {
			n.Set(tt.rule(place{n.family, i}))
		}
		for i, tr := range traces() {
			tt, before := tests[i], healthy[i].Route()
			series := path.Series{}
			if strings.Contains(tt.says, "3 of 5") {
				series = path.Series{Sent: 5, Received: 2}
			}
			v := path.Judge(tr, &before, series)
			if v.Cause != tt.cause || v.LastHop != tt.lastHop || !strings.Contains(v.Text, tt.says) {
				t.Errorf("%s: %s, last hop %d: %s; want %s, %d, %q\nbefore %v, now %v",
					tt.name, v.Cause, v.LastHop, v.Text, tt.cause, tt.lastHop, tt.says, before.Hops, tr.Route().Hops)
			}
		}
	})
}
