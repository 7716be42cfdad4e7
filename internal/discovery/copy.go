package discovery

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// A copy of a list outlives a restart. It is a file in a folder of the state: a line
// that says whose list it is, the list in JSON, and a line with a sum of what is
// before it. So a file that is cut short, or is another source's, is recognised.

// copyHeader is the first line of a copy.
type copyHeader struct {
	Format string `json:"format"`
	Source string `json:"source"`
	Part   string `json:"part,omitempty"`
}

const (
	copyFormat = "pingtel targets 1"
	newCopy    = "new-" // begins the name of a copy that is being written
)

// copyEnd is the last line of a copy.
type copyEnd struct {
	CRC32 uint32 `json:"crc32"`
}

// copies is the folder of the copies. The zero value has none.
type copies struct {
	folder string
	write  bool // else they are only read
}

func copiesIn(state string, write bool) copies {
	if state == "" {
		return copies{}
	}
	return copies{filepath.Join(state, "targets"), write}
}

// kept reports whether copies are written.
func (c copies) kept() bool { return c.folder != "" && c.write }

// path returns the name of the copy of a part of a source.
func (c copies) path(source, part string) string {
	sum := sha256.Sum256([]byte(source + "\x00" + part))
	return filepath.Join(c.folder, hex.EncodeToString(sum[:12])+".list")
}

// copyWriter writes a copy, beside the one that is there until commit replaces it.
type copyWriter struct {
	path string
	file *os.File
	out  *bufio.Writer
	crc  uint32
	any  bool
	err  error // the first one
}

// create begins a copy. It returns nil if none are kept.
func (c copies) create(source, part string) *copyWriter {
	if !c.kept() {
		return nil
	}
	w := &copyWriter{path: c.path(source, part)}
	if w.err = os.MkdirAll(c.folder, 0o700); w.err != nil {
		return w
	}
	if w.file, w.err = os.CreateTemp(c.folder, newCopy+"*"); w.err != nil { // mode 0600
		return w
	}
	w.out = bufio.NewWriterSize(w.file, 64<<10)
	header, err := json.Marshal(copyHeader{copyFormat, source, part})
	if err != nil {
		w.err = err
	}
	w.write(append(header, "\n["...))
	return w
}

func (w *copyWriter) write(b []byte) {
	if w.err == nil {
		w.crc = crc32.Update(w.crc, crc32.IEEETable, b)
		_, w.err = w.out.Write(b)
	}
}

// add adds a group in JSON.
func (w *copyWriter) add(raw []byte) {
	if w.any {
		w.write([]byte(",\n"))
	}
	w.any = true
	w.write(raw)
}

// commit puts the copy in the place of the one before.
func (w *copyWriter) commit() error {
	if w == nil {
		return nil
	}
	w.write([]byte("]\n"))
	end, err := json.Marshal(copyEnd{w.crc})
	w.write(append(end, '\n'))
	if w.err == nil {
		w.err = err
	}
	if w.err == nil {
		w.err = w.out.Flush()
	}
	if w.err == nil {
		w.err = w.file.Sync()
	}
	if w.err == nil {
		w.err = os.Rename(w.file.Name(), w.path)
	}
	if w.err != nil {
		w.abandon()
		return w.err
	}
	return w.file.Close()
}

// abandon removes what was written.
func (w *copyWriter) abandon() {
	if w == nil || w.file == nil {
		return
	}
	w.file.Close()           // what it holds is not wanted
	os.Remove(w.file.Name()) // a file that stays is overwritten by nobody, and is ignored
}

// confirm notes that the source has given the list of a copy again just now. The age
// of a list is that of its file.
func (c copies) confirm(source, part string, now time.Time) error {
	if !c.kept() {
		return nil
	}
	return os.Chtimes(c.path(source, part), now, now)
}

// prune removes the copies of a source that are not of these parts, and what a
// process left that ended while it wrote one.
func (c copies) prune(source string, parts []*part) error {
	if !c.kept() {
		return nil
	}
	keep := make(map[string]bool)
	for _, p := range parts {
		keep[c.path(source, p.name)] = true
	}
	entries, err := os.ReadDir(c.folder)
	for _, e := range entries {
		path := filepath.Join(c.folder, e.Name())
		if info, err := e.Info(); err == nil && strings.HasPrefix(e.Name(), newCopy) && time.Since(info.ModTime()) > time.Hour {
			os.Remove(path) // it is tried again
		}
		if !strings.HasSuffix(e.Name(), ".list") || keep[path] {
			continue
		}
		if head, _, _, err := readCopy(path, ""); err == nil && head.Source == source {
			os.Remove(path) // it is tried again
		}
	}
	return err
}

// read calls yield for each copy of a source, with the name of the part, the time at
// which the source last gave it, and the list in JSON. It calls fault for files that
// are no whole copies, or not in their place.
func (c copies) read(source string, yield func(part string, at time.Time, list io.Reader), fault func(error)) {
	if c.folder == "" {
		return
	}
	entries, err := os.ReadDir(c.folder)
	if err != nil {
		if !errors.Is(err, os.ErrNotExist) {
			fault(err)
		}
		return
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".list") {
			continue
		}
		path := filepath.Join(c.folder, e.Name())
		head, body, at, err := readCopy(path, source)
		switch {
		case err != nil:
			fault(fmt.Errorf("%s is ignored: %w", path, err))
		case path != c.path(head.Source, head.Part):
			fault(fmt.Errorf("%s is ignored: it is a copy of %s under another name", path, head.Source))
		case head.Source == source:
			yield(head.Part, at, bytes.NewReader(body))
		}
	}
}

// readCopy reads a copy. Of a source that is not wanted it reads the first line only.
func readCopy(path, wanted string) (head copyHeader, list []byte, at time.Time, err error) {
	f, err := os.Open(path)
	if err != nil {
		return head, nil, at, err
	}
	defer f.Close() // it was only read
	info, err := f.Stat()
	if err != nil {
		return head, nil, at, err
	}
	in := bufio.NewReader(bounded(f, 2*maxAnswer))
	first, err := in.ReadBytes('\n')
	if err != nil {
		return head, nil, at, errTorn
	}
	if err := json.Unmarshal(first, &head); err != nil || head.Format != copyFormat {
		return head, nil, at, errors.New("it is not a list that pingtel has written")
	}
	if head.Source != wanted {
		return head, nil, at, nil
	}
	list, err = io.ReadAll(in)
	if err != nil {
		return head, nil, at, err
	}
	last := bytes.LastIndexByte(bytes.TrimSuffix(list, []byte("\n")), '\n') + 1
	var end copyEnd
	if json.Unmarshal(list[last:], &end) != nil || !bytes.HasPrefix(list[last:], []byte(`{"crc32":`)) {
		return head, nil, at, errTorn
	}
	list = list[:last]
	if sum := crc32.Update(crc32.ChecksumIEEE(first), crc32.IEEETable, list); sum != end.CRC32 {
		return head, nil, at, errTorn
	}
	return head, list, info.ModTime(), nil
}

var errTorn = errors.New("it is not complete, or was changed")
