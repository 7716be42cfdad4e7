package main

import (
	"io"
	"os"

	"github.com/charmbracelet/x/term"

	"github.com/pingtel/pingtel/internal/console"
)

// newStream says what w is: a terminal, of which size, and what it understands.
func newStream(w io.Writer) console.Stream {
	s := console.Stream{Writer: w, Escapes: takesEscapes(w), Colour: wantsColour(w)}
	if f := fileOf(w); f != nil && term.IsTerminal(f.Fd()) {
		s.Size = func() (columns, lines int) {
			columns, lines, err := term.GetSize(f.Fd())
			if err != nil {
				return 0, 0 // not known
			}
			return columns, lines
		}
	}
	return s
}

// fileOf returns the file that w writes to, nil where it is none.
func fileOf(w io.Writer) *os.File {
	if s, ok := w.(*stdout); ok {
		w = s.w
	}
	f, _ := w.(*os.File)
	return f
}

// takesEscapes reports whether w is a terminal that understands escape sequences.
// One that does not say what it is gets plain text.
func takesEscapes(w io.Writer) bool {
	kind := os.Getenv("TERM")
	f := fileOf(w)
	return f != nil && kind != "" && kind != "dumb" && term.IsTerminal(f.Fd())
}

// wantsColour reports whether colours may be sent to w, by the terminal's kind
// and the convention of no-color.org.
func wantsColour(w io.Writer) bool { return takesEscapes(w) && os.Getenv("NO_COLOR") == "" }
