//go:build unix

package peer

import (
	"bytes"
	"io"
)

// EachLine returns a writer that calls each for every whole line, without its end. It is
// for one goroutine, as the output of a command is.
func EachLine(each func(line string)) io.Writer { return &lines{each: each} }

type lines struct {
	each func(string)
	rest []byte // of a line
}

func (l *lines) Write(b []byte) (int, error) {
	l.rest = append(l.rest, b...)
	for {
		line, rest, whole := bytes.Cut(l.rest, []byte("\n"))
		if !whole {
			l.rest = append(l.rest[:0], l.rest...)
			return len(b), nil
		}
		l.each(string(line))
		l.rest = rest
	}
}
