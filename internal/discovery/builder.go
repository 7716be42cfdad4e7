package discovery

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/pingtel/pingtel/internal/config"
)

// maxFaults is how many faults of a list are kept to be told; the others are counted.
const maxFaults = 10

// builder makes a list of targets from an answer of a source.
type builder struct {
	source *config.Source
	list   *config.List
	copy   *copyWriter // nil: no copy is kept

	faults  []string // of targets, the first maxFaults
	refused int      // targets
	groups  int
}

// addGroup adds the targets of a group. at says where a target stands.
func (b *builder) addGroup(g *group, at func(int) string) error {
	if b.copy != nil {
		raw, err := json.Marshal(g)
		if err != nil {
			return err // cannot happen: all of it is text
		}
		b.copy.add(raw)
	}
	if err := b.count(); err != nil {
		return err
	}
	_, err := b.add(g, at)
	return err
}

// count counts a group. A list with more groups than targets are allowed is too long
// even if they have none, since each takes time and memory.
func (b *builder) count() error {
	if b.groups++; b.groups > b.source.Most() {
		return b.tooLong()
	}
	return nil
}

func (b *builder) tooLong() error { return fmt.Errorf("%w, %d", config.ErrTooLong, b.source.Most()) }

// addJSON adds the targets of a group in JSON.
func (b *builder) addJSON(i int, raw []byte) error {
	if b.copy != nil {
		b.copy.add(raw)
	}
	if err := b.count(); err != nil {
		return err
	}
	return b.list.Again(raw, func() (bool, error) {
		g, err := decodeGroup(raw)
		if err != nil {
			return false, fmt.Errorf("[%d]: %w", i, err)
		}
		return b.add(g, func(j int) string { return fmt.Sprintf("[%d].targets[%d]", i, j) })
	})
}

// add adds the targets of a group. plain reports whether each text is one host.
func (b *builder) add(g *group, at func(int) string) (plain bool, err error) {
	b.list.Group(g.Labels)
	plain = true
	for j, text := range g.Targets {
		several, err := b.list.Add(text)
		plain = plain && !several && err == nil
		switch {
		case errors.Is(err, config.ErrTooLong):
			return false, err
		case err != nil:
			b.refuse(at(j), err)
			if b.refused > b.source.Most() { // what cannot be a target counts too
				return false, b.tooLong()
			}
		}
	}
	return plain, nil
}

// refuse notes a target that cannot be one.
func (b *builder) refuse(at string, err error) {
	if b.refused++; len(b.faults) < maxFaults {
		b.faults = append(b.faults, at+": "+err.Error())
	}
}
