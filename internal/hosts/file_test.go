package hosts_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/pingtel/pingtel/internal/hosts"
)

// readAll returns the hosts of a file.
func readAll(r io.Reader) (list []string, err error) {
	err = hosts.ReadFile(r, func(h []byte) error {
		list = append(list, string(h))
		return nil
	})
	return list, err
}

func TestReadFile(t *testing.T) {
	tests := []struct {
		name, text string
		want       []string
	}{
		{"empty", "", nil},
		{"one a line", "a\nb\n", []string{"a", "b"}},
		{"no line end at the end", "a\nb", []string{"a", "b"}},
		{"comments and blanks", "# all\n\n \t\na # first\n#b\nc#d\n", []string{"a", "c"}},
		{"lines of Windows", "\uFEFFa\r\nb\r\n", []string{"a", "b"}},
		{"blanks around", "  a\t\n\u00a0b\n", []string{"a", "b"}},
		{"zone", "fe80::1%eth0\n", []string{"fe80::1%eth0"}},
		{"longest line", strings.Repeat("x", 4095) + "\na\n", []string{strings.Repeat("x", 4095), "a"}},
	}
	for _, tt := range tests {
		for form, r := range map[string]io.Reader{"whole": strings.NewReader(tt.text), "byte by byte": iotest.OneByteReader(strings.NewReader(tt.text))} {
			got, err := readAll(r)
			if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
				t.Errorf("%s, %s: error %v, hosts (-want +got)\n%s", tt.name, form, err, diff)
			}
		}
	}
}

func TestReadFileFails(t *testing.T) {
	list, err := readAll(strings.NewReader("a\n" + strings.Repeat("x", 5000) + "\nb\n"))
	if !errors.Is(err, hosts.ErrLineTooLong) || !strings.Contains(err.Error(), "line 2") || len(list) != 1 {
		t.Errorf("too long a line: %v, %v", list, err)
	}
	if _, err = readAll(strings.NewReader(strings.Repeat("x", 1<<20))); !errors.Is(err, hosts.ErrLineTooLong) {
		t.Errorf("a megabyte without a line end: %v", err)
	}
	broken := errors.New("broken")
	list, err = readAll(io.MultiReader(strings.NewReader("a\nb\n"), iotest.ErrReader(broken)))
	if !errors.Is(err, broken) || len(list) != 2 {
		t.Errorf("a file that breaks off: %v, %v", list, err)
	}
	enough := errors.New("enough")
	err = hosts.ReadFile(strings.NewReader("a\nb\n"), func([]byte) error { return enough })
	if !errors.Is(err, enough) {
		t.Errorf("host returned %v, ReadFile %v", enough, err)
	}
}

func FuzzReadFile(f *testing.F) {
	for _, s := range []string{"a\nb # c\n", "\uFEFF#\r\n", strings.Repeat("y", 5000)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		list, err := readAll(bytes.NewReader(text))
		slow, slowErr := readAll(iotest.OneByteReader(bytes.NewReader(text)))
		if !cmp.Equal(list, slow) || (err == nil) != (slowErr == nil) {
			t.Errorf("whole: %q, %v; byte by byte: %q, %v", list, err, slow, slowErr)
		}
		for _, h := range list {
			again, err := readAll(strings.NewReader("\n" + h)) // not the first line: no byte order mark
			if err != nil || len(again) != 1 || again[0] != h || strings.ContainsAny(h, "#\n") {
				t.Errorf("host %q is read again as %q, %v", h, again, err)
			}
		}
	})
}
