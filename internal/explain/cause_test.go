package explain

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/internal/monitor"
	"github.com/pingtel/pingtel/internal/path"
)

var (
	noon = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	end  = netip.MustParseAddr("198.18.1.1")
)

// routeTo is a path of three routers to a target; the third is one of several.
func routeTo(to netip.Addr, branch int) *path.Route {
	return &path.Route{Hops: []netip.Addr{router(0, 1), router(0, 2), router(branch, 3), to}, Reached: true}
}

// beyondTwo is that nothing answers beyond the second router on the way to branch 1.
func beyondTwo() cause {
	return cause{kind: path.SilentBeyond, last: router(0, 2), next: router(1, 3), total: true, what: "nothing answers beyond 198.18.200.2",
		host: "traced", seen: noon, at: noon.Add(time.Second)}
}

// TestMatch: which targets share a cause.
func TestMatch(t *testing.T) {
	for _, tt := range []struct {
		name     string
		change   func(c *cause)
		route    *path.Route
		received int
		heard    time.Duration // when the latest series with a reply began, after the trace did
		after    time.Duration // the end of the trace
		hop      int           // 0: it is not shared
	}{
		{"the same two hops", nil, routeTo(end, 1), 0, -time.Minute, 0, 2},
		{"no path is known", nil, nil, 0, -time.Minute, 0, 0},
		{"another hop behind it", nil, routeTo(end, 2), 0, -time.Minute, 0, 0},
		{"another hop behind it, all ways", func(c *cause) { c.ways = 3 }, routeTo(end, 2), 0, -time.Minute, 0, 2},
		{"another path", nil, &path.Route{Hops: []netip.Addr{router(0, 1), router(1, 3), end}, Reached: true}, 0, 0, 0, 0},
		{"only known of one target", func(c *cause) { c.alone = true }, routeTo(end, 1), 0, -time.Minute, 0, 0},
		{"two intervals ago", nil, routeTo(end, 1), 0, -time.Minute, 20 * time.Second, 2},
		{"longer ago", nil, routeTo(end, 1), 0, -time.Minute, 20*time.Second + 1, 0},
		{"a part is lost, within a series", nil, routeTo(end, 1), 2, -time.Second, 0, 2},
		{"a part is lost, later", nil, routeTo(end, 1), 2, time.Second, 0, 0},
		{"a part is lost at the cause", func(c *cause) { c.total = false }, routeTo(end, 1), 2, time.Second, 0, 2},
		{"all is lost, a part at the cause", func(c *cause) { c.total = false }, routeTo(end, 1), 0, -time.Minute, 0, 0},
		{"this machine", func(c *cause) { c.last, c.next = netip.Addr{}, router(0, 1) }, routeTo(end, 1), 0, -time.Minute, 0, 0},
	} {
		c := beyondTwo()
		if tt.change != nil {
			tt.change(&c)
		}
		o := &Output{interval: 10 * time.Second, causes: []cause{c}}
		s := &state{route: tt.route, series: path.Series{Sent: 5, Received: tt.received}, heard: noon.Add(tt.heard)}
		got, hop := o.match(s, c.at.Add(tt.after))
		if shared := tt.hop > 0 || tt.name == "this machine"; (got != nil) != shared || hop != tt.hop {
			t.Errorf("%s: %v at hop %d, want hop %d", tt.name, got, hop, tt.hop)
		}
	}
}

// TestCauseOf: what others can share of a verdict.
func TestCauseOf(t *testing.T) {
	trace := &path.Trace{Host: "host", Addr: end, Start: noon}
	two := path.Verdict{LastHop: 2, LastAddress: router(0, 2)}
	with := func(c path.Cause, text string) path.Verdict { v := two; v.Cause, v.Text = c, text; return v }
	for _, tt := range []struct {
		name  string
		v     path.Verdict
		route *path.Route
		ok    bool
		alone bool
		next  netip.Addr
		what  string
	}{
		{"silence", with(path.SilentBeyond, ""), routeTo(end, 1), true, false, router(1, 3), "nothing answers beyond 198.18.200.2"},
		{"silence, path not known", with(path.SilentBeyond, ""), nil, true, true, end, "nothing answers beyond 198.18.200.2"},
		{"silence at the last hop", with(path.SilentBeyond, ""), &path.Route{Hops: []netip.Addr{router(0, 1), router(0, 2), end}}, true, true, end, "nothing answers beyond 198.18.200.2"},
		{"the target itself", with(path.TargetItself, ""), &path.Route{Hops: []netip.Addr{router(0, 1), router(0, 2), end}}, true, true, end, "nothing answers beyond 198.18.200.2"},
		{"silence from here on", path.Verdict{Cause: path.SilentBeyond, Text: "nothing answers, not even a first hop; and more"}, routeTo(end, 1), true, false, router(0, 1), "nothing answers, not even a first hop"},
		{"silence from here on, path not known", path.Verdict{Cause: path.SilentBeyond, Text: "nothing answers"}, nil, false, true, end, "nothing answers"},
		{"unreachable", with(path.Unreachable, "hop 2, 198.18.200.2 reports: host unreachable"), routeTo(end, 1), true, false, router(1, 3), "198.18.200.2 reports: host unreachable"},
		{"unreachable, of one target", with(path.Unreachable, "hop 2, 198.18.200.2 reports: host unreachable"), nil, false, true, end, "198.18.200.2 reports: host unreachable"},
		{"loss", with(path.LossBeyond, ""), routeTo(end, 1), true, false, router(1, 3), "echoes are lost beyond 198.18.200.2"},
		{"no loss", with(path.None, ""), routeTo(end, 1), false, false, router(1, 3), ""},
		{"changed", with(path.Changed, ""), routeTo(end, 1), false, false, router(1, 3), ""},
	} {
		c, ok := causeOf(trace, tt.v, tt.route, noon)
		if ok != tt.ok || c.alone != tt.alone || c.next != tt.next || c.what != tt.what || !c.total {
			t.Errorf("%s: %+v, %v", tt.name, c, ok)
		}
	}
}

// TestRefute: a reply through the two hops ends a cause, if its series began after the trace.
func TestRefute(t *testing.T) {
	for _, tt := range []struct {
		heard time.Duration
		route *path.Route
		total bool
		left  int
	}{
		{time.Millisecond, routeTo(end, 1), true, 0}, {0, routeTo(end, 1), true, 1}, {time.Millisecond, routeTo(end, 2), true, 1},
		{time.Millisecond, routeTo(end, 1), false, 1}, {time.Millisecond, nil, true, 1},
	} {
		c := beyondTwo()
		c.total = tt.total
		o := &Output{causes: []cause{c}}
		o.refute(&state{route: tt.route, heard: noon.Add(tt.heard)})
		if len(o.causes) != tt.left {
			t.Errorf("%+v: %d causes are left", tt, len(o.causes))
		}
	}
}

// TestContradict: a trace that gets further takes a cause from the others, also for the next
// trace that finds it again.
func TestContradict(t *testing.T) {
	o := &Output{interval: 10 * time.Second}
	o.remember(beyondTwo(), noon)
	o.contradict([]netip.Addr{router(0, 1), router(0, 2), router(2, 3)})
	o.contradict([]netip.Addr{router(0, 1), router(0, 2), {}})
	if o.causes[0].alone {
		t.Error("a trace on another way takes the cause from the others")
	}
	o.contradict([]netip.Addr{router(0, 1), router(0, 2), router(1, 3)})
	if !o.causes[0].alone {
		t.Error("a trace that gets further leaves the cause as it is")
	}
	o.remember(beyondTwo(), noon)
	if len(o.causes) != 1 || !o.causes[0].alone {
		t.Errorf("%+v", o.causes)
	}
}

// TestWiden: how many ways and targets it takes to say that nothing answers beyond a hop.
func TestWiden(t *testing.T) {
	for _, tt := range []struct {
		ways, lost, heard int
		wide              bool
	}{{3, 10, 0, true}, {2, 10, 0, false}, {3, 9, 0, false}, {3, 10, 1, false}, {5, 100, 0, true}} {
		o := &Output{interval: 10 * time.Second, targets: make(map[*monitor.Target]*state)}
		for i := range tt.ways {
			c := beyondTwo()
			c.next, c.alone = router(1+i, 3), i%2 == 0
			o.remember(c, c.at)
		}
		for i := range tt.lost + tt.heard {
			s := &state{route: routeTo(end, 50+i), lost: noon.Add(time.Second), heard: noon.Add(-time.Minute)}
			if i >= tt.lost {
				s.lost, s.heard = s.heard, s.lost
			}
			o.targets[&monitor.Target{}] = s
		}
		o.widenAll(noon.Add(2 * time.Second))
		last := o.causes[len(o.causes)-1]
		if wide := last.ways > 0; wide != tt.wide || wide && (last.ways != tt.ways || last.alone) {
			t.Errorf("%+v: %+v", tt, last)
		}
	}
}

// TestWaiting: a target that fails again before its turn waits once, one that is removed is
// not counted any more, and one that waits for too long is said not to be traced.
func TestWaiting(t *testing.T) {
	o := &Output{interval: 10 * time.Second}
	known, removed := &state{route: routeTo(end, 1), since: noon}, &state{since: noon}
	unknown := &state{since: noon, target: &monitor.Target{Target: config.Target{Host: "host"}}}
	for _, s := range []*state{known, removed, unknown, known} {
		o.failed(s, noon)
	}
	if len(o.waiting) != 3 || o.outage.failing != 3 {
		t.Errorf("%d wait, %d fail", len(o.waiting), o.outage.failing)
	}
	removed.gone = true
	o.giveUp(noon.Add(o.interval))
	if len(o.waiting) != 2 || o.outage.failing != 2 || o.outage.dropped != 0 {
		t.Errorf("%d wait, outage %+v", len(o.waiting), o.outage)
	}
	o.giveUp(noon.Add(o.interval + 1))
	want := "2 of 2 failing targets: not traced, since path.max, max_rate and the share of traces allow no more; the paths of 1 of them were not known yet"
	if lines := o.outage.lines(); len(o.waiting) != 0 || known.waiting || strings.Join(lines, "\n") != want {
		t.Errorf("%d wait, %q", len(o.waiting), lines)
	}
}
