package sweep

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// maxLine is the longest line of a hosts file that is read. The longest name
// in the DNS has 253 characters.
const maxLine = 4096

// ErrLineTooLong is the fault of a line that can be no host.
var ErrLineTooLong = errors.New("line of more than 4096 bytes: want one host a line")

// ReadHosts calls host for each host in a file of one host a line, as it is
// read. A # begins a comment; blank lines, blanks around a host and a byte
// order mark at the beginning are nothing. It stops at the end of the file or
// where host returns an error, and returns that error or the one of reading,
// behind the line's number. The slice is host's only until it returns.
func ReadHosts(r io.Reader, host func([]byte) error) error {
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
			if herr := host(line); herr != nil {
				return fmt.Errorf("line %d: %w", n, herr)
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
