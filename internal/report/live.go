package report

import (
	"bytes"
	"strconv"
	"time"
)

// The columns of a table of figures so far, after the host's.
var figureColumns = []column{{"sent", 7}, {"recv", 7}, {"loss", 7}, {"last ms", 9}, {"avg ms", 9}, {"max ms", 9}, {"jitter ms", 10}}

// NewLiveTable returns a table of figures that fits the hosts given.
func NewLiveTable(s Style, hosts []*Figures) *Table {
	width := 0
	for _, f := range hosts {
		width = max(width, cells(f.label()))
	}
	return newTable(s, width, figureColumns)
}

// AppendFigures appends the row of one host, in one line: what it has no room for
// is cut.
func (t *Table) AppendFigures(b []byte, f *Figures) []byte {
	t.begin()
	t.count(f.Sent, f.Failed == "")
	t.count(f.Received, f.Failed == "")
	t.percent(f.Loss(), f.Sent > 0)
	if f.Received > 0 {
		if f.LastLost {
			t.text = append(t.text, "lost"...)
			t.end()
		} else {
			t.time(f.Last)
		}
		t.time(f.Mean())
		t.time(f.Max)
		if f.Received > 1 {
			t.time(f.Jitter())
		}
	}
	b, width := t.appendCells(b, t.label(f.Host, f.label()), f.colour())
	note := f.notes()
	if f.Failed != "" {
		note = f.Failed
	} else if note == "" && f.Received == 0 && f.Sent > 0 {
		note = "no replies"
	}
	if note != "" {
		if t.style.Width > 0 {
			note = shorten(note, t.style.Width-width-2)
		}
		if note != "" {
			b = append(append(b, "  "...), note...)
		}
	}
	return append(b, '\n')
}

// AppendFrame appends a table of the figures so far for a terminal with that many
// lines, each no wider than s.Width: titles, as many hosts as there is room for,
// and the totals. The last line has no line feed.
func AppendFrame(b []byte, hosts []*Figures, lines int, elapsed time.Duration, s Style) []byte {
	var totals Totals
	for _, f := range hosts {
		totals.addFigures(f)
	}
	shown := hosts
	if room := lines - 2; len(hosts) > room { // without the titles and the totals
		shown = hosts[:max(room-1, 0)] // and without the line that counts the others
	}
	if lines > 2 {
		table := NewLiveTable(s, shown)
		b = table.AppendHeader(b)
		for _, f := range shown {
			b = table.AppendFigures(b, f)
		}
		if more := len(hosts) - len(shown); more > 0 {
			text := "and " + strconv.Itoa(more) + plural(more, " more host", " more hosts")
			b = append(append(b, shorten(text, s.Width)...), '\n')
		}
	}
	line := bytes.TrimSuffix(totals.Append(nil, elapsed, Style{}), []byte("\n"))
	if cells(string(line)) > s.Width {
		return append(b, shorten(string(line), s.Width)...)
	}
	return bytes.TrimSuffix(totals.Append(b, elapsed, Style{Colour: s.Colour}), []byte("\n"))
}
