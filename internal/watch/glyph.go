package watch

import (
	"strings"

	"charm.land/lipgloss/v2"
)

// look is how a piece of text looks.
type look uint8

const (
	plain look = iota
	strong
	faint
	good    // answers
	warning // answers, and has lost echoes
	bad     // has lost an echo, or does not answer
	mark    // a lost echo
	chosen  // the row of the cursor
	badRow  // bad, in that row
	looks   // how many there are
)

// escapes are what stands before and behind a piece of text of each look.
type escapes [looks][2]string

// newEscapes makes the escapes. They name the first eight colours only, which
// every terminal with colours has, in the shades that its user has chosen.
// Where there is no colour, the terminal gets the rest of them.
func newEscapes() *escapes {
	style := lipgloss.NewStyle
	var e escapes
	for l, s := range map[look]lipgloss.Style{
		strong:  style().Bold(true),
		faint:   style().Faint(true),
		good:    style().Foreground(lipgloss.Green),
		warning: style().Foreground(lipgloss.Yellow),
		bad:     style().Foreground(lipgloss.Red),
		mark:    style().Foreground(lipgloss.Red).Bold(true),
		chosen:  style().Reverse(true),
		badRow:  style().Reverse(true).Foreground(lipgloss.Red),
	} {
		before, behind, _ := strings.Cut(s.Render("x"), "x")
		e[l] = [2]string{before, behind}
	}
	return &e
}

// glyphs are the characters that pictures are made of.
type glyphs struct {
	bars     [8]string // from low to high
	shades   [5]string // from nothing to all
	lost     string    // echoes that were all lost
	some     string    // echoes of which some were lost, where no colour says so
	failed   string    // nothing could be sent
	waiting  string    // nothing is known yet
	ellipsis string
	arrows   string
}

var (
	unicodeGlyphs = glyphs{
		bars:   [8]string{"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"},
		shades: [5]string{" ", "░", "▒", "▓", "█"},
		lost:   "×", some: "!", failed: "?", waiting: "·", ellipsis: "…", arrows: "↑↓",
	}
	asciiGlyphs = glyphs{
		bars:   [8]string{"_", "_", ".", ".", "-", "-", "=", "="},
		shades: [5]string{" ", ".", ":", "o", "#"},
		lost:   "x", some: "!", failed: "?", waiting: ".", ellipsis: "~", arrows: "up/down",
	}
)
