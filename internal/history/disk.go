package history

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
)

const (
	dayFormat = time.DateOnly
	suffix    = ".db"

	// lockTime is how long to wait for a file that another process has open. It is
	// longer than the end of a process takes.
	lockTime = 6 * time.Second

	// pageSize is small because a block has about a kilobyte: bbolt puts two at
	// least into a page, or into a few.
	pageSize = 1024

	// closeAfter is how long a file stays open that nobody uses.
	closeAfter = time.Minute

	// maxSeconds is the longest that a block may be: a target whose rounds are
	// rarer than the sweeps has blocks that end late.
	maxSeconds = blockSeconds + 120
)

// The buckets of a file.
var (
	blocksBucket  = []byte("blocks")  // by slot, key, start and number: packed blocks
	targetsBucket = []byte("targets") // by key: encoded IDs
	runningBucket = []byte("running") // by start: end
	allBuckets    = [][]byte{blocksBucket, targetsBucket, runningBucket}
)

// disk is a store in files, one for each day (UTC) on which blocks begin.
type disk struct {
	dir  string
	keep time.Duration
	most int64
	log  *slog.Logger

	noSync bool

	mu      sync.Mutex // guards what follows
	open    map[string]*dayFile
	removed time.Time // when a file was last removed because of its age
	full    bool      // the newest file alone is larger than allowed
}

// dayFile is an open file.
type dayFile struct {
	db   *bolt.DB
	refs int
	used time.Time
}

// openDisk opens the files of a folder. It sets aside those that it cannot read.
func openDisk(o Options) (*disk, error) {
	d := &disk{dir: o.Dir, keep: o.Keep, most: o.MaxSize, log: o.Log, noSync: o.noSync, open: make(map[string]*dayFile), removed: o.Now}
	if err := os.MkdirAll(d.dir, 0o750); err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	days, err := d.days()
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	for _, day := range days {
		if err := d.with(day, false, func(*bolt.DB) error { return nil }); err != nil {
			return nil, fmt.Errorf("history: %w", err)
		}
	}
	return d, nil
}

func (d *disk) String() string { return d.dir }

func (d *disk) path(day string) string { return filepath.Join(d.dir, day+suffix) }

// days returns the days that have a file, ascending.
func (d *disk) days() ([]string, error) {
	entries, err := os.ReadDir(d.dir) // in order
	if err != nil {
		return nil, err
	}
	var days []string
	for _, e := range entries {
		day, ok := strings.CutSuffix(e.Name(), suffix)
		if !ok {
			continue
		}
		if _, err := time.Parse(dayFormat, day); err == nil {
			days = append(days, day)
		}
	}
	return days, nil
}

func dayOf(at int64) string { return time.Unix(at, 0).UTC().Format(dayFormat) }

// with calls f with the file of a day. If there is none, it makes one, or does not
// call f. A file that turns out to be damaged is set aside: the error is nil unless f
// writes.
func (d *disk) with(day string, create bool, f func(*bolt.DB) error) error {
	file, err := d.acquire(day, create)
	if file != nil && err == nil {
		err = guarded(func() error { return f(file.db) })
	}
	if err != nil && damaged(err) {
		d.setAside(day, file, err)
		if !create {
			return nil
		}
	} else if file != nil {
		d.release(file)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", d.path(day), err)
	}
	return nil
}

// acquire opens the file of a day. The file is nil if there is none.
func (d *disk) acquire(day string, create bool) (*dayFile, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if f := d.open[day]; f != nil {
		f.refs++
		f.used = time.Now()
		return f, nil
	}
	path := d.path(day)
	_, err := os.Stat(path)
	isNew := errors.Is(err, fs.ErrNotExist)
	if isNew && !create {
		return nil, nil
	}
	var db *bolt.DB
	err = guarded(func() (err error) {
		db, err = openFile(path, d.noSync)
		return err
	})
	if err != nil {
		if isNew { // the disk is full, for example
			err = errors.Join(err, os.Remove(path))
		}
		return nil, err
	}
	f := &dayFile{db: db, refs: 1, used: time.Now()}
	d.open[day] = f
	return f, nil
}

// openFile opens a file and looks whether it is whole.
func openFile(path string, noSync bool) (*bolt.DB, error) {
	db, err := bolt.Open(path, 0o640, &bolt.Options{Timeout: lockTime, PageSize: pageSize, NoSync: noSync, NoGrowSync: noSync})
	if errors.Is(err, bolt.ErrTimeout) {
		return nil, errors.New("another process has it open: two probers cannot share a state folder")
	}
	if err != nil {
		return nil, err
	}
	err = db.View(func(tx *bolt.Tx) error {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		if tx.Size() > info.Size() {
			return fmt.Errorf("%d bytes are missing at its end: %w", tx.Size()-info.Size(), errBlock)
		}
		present := 0
		for _, name := range allBuckets {
			if tx.Bucket(name) != nil {
				present++
			}
		}
		if first, _ := tx.Cursor().First(); present < len(allBuckets) && first != nil {
			return fmt.Errorf("not a file of pingtel's history: %w", errBlock)
		}
		return nil
	})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// guarded calls f, and turns its panic into an error: bbolt panics if pages make no
// sense, and memory that a file does not have any more faults.
func guarded(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v: %w", p, errBlock)
		}
	}()
	return f()
}

// damaged reports whether an error says that the contents of a file are wrong.
func damaged(err error) bool {
	for _, e := range []error{errBlock, bolt.ErrInvalid, bolt.ErrVersionMismatch, bolt.ErrChecksum} {
		if errors.Is(err, e) {
			return true
		}
	}
	return strings.Contains(err.Error(), "file size too small") // bbolt has no value for it
}

func (d *disk) release(f *dayFile) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f.refs--
}

// setAside renames a file that cannot be used.
func (d *disk) setAside(day string, f *dayFile, why error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if f != nil {
		f.refs--
		if d.open[day] == f {
			delete(d.open, day)
		}
		go func() { // another reader may have it in use, and Close would wait for him
			if err := guarded(f.db.Close); err != nil {
				d.log.Debug("history: a damaged file does not close", "file", d.path(day), "error", err)
			}
		}()
	}
	from := d.path(day)
	to := fmt.Sprintf("%s.broken-%d", from, time.Now().UnixNano())
	if err := os.Rename(from, to); err != nil {
		if !errors.Is(err, fs.ErrNotExist) { // another reader has set it aside
			d.log.Error("history: a damaged file cannot be set aside", "file", from, "fault", why, "error", err)
		}
		return
	}
	d.log.Warn("history: a file is damaged or foreign and was set aside: its day is missing on the page", "file", to, "fault", why)
}

func (d *disk) write(blocks []*sealed, running []Span) error {
	d.mu.Lock()
	full := d.full
	d.mu.Unlock()
	if full {
		return fmt.Errorf("%s: one day is larger than web.max_size", d.dir)
	}
	byDay := make(map[string][]*sealed)
	for _, b := range blocks {
		day := dayOf(b.start)
		byDay[day] = append(byDay[day], b)
	}
	today := dayOf(running[len(running)-1].End)
	if byDay[today] == nil {
		byDay[today] = nil // for the spans
	}
	for day, some := range byDay {
		err := d.with(day, true, func(db *bolt.DB) error {
			return db.Update(func(tx *bolt.Tx) error { return writeDay(tx, some, running) })
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
		if of[1].Get(b.of.key[:]) == nil {
			if err := of[1].Put(b.of.key[:], b.of.ID.encode()); err != nil {
				return err
			}
		}
	}
	for _, s := range running {
		if err := of[2].Put(binary.BigEndian.AppendUint64(nil, uint64(s.Start)), binary.BigEndian.AppendUint64(nil, uint64(s.End))); err != nil {
			return err
		}
	}
	return nil
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
		for key, p := c.Seek(prefix); len(key) == len(prefix)+5 && slices.Equal(key[:len(prefix)], prefix); key, p = c.Next() {
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

// expire removes the oldest files: one an hour because of its age, so that a clock
// that is wrong for a while removes one file and not all, and those that are too
// much. The newest stays. It closes files that nobody uses.
func (d *disk) expire(now time.Time) error {
	days, err := d.days()
	if err != nil {
		return err
	}
	size := int64(0)
	sizes := make([]int64, len(days))
	for i, day := range days {
		info, err := os.Stat(d.path(day))
		if err != nil {
			return err
		}
		sizes[i] = info.Size()
		size += sizes[i]
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for len(days) > 1 && size > d.most {
		if err := d.remove(days[0]); err != nil {
			return err
		}
		d.log.Info("history: the oldest day was removed because of web.max_size", "day", days[0])
		size -= sizes[0]
		days, sizes = days[1:], sizes[1:]
	}
	d.full = size > d.most
	if oldest := dayOf(now.Add(-d.keep).Unix()); len(days) > 1 && days[0] < oldest && now.Sub(d.removed).Abs() >= time.Hour {
		if err := d.remove(days[0]); err != nil {
			return err
		}
		d.removed = now
		d.log.Debug("history: a day was removed because of web.keep", "day", days[0])
	}
	for day, f := range d.open {
		if f.refs == 0 && time.Since(f.used) > closeAfter {
			delete(d.open, day)
			if err := guarded(f.db.Close); err != nil {
				return err
			}
		}
	}
	return nil
}

// remove removes a file. d.mu is held. A reader of it finishes first.
func (d *disk) remove(day string) error {
	if f := d.open[day]; f != nil {
		if f.refs > 0 {
			return nil // the next time
		}
		delete(d.open, day)
		if err := guarded(f.db.Close); err != nil {
			return err
		}
	}
	return os.Remove(d.path(day))
}

func (d *disk) close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var errs []error
	for day, f := range d.open {
		delete(d.open, day)
		errs = append(errs, guarded(f.db.Close))
	}
	return errors.Join(errs...)
}
