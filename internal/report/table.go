package report

import (
	"strconv"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
)

// column is a title and the width of the cells below it, with the blanks before
// them.
type column struct {
	title string
	width int
}

// The columns of a table of results, after the host's.
var resultColumns = []column{
	{"sent", 6}, {"recv", 6}, {"loss", 7}, {"min ms", 9}, {"avg ms", 9}, {"max ms", 9}, {"p95 ms", 9}, {"jitter ms", 10}, {"ttl", 5}, {"hops", 5},
}

// The columns that every row has: sent, received and loss. Those after them say
// something only of a host that replied.
const countColumns = 3

// Table lays out rows of hosts. On a terminal no row is wider than it: columns
// are left out from the right, and notes continue on the next line. Make it with
// [NewTable] or [NewLiveTable]. Only one goroutine may use a Table.
type Table struct {
	style   Style
	host    int      // cells of the host's column
	columns []column // as many as the terminal has room for

	text []byte // the cells of the row that is laid out
	ends []int  // where in text each cell ends
}

// NewTable returns a table of results whose first column has room for hosts of
// the given width.
func NewTable(s Style, hostWidth int) *Table { return newTable(s, hostWidth, resultColumns) }

func newTable(s Style, hostWidth int, columns []column) *Table {
	t := &Table{style: s, host: max(hostWidth, len("host")), columns: columns}
	if s.Width <= 0 {
		return t
	}
	t.host = min(t.host, max(s.Width-widthOf(columns[:countColumns]), s.Width/2))
	for len(t.columns) > 0 && t.host+widthOf(t.columns) > s.Width {
		t.columns = t.columns[:len(t.columns)-1]
	}
	return t
}

func widthOf(columns []column) (sum int) {
	for _, c := range columns {
		sum += c.width
	}
	return sum
}

// AppendHeader appends the titles.
func (t *Table) AppendHeader(b []byte) []byte {
	b = appendLeft(b, shorten("host", t.host), t.host)
	for _, c := range t.columns {
		b = appendRight(b, c.title, c.width)
	}
	return append(b, '\n')
}

// AppendRow appends the row of one host's result: figures, a dash for each that
// does not exist, and what was out of the ordinary. Where nothing was received,
// the reason stands in place of the round-trip times.
func (t *Table) AppendRow(b []byte, r *icmpcore.PingResult) []byte {
	sent, received := r.Sent > 0, r.Received > 0
	t.begin()
	t.count(r.Sent, sent)
	t.count(r.Received, sent)
	t.percent(r.Loss, sent)
	if received {
		t.time(r.Min)
		t.time(r.Mean)
		t.time(r.Max)
		t.time(r.P95)
		if r.Received > 1 {
			t.time(r.Jitter)
		} else {
			t.none()
		}
		t.count(r.TTL, r.TTL > 0)
		t.count(r.Hops, r.TTL > 0)
	}
	row, width := t.appendCells(b, t.label(r.Host, Label(r)), verdictColour(r))
	return append(t.appendNote(row, width, notes(r)), '\n')
}

// begin starts a row.
func (t *Table) begin() { t.text, t.ends = t.text[:0], t.ends[:0] }

func (t *Table) end() { t.ends = append(t.ends, len(t.text)) }

func (t *Table) time(d time.Duration) {
	t.text = appendMS(t.text, d)
	t.end()
}

func (t *Table) none() {
	t.text = append(t.text, '-')
	t.end()
}

func (t *Table) count(n int, present bool) {
	if !present {
		t.none()
		return
	}
	t.text = strconv.AppendInt(t.text, int64(n), 10)
	t.end()
}

func (t *Table) percent(v float64, present bool) {
	if !present {
		t.none()
		return
	}
	t.text = appendPercent(t.text, v)
	t.end()
}

// cell returns the text of cell i.
func (t *Table) cell(i int) []byte {
	start := 0
	if i > 0 {
		start = t.ends[i-1]
	}
	return t.text[start:t.ends[i]]
}

// cellWidth is the width of cell i with a blank before it.
func (t *Table) cellWidth(i int) int { return max(t.columns[i].width, 1+len(t.cell(i))) }

// label returns what a row calls its host: the whole label where there is room
// for it beside the counts, else the host without its address, cut if need be.
func (t *Table) label(host, label string) string {
	if t.style.Width <= 0 {
		return label
	}
	room := t.style.Width
	for i := range min(countColumns, len(t.columns)) {
		room -= t.cellWidth(i)
	}
	room = max(room, t.host)
	if cells(label) <= room {
		return label
	}
	return shorten(Clean(host), room)
}

// appendCells appends the host and the cells of its row, as many as there is
// room for, and returns how wide they are.
func (t *Table) appendCells(b []byte, label, colour string) (row []byte, width int) {
	shown, width := 0, max(cells(label), t.host)
	for shown < min(len(t.ends), len(t.columns)) {
		next := width + t.cellWidth(shown)
		if t.style.Width > 0 && next > t.style.Width {
			break
		}
		shown, width = shown+1, next
	}
	b = appendLeft(b, label, t.host)
	if t.style.Colour {
		b = append(b, colour...)
	}
	for i := range shown {
		for range t.cellWidth(i) - len(t.cell(i)) {
			b = append(b, ' ')
		}
		b = append(b, t.cell(i)...)
	}
	if t.style.Colour {
		b = append(b, plain...)
	}
	return b, width
}

// appendNote appends a note to a row of a width: two blanks after it, or on lines
// of its own where there is no room.
func (t *Table) appendNote(b []byte, width int, note string) []byte {
	switch {
	case note == "":
		return b
	case t.style.Width <= 0 || width+2+cells(note) <= t.style.Width:
		return append(append(b, "  "...), note...)
	}
	from := len(b)
	b = append(append(append(b, "\n  "...), note...), '\n')
	b = t.style.fold(b, from+1, 2, 1)
	return b[:len(b)-1]
}

// notes says what the columns do not show.
func notes(r *icmpcore.PingResult) string {
	var b []byte
	note := func(text string) {
		if len(b) > 0 {
			b = append(b, ", "...)
		}
		b = append(b, text...)
	}
	if r.Received == 0 {
		switch {
		case r.Err != nil, len(r.Errors) > 0:
			note(Reason(r))
		case r.Sent > 0:
			note("no replies")
		default:
			note("ended before the first outcome")
		}
	}
	count := func(n int, one, many string) {
		if n > 0 {
			note(strconv.Itoa(n) + plural(n, one, many))
		}
	}
	if r.Received > 0 {
		count(len(r.Errors), " error", " errors")
	}
	count(r.Duplicates, " duplicate", " duplicates")
	count(r.Late, " late", " late")
	count(r.Reordered, " reordered", " reordered")
	count(r.Corrupt, " corrupt", " corrupt")
	return string(b)
}

// appendLeft appends text and blanks up to width.
func appendLeft(b []byte, text string, width int) []byte {
	b = append(b, text...)
	for range width - cells(text) {
		b = append(b, ' ')
	}
	return b
}

// appendRight appends blanks, one at least, and text, width in all.
func appendRight(b []byte, text string, width int) []byte {
	b = append(b, ' ')
	for range width - 1 - len(text) {
		b = append(b, ' ')
	}
	return append(b, text...)
}
