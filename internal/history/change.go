package history

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	bolt "go.etcd.io/bbolt"
)

// maxChanges bounds the path changes in memory: those that wait for the disk, or all of
// a history in memory.
const maxChanges = 4096

// PathChange says that the path to a target is another one.
type PathChange struct {
	At     int64  // Unix seconds of the trace that took the new path
	Since  int64  // Unix seconds of the trace that last took the old one: the change came after it
	Before string // the addresses of the old path, with blanks between; * is a hop that is not known
	After  string
	Text   string // the verdict, one sentence
}

// noted is a path change of a target.
type noted struct {
	of *Series
	PathChange
}

// RecordPathChange notes that the path has changed. It does not block.
func (s *Series) RecordPathChange(c PathChange) {
	if c.At < 0 || c.Since < 0 {
		return // the clock is not set
	}
	h := s.h
	h.queueMu.Lock()
	defer h.queueMu.Unlock()
	if len(h.changes) >= maxChanges {
		h.changesDropped++
		return
	}
	h.changes = append(h.changes, noted{s, c})
}

// PathChangesDropped returns how many path changes were not kept because the disk did
// not take them.
func (h *History) PathChangesDropped() uint64 {
	h.queueMu.Lock()
	defer h.queueMu.Unlock()
	return h.changesDropped
}

// PathChanges returns the changes of the path to a target from one time to before
// another, the oldest first.
func (h *History) PathChanges(k Key, from, to int64) ([]PathChange, error) {
	h.commit.RLock()
	defer h.commit.RUnlock()
	list, err := h.store.changes(k, from, to)
	if err != nil {
		return nil, err
	}
	h.queueMu.Lock()
	list = appendChanges(list, h.changes, k, from, to)
	h.queueMu.Unlock()
	slices.SortStableFunc(list, func(a, b PathChange) int { return int(a.At - b.At) })
	return list, nil
}

// encode returns the bytes of a change, without its time.
func (c *PathChange) encode() []byte {
	b := binary.AppendUvarint(nil, uint64(c.Since))
	for _, s := range []string{c.Before, c.After, c.Text} {
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	return b
}

// decodeChange is the inverse of encode.
func decodeChange(p []byte) (c PathChange, err error) {
	d := decoder{p: p}
	c.Since = int64(d.number())
	c.Before, c.After, c.Text = d.text(), d.text(), d.text()
	if d.bad || len(d.p) > 0 || c.Since < 0 {
		return PathChange{}, fmt.Errorf("a path change that makes no sense: %w", errBlock)
	}
	return c, nil
}

// putChange writes a change.
func putChange(to *bolt.Bucket, c *noted) error {
	key := binary.BigEndian.AppendUint64(slices.Clone(c.of.key[:]), uint64(c.At))
	return to.Put(key, c.encode())
}

func (d *disk) changes(k Key, from, to int64) (list []PathChange, err error) {
	first := binary.BigEndian.AppendUint64(slices.Clone(k[:]), uint64(max(from, 0)))
	err = d.viewDays(changesBucket, from, to, func(_ string, b *bolt.Bucket) error {
		c := b.Cursor()
		for key, p := c.Seek(first); len(key) == len(first) && bytes.HasPrefix(key, k[:]); key, p = c.Next() {
			at := int64(binary.BigEndian.Uint64(key[len(k):]))
			if at >= to {
				break
			}
			change, err := decodeChange(p)
			if err != nil {
				return err
			}
			change.At = at
			list = append(list, change)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

func (m *memory) changes(k Key, from, to int64) ([]PathChange, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return appendChanges(nil, m.noted, k, from, to), nil
}

// appendChanges appends the changes of a target from one time to before another.
func appendChanges(list []PathChange, all []noted, k Key, from, to int64) []PathChange {
	for i := range all {
		if c := &all[i]; c.of.key == k && c.At >= from && c.At < to {
			list = append(list, c.PathChange)
		}
	}
	return list
}
