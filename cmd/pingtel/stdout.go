package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
)

// errReaderLeft means that the reader of stdout has closed it, as head(1) does.
var errReaderLeft = errors.New("nobody reads stdout any more")

// stdout takes the data of every command. It keeps the first failure: a command whose
// result could not be written has failed, even if it did not check the error.
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

// Write writes to stdout. It returns errReaderLeft instead of EPIPE, because EPIPE can
// also be the error of a connection.
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

// finish returns the first failure. It closes the process's own stdout, since a file
// system may report a full disk only then (close(2)).
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

// closedWriter replaces a closed stdout.
type closedWriter struct{}

func (closedWriter) Write([]byte) (int, error) {
	return 0, fmt.Errorf("stdout is closed: %w", syscall.EBADF)
}

// withoutReaderLeft returns err without errReaderLeft, which is not worth a message. It
// looks into joined errors, and returns nil if no other error remains.
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
