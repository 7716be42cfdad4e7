package watch

import (
	"strconv"
	"time"
)

// Widths of the columns of the table.
const (
	minHost    = 12
	maxHost    = 40
	minHistory = 10
	minError   = 16
	maxError   = 60
)

// figure is a column of figures: its title, its width with the blank before it,
// and what stands in it.
type figure struct {
	title string
	width int
	text  func(t *target, f *figures) string
}

// tableFigures are the columns behind the loss, which is always there. On a
// narrow screen they are left out from the right.
var tableFigures = []figure{
	{"last", 7, func(t *target, _ *figures) string {
		if t.last <= 0 {
			return "-"
		}
		return milliseconds(float64(t.last))
	}},
	{"median", 8, func(_ *target, f *figures) string { return milliseconds(f.median) }},
	{"p95", 7, func(_ *target, f *figures) string { return milliseconds(f.p95) }},
	{"jitter", 7, func(_ *target, f *figures) string {
		if f.n < 2 {
			return "-"
		}
		return milliseconds(f.jitter)
	}},
	{"hops", 5, func(t *target, _ *figures) string {
		if t.ttl == 0 {
			return "-"
		}
		return strconv.Itoa(hops(int(t.ttl)))
	}},
}

const lossWidth = 7

// columnWidths are how wide the columns are.
type columnWidths struct {
	host, history, errors int
	figures               []figure
	per                   int64 // echoes that share a column of the history
}

// widths shares a line out among the columns; host is the longest one's width.
func widths(line, host int) columnWidths {
	c := columnWidths{host: min(max(host, minHost), maxHost, max(line/3, minHost)), figures: tableFigures}
	rest := line - c.host - 1 - lossWidth - 1 // a blank behind the host and one before the end
	taken := 0
	for i, f := range c.figures {
		if taken+f.width > rest-minHistory {
			c.figures = c.figures[:i]
			break
		}
		taken += f.width
	}
	rest -= taken
	if free := rest - minHistory - 1; len(c.figures) == len(tableFigures) && free/2 >= minError {
		c.errors = min(free/2, maxError)
		rest -= c.errors + 1
	}
	c.history = rest
	return c
}

// table appends the map, where there are more targets than rows, and the rows.
func (s *Screen) table(f *frame) {
	if rows := s.height - f.lines - 2; len(s.list.all) > rows {
		s.cells(f, max(rows/3, 1))
	}
	s.page = s.height - f.lines - 2 // without the titles and the footer
	s.scroll()
	visible := s.list.rows[s.top:min(s.top+s.page, len(s.list.rows))]
	host := 0
	for _, t := range visible {
		host = max(host, textWidth(t.host))
	}
	c := widths(f.width, host)
	c.per = 1
	for _, t := range visible { // the same for all: what happens at once stands in one column
		c.per = max(c.per, t.perColumn(c.history))
	}
	s.titles(f, c, visible)
	row := s.cursorRow()
	for i, t := range visible {
		f.row = s.top+i == row
		s.row(f, t, c)
	}
	if len(visible) == 0 {
		text := "no target yet"
		if len(s.filter.words) > 0 {
			text = "no target has that in its host, address or tags"
		}
		f.put(faint, text)
		f.end()
	}
}

// scroll keeps the cursor visible.
func (s *Screen) scroll() {
	row := s.cursorRow()
	s.top = min(s.top, row, max(len(s.list.rows)-s.page, 0))
	s.top = max(s.top, row-s.page+1, 0)
}

func (s *Screen) titles(f *frame, c columnWidths, visible []*target) {
	f.cell(faint, "host", c.host, false)
	f.blank(1)
	title := "history"
	if pace, ok := s.pace(visible); ok {
		title = "last " + short(time.Duration(c.per*int64(c.history))*pace)
	}
	f.cell(faint, title, c.history, true)
	f.cell(faint, "loss", lossWidth, true)
	for _, x := range c.figures {
		f.cell(faint, x.title, x.width, true)
	}
	if c.errors > 0 {
		f.blank(1)
		f.cell(faint, "error", c.errors, false)
	}
	f.end()
}

// pace returns how far apart the echoes of the targets come, where it is the
// same for all.
func (s *Screen) pace(targets []*target) (time.Duration, bool) {
	if len(targets) == 0 {
		return 0, false
	}
	pace := s.store.pace(targets[0])
	for _, t := range targets {
		if s.store.pace(t) != pace {
			return 0, false
		}
	}
	return pace, true
}

// short writes a duration with no more than it takes.
func short(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return strconv.FormatFloat(d.Seconds(), 'g', 2, 64) + " s"
	case d < 2*time.Minute:
		return strconv.Itoa(int(d.Round(time.Second).Seconds())) + " s"
	case d < 2*time.Hour:
		return strconv.Itoa(int(d.Round(time.Minute).Minutes())) + " min"
	}
	return strconv.Itoa(int(d.Round(time.Hour).Hours())) + " h"
}

// row appends the row of a target.
func (s *Screen) row(f *frame, t *target, c columnWidths) {
	var x figures
	x, s.scratch = t.figures(s.scratch)
	f.cell(s.hostLook(t), t.host, c.host, false)
	f.blank(1)
	s.history(f, t, c.history, c.per)
	loss, look := "-", plain
	if part, ok := t.loss(); ok {
		loss = percent(part)
		if t.missed > 0 {
			look = bad
		}
	}
	f.cell(look, loss, lossWidth, true)
	trouble := t.trouble(s.now().Add(-window))
	if x.n == 0 { // the reason takes the place of the figures
		f.blank(1)
		f.put(bad, trouble)
		f.end()
		return
	}
	for _, column := range c.figures {
		f.cell(plain, column.text(t, &x), column.width, true)
	}
	if c.errors > 0 {
		f.blank(1)
		f.cell(bad, trouble, c.errors, false)
	}
	f.end()
}

// hostLook is how a target's name looks.
func (s *Screen) hostLook(t *target) look {
	if t.down() {
		return bad
	}
	return plain
}
