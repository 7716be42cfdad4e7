package watch

import (
	"math"
	"strconv"
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// frame is the text of one screen in the making: lines that are never wider
// than it.
type frame struct {
	b       strings.Builder
	escapes *escapes
	glyphs  *glyphs
	width   int
	left    int // columns left in the line
	lines   int
	most    int  // lines that the body may fill up to
	row     bool // the line is the cursor's: all but its history looks chosen
	bars    bool // what is put is part of a history
	now     look // what the text looks like at the moment
}

// put appends a text of one look. What does not fit in the line is cut off. The
// text is clean: it holds no control characters.
func (f *frame) put(l look, text string) { f.cell(l, text, textWidth(text), false) }

// glyph appends a character that takes one cell.
func (f *frame) glyph(l look, g string) {
	if f.left > 0 {
		f.look(l)
		f.b.WriteString(g)
		f.left--
	}
}

// cell appends a text in a column of so many cells, cut off or filled up.
func (f *frame) cell(l look, text string, width int, right bool) {
	width = min(width, f.left)
	if width <= 0 {
		return
	}
	n := textWidth(text)
	if n > width {
		text = ansi.Truncate(text, width, f.glyphs.ellipsis)
		n = textWidth(text)
	}
	if right {
		f.pad(width - n)
	}
	f.look(l)
	f.b.WriteString(text)
	if !right {
		f.pad(width - n)
	}
	f.left -= width
}

// pad appends blanks, which look like nothing except in the cursor's row.
func (f *frame) pad(n int) {
	if n <= 0 {
		return
	}
	f.look(plain)
	for range n {
		f.b.WriteByte(' ')
	}
}

// blank appends n blanks to the line.
func (f *frame) blank(n int) {
	n = min(n, f.left)
	f.pad(n)
	f.left -= max(n, 0)
}

// look changes what the text behind it looks like.
func (f *frame) look(l look) {
	switch {
	case f.row && l == plain:
		l = chosen
	case f.row && l == bad && !f.bars:
		l = badRow
	}
	if l == f.now {
		return
	}
	f.b.WriteString(f.escapes[f.now][1])
	f.b.WriteString(f.escapes[l][0])
	f.now = l
}

// end ends a line.
func (f *frame) end() {
	if f.row {
		f.pad(f.left)
	}
	f.row = false
	f.look(plain)
	f.b.WriteByte('\n')
	f.lines++
	f.left = f.width
}

// fill appends empty lines up to so many lines in all.
func (f *frame) fill(lines int) {
	for f.lines < lines {
		f.end()
	}
}

// String returns the frame, without the end of its last line.
func (f *frame) String() string { return strings.TrimSuffix(f.b.String(), "\n") }

// textWidth is how many cells a text takes.
func textWidth(s string) int {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return ansi.StringWidth(s)
		}
	}
	return len(s)
}

// milliseconds writes a time, given in nanoseconds, with four digits.
func milliseconds(ns float64) string {
	ms := ns / 1e6
	decimals := 3
	switch {
	case ms >= 999.95:
		decimals = 0
	case ms >= 99.995:
		decimals = 1
	case ms >= 9.9995:
		decimals = 2
	}
	return strconv.FormatFloat(ms, 'f', decimals, 64)
}

// percent writes a part as a percentage. It never says 0 or 100 for what only
// comes near it.
func percent(part float64) string {
	v := part * 100
	switch {
	case v > 0 && v < 0.1:
		return "<0.1%"
	case v < 100 && v > 99.9:
		return ">99.9%"
	}
	text := strconv.FormatFloat(math.Round(v*10)/10, 'f', 1, 64)
	return strings.TrimSuffix(text, ".0") + "%"
}
