package console

import (
	"bytes"
	"fmt"
	"io"
	"sync"
)

// The control sequences of ECMA-48 that a screen uses.
const (
	eraseToEndOfLine = "\x1b[K"
	eraseBelow       = "\x1b[J"
	clearAll         = "\x1b[H\x1b[2J"
)

// screen is some lines at the end of what a terminal shows, which are drawn anew
// as things change. What is written above them has to go through makeRoom.
type screen struct {
	w io.Writer

	mu     sync.Mutex // guards the fields below, and is held while w is written
	lines  int        // that are shown
	width  int        // of the terminal when they were drawn
	closed bool       // nothing is drawn any more
}

// show draws lines in place of those shown before; columns is the width of the
// terminal. The last line has no line feed, and no line may fill the terminal's
// last column: erasing the rest of such a line erases its last character.
//
// show and erase drop the errors of writing, since nothing depends on what they
// write.
func (s *screen) show(text []byte, columns int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	var b []byte
	if s.lines > 1 && columns < s.width {
		b = append(b, clearAll...) // some terminals have broken the lines anew
	} else {
		b = s.appendTop(b)
	}
	b = append(b, bytes.ReplaceAll(text, []byte("\n"), []byte(eraseToEndOfLine+"\n"))...)
	b = append(b, eraseToEndOfLine...)
	lines := bytes.Count(text, []byte("\n")) + 1
	if lines < s.lines {
		b = append(b, eraseBelow...)
	}
	s.lines, s.width = lines, columns
	_, _ = s.w.Write(b)
}

// appendTop appends what moves the cursor to the beginning of the first line.
func (s *screen) appendTop(b []byte) []byte {
	b = append(b, '\r')
	if s.lines > 1 {
		b = fmt.Appendf(b, "\x1b[%dA", s.lines-1)
	}
	return b
}

// makeRoom erases the lines and keeps them away while write writes to the same
// terminal.
func (s *screen) makeRoom(write func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.erase()
	return write()
}

// erase erases the lines. s.mu is held.
func (s *screen) erase() {
	if s.lines > 0 {
		_, _ = s.w.Write(append(s.appendTop(nil), eraseBelow...))
		s.lines = 0
	}
}

// close erases the lines for good.
func (s *screen) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.erase()
	s.closed = true
}
