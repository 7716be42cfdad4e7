//go:build unix

package watch

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/integration/peer"
	"github.com/pingtel/pingtel/internal/golden"
	"github.com/pingtel/pingtel/internal/path"
)

// begun is a Prober that keeps what it is asked for. Its series end when a test says so.
type begun struct {
	targets []icmpcore.Target
	options []icmpcore.Options
	refuse  error
}

func (b *begun) Go(t icmpcore.Target, o icmpcore.Options, _ func(icmpcore.PingResult)) (icmpcore.Run, error) {
	b.targets, b.options = append(b.targets, t), append(b.options, o)
	return icmpcore.Run{}, b.refuse
}

// ended is a trace of so many hops, of which the target is the last if it was reached.
func ended(hops int, reached bool) *path.Trace {
	t := &path.Trace{Host: "h", Addr: netip.MustParseAddr("198.18.0.3"), Reached: reached, Sent: 3 * hops, EndSent: 6}
	for i := range hops {
		h := path.Hop{TTL: i + 1, Sent: 3, Answers: 3, DSCP: -1, RTTs: []time.Duration{1e6 * time.Duration(i+1), 2e6 * time.Duration(i+1), 3e6 * time.Duration(i+1)},
			From: []path.Address{{Addr: netip.AddrFrom4([4]byte{198, 18, 200, byte(i + 1)}), Answers: 3, Proven: true}}}
		t.Hops = append(t.Hops, h)
	}
	if reached {
		t.Hops[hops-1].Target, t.EndReceived = true, 6
	}
	return t
}

// pathScreen is a screen on which the path of 198.18.0.3 was asked for, which is down.
func pathScreen(c *clock, width, height int) (*Screen, *begun) {
	s, b := few(c), &begun{}
	opts := icmpcore.Options{Size: 100, DSCP: 46, TTL: 9, Count: icmpcore.Forever, Interval: time.Second, Timeout: time.Second, Keep: 8}
	for _, t := range s.targets {
		(&Target{s, t}).pingedBy(&opts)
	}
	s.traceWith(b)
	sc := testScreen(s, c, width, height)
	sc.started = c.t.Add(-40 * time.Second)
	sc.render()
	press(sc, "down", "down", "p")
	return sc, b
}

// TestPathLayout holds what p shows on screens of several sizes against files.
func TestPathLayout(t *testing.T) {
	c := newClock()
	for _, size := range []struct{ width, height int }{{80, 24}, {60, 20}, {200, 50}, {40, 8}} {
		for name, tr := range map[string]*path.Trace{"silent": ended(4, false), "long": ended(30, true), "running": nil, "nothing": ended(0, false)} {
			sc, _ := pathScreen(c, size.width, size.height)
			sc.now = func() time.Time { return c.t.Add(3 * time.Second) }
			if tr != nil {
				sc.path.result.Store(tr)
			}
			golden.Compare(t, fmt.Sprintf("testdata/path-%s-%dx%d.txt", name, size.width, size.height), shown(sc))
			checkFrame(t, sc)
			sc.colour, sc.glyphs = false, &asciiGlyphs
			if text := shown(sc); strings.ContainsFunc(text, func(r rune) bool { return r > 126 }) {
				t.Errorf("more than ASCII:\n%s", text)
			}
		}
	}
}

// TestPathKeys: p traces the target of the cursor, with echoes like those that measure it,
// and goes back to where it was pressed, as Esc does.
func TestPathKeys(t *testing.T) {
	c := newClock()
	sc, b := pathScreen(c, 80, 24)
	if len(b.targets) != 1 || b.targets[0].Addr != netip.MustParseAddr("198.18.0.3") {
		t.Fatalf("traced: %v", b.targets)
	}
	if o := b.options[0]; o.Size != 100 || o.DSCP != 46 || o.TTL == 9 || o.Count > 3 || o.Interval != path.DefaultInterval {
		t.Errorf("traced with %+v", o)
	}
	press(sc, "p")
	if sc.view != viewTable {
		t.Errorf("p leaves view %d", sc.view)
	}
	for _, leave := range []string{"p", "esc", "backspace"} {
		press(sc, "enter", "p")
		if sc.view != viewPath || !strings.Contains(shown(sc), "198.18.0.3  down: ") || !strings.Contains(shown(sc), "tracing its path") {
			t.Errorf("p in a target shows\n%s", shown(sc))
		}
		press(sc, leave)
		if sc.view != viewDetail {
			t.Errorf("%s leads to view %d", leave, sc.view)
		}
		press(sc, "esc")
	}
	press(sc, "m", "p", "?")
	if !strings.Contains(shown(sc), "p      its path now") {
		t.Errorf("help:\n%s", shown(sc))
	}
	press(sc, "x", "esc")
	if sc.view != viewMap {
		t.Errorf("esc behind help and a path leads to view %d", sc.view)
	}
	none := testScreen(NewStore(0), c, 80, 24)
	press(none, "p")
	if none.view != viewTable {
		t.Error("p without a target leaves the table")
	}
	sc.list.by = byHost
	press(sc, "esc", "esc", "end", "up", "p") // a name that does not resolve
	if n := len(b.targets); !strings.Contains(shown(sc), "no address to trace the path to") || n != 5 {
		t.Errorf("%d traces, and\n%s", n, shown(sc))
	}
}

// TestPathScrolls has a path that is longer than the screen.
func TestPathScrolls(t *testing.T) {
	sc, _ := pathScreen(newClock(), 80, 12)
	sc.path.result.Store(ended(30, true))
	sc.render()
	for _, tt := range []struct{ key, first, last string }{
		{"", "  1", "  5"}, {"down", "  2", "  6"}, {"pgdown", "  7", " 11"}, {"end", " 26", " 30"}, {"down", " 26", " 30"},
		{"up", " 25", " 29"}, {"pgup", " 20", " 24"}, {"home", "  1", "  5"}, {"up", "  1", "  5"},
	} {
		press(sc, tt.key)
		lines := strings.Split(shown(sc), "\n")
		first, last := lines[6], lines[10]
		if !strings.HasPrefix(first, tt.first+"  198.18.200.") || !strings.HasPrefix(last, tt.last+"  198.18.200.") {
			t.Errorf("%s: from %q to %q, want hops %s to %s", tt.key, first, last, tt.first, tt.last)
		}
	}
	for height := 30; height >= minHeight; height-- { // and one that shrinks
		sc.resize(41+height, height)
		checkFrame(t, sc)
		press(sc, "end")
		if !strings.Contains(shown(sc), "\n 30  198.18.200.30 ") {
			t.Errorf("%d lines, the last hop is not visible:\n%s", height, shown(sc))
		}
	}
}

// TestPathBefore: the path of a target while all was well tells how it went on, when it is
// lost later; and measuring goes on meanwhile.
func TestPathBefore(t *testing.T) {
	c := newClock()
	sc, _ := pathScreen(c, 160, 24)
	sc.path.result.Store(ended(6, true))
	if text := shown(sc); !strings.Contains(text, "6 hops, 18 echoes") || !strings.Contains(text, "the target answers, 6 hops away; this trace lost nothing, so the loss of 10 of 40 echoes before it is over") {
		t.Errorf("a path without loss:\n%s", text)
	}
	press(sc, "p", "p")
	sc.path.result.Store(ended(3, false))
	if text := shown(sc); !strings.Contains(text, "nothing answers beyond hop 3, 198.18.200.3; before the loss the path continued to hop 4, 198.18.200.4") {
		t.Errorf("the same path later:\n%s", text)
	}
	outcomes(&Target{sc.store, sc.path.target}, 41, "2")
	if text := shown(sc); !strings.Contains(text, "198.18.0.3  answers, with loss") {
		t.Errorf("a reply after the trace:\n%s", text)
	}
	press(sc, "space")
	outcomes(&Target{sc.store, sc.path.target}, 42, "xxxxx")
	if text := shown(sc); !strings.Contains(text, "198.18.0.3  answers, with loss") {
		t.Errorf("frozen, and yet\n%s", text)
	}
}

// TestPathRefused: what keeps a trace from being sent is said.
func TestPathRefused(t *testing.T) {
	c := newClock()
	sc, b := pathScreen(c, 80, 24)
	b.refuse = errors.New("icmpcore: no socket \x1b[2J for IPv4")
	press(sc, "p", "p")
	peer.Await(t, "the trace", func() bool { return sc.path.result.Load() != nil })
	checkFrame(t, sc)
	if text := shown(sc); !strings.Contains(text, `nothing could be sent: no socket \x1b[2J for IPv4`) {
		t.Errorf("%s", text)
	}
}
