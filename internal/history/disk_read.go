package history

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"
)

func (d *disk) blocks(k Key, from, to int64, f func(*block) error) error {
	days, err := d.days()
	if err != nil {
		return err
	}
	first, last := dayOf(from-maxSeconds), dayOf(to)
	for _, day := range days {
		if day < first || day > last {
			continue
		}
		err := d.with(day, false, func(db *bolt.DB) error {
			return db.View(func(tx *bolt.Tx) error {
				b := tx.Bucket(blocksBucket)
				if b == nil {
					return nil
				}
				at, err := time.Parse(dayFormat, day)
				if err != nil {
					return err
				}
				begin := max(at.Unix(), from-maxSeconds)
				end := min(at.Unix()+24*3600, to)
				return eachBlock(b.Cursor(), k, begin, end, func(p []byte) error { return readBlock(p, from, to, f) })
			})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// eachBlock calls f for the packed blocks of a target in the slots of a time.
func eachBlock(c *bolt.Cursor, k Key, begin, end int64, f func([]byte) error) error {
	for slot := k.slot(begin); slot <= k.slot(end); slot++ {
		prefix := blockPrefix(k, slot)
		for key, p := c.Seek(prefix); len(key) == len(prefix)+5 && bytes.HasPrefix(key, prefix); key, p = c.Next() {
			if err := f(p); err != nil {
				return err
			}
		}
	}
	return nil
}

// readBlock calls f with a block if it may have rounds of a time.
func readBlock(p []byte, from, to int64, f func(*block) error) error {
	b, _, _, _, err := unpackHead(p)
	if err != nil {
		return err
	}
	if b.last < from || b.start >= to {
		return nil
	}
	if b, err = unpack(p); err != nil {
		return err
	}
	return f(b)
}

// newest looks one day back.
func (d *disk) newest(k Key, before int64) int {
	usual := 0
	for _, day := range []string{dayOf(before - 24*3600), dayOf(before)} {
		err := d.with(day, false, func(db *bolt.DB) error {
			return db.View(func(tx *bolt.Tx) error {
				b := tx.Bucket(blocksBucket)
				if b == nil {
					return nil
				}
				return eachBlock(b.Cursor(), k, before-24*3600, before, func(p []byte) error {
					b, _, _, _, err := unpackHead(p)
					if err == nil && b.usual > 0 && b.usual <= maxBucket {
						usual = int(b.usual)
					}
					return err
				})
			})
		})
		if err != nil {
			d.log.Warn("history cannot be read", "error", err)
		}
	}
	return usual
}

func (d *disk) running(from, to int64) ([]Span, error) {
	days, err := d.days()
	if err != nil {
		return nil, err
	}
	var spans []Span
	for _, day := range days {
		if day < dayOf(from) || day > dayOf(to+24*3600) {
			continue
		}
		err := d.with(day, false, func(db *bolt.DB) error {
			return db.View(func(tx *bolt.Tx) error {
				b := tx.Bucket(runningBucket)
				if b == nil {
					return nil
				}
				return b.ForEach(func(k, v []byte) error {
					if len(k) != 8 || len(v) != 8 {
						return fmt.Errorf("a time of another length: %w", errBlock)
					}
					spans = append(spans, Span{int64(binary.BigEndian.Uint64(k)), int64(binary.BigEndian.Uint64(v))})
					return nil
				})
			})
		})
		if err != nil {
			return nil, err
		}
	}
	return spans, nil
}

func (d *disk) id(k Key) (id ID, ok bool) {
	days, err := d.days()
	if err != nil {
		d.log.Warn("history cannot be read", "error", err)
		return ID{}, false
	}
	for _, day := range slices.Backward(days) {
		err := d.with(day, false, func(db *bolt.DB) error {
			return db.View(func(tx *bolt.Tx) error {
				if b := tx.Bucket(targetsBucket); b != nil {
					if p := b.Get(k[:]); p != nil {
						id, ok = decodeID(p)
					}
				}
				return nil
			})
		})
		if err != nil {
			d.log.Warn("history cannot be read", "error", err)
		}
		if ok {
			return id, true
		}
	}
	return ID{}, false
}
