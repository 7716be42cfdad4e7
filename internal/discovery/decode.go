package discovery

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"go.yaml.in/yaml/v3"

	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/internal/hosts"
)

// The largest answers, in bytes. Of YAML the whole document is in memory while it is
// read, in many small pieces, and of JSON a group: in the worst case these are ten times
// as large as the text.
const (
	maxAnswer = 64 << 20
	maxYAML   = 16 << 20
	maxGroup  = 8 << 20
)

// group is an element of Prometheus' file_sd and http_sd: targets with the same
// labels.
type group struct {
	Targets []string          `json:"targets" yaml:"targets"`
	Labels  map[string]string `json:"labels" yaml:"labels,omitempty"`
}

var (
	errEmpty  = errors.New("is empty: want a list, and [] for one without targets")
	errNull   = errors.New("is null: want a list of targets")
	errBehind = errors.New("has something behind its end: want one list")
)

// tooLargeError is the error of an answer that is longer than a limit.
type tooLargeError struct{ limit int }

func (e *tooLargeError) Error() string {
	return fmt.Sprintf("is larger than %d MiB", e.limit>>20)
}

// bounded returns a reader of r that fails behind limit bytes.
func bounded(r io.Reader, limit int) io.Reader { return &boundedReader{r, limit, limit} }

type boundedReader struct {
	r           io.Reader
	left, limit int
}

func (b *boundedReader) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, &tooLargeError{b.limit}
	}
	if len(p) > b.left+1 { // one byte more shows that there is more
		p = p[:b.left+1]
	}
	n, err := b.r.Read(p)
	if b.left -= n; b.left < 0 {
		return n + b.left, &tooLargeError{b.limit}
	}
	return n, err
}

// decodeFile adds the targets of a file, by the end of its name.
func decodeFile(name string, r io.Reader, b *builder) error {
	switch filepath.Ext(name) {
	case ".json":
		return decodeJSON(bounded(r, maxAnswer), b)
	case ".txt":
		return decodeText(bounded(r, maxAnswer), b)
	}
	return decodeYAML(bounded(r, maxYAML), b)
}

// decodeJSON adds the targets of a list in JSON, one group after the other.
func decodeJSON(r io.Reader, b *builder) error {
	list, err := newElements(r)
	if err != nil {
		return err
	}
	for i := 0; ; i++ {
		raw, err := list.next()
		if err != nil || raw == nil {
			return err
		}
		if err := b.addJSON(i, raw); err != nil {
			return err
		}
	}
}

// shortened returns a text that is fit for a message.
func shortened(text string) string {
	if len(text) > 200 {
		return text[:200] + "..."
	}
	return text
}

// cut says what the end of a text in the middle of it means.
func cut(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("ends too early: it is not complete")
	}
	return err
}

// decodeGroup decodes one group. It refuses keys that a group does not have.
func decodeGroup(raw []byte) (*group, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	var g *group
	if err := d.Decode(&g); err != nil {
		return nil, err
	}
	switch {
	case d.InputOffset() != int64(len(raw)):
		return nil, errors.New("has something behind its end: want a comma")
	case g == nil:
		return nil, errNull
	}
	return g, nil
}

// decodeYAML adds the targets of a list in YAML.
func decodeYAML(r io.Reader, b *builder) error {
	d := yaml.NewDecoder(r)
	d.KnownFields(true)
	var groups []*group
	switch err := d.Decode(&groups); {
	case errors.Is(err, io.EOF):
		return errEmpty
	case err != nil:
		return firstOf(err)
	case groups == nil:
		return errNull
	}
	var more yaml.Node
	if err := d.Decode(&more); !errors.Is(err, io.EOF) {
		return errBehind
	}
	for i, g := range groups {
		if g == nil {
			return fmt.Errorf("[%d]: %w", i, errNull)
		}
		if err := b.addGroup(g, func(j int) string { return fmt.Sprintf("[%d].targets[%d]", i, j) }); err != nil {
			return err
		}
	}
	return nil
}

// firstOf returns the first of the errors of a YAML document, which may be many.
func firstOf(err error) error {
	if e := (*yaml.TypeError)(nil); errors.As(err, &e) && len(e.Errors) > 0 {
		more := ""
		if n := len(e.Errors) - 1; n > 0 {
			more = fmt.Sprintf(", and %d more faults", n)
		}
		return errors.New(shortened(e.Errors[0]) + more)
	}
	return err
}

// decodeText adds the targets of a text with one host a line.
func decodeText(r io.Reader, b *builder) error {
	g := &group{}
	var lines []int
	most := b.source.Most()
	err := hosts.ReadLines(r, func(n int, host []byte) error {
		if len(lines) > most {
			return fmt.Errorf("%w, %d", config.ErrTooLong, most)
		}
		g.Targets, lines = append(g.Targets, string(host)), append(lines, n)
		return nil
	})
	switch {
	case err != nil:
		return err
	case len(lines) == 0:
		return errors.New("has no host: want one on each line")
	}
	return b.addGroup(g, func(j int) string { return fmt.Sprintf("line %d", lines[j]) })
}
