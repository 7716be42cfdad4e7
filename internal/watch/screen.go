package watch

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pingtel/pingtel/internal/path"
)

// Sizes below which nothing useful can be shown.
const (
	minWidth  = 40
	minHeight = 8
)

// view is which view fills the screen.
type view uint8

const (
	viewTable view = iota
	viewMap
	viewDetail
	viewPath
	viewHelp
)

// Screen is the state of the view and makes its frames. It knows nothing of
// terminals, and one goroutine may use it. Make one with newScreen.
type Screen struct {
	store   *Store
	escapes *escapes
	glyphs  *glyphs
	colour  bool
	now     func() time.Time
	started time.Time

	width, height int
	view          view
	before        view // the one that help covers
	list          list
	filter        filter
	typed         string // the text of the filter
	typing        bool
	cursor        *target // the row chosen; nil: the first one, whichever that is
	top           int     // index of the first row that is visible
	page          int     // rows that are visible
	frozen        []*target
	frozenAt      time.Time
	path          *traced             // what the view of a path shows
	covered       view                // the one that the path covers
	routes        map[int]*path.Route // of targets that were traced while all was well, by their index

	scratch []float32
	columns []column
}

// newScreen returns a screen on a store.
func newScreen(s *Store, colour, utf8 bool, now func() time.Time) *Screen {
	sc := &Screen{store: s, escapes: newEscapes(), glyphs: &asciiGlyphs, colour: colour, now: now, started: now(), routes: make(map[int]*path.Route)}
	if utf8 {
		sc.glyphs = &unicodeGlyphs
	}
	return sc
}

// resize takes over the size of the terminal.
func (s *Screen) resize(width, height int) { s.width, s.height = width, height }

// render returns the text of a frame, as many lines as the screen has.
func (s *Screen) render() string {
	f := &frame{escapes: s.escapes, glyphs: s.glyphs, width: s.width, left: s.width, most: s.height - 1}
	f.b.Grow(s.width * s.height * 2)
	if s.width < minWidth || s.height < minHeight {
		f.put(plain, fmt.Sprintf("too small: want %d x %d, have %d x %d", minWidth, minHeight, s.width, s.height))
		f.end()
		return f.String()
	}
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	s.store.drain()
	targets := s.targets()
	s.list.update(targets, s.filter)
	s.header(f, targets)
	switch s.view {
	case viewHelp:
		s.help(f)
	case viewDetail:
		s.detail(f, s.current())
	case viewPath:
		s.showPath(f)
	case viewMap:
		s.cells(f, s.height-f.lines-1)
	default:
		s.table(f)
	}
	f.fill(s.height - 1)
	s.footer(f)
	return f.String()
}

// targets returns what is shown: what is known now, or when it was frozen.
func (s *Screen) targets() []*target {
	if s.frozen != nil {
		return s.frozen
	}
	return s.store.targets
}

// summary is what the header says of all targets.
type summary struct{ targets, down, lossy, sent, missed int }

func summarise(targets []*target) summary {
	x := summary{targets: len(targets)}
	for _, t := range targets {
		switch {
		case t.down():
			x.down++
		case t.missed > 0:
			x.lossy++
		}
		x.sent += t.total.sent()
		x.missed += t.total.timeouts + t.total.errors
	}
	return x
}

// header appends the first line.
func (s *Screen) header(f *frame, targets []*target) {
	x := summarise(targets)
	now := s.now()
	if s.frozen != nil {
		now = s.frozenAt
	}
	f.put(strong, "pingtel watch")
	if s.frozen != nil {
		f.put(plain, "  ")
		f.put(chosen, " FROZEN ")
	}
	f.put(plain, "  "+plural(x.targets, "target"))
	if len(s.filter.words) > 0 {
		f.put(plain, fmt.Sprintf(", %d shown", len(s.list.all)))
	}
	if x.down > 0 {
		f.put(plain, "  ")
		f.put(bad, strconv.Itoa(x.down)+" down")
	}
	if x.lossy > 0 {
		f.put(plain, "  ")
		f.put(warning, strconv.Itoa(x.lossy)+" with loss")
	}
	text := "  " + plural(x.sent, "echo")
	if x.sent > 0 {
		text += ", " + percent(float64(x.missed)/float64(x.sent)) + " lost"
	}
	f.put(plain, text+"  "+now.Sub(s.started).Truncate(time.Second).String())
	f.end()
}

// plural writes a number of things.
func plural(n int, what string) string {
	text := strconv.Itoa(n) + " " + what
	switch {
	case n == 1:
	case strings.HasSuffix(what, "o"):
		text += "es"
	default:
		text += "s"
	}
	return text
}

// footer appends the last line: what may be pressed, or what is typed.
func (s *Screen) footer(f *frame) {
	switch {
	case s.typing:
		f.put(strong, "filter: ")
		f.put(plain, s.typed)
		f.put(chosen, " ")
		f.put(faint, "  host, address or key=value; enter keeps it, esc clears it")
	case s.view == viewHelp:
		f.put(faint, "any key: back")
	case s.view == viewPath:
		f.keys("p esc back", s.glyphs.arrows+" scroll", "? help", "q quit")
	case s.view == viewDetail:
		f.keys("esc back", s.glyphs.arrows+" next target", "p path", "space "+s.freezeWord(), "? help", "q quit")
	default:
		if len(s.filter.words) > 0 {
			f.put(faint, "filter "+s.typed+" (esc clears)  ")
		}
		f.keys("? help", "q quit", "/ filter", "s sort: "+s.list.by.String(), "space "+s.freezeWord(), "enter host", "p path", "m map")
	}
	f.end()
}

// keys appends what may be pressed, as much of it as fits.
func (f *frame) keys(what ...string) {
	for i, text := range what {
		if i > 0 {
			text = "  " + text
		}
		if textWidth(text) > f.left {
			return
		}
		f.put(faint, text)
	}
}

func (s *Screen) freezeWord() string {
	if s.frozen != nil {
		return "goes on"
	}
	return "freeze"
}

// current returns the target of the cursor, nil where there is none.
func (s *Screen) current() *target {
	if i := s.cursorRow(); i < len(s.list.rows) {
		return s.list.rows[i]
	}
	return nil
}

// cursorRow returns the row of the cursor.
func (s *Screen) cursorRow() int {
	if s.cursor == nil {
		return 0
	}
	return max(slices.Index(s.list.rows, s.cursor), 0)
}

// freeze keeps what is known now on the screen, or goes on.
func (s *Screen) freeze() {
	index := -1
	if s.cursor != nil {
		index = s.cursor.index
	}
	if s.frozen != nil {
		s.frozen = nil
	} else {
		s.store.mu.Lock()
		s.store.drain()
		s.frozenAt = s.now()
		s.frozen = make([]*target, 0, len(s.store.targets))
		for _, t := range s.store.targets {
			s.frozen = append(s.frozen, t.clone())
		}
		s.store.mu.Unlock()
	}
	if index >= 0 {
		s.store.mu.Lock()
		s.cursor = s.targets()[index]
		s.store.mu.Unlock()
	}
}
