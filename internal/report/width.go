package report

import (
	"bytes"
	"strings"

	"github.com/clipperhouse/displaywidth"
)

// cells returns how many columns of a terminal a text takes: two for a wide
// character, none for one that combines with the character before it.
func cells(text string) int { return displaywidth.String(text) }

// withColour measures text that may hold the escapes of Style.Colour.
var withColour = displaywidth.Options{ControlSequences: true}

// shorten cuts a text to a width and marks the cut.
func shorten(text string, width int) string {
	const mark = "..."
	if width < len(mark) {
		return displaywidth.TruncateString(text, max(width, 0), "")
	}
	return displaywidth.TruncateString(text, width, mark)
}

// fold breaks the lines b[from:], each of which ends in a line feed, at blanks
// so that none is wider than the terminal. What follows a break is indented. It
// breaks only where at least gap blanks stand, except for a word that is too wide
// by itself.
func (s Style) fold(b []byte, from, indent, gap int) []byte {
	if s.Width <= 0 || fits(b[from:], s.Width) {
		return b
	}
	text := string(b[from:])
	b = b[:from]
	for line := range strings.Lines(text) {
		b = s.foldLine(b, strings.TrimSuffix(line, "\n"), min(indent, s.Width/2), gap)
		b = append(b, '\n')
	}
	return b
}

// fits reports whether each line of b has at most width bytes, and so no more
// cells.
func fits(b []byte, width int) bool {
	for line := range bytes.Lines(b) {
		if len(line)-1 > width {
			return false
		}
	}
	return true
}

func (s Style) foldLine(b []byte, line string, indent, gap int) []byte {
	column, begun := 0, false // begun: a word was written
	for line != "" {
		blanks, word, rest := nextWord(line, gap)
		line = rest
		width := withColour.String(word)
		if begun && column+len(blanks)+width > s.Width {
			b = append(append(b, '\n'), strings.Repeat(" ", indent)...)
			column, blanks = indent, ""
		}
		b, column = append(b, blanks...), column+len(blanks)
		for g := withColour.StringGraphemes(word); g.Next(); {
			if column+g.Width() > s.Width {
				b = append(append(b, '\n'), strings.Repeat(" ", indent)...)
				column = indent
			}
			b, column = append(b, g.Value()...), column+g.Width()
		}
		begun = true
	}
	return b
}

// nextWord splits a line into the blanks that begin it, the word behind them and
// the rest. Fewer blanks than gap are part of a word.
func nextWord(line string, gap int) (blanks, word, rest string) {
	start := len(line) - len(strings.TrimLeft(line, " "))
	end := len(line)
	if i := strings.Index(line[start:], strings.Repeat(" ", gap)); i >= 0 {
		end = start + i
	}
	return line[:start], line[start:end], line[end:]
}
