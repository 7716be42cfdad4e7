package history

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"
)

// view calls f with a bucket of a day, if that is there.
func (d *disk) view(day string, bucket []byte, f func(*bolt.Bucket) error) error {
	return d.with(day, false, func(db *bolt.DB) error {
		return db.View(func(tx *bolt.Tx) error {
			if b := tx.Bucket(bucket); b != nil {
				return f(b)
			}
			return nil
		})
	})
}

// viewDays calls f with a bucket of each day, from the one of a time to that of another.
func (d *disk) viewDays(bucket []byte, from, to int64, f func(day string, b *bolt.Bucket) error) error {
	days, err := d.days()
	if err != nil {
		return err
	}
	first, last := dayOf(from), dayOf(to)
	for _, day := range days {
		if day < first || day > last {
			continue
		}
		if err := d.view(day, bucket, func(b *bolt.Bucket) error { return f(day, b) }); err != nil {
			return err
		}
	}
	return nil
}

func (d *disk) blocks(k Key, from, to int64, f func(*block) error) error {
	return d.viewDays(blocksBucket, from-maxSeconds, to, func(day string, b *bolt.Bucket) error {
		at, err := time.Parse(dayFormat, day)
		if err != nil {
			return err
		}
		begin := max(at.Unix(), from-maxSeconds)
		end := min(at.Unix()+24*3600, to)
		return eachBlock(b.Cursor(), k, begin, end, func(p []byte) error { return readBlock(p, from, to, f) })
	})
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
		err := d.view(day, blocksBucket, func(b *bolt.Bucket) error {
			return eachBlock(b.Cursor(), k, before-24*3600, before, func(p []byte) error {
				b, _, _, _, err := unpackHead(p)
				if err == nil && b.usual > 0 && b.usual <= maxBucket {
					usual = int(b.usual)
				}
				return err
			})
		})
		if err != nil {
			d.log.Warn("history cannot be read", "error", err)
		}
	}
	return usual
}

func (d *disk) running(from, to int64) (spans []Span, err error) {
	err = d.viewDays(runningBucket, from, to+24*3600, func(_ string, b *bolt.Bucket) error {
		return b.ForEach(func(k, v []byte) error {
			if len(k) != 8 || len(v) != 8 {
				return fmt.Errorf("a time of another length: %w", errBlock)
			}
			spans = append(spans, Span{int64(binary.BigEndian.Uint64(k)), int64(binary.BigEndian.Uint64(v))})
			return nil
		})
	})
	if err != nil {
		return nil, err
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
		err := d.view(day, targetsBucket, func(b *bolt.Bucket) error {
			if p := b.Get(k[:]); p != nil {
				id, ok = decodeID(p)
			}
			return nil
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
