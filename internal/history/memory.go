package history

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// memoryMost bounds a history in memory, in bytes, whatever its settings allow. It is
// two days of 500 targets.
const memoryMost = 64 << 20

// memory is a store that ends with the process.
type memory struct {
	keep time.Duration
	most int64

	mu    sync.RWMutex // guards what follows
	of    map[Key]*kept
	order []Key // of all blocks, the oldest first
	size  int64
	spans []Span  // ascending by when they were written
	noted []noted // the newest path changes
}

// kept are the blocks of a target, in the order of their ends.
type kept struct {
	id     ID
	blocks [][]byte
}

func newMemory(o Options) *memory {
	return &memory{keep: o.Keep, most: min(o.MaxSize, memoryMost), of: make(map[Key]*kept)}
}

func (m *memory) String() string {
	return fmt.Sprintf("in memory, %d MiB at most", m.most>>20)
}

// overhead is what a block takes besides its bytes.
const overhead = 60

func (m *memory) write(blocks []*sealed, changes []noted, running []Span) error {
	packed := make([][]byte, len(blocks))
	for i, b := range blocks {
		packed[i] = b.pack()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, b := range blocks {
		of := m.of[b.of.key]
		if of == nil {
			of = &kept{id: b.of.ID}
			m.of[b.of.key] = of
		}
		of.blocks = append(of.blocks, packed[i])
		m.order = append(m.order, b.of.key)
		m.size += int64(len(packed[i]) + overhead)
	}
	for m.size > m.most {
		m.removeOldest()
	}
	m.noted = append(m.noted, changes...)
	m.noted = slices.Delete(m.noted, 0, max(0, len(m.noted)-maxChanges))
	for _, s := range running {
		if n := len(m.spans); n > 0 && m.spans[n-1].Start == s.Start {
			m.spans = m.spans[:n-1]
		}
		m.spans = append(m.spans, s)
	}
	return nil
}

// removeOldest removes the oldest block of all. m.mu is held.
func (m *memory) removeOldest() {
	k := m.order[0]
	of := m.of[k]
	m.size -= int64(len(of.blocks[0]) + overhead)
	of.blocks[0] = nil // for the garbage collector
	of.blocks, m.order = of.blocks[1:], m.order[1:]
	if len(of.blocks) == 0 {
		delete(m.of, k)
	}
}

func (m *memory) blocks(k Key, from, to int64, f func(*block) error) error {
	m.mu.RLock()
	defer m.mu.RUnlock()
	of := m.of[k]
	if of == nil {
		return nil
	}
	for _, p := range of.blocks {
		b, _, _, _, err := unpackHead(p)
		if err == nil && (b.last < from || b.start >= to) {
			continue
		}
		if b, err = unpack(p); err == nil {
			err = f(b)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (m *memory) newest(Key, int64) int { return 0 }

func (m *memory) running(int64, int64) ([]Span, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return append([]Span(nil), m.spans...), nil
}

func (m *memory) id(k Key) (ID, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if of := m.of[k]; of != nil {
		return of.id, true
	}
	return ID{}, false
}

func (m *memory) expire(now time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.noted = slices.DeleteFunc(m.noted, func(c noted) bool { return c.At < now.Add(-m.keep).Unix() })
	for len(m.order) > 0 {
		b, _, _, _, err := unpackHead(m.of[m.order[0]].blocks[0])
		if err != nil {
			return err
		}
		if b.last >= now.Add(-m.keep).Unix() {
			return nil
		}
		m.removeOldest()
	}
	return nil
}

func (m *memory) close() error { return nil }
