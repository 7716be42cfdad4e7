package watch

import (
	"strings"
	"testing"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
)

// hostsShown returns the hosts of a screen's rows, in their order.
func hostsShown(sc *Screen) string {
	sc.render()
	var hosts []string
	for _, t := range sc.list.rows {
		hosts = append(hosts, t.host)
	}
	return strings.Join(hosts, " ")
}

// press gives keys to a screen and draws a frame after each.
func press(sc *Screen, keys ...string) {
	for _, k := range keys {
		text := ""
		if len([]rune(k)) == 1 {
			text = k
		}
		sc.key(k, text)
		sc.render()
	}
}

func TestOrder(t *testing.T) {
	c := newClock()
	sc := testScreen(few(c), c, 100, 30)
	const down, lossy, well, slow, unknown = "2001:db8::4 no.such.example 198.18.0.3", "gateway.example.net", "198.18.0.1", "日本.example", "198.18.0.7"
	for _, want := range []string{
		byWorst:  down + " " + lossy + " " + slow + " " + well + " " + unknown,
		byLoss:   "2001:db8::4 198.18.0.3 " + lossy + " " + slow + " " + well + " no.such.example " + unknown,
		byMedian: slow + " " + lossy + " " + well + " 198.18.0.3 2001:db8::4 no.such.example " + unknown,
		byP95:    slow + " " + lossy + " " + well + " 198.18.0.3 2001:db8::4 no.such.example " + unknown,
		byJitter: slow + " " + lossy + " " + well + " 198.18.0.3 2001:db8::4 no.such.example " + unknown,
		byHost:   "198.18.0.1 198.18.0.3 198.18.0.7 2001:db8::4 " + lossy + " no.such.example " + slow,
		byGiven:  "198.18.0.1 " + lossy + " 198.18.0.3 2001:db8::4 no.such.example " + slow + " " + unknown,
		orders:   down + " " + lossy + " " + slow + " " + well + " " + unknown,
	} {
		by := sc.list.by
		if got := hostsShown(sc); got != want {
			t.Errorf("%v: %s\nwant %s", by, got, want)
		}
		press(sc, "s")
	}
	many := testScreen(many(40), c, 100, 30)
	many.list.by = byHost
	if got := hostsShown(many); !strings.HasPrefix(got, "198.18.0.1 198.18.0.2 198.18.0.3 ") {
		t.Errorf("addresses by their text: %s", got)
	}
}

func TestFilter(t *testing.T) {
	c := newClock()
	sc := testScreen(few(c), c, 100, 30)
	for typed, want := range map[string]string{
		"":                "2001:db8::4 no.such.example 198.18.0.3 gateway.example.net 日本.example 198.18.0.1 198.18.0.7",
		"EXAMPLE":         "no.such.example gateway.example.net 日本.example",
		"site=south":      "198.18.0.3 gateway.example.net",
		"south gate":      "gateway.example.net",
		"role=core north": "198.18.0.1",
		"db8":             "2001:db8::4",
		"日":               "日本.example",
		"nothing":         "",
	} {
		sc.key("/", "/")
		for _, r := range typed {
			press(sc, string(r))
		}
		if got := hostsShown(sc); got != want {
			t.Errorf("%q: %s\nwant %s", typed, got, want)
		}
		press(sc, "enter", "esc")
		if sc.typed != "" || sc.typing {
			t.Errorf("esc leaves the filter %q", sc.typed)
		}
	}
	press(sc, "/", "d", "b", "x", "backspace", "8")
	if sc.typed != "db8" || !strings.Contains(shown(sc), "filter: db8") {
		t.Errorf("typed %q", sc.typed)
	}
	press(sc, "ctrl+u", "q", "esc")
	sc.paste("not while nothing is typed")
	press(sc, "/")
	sc.paste("  \x1b[31mred\r\nsecond line")
	if sc.typed != `\x1b[31mred` {
		t.Errorf("pasted %q", sc.typed)
	}
	sc.paste(strings.Repeat("x", 500))
	if len(sc.typed) > maxTyped {
		t.Errorf("%d bytes typed", len(sc.typed))
	}
}

// TestCursor has the cursor stay on its target while the order changes, and the
// first row that of whatever is worst.
func TestCursor(t *testing.T) {
	c := newClock()
	s := NewStore(0)
	var targets []*Target
	for _, h := range []string{"a", "b", "c"} {
		targets = append(targets, s.Add(h, nil, time.Second))
	}
	outcomes(targets[0], 1, "xxxx")
	outcomes(targets[1], 1, "1x1x")
	outcomes(targets[2], 1, "1111")
	sc := testScreen(s, c, 80, 10)
	sc.render()
	at := func(want string) {
		t.Helper()
		sc.render()
		if got := sc.current().host; got != want {
			t.Errorf("the cursor is on %s, want %s", got, want)
		}
	}
	at("a")
	outcomes(targets[2], 5, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx")
	outcomes(targets[0], 5, "1")
	at("c") // the first row, which is the worst
	press(sc, "down")
	at("a")
	outcomes(targets[0], 6, "1111111111111111111111111111111111111")
	at("a") // which has gone down a row
	press(sc, "down", "down", "down")
	at("a")
	press(sc, "up")
	at("b")
	press(sc, "home")
	at("c")
	press(sc, "end")
	at("a")
	press(sc, "enter")
	if sc.view != viewDetail || !strings.HasPrefix(strings.Split(shown(sc), "\n")[1], "a ") {
		t.Errorf("enter shows\n%s", shown(sc))
	}
	press(sc, "up")
	if !strings.HasPrefix(strings.Split(shown(sc), "\n")[1], "b ") {
		t.Errorf("up in a target shows\n%s", shown(sc))
	}
	press(sc, "esc", "esc")
	at("c")

	many := testScreen(many(500), c, 80, 24)
	many.render()
	for _, key := range []string{"pgdown", "pgdown", "down", "pgup", "end", "up", "home"} {
		press(many, key)
		if row := many.cursorRow(); row < many.top || row >= many.top+many.page {
			t.Errorf("%s: the cursor is in row %d, rows %d to %d are visible", key, row, many.top, many.top+many.page)
		}
	}
}

// TestFreeze holds what is shown while the measuring goes on.
func TestFreeze(t *testing.T) {
	c := newClock()
	s := few(c)
	sc := testScreen(s, c, 100, 30)
	sc.render()
	press(sc, "down", "down", "space")
	before := shown(sc)
	if !strings.Contains(before, " FROZEN ") {
		t.Errorf("frozen:\n%s", before)
	}
	c.t = c.t.Add(time.Minute)
	outcomes(&Target{s, s.targets[0]}, 41, "xxxxxxxxxx")
	if got := shown(sc); got != before {
		t.Errorf("frozen, and yet\n%s\nwas\n%s", got, before)
	}
	press(sc, "enter")
	if got := shown(sc); !strings.Contains(got, "198.18.0.3  down") {
		t.Errorf("one target while frozen:\n%s", got)
	}
	press(sc, "esc", "space")
	got := shown(sc)
	if strings.Contains(got, "FROZEN") || !strings.Contains(got, "4 down") || sc.current() != s.targets[2] {
		t.Errorf("it goes on:\n%s", got)
	}
}

// TestNextFrame has an echo that is lost in the very next frame.
func TestNextFrame(t *testing.T) {
	c := newClock()
	s := NewStore(0)
	x := s.Add("198.18.0.1", nil, time.Second)
	outcomes(x, 1, "1111")
	sc := testScreen(s, c, 80, 10)
	if text := shown(sc); strings.Contains(text, "×") || strings.Contains(text, "with loss") {
		t.Errorf("no echo is lost:\n%s", text)
	}
	x.Echo(icmpcore.Echo{Seq: 5, Outcome: icmpcore.OutcomeTimeout})
	if text := shown(sc); !strings.Contains(text, "▁▁▁▁×") || !strings.Contains(text, "1 with loss") || !strings.Contains(text, "20%") {
		t.Errorf("an echo is lost:\n%s", text)
	}
}

// BenchmarkFrame draws 10,000 targets, of which a quarter had an echo since the
// last frame.
func BenchmarkFrame(b *testing.B) {
	s := NewStore(10000)
	var targets []*Target
	for range 10000 {
		targets = append(targets, s.Add("198.18.100.100", nil, time.Second))
	}
	echo := icmpcore.Echo{Outcome: icmpcore.OutcomeReply, Time: time.Now()}
	feed := func(n int) {
		for i := range n {
			echo.Seq++
			echo.RTT = time.Duration(echo.Seq%977) * 100 * time.Microsecond
			targets[(echo.Seq+i)%len(targets)].Echo(echo)
		}
	}
	for seq := range 250 {
		for i, t := range targets {
			echo.Seq, echo.RTT = seq+1, time.Duration((seq*31+i)%977)*100*time.Microsecond
			t.Echo(echo)
		}
	}
	sc := newScreen(s, true, true, time.Now)
	sc.resize(200, 50)
	b.ReportAllocs()
	for b.Loop() {
		feed(2500)
		sc.render()
	}
}
