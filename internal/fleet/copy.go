package fleet

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/pingtel/pingtel/internal/config"
)

const (
	copyFormat = "pingtel members 1"
	copyName   = "members.json"

	// maxCopy is more than a copy of MaxMembers members has, in bytes.
	maxCopy = 1 << 20
)

// memory is a copy of the members on disk, for a start while it cannot be known who is
// there. The zero value keeps none. It is not safe for concurrent use.
type memory struct {
	file  string // "" for none
	place string // of this prober, and where the members are known: a copy counts only for this
	kept  lastView
	at    time.Time // when the file was last written or confirmed
}

// lastView is who was there, by what this prober knew last.
type lastView struct {
	Self   Member // under its name in a list
	Others []Member
}

func (l lastView) equal(o lastView) bool { return l.Self == o.Self && slices.Equal(l.Others, o.Others) }

// savedCopy is the file.
type savedCopy struct {
	Format string
	Place  string
	lastView
}

func newMemory(c *config.Config) memory {
	if c.Agent.State == "" {
		return memory{}
	}
	m := c.Fleet.Members
	place := fmt.Sprintf("%s in the zone %q by %s", c.Fleet.Member, c.Fleet.Zone, m.Place())
	if m.Source == nil {
		place += " " + m.Bucket
	}
	return memory{file: filepath.Join(c.Agent.State, "fleet", copyName), place: place}
}

// keep writes who is there, if that has changed. Its age is that of the file: it is
// confirmed once in a refresh.
func (m *memory) keep(l lastView, now time.Time, refresh time.Duration) error {
	same := l.equal(m.kept)
	if m.file == "" || same && now.Sub(m.at) < refresh {
		return nil
	}
	m.at = now // also if it fails: it is tried again after a refresh
	if same {
		return os.Chtimes(m.file, now, now)
	}
	if err := m.write(l); err != nil {
		return err
	}
	m.kept = l
	return nil
}

// write replaces the file.
func (m *memory) write(l lastView) error {
	text, err := json.Marshal(savedCopy{copyFormat, m.place, l})
	if err != nil {
		return err
	}
	folder := filepath.Dir(m.file)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	f, err := os.Create(m.file + ".new")
	if err != nil {
		return err
	}
	_, err = f.Write(append(text, '\n'))
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), m.file)
}

// read returns who was there, and when that was last known. It returns nobody if there
// is no file.
func (m *memory) read() (l lastView, at time.Time, err error) {
	if m.file == "" {
		return l, at, nil
	}
	f, err := os.Open(m.file)
	if errors.Is(err, os.ErrNotExist) {
		return l, at, nil
	}
	if err != nil {
		return l, at, err
	}
	defer f.Close() // it was only read
	info, err := f.Stat()
	if err != nil {
		return l, at, err
	}
	text, err := io.ReadAll(io.LimitReader(f, maxCopy+1))
	if err != nil {
		return l, at, err
	}
	if l, err = readCopy(text, m.place); err != nil {
		return l, at, fmt.Errorf("%s is ignored: %w", m.file, err)
	}
	return l, info.ModTime(), nil
}

// readCopy reads the text of a copy. It returns nobody with an error.
func readCopy(text []byte, place string) (lastView, error) {
	if len(text) > maxCopy {
		return lastView{}, fmt.Errorf("it has more than %d bytes", maxCopy)
	}
	var c savedCopy
	if err := json.Unmarshal(text, &c); err != nil {
		return lastView{}, fmt.Errorf("it is not complete, or was changed: %w", err)
	}
	switch {
	case c.Format != copyFormat:
		return lastView{}, errors.New("it is not a list of members that pingtel has written")
	case c.Place != place:
		return lastView{}, fmt.Errorf("it is a copy of %s, want one of %s", c.Place, place)
	case len(c.Others) >= config.MaxMembers:
		return lastView{}, fmt.Errorf("it has %d members: want at most %d", len(c.Others)+1, config.MaxMembers)
	}
	for _, m := range append([]Member{c.Self}, c.Others...) {
		if err := config.CheckMember(m.Name); err != nil {
			return lastView{}, fmt.Errorf("a member is %w", err)
		}
		if m.Zone != "" {
			if err := config.CheckMember(m.Zone); err != nil {
				return lastView{}, fmt.Errorf("the zone of %s is %w", m.Name, err)
			}
		}
	}
	return c.lastView, nil
}
