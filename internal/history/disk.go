package history

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
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
	changesBucket = []byte("paths")   // by key and time: path changes; only if there are some
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
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
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
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: lockTime, PageSize: pageSize, NoSync: noSync, NoGrowSync: noSync})
	if errors.Is(err, bolterrors.ErrTimeout) {
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
	for _, e := range []error{errBlock, bolterrors.ErrInvalid, bolterrors.ErrVersionMismatch, bolterrors.ErrChecksum} {
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
