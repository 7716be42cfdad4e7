package hosts

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// maxLine is the longest line that a hosts file may have. The longest name in the
// DNS has 253 characters.
const maxLine = 4096

// ErrLineTooLong is the fault of a line that is too long to be a host.
var ErrLineTooLong = errors.New("line of more than 4096 bytes: want one host a line")

// ReadFile reads a file with one host on each line, and calls yield for each while
// it reads. It does not expand prefixes and ranges: see [Given]. A # begins a
// comment. ReadFile skips empty lines, blanks around a host, and a byte order mark
// at the start. It stops at the end of the file or when yield returns an error.
// Its error, that of yield or that of reading, has the number of the line. The
// slice is valid until yield returns.
func ReadFile(r io.Reader, yield func([]byte) error) error {
	return ReadLines(r, func(_ int, host []byte) error { return yield(host) })
}

// ReadLines is [ReadFile] for a yield that also gets the number of the line, from 1.
func ReadLines(r io.Reader, yield func(int, []byte) error) error {
	br := bufio.NewReaderSize(r, 64<<10)
	for n := 1; ; n++ {
		line, err := br.ReadSlice('\n')
		if len(line) > maxLine {
			return fmt.Errorf("line %d: %w", n, ErrLineTooLong)
		}
		if n == 1 {
			line = bytes.TrimPrefix(line, []byte("\uFEFF"))
		}
		line, _, _ = bytes.Cut(line, []byte("#"))
		if line = bytes.TrimSpace(line); len(line) > 0 {
			if yerr := yield(n, line); yerr != nil {
				return fmt.Errorf("line %d: %w", n, yerr)
			}
		}
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
}
