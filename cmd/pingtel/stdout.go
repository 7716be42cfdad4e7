package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
)

// errReaderLeft means that whoever read stdout has gone, as head(1) does.
var errReaderLeft = errors.New("nobody reads stdout any more")

// stdout is where the data of every command goes. It keeps the first failure:
// a command whose result could not be written has not succeeded, whether or not
// it looked at the error.
type stdout struct {
	w io.Writer

	mu  sync.Mutex // guards err; not held while w is written, which may block
	err error
}

func newStdout(w io.Writer) *stdout {
	if w == os.Stdout && closedAtStart() {
		w = closedWriter{}
	}
	return &stdout{w: w}
}

// Write writes to stdout. It returns errReaderLeft instead of EPIPE, which a
// connection can fail with too.
func (s *stdout) Write(b []byte) (int, error) {
	n, err := s.w.Write(b)
	if errors.Is(err, syscall.EPIPE) {
		err = errReaderLeft
	}
	s.keep(err)
	return n, err
}

func (s *stdout) keep(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
	}
}

// finish returns the first failure. It closes the process's own stdout, since a
// file system may report only then that it had no room (close(2)).
func (s *stdout) finish() error {
	if f, ok := s.w.(*os.File); ok && f == os.Stdout {
		if err := f.Close(); err != nil {
			s.keep(err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// closedWriter stands for a stdout that is closed.
type closedWriter struct{}

func (closedWriter) Write([]byte) (int, error) {
	return 0, fmt.Errorf("stdout is closed: %w", syscall.EBADF)
}

// withoutReaderLeft returns err without errReaderLeft, which nobody needs to be
// told, nil where nothing remains. It looks into joined errors.
func withoutReaderLeft(err error) error {
	if !errors.Is(err, errReaderLeft) {
		return err
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return nil
	}
	var rest []error
	for _, e := range joined.Unwrap() {
		rest = append(rest, withoutReaderLeft(e))
	}
	return errors.Join(rest...)
}
