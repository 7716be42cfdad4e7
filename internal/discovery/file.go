package discovery

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A file is read when it has not changed for a time. One that replaces another is
// usually whole; one that is written in place is not until the writer is done.
const (
	quietNew     = 200 * time.Millisecond
	quietInPlace = 2 * time.Second

	// restless is how long a file may change all the time before it is read anyway, if
	// each change is another file, or reported, if it is written in place.
	restless = 10 * time.Second
)

var errRestless = errors.New("is written all the time, and may not be whole: write another file and rename it")

// fileLooker reads files.
type fileLooker struct {
	patterns []string
	changed  map[string]sighting // files that may still be written
	restless time.Duration
}

// sighting is how a file was seen.
type sighting struct {
	info  os.FileInfo
	at    time.Time
	since time.Time // when it began to change
}

// fileStamp is the stamp of a file's list.
type fileStamp struct {
	info os.FileInfo
	sum  [sha256.Size]byte
}

// sameFile reports whether a file seems to be as it was.
func sameFile(a, b os.FileInfo) bool {
	return a != nil && os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

func (f *fileLooker) look(_ context.Context, l *look) (next time.Duration, err error) {
	sooner := func(d time.Duration) {
		if d > 0 && (next == 0 || d < next) {
			next = d
		}
	}
	found := make(map[string]bool)
	var problems []error
	for _, pattern := range f.patterns {
		l.src.set.watcher.watch(l.src, filepath.Dir(pattern))
		names, err := match(pattern)
		if err != nil { // the folder is away: what it had stays
			names = nil
			for _, p := range l.old {
				if ok, merr := filepath.Match(pattern, p.name); ok && merr == nil && p.list != nil {
					names = append(names, p.name)
				}
			}
			if len(names) == 0 {
				problems = append(problems, fmt.Errorf("%s: %w", pattern, err))
				continue
			}
		}
		for _, name := range names {
			if found[name] {
				continue
			}
			found[name] = true
			if err != nil {
				l.fail(name, err)
				continue
			}
			sooner(f.lookAt(l, name))
		}
	}
	switch problem := errors.Join(problems...); {
	case problem != nil && len(found) == 0:
		return next, problem
	case problem != nil:
		l.fail("", problem)
	}
	return next, nil
}

var errNoFile = errors.New("no file matches")

// match returns the files of a pattern. One without wildcards is a file that must be
// there.
func match(pattern string) ([]string, error) {
	if !strings.ContainsAny(pattern, `*?[\`) {
		return []string{pattern}, nil
	}
	folder := filepath.Dir(pattern)
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, reason(err)
	}
	var names []string
	for _, e := range entries {
		name := filepath.Join(folder, e.Name())
		if ok, err := filepath.Match(filepath.Base(pattern), e.Name()); err != nil || !ok || e.IsDir() {
			continue
		}
		names = append(names, name)
	}
	if len(names) == 0 {
		return nil, errNoFile
	}
	slices.Sort(names)
	return names, nil
}

// reason returns what a system call said, without the path.
func reason(err error) error {
	if p := (*os.PathError)(nil); errors.As(err, &p) {
		return p.Err
	}
	return err
}

// lookAt looks at a file. It returns how soon to look again, or 0.
func (f *fileLooker) lookAt(l *look, name string) time.Duration {
	if real, err := filepath.EvalSymlinks(name); err == nil && filepath.Dir(real) != filepath.Dir(name) {
		l.src.set.watcher.watch(l.src, filepath.Dir(real))
	}
	info, err := os.Stat(name)
	switch {
	case err != nil:
		l.fail(name, reason(err))
		return 0
	case !info.Mode().IsRegular():
		l.fail(name, errors.New("is not a file"))
		return 0
	}
	p := l.part(name)
	if p == nil || p.list == nil {
		return f.read(l, name)
	}
	stamp, known := p.stamp.(fileStamp)
	switch {
	case !known:
		return f.read(l, name)
	case sameFile(stamp.info, info) && !l.refresh:
		delete(f.changed, name)
		l.keep(p)
		return 0
	case sameFile(stamp.info, info):
		delete(f.changed, name)
		if sum, err := sumOf(name); err == nil && sum == stamp.sum {
			l.same(p, stamp)
			return 0
		}
		return f.read(l, name)
	}
	quiet, inPlace := quietNew, os.SameFile(stamp.info, info)
	if inPlace {
		quiet = quietInPlace
	}
	now := time.Now()
	seen, known := f.changed[name]
	if !known {
		seen.since = now
	}
	if !sameFile(seen.info, info) {
		seen.info, seen.at = info, now
		f.changed[name] = seen
	}
	left := quiet - now.Sub(seen.at)
	switch long := now.Sub(seen.since) >= f.restless; {
	case left <= 0, long && !inPlace:
		return f.read(l, name)
	case long && !errors.Is(p.err, errRestless):
		l.fail(name, errRestless)
	default:
		l.keep(p)
	}
	return left
}

// sumOf returns the sum of a file's bytes.
func sumOf(name string) (sum [sha256.Size]byte, err error) {
	file, err := os.Open(name)
	if err != nil {
		return sum, err
	}
	defer file.Close() // it was only read
	h := sha256.New()
	if _, err := io.Copy(h, bounded(file, maxAnswer)); err != nil {
		return sum, err
	}
	return [sha256.Size]byte(h.Sum(nil)), nil
}

// read reads a file. If it changes meanwhile, read returns how soon to look again.
func (f *fileLooker) read(l *look, name string) time.Duration {
	delete(f.changed, name)
	file, err := os.Open(name)
	if err != nil {
		l.fail(name, reason(err))
		return 0
	}
	defer file.Close() // it was only read
	before, err := file.Stat()
	if err != nil {
		l.fail(name, reason(err))
		return 0
	}
	again := time.Duration(0)
	h := sha256.New()
	stamp := fileStamp{info: before}
	in := io.TeeReader(file, h)
	l.take(name, func(b *builder) (any, error) {
		if err := decodeFile(name, in, b); err != nil {
			return nil, err
		}
		if _, err := io.Copy(io.Discard, bounded(in, maxAnswer)); err != nil {
			return nil, err
		}
		after, err := file.Stat()
		if err != nil {
			return nil, reason(err)
		}
		if !sameFile(before, after) {
			again = quietInPlace
			return nil, errors.New("changes while it is read")
		}
		stamp.sum = [sha256.Size]byte(h.Sum(nil))
		return stamp, nil
	})
	return again
}
