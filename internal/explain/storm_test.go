package explain

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pingtel/pingtel/internal/monitor"
	"github.com/pingtel/pingtel/internal/output"
	"github.com/pingtel/pingtel/internal/path"
)

// learnt records rounds until the path to every target is known.
func (r *rig) learnt(t *testing.T) {
	t.Helper()
	r.round()
	for range 100_000 {
		if len(r.of) == len(r.targets) {
			break
		}
		r.sleep(time.Second)
	}
	if len(r.of) < len(r.targets) {
		r.stop()
		t.Fatalf("%d of %d paths are known", len(r.of), len(r.targets))
	}
	r.round()
	r.paths, r.net.sent, r.net.most = nil, 0, 0
}

// know lets the output know the path to every target, as if it had traced them all.
func (r *rig) know() {
	r.round()
	r.mu.Lock()
	defer r.mu.Unlock()
	for t, s := range r.Output.targets {
		s.route = &path.Route{Hops: r.net.paths[netip.MustParseAddr(t.Host)].hops, Reached: true, At: time.Now()}
		r.due.remove(s)
		s.next = time.Now().Add(routeAge)
		r.due.add(s)
	}
	r.paths, r.net.sent, r.net.most = nil, 0, 0
	r.of = make(map[*monitor.Target]*output.Path)
}

// breaks breaks the paths to targets, and returns to how many.
func (r *rig) breaks(hop int, which func(i int) bool) (n int) {
	for i := range r.targets {
		if which(i) {
			r.road(i).broken = hop
			n++
		}
	}
	return n
}

// lines returns the lines of the log.
func (r *rig) lines() []string {
	return strings.Split(strings.TrimSuffix(strings.ReplaceAll(r.log.String(), "level=WARN msg=", ""), "\n"), "\n")
}

// verdicts counts the verdicts after a loss by the last address, and checks that each is of a
// target that is broken beyond it.
func (r *rig) verdicts(t *testing.T) map[netip.Addr]int {
	t.Helper()
	n := make(map[netip.Addr]int)
	for target, p := range r.of {
		if !p.Loss {
			continue
		}
		road := r.net.paths[netip.MustParseAddr(target.Host)]
		var want netip.Addr
		if road.broken > 0 {
			want = road.hops[road.broken-1]
		}
		if road.broken == 0 || p.Verdict.LastAddress != want || p.Verdict.LastHop != max(road.broken, 0) {
			t.Fatalf("%s, broken beyond hop %d: %+v", target.Host, road.broken, p.Verdict)
		}
		n[p.Verdict.LastAddress]++
	}
	return n
}

// TestStorm: 49,500 of 50,000 targets fail at once. A few traces explain all of them, in one
// line, for much less than one percent more packets, and the healthy ones stay as they are.
func TestStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 50_000
		r := newRig(t, n, "[agent]\ninterval = \"60s\"\n")
		for i := 0; i < n; i += 100 {
			copy(r.road(i).hops[1:], []netip.Addr{router(50, 2), router(50, 3), router(50, 4)})
		}
		r.know()
		broken := r.breaks(3, func(i int) bool { return i%100 > 0 })
		r.within = n * 8 / 10 / 60 // series ran for 0.8 s
		for range 3 {
			r.round()
		}
		r.stop()
		if got := r.verdicts(t); got[router(0, 3)] != broken {
			t.Errorf("verdicts %v, of %d failing targets", got, broken)
		}
		explaining := 0
		for _, p := range r.paths {
			if p.Loss && p.Trace != nil {
				explaining += p.Trace.Sent
			}
		}
		t.Logf("%d echoes explain %d failing targets, %d series at once; %d more trace healthy paths in three intervals, of %d echoes each", explaining, broken, r.net.most, r.net.sent-explaining, 5*n)
		if explaining > 5*n/100 || r.net.sent > 3*5*n/100 {
			t.Errorf("%d echoes for the storm, %d in all, beside %d in an interval", explaining, r.net.sent, 5*n)
		}
		want := fmt.Sprintf(`"%s of %s failing targets: nothing answers beyond 198.18.200.3"`, thousands(broken), thousands(broken))
		if lines := r.lines(); len(lines) != 1 || lines[0] != want {
			t.Errorf("log %q, want %q", lines, want)
		}
	})
}

// TestStorms are other ways in which many targets fail.
func TestStorms(t *testing.T) {
	const n = 2000
	all := func(int) bool { return true }
	for _, tt := range []struct {
		name  string
		file  string
		set   func(r *rig) // before the paths are known
		fail  func(r *rig) (broken int)
		want  map[netip.Addr]int // verdicts by the last address
		lines []string
	}{
		{"two causes", "", nil, func(r *rig) int {
			return r.breaks(3, func(i int) bool { return i%10 < 5 }) + r.breaks(4, func(i int) bool { return i%10 == 7 })
		}, map[netip.Addr]int{router(0, 3): n / 2, router(8, 4): n / 10}, []string{
			`"1,000 of 1,200 failing targets: nothing answers beyond 198.18.200.3"`,
			`"200 of 1,200 failing targets: nothing answers beyond 198.18.208.4"`}},
		{"the last hop before many", "", nil, func(r *rig) int { return r.breaks(4, func(i int) bool { return i%10 == 7 }) },
			map[netip.Addr]int{router(8, 4): n / 10}, []string{`"200 of 200 failing targets: nothing answers beyond 198.18.208.4"`}},
		{"each has a router of its own", "", func(r *rig) {
			for i := range r.targets {
				r.road(i).hops[3] = netip.AddrFrom4([4]byte{198, 19, byte(i / 250), byte(1 + i%250)})
			}
		}, func(r *rig) int { return r.breaks(3, all) },
			map[netip.Addr]int{router(0, 3): n}, []string{`"2,000 of 2,000 failing targets: nothing answers beyond 198.18.200.3"`}},
		{"not even the first hop", "", nil, func(r *rig) int { return r.breaks(-1, all) },
			map[netip.Addr]int{{}: n}, []string{`"2,000 of 2,000 failing targets: nothing answers, not even a first hop"`}},
		{"the first hop", "", nil, func(r *rig) int { return r.breaks(1, all) },
			map[netip.Addr]int{router(0, 1): n}, []string{`"2,000 of 2,000 failing targets: nothing answers beyond 198.18.200.1"`}},
		{"hardly any rate is left", "[agent]\nmax_rate = 1010\n", nil, func(r *rig) int { return r.breaks(3, all) },
			map[netip.Addr]int{router(0, 3): n}, []string{`"2,000 of 2,000 failing targets: nothing answers beyond 198.18.200.3"`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, n, tt.file)
				if tt.set != nil {
					tt.set(r)
				}
				r.learnt(t)
				broken := tt.fail(r)
				for range 3 {
					r.round()
				}
				r.stop()
				got := r.verdicts(t)
				if fmt.Sprint(got) != fmt.Sprint(tt.want) || len(r.paths) != broken {
					t.Errorf("%d verdicts for %d failing targets: %v, want %v", len(r.paths), broken, got, tt.want)
				}
				if lines := r.lines(); fmt.Sprintf("%q", lines) != fmt.Sprintf("%q", tt.lines) {
					t.Errorf("log %q, want %q", lines, tt.lines)
				}
				t.Logf("%d echoes beside %d", r.net.sent, 3*5*n)
				if r.net.sent > 3*5*n/100+mostSaved {
					t.Errorf("%d echoes beside %d", r.net.sent, 3*5*n)
				}
			})
		})
	}
}

// TestPartOfRouter: behind a router that several ways have failed, others still answer. A
// target there that fails by itself is traced itself.
func TestPartOfRouter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 500, "")
		r.learnt(t)
		broken := r.breaks(3, func(i int) bool { return i%10 < 4 })
		r.round()
		alone := 7
		r.road(alone).broken = 4
		r.round()
		r.stop()
		if got := r.verdicts(t); got[router(0, 3)] != broken || got[router(8, 4)] != 1 {
			t.Errorf("verdicts %v, want %d and one", got, broken)
		}
		if p := r.of[r.targets[alone]]; p.Trace == nil || p.Verdict.Cause != path.TargetItself {
			t.Errorf("the one that fails by itself: %+v", p.Verdict)
		}
	})
}

// TestPartOfTargets: behind a hop nothing answers for some of the targets that lead through
// it, and others fail beyond a later one. No target is joined to what is not its cause.
func TestPartOfTargets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 2000
		r := newRig(t, n, "")
		r.learnt(t)
		r.breaks(3, func(i int) bool { return i%10 < 5 })
		r.breaks(2, func(i int) bool { return i%10 == 7 })
		for range 3 {
			r.round()
		}
		r.stop()
		got := r.verdicts(t)
		t.Log(got, r.lines())
		if got[router(0, 3)] != n/2 || got[router(0, 2)] == 0 {
			t.Errorf("verdicts %v", got)
		}
	})
}

// TestUnknownPaths: most paths are not known yet when their targets fail. Nothing is said of
// those that are not traced.
func TestUnknownPaths(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 5000
		r := newRig(t, n, "")
		r.round()
		for range 20 { // healthy paths are traced
			r.sleep(10 * time.Second)
		}
		known := len(r.of)
		if known < 100 || known > n/2 {
			t.Fatalf("%d paths are known", known)
		}
		r.paths, r.net.sent = nil, 0
		r.breaks(3, func(int) bool { return true })
		for range 3 {
			r.round()
		}
		r.stop()
		explained, traced := r.verdicts(t)[router(0, 3)], 0
		for _, p := range r.paths {
			if p.Loss && p.Trace != nil {
				traced++
			}
		}
		t.Logf("%d of %d explained, %d by their own trace, %d paths were known; %d echoes", explained, n, traced, known, r.net.sent)
		if explained < known || explained > known+traced {
			t.Errorf("%d explained, %d paths were known, %d traced", explained, known, traced)
		}
		if r.net.sent > 3*5*n/100+mostSaved {
			t.Errorf("%d echoes beside %d", r.net.sent, 3*5*n)
		}
		for _, line := range r.lines() {
			if !strings.Contains(line, "nothing answers beyond 198.18.200.3") && !strings.Contains(line, " not traced, ") {
				t.Errorf("log %s", line)
			}
		}
		if log := r.log.String(); !strings.Contains(log, "of them were not known yet") {
			t.Errorf("log %s", log)
		}
	})
}

// TestFlapping: all targets fail and recover by turns. Traces stay within their budget, and
// what was true before a recovery explains nothing after it.
func TestFlapping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n, rounds = 2000, 20
		r := newRig(t, n, "")
		r.learnt(t)
		for i := range rounds {
			hop := 3
			if i%4 == 2 {
				hop = 2
			}
			r.breaks(hop*((i+1)%2), func(int) bool { return true })
			r.of = make(map[*monitor.Target]*output.Path)
			r.round()
			r.verdicts(t)
			if i%2 == 0 && len(r.of) < n*9/10 {
				t.Errorf("round %d: %d of %d have a verdict", i, len(r.of), n)
			}
		}
		t.Logf("%d echoes beside %d", r.net.sent, rounds*5*n)
		if r.net.sent > rounds*10*leastRate+mostSaved {
			t.Errorf("%d echoes beside %d", r.net.sent, rounds*5*n)
		}
		r.stop()
	})
}

// TestRecovered: a target that fails after those beside it have recovered is not joined to
// their cause.
func TestRecovered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 50, "")
		r.learnt(t)
		all := func(int) bool { return true }
		r.breaks(3, all)
		r.round()
		r.breaks(0, all)
		r.round()
		r.road(30).broken = 4
		r.series(r.targets[30])
		r.sleep(2 * time.Second)
		if p := r.of[r.targets[30]]; p.Trace == nil || p.Verdict.Cause != path.TargetItself {
			t.Errorf("%+v", p.Verdict)
		}
		r.stop()
	})
}
