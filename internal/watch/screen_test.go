package watch

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/golden"
)

// clock is a time that tests set.
type clock struct{ t time.Time }

func newClock() *clock { return &clock{time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time { return c.t }

// testScreen is a screen of a size on a store.
func testScreen(s *Store, c *clock, width, height int) *Screen {
	sc := newScreen(s, true, true, c.now)
	sc.resize(width, height)
	return sc
}

// shown is a frame without its looks.
func shown(s *Screen) string { return ansi.Strip(s.render()) + "\n" }

// few is a store with a target for each state that one can be in. It was fed
// for 40 seconds.
func few(c *clock) *Store {
	s := NewStore(0)
	add := func(host, seen string, tags ...string) *Target {
		x := s.Add(host, tags, time.Second)
		outcomes(x, 1, seen)
		return x
	}
	add("198.18.0.1", strings.Repeat("2223", 10), "site=north", "role=core")
	add("gateway.example.net", strings.Repeat("3343", 7)+"99x33x434xx4", "site=south")
	add("198.18.0.3", strings.Repeat("1", 30)+"xxxxxxxxxx", "site=south")
	add("2001:db8::4", strings.Repeat("E", 40))
	add("no.such.example", "").Ended(0, &icmpcore.ResolveError{Host: "no.such.example", Err: errors.New("no such host")})
	add("日本.example", strings.Repeat("12345678", 5))
	add("198.18.0.7", "")
	settle(s)
	for _, t := range s.targets { // fed at a time of its own, so that ages are the same each time
		for i := range t.problems {
			t.problems[i].last = c.t.Add(-3 * time.Second)
		}
	}
	return s
}

// many is a store with n targets, most of which answer.
func many(n int) *Store {
	s := NewStore(10000)
	for i := range n {
		seen := []string{"1", "2", "4", "8"}[i%4]
		switch {
		case i%97 == 5:
			seen = "xxx"
		case i%31 == 7:
			seen = "1x" + seen
		}
		outcomes(s.Add(fmt.Sprintf("198.18.%d.%d", i/250, i%250+1), nil, time.Second), 1, strings.Repeat(seen, 6))
	}
	settle(s)
	return s
}

// TestLayout holds whole frames of several sizes against files, and that no
// frame is larger than its screen.
func TestLayout(t *testing.T) {
	c := newClock()
	for _, size := range []struct{ width, height int }{{80, 24}, {60, 20}, {200, 50}} {
		for name, s := range map[string]*Store{"few": few(c), "many": many(1000), "none": NewStore(0)} {
			for view, keys := range map[string][]string{
				"table": nil, "map": {"m"}, "help": {"?"}, "down": {"enter"}, "detail": {"down", "down", "down", "enter"},
			} {
				if name == "none" && view != "table" {
					continue
				}
				sc := testScreen(s, c, size.width, size.height)
				sc.started = c.t.Add(-40 * time.Second)
				sc.render()
				for _, k := range keys {
					sc.key(k, "")
				}
				text := shown(sc)
				golden.Compare(t, "testdata/"+fmt.Sprintf("%s-%s-%dx%d.txt", name, view, size.width, size.height), text)
				lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
				if len(lines) != size.height {
					t.Errorf("%s %s %v: %d lines", name, view, size, len(lines))
				}
				for _, line := range lines {
					if w := ansi.StringWidth(line); w > size.width {
						t.Errorf("%s %s %v: %d wide: %q", name, view, size, w, line)
					}
				}
			}
		}
	}
}

// TestLooks holds frames with their escapes: red where echoes were lost, and
// marks where there is no colour.
func TestLooks(t *testing.T) {
	c := newClock()
	sc := testScreen(few(c), c, 80, 12)
	visible := strings.NewReplacer("\x1b", "^").Replace(sc.render()) + "\n"
	golden.Compare(t, "testdata/"+"looks.txt", visible)
	sc.colour = false
	golden.Compare(t, "testdata/"+"looks-without-colour.txt", shown(sc))
	sc.glyphs = &asciiGlyphs
	text := shown(sc)
	golden.Compare(t, "testdata/"+"looks-ascii.txt", text)
	if strings.ContainsFunc(strings.ReplaceAll(text, "日本", ""), func(r rune) bool { return r > 126 }) {
		t.Error("more than ASCII")
	}
}

// TestSmall has screens on which nothing fits.
func TestSmall(t *testing.T) {
	c := newClock()
	s := few(c)
	for _, tt := range []struct {
		width, height int
		want          string
	}{
		{39, 24, "too small: want 40 x 8, have 39 x 24"},
		{80, 7, "too small: want 40 x 8, have 80 x 7"},
		{10, 3, "too small…"},
		{1, 1, "…"},
		{0, 0, ""},
	} {
		if got := testScreen(s, c, tt.width, tt.height).render(); got != tt.want {
			t.Errorf("%d x %d: %q, want %q", tt.width, tt.height, got, tt.want)
		}
	}
	for width := minWidth; width < 130; width += 7 {
		for height := minHeight; height < 30; height += 3 {
			sc := testScreen(s, c, width, height)
			for _, key := range []string{"", "enter", "down", "down", "?", "x", "esc", "m", "esc", "/"} {
				sc.key(key, key)
				checkFrame(t, sc)
			}
		}
	}
}

var looksOnly = regexp.MustCompile(`\x1b\[[0-9;]*m`)

// checkFrame looks for what no frame may have: lines too many or too wide, and
// control characters.
func checkFrame(t *testing.T, sc *Screen) {
	t.Helper()
	frame := looksOnly.ReplaceAllString(sc.render(), "")
	lines := strings.Split(frame, "\n")
	if len(lines) > sc.height {
		t.Errorf("%d lines on a screen of %d", len(lines), sc.height)
	}
	for _, line := range lines {
		if w := ansi.StringWidth(line); w > sc.width {
			t.Errorf("%d wide on a screen of %d: %q", w, sc.width, line)
		}
		if strings.ContainsFunc(line, func(r rune) bool {
			return r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == 0x202e || r == utf8.RuneError
		}) {
			t.Errorf("a control character: %q", line)
		}
	}
}

// FuzzNames has hosts, tags and errors that a stranger has chosen.
func FuzzNames(f *testing.F) {
	f.Add("\x1b]0;owned\a\x1b[2J", "a=\x9b31m", "no \u202e such\r\nhost", "\x1b[A", 80)
	f.Add("h", "a=\x1b[2J\x9b31m", "no such host", "x", 80)
	f.Add("日本語日本語日本語日本語日本語.example", "k=é́", "👨‍👩‍👧‍👦 e\u0301", "日", 41)
	f.Fuzz(func(t *testing.T, host, tag, reason, typed string, width int) {
		c := newClock()
		s := NewStore(0)
		x := s.Add(host, []string{tag}, time.Second)
		outcomes(x, 1, "1x2")
		x.Echo(icmpcore.Echo{Seq: 4, Outcome: icmpcore.OutcomeError, Err: errors.New(reason)})
		s.Add(host, []string{tag}, time.Second).Ended(0, &icmpcore.ResolveError{Host: host, Err: errors.New(reason)})
		sc := testScreen(s, c, minWidth+(width%160+160)%160, 24)
		checkFrame(t, sc)
		sc.key("enter", "")
		checkFrame(t, sc)
		sc.key("/", "")
		sc.paste(typed)
		sc.key("x", typed)
		checkFrame(t, sc)
	})
}
