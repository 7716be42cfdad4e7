package targets

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/pingtel/pingtel/integration/netsim"
	"github.com/pingtel/pingtel/integration/peer"
)

var measure = flag.Bool("measure", false, "run the measurements of CPU time and memory, which take minutes and a machine without other work")

// TestIntervals runs targets with intervals of one and five seconds. Their requests are
// spread evenly over all, and a reload that only changes the intervals leaves no series out.
func TestIntervals(t *testing.T) {
	netsim.Run(t, []netsim.Rule{{Prefix: netip.MustParsePrefix("198.18.0.0/16")}}, func(t *testing.T, n *netsim.Net) {
		const quick, rare = "198.18.1.1-50", "198.18.2.1-50"
		file := func(slow string) string {
			const table = "[[targets]]\nhosts = [%q]\ncount = 1\ntimeout = \"200ms\"\ninterval = %q\n"
			return "[agent]\ninterval = \"10s\"\n" + fmt.Sprintf(table, quick, "1s") + fmt.Sprintf(table, rare, slow)
		}
		s := peer.StartService(t, file("5s"), nil)
		s.More(t, 3, "198.18.1.1", "198.18.2.1")
		spread(t, n, 5*time.Second)
		from := len(s.Text())
		s.Reload(t, file("2s"))
		s.Says(t, from, "configuration in force")
		s.More(t, 4, "198.18.2.1")
		points := s.Points(t)
		own := s.Internal(t)
		lost := own.Int("series_missed") + own.Int("series_skipped")
		worst := time.Duration(0)
		for net, longest := range map[string]time.Duration{"198.18.1.": time.Second, "198.18.2.": 5 * time.Second} {
			for i := range 50 {
				of := peer.Of(points, fmt.Sprint(net, i+1))
				for j := 2; j < len(of); j++ { // the first round may be faster
					late := of[j].At.Sub(of[j-1].At) - longest
					worst = max(worst, late)
					if late > longest/2 && lost == 0 {
						t.Errorf("%s: %v without a series, the interval is %v", of[j].Tags["url"], longest+late, longest)
					}
				}
			}
		}
		t.Logf("%d points, the latest series came %v late; %d series missed or skipped", len(points), worst, lost)
	})
}

// spread looks at the requests that arrived in the last rounds: those of both intervals
// come at an even rate.
func spread(t *testing.T, n *netsim.Net, d time.Duration) {
	t.Helper()
	end := n.Now()
	var counts [50]int // by tenths of a second: 5 and 1 in each
	all := 0
	for _, q := range n.Arrived() {
		if ago := end - q.At; ago < d {
			counts[int(ago*50/d)]++
			all++
		}
	}
	few, most := counts[0], 0
	for _, c := range counts {
		few, most = min(few, c), max(most, c)
	}
	t.Logf("%d requests in %v, %d to %d in each tenth of a second", all, d, few, most)
	if want := 300; all < want*9/10 || all > want*11/10 {
		t.Errorf("%d requests in %v, want %d", all, d, want)
	}
	if most > 24 { // four times as many: a machine with other work bunches them
		t.Errorf("%d requests in a tenth of a second, want 6", most)
	}
}

// many is a list of n targets, with labels of their own, of which one has another name.
func many(n, changed int) string {
	var b strings.Builder
	for i := range n {
		name := fmt.Sprintf("r%d", i)
		if i == changed%n {
			name = fmt.Sprintf("changed%d", changed)
		}
		sep := ",\n"
		if i == 0 {
			sep = "["
		}
		fmt.Fprintf(&b, `%s{"targets": ["198.%d.%d.%d:9100"], "labels": {"site": "s%d", "role": "router", "__meta_netbox_name": %q}}`, sep, 18+i>>16, i>>8&255, i&255, i%100, name)
	}
	return b.String() + "]\n"
}

// TestSourcesCost changes one target of 100,000 in the file of a real process, and replaces a list of
// 10,000 targets a thousand times.
func TestSourcesCost(t *testing.T) {
	if !*measure {
		t.Skip("takes ten minutes and a machine without other work: run it with -measure")
	}
	netsim.Run(t, []netsim.Rule{{Prefix: netip.MustParsePrefix("198.18.0.0/15")}}, func(t *testing.T, _ *netsim.Net) {
		for _, tt := range []struct {
			targets, times int
		}{{100_000, 5}, {10_000, 1000}} {
			path := t.TempDir() + "/targets.json"
			put := func(text string) {
				if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				if err := os.Rename(path+".new", path); err != nil {
					t.Fatal(err)
				}
			}
			put(many(tt.targets, 0))
			s := peer.StartService(t, fmt.Sprintf("[agent]\ninterval = \"24h\"\nlog_level = \"info\"\n[defaults]\ncount = 1\n[[targets]]\nfile = %q\ntags = { name = \"__meta_netbox_name\" }\n", path), nil)
			s.Says(t, 0, "started")
			var first int
			for i := range tt.times {
				text := many(tt.targets, i+1)
				from, begun, used := len(s.Text()), time.Now(), peer.CPUTime(t, s.Pid())
				put(text)
				peer.Await(t, "the list is in force", func() bool { return strings.Contains(s.Text()[from:], "configuration in force") }, s.Process)
				if took, cost := time.Since(begun), peer.CPUTime(t, s.Pid())-used; tt.times < 100 {
					t.Logf("%d targets: in force after %v, with %v of CPU", tt.targets, took.Round(10*time.Millisecond), cost)
					if took > 2*time.Second || cost > 300*time.Millisecond {
						t.Error("want 2 s and 0.3 s of CPU at most")
					}
				}
				if i%(tt.times/5) == 0 {
					rss := peer.Status(t, s.Pid(), "VmRSS")
					t.Logf("%d targets, %d lists: %d kB, %d threads", tt.targets, i+1, rss, peer.Status(t, s.Pid(), "Threads"))
					if i == tt.times/5 {
						first = rss
					}
				}
			}
			if last := peer.Status(t, s.Pid(), "VmRSS"); tt.times > 100 {
				t.Logf("at the end %d kB", last)
				if last > first+first/20 {
					t.Errorf("the memory has grown from %d to %d kB", first, last)
				}
			}
			s.Kill()
		}
	})
}
