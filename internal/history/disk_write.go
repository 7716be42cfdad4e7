package history

import (
	"encoding/binary"
	"fmt"
	"slices"

	bolt "go.etcd.io/bbolt"
)

func (d *disk) write(blocks []*sealed, changes []noted, running []Span) error {
	d.mu.Lock()
	full := d.full
	d.mu.Unlock()
	if full {
		return fmt.Errorf("%s: one day is larger than web.max_size", d.dir)
	}
	type day struct {
		blocks  []*sealed
		changes []noted
	}
	days := make(map[string]*day)
	of := func(at int64) *day {
		name := dayOf(at)
		if days[name] == nil {
			days[name] = new(day)
		}
		return days[name]
	}
	of(running[len(running)-1].End) // for the spans
	for _, b := range blocks {
		d := of(b.start)
		d.blocks = append(d.blocks, b)
	}
	for _, c := range changes {
		d := of(c.At)
		d.changes = append(d.changes, c)
	}
	for name, of := range days {
		err := d.with(name, true, func(db *bolt.DB) error {
			return db.Update(func(tx *bolt.Tx) error {
				if err := writeDay(tx, of.blocks, running); err != nil {
					return err
				}
				return writeChanges(tx, of.changes)
			})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// writeDay writes blocks of a day. A block that is there already stays as it is: an
// earlier call wrote it, and failed at another day.
func writeDay(tx *bolt.Tx, blocks []*sealed, running []Span) error {
	var of [3]*bolt.Bucket
	for i, name := range allBuckets {
		b, err := tx.CreateBucketIfNotExists(name)
		if err != nil {
			return err
		}
		b.FillPercent = 0.95 // keys come in their order, most of the time
		of[i] = b
	}
	for _, b := range blocks {
		if err := putBlock(of[0], b); err != nil {
			return err
		}
		if err := putTarget(of[1], b.of); err != nil {
			return err
		}
	}
	for _, s := range running {
		if err := of[2].Put(binary.BigEndian.AppendUint64(nil, uint64(s.Start)), binary.BigEndian.AppendUint64(nil, uint64(s.End))); err != nil {
			return err
		}
	}
	return nil
}

// writeChanges writes path changes of a day.
func writeChanges(tx *bolt.Tx, changes []noted) error {
	if len(changes) == 0 {
		return nil
	}
	to, err := tx.CreateBucketIfNotExists(changesBucket)
	if err != nil {
		return err
	}
	for i := range changes {
		if err := putChange(to, &changes[i]); err != nil {
			return err
		}
		if err := putTarget(tx.Bucket(targetsBucket), changes[i].of); err != nil {
			return err
		}
	}
	return nil
}

// putTarget writes what a target is known by, if it is not there yet.
func putTarget(to *bolt.Bucket, s *Series) error {
	if to.Get(s.key[:]) != nil {
		return nil
	}
	return to.Put(s.key[:], s.ID.encode())
}

// blockPrefix is what the keys of the blocks of a target in a slot begin with.
func blockPrefix(k Key, slot uint32) []byte {
	return append(binary.BigEndian.AppendUint32(nil, slot), k[:]...)
}

// putBlock writes a block.
func putBlock(to *bolt.Bucket, b *sealed) error {
	packed := b.pack()
	key := binary.BigEndian.AppendUint32(blockPrefix(b.of.key, b.of.key.slot(b.start)), uint32(b.start))
	for n := range 256 { // the clock was set back, and two blocks begin in the same second
		key := append(key, byte(n))
		old := to.Get(key)
		if old == nil {
			return to.Put(key, packed)
		}
		if slices.Equal(old, packed) {
			return nil
		}
	}
	return nil // a clock that is set back to the same second 256 times
}
