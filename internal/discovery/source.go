package discovery

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/pingtel/pingtel/internal/config"
)

const (
	// retry is how soon a source that has never given a list is read again, if it
	// is not read sooner.
	retry = 5 * time.Second

	// coalesce is how long changes of files are collected before a look at them.
	coalesce = 50 * time.Millisecond
)

// source is one source of a set. Its goroutine alone looks at it.
type source struct {
	*config.Source
	name   string
	set    *Set
	looker looker
	copies copies
	wake   chan struct{} // holds a value if a file may have changed
	pruned bool          // copies of parts that are gone have been removed

	// Guarded by set.mu:
	parts    []*part // nobody changes one that is here
	err      error   // why the last look gave nothing at all
	failures uint64  // looks in which something failed
	restored int     // how often copies were taken
}

// part is one list of a source: that of a file, or of a name in the DNS.
type part struct {
	name    string       // "" if the source has only one
	list    *config.List // nil if the source has never given it
	stamp   any          // by which the looker knows the list again; nil: not at all
	read    time.Time    // when the source last gave it
	err     error        // why a newer one is not in force
	refused int          // entries that cannot be targets
	faults  []string     // some of them
	foreign bool         // made for other options: the next one has nothing in common with it
}

// say puts the name of the part in front of a text.
func (p *part) say(text string) string {
	if p.name == "" {
		return text
	}
	return p.name + ": " + text
}

// looker reads a kind of source.
type looker interface {
	// look calls one method of l for each part that the source has now: take, same,
	// keep or fail. A part that it does not name is gone. An error means that the
	// looker learned nothing, and all stays as it is. next is how soon to look
	// again, if that is before the next refresh and not 0.
	look(ctx context.Context, l *look) (next time.Duration, err error)
}

// look is one look at a source.
type look struct {
	src     *source
	refresh bool    // do not rely on what seems to be the same
	old     []*part // in force when it began
	next    []*part
	copies  []*copyWriter // of next; nil for those that are not new
	failed  bool
}

// part returns the part in force with a name, nil if there is none.
func (l *look) part(name string) *part { return partOf(l.old, name) }

func partOf(parts []*part, name string) *part {
	if i := slices.IndexFunc(parts, func(p *part) bool { return p.name == name }); i >= 0 {
		return parts[i]
	}
	return nil
}

func (l *look) add(p *part, w *copyWriter) { l.next, l.copies = append(l.next, p), append(l.copies, w) }

// keep leaves a part as it is.
func (l *look) keep(p *part) { l.add(p, nil) }

// same notes that the source has given the list of a part again.
func (l *look) same(p *part, stamp any) {
	next := *p
	next.stamp, next.read, next.err = stamp, time.Now(), nil
	l.add(&next, nil)
	l.src.set.noteCopy(l.src.copies.confirm(l.src.name, p.name, next.read))
}

// fail notes that a part cannot be read. Its list stays.
func (l *look) fail(name string, err error) {
	next := part{name: name}
	if p := l.part(name); p != nil {
		next = *p
	}
	next.err = err
	l.failed = true
	l.add(&next, nil)
}

// take makes a list of what decode adds to the builder. If decode fails, the list
// before stays. decode returns the stamp of the list.
func (l *look) take(name string, decode func(*builder) (stamp any, err error)) {
	src, before := l.src, l.part(name)
	if before != nil && (before.list == nil || before.foreign) {
		before = nil
	}
	b := &builder{source: src.Source, copy: src.copies.create(src.name, name)}
	if before != nil {
		b.list = src.NewList(before.list)
	} else {
		b.list = src.NewList(nil)
	}
	stamp, err := decode(b)
	if err != nil {
		b.copy.abandon()
		l.fail(name, err)
		return
	}
	next := b.part(name, stamp, time.Now())
	if before != nil && next.list.Same(before.list) {
		next.list.Targets = before.list.Targets // one of the two can be freed
		if err := src.copies.confirm(src.name, name, next.read); err == nil {
			b.copy.abandon() // labels may differ that no tag asks for
			b.copy = nil
		}
	}
	l.add(next, b.copy)
}

// part returns the list that was built.
func (b *builder) part(name string, stamp any, at time.Time) *part {
	b.list.Done()
	if b.list.Dropped != "" {
		b.faults = append(b.faults, "the label \""+b.list.Dropped+"\" is no tag: pingtel sets a tag of that name itself")
	}
	return &part{name: name, list: b.list, stamp: stamp, read: at, refused: b.refused, faults: b.faults}
}

// run reads the source until ctx is done.
func (s *source) run(ctx context.Context) {
	if c, ok := s.looker.(interface{ close() }); ok {
		defer c.close()
	}
	refreshAt := time.Now()
	for first := true; ; first = false {
		now := time.Now()
		refresh := !now.Before(refreshAt)
		next, again := s.look(ctx, refresh)
		if first {
			s.set.first.Done()
		}
		if refresh && !again {
			refreshAt = now.Add(s.every())
		}
		wait := time.Until(refreshAt)
		if next > 0 {
			wait = min(wait, next)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-s.wake:
			timer.Reset(coalesce)
			select {
			case <-ctx.Done():
			case <-timer.C:
			}
			select {
			case <-s.wake:
			default:
			}
		}
		timer.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

// every returns the time from one refresh to the next.
func (s *source) every() time.Duration {
	s.set.mu.Lock()
	defer s.set.mu.Unlock()
	if s.listed() {
		return s.Refresh
	}
	return min(s.Refresh, retry)
}

// listed reports whether the source has given a list. set.mu is held.
func (s *source) listed() bool {
	return slices.ContainsFunc(s.parts, func(p *part) bool { return p.list != nil })
}

// look looks at the source once. again says that it was for nothing, because copies
// came into force meanwhile.
func (s *source) look(ctx context.Context, refresh bool) (next time.Duration, again bool) {
	s.set.mu.Lock()
	l := &look{src: s, refresh: refresh, old: s.parts}
	restored := s.restored
	s.set.mu.Unlock()
	next, err := s.looker.look(ctx, l)
	s.set.mu.Lock()
	if ctx.Err() != nil || s.restored != restored {
		s.set.mu.Unlock()
		l.abandon()
		return 0, true
	}
	before := s.state()
	s.err = plain(err)
	if err != nil {
		l.abandon()
		l.failed = true
	} else {
		l.accept()
	}
	if l.failed {
		s.failures++
	}
	missing := s.err != nil && !s.listed() || slices.ContainsFunc(s.parts, func(p *part) bool { return p.list == nil })
	after := s.state()
	s.set.mu.Unlock()
	s.tell(before, after)
	if missing && restored == 0 {
		s.restore()
	}
	if !l.failed && !s.pruned {
		s.pruned = true
		s.set.noteCopy(s.copies.prune(s.name, l.next))
	}
	return next, false
}

// abandon throws the new copies away.
func (l *look) abandon() {
	for _, w := range l.copies {
		w.abandon()
	}
}

// accept puts what was found in force, unless it is too much. set.mu is held.
func (l *look) accept() {
	s := l.src
	for _, p := range l.next {
		p.err = plain(p.err)
	}
	if len(l.next) < len(l.old) {
		s.pruned = false
	}
	s.parts = l.next
	err := s.set.merge()
	if err == nil {
		for _, w := range l.copies {
			if err := w.commit(); err != nil {
				s.set.noteCopyLocked(err)
			} else if w != nil {
				s.set.noCopy = false
			}
		}
		return
	}
	l.abandon()
	l.failed = true
	s.parts = nil
	for i, p := range l.next {
		if l.copies[i] == nil && p.list != nil && slices.Contains(l.old, p) {
			s.parts = append(s.parts, p)
			continue
		}
		kept := part{name: p.name}
		if old := l.part(p.name); old != nil {
			kept = *old
		}
		kept.err = err
		s.parts = append(s.parts, &kept)
	}
}

// state is what is told about a source when it changes.
type state struct {
	targets int
	lists   []*config.List
	errors  []string
	faults  []string
	refused int
	read    time.Time
}

// state returns the state of the source. set.mu is held.
func (s *source) state() state {
	var st state
	if s.err != nil {
		st.errors = append(st.errors, s.err.Error())
	}
	for _, p := range s.parts {
		if p.err != nil {
			st.errors = append(st.errors, p.say(p.err.Error()))
		}
		if p.list == nil {
			continue
		}
		if st.read.IsZero() || p.read.Before(st.read) {
			st.read = p.read
		}
		st.targets += len(p.list.Targets)
		st.lists = append(st.lists, p.list)
		st.refused += p.refused
		for _, fault := range p.faults {
			st.faults = append(st.faults, p.say(fault))
		}
	}
	return st
}

// tell logs what has changed.
func (s *source) tell(before, after state) {
	log := s.set.log.With("source", s.name)
	if len(after.errors) > 0 && !slices.Equal(before.errors, after.errors) {
		about := []any{"error", strings.Join(after.errors, "; "), "targets", after.targets}
		if !after.read.IsZero() {
			about = append(about, "age", time.Since(after.read).Round(time.Second))
		}
		log.Warn("a source cannot be read: its targets stay as they were", about...)
	}
	if len(before.errors) > 0 && len(after.errors) == 0 {
		log.Info("a source can be read again", "targets", after.targets)
	}
	same := slices.EqualFunc(before.lists, after.lists, func(a, b *config.List) bool { return a == b || a.Same(b) })
	if !same && len(after.lists) > 0 {
		log.Log(context.Background(), s.level(), "a source has given its targets", "targets", after.targets)
	}
	if after.refused > 0 && !slices.Equal(before.faults, after.faults) || len(after.faults) > 0 && !slices.Equal(before.faults, after.faults) {
		log.Warn("a source has entries that cannot be targets", "entries", after.refused, "first", strings.Join(after.faults[:min(3, len(after.faults))], "; "))
	}
}

// level is that of the message about new lists: the first ones go with the start.
func (s *source) level() slog.Level {
	s.set.mu.Lock()
	defer s.set.mu.Unlock()
	if s.set.started {
		return slog.LevelInfo
	}
	return slog.LevelDebug
}

// restore takes the copies of lists that the source has not given.
func (s *source) restore() {
	var restored []*part
	s.copies.read(s.name, func(name string, at time.Time, list io.Reader) {
		b := &builder{source: s.Source, list: s.NewList(nil)}
		if err := decodeJSON(list, b); err != nil {
			s.set.log.Warn("the copy of a list is not used", "source", s.name, "error", err)
			return
		}
		restored = append(restored, b.part(name, nil, at))
	}, func(err error) { s.set.log.Warn("a copy of a list is not used", "error", err) })
	s.set.mu.Lock()
	defer s.set.mu.Unlock()
	before, listed := s.parts, s.listed()
	s.parts = slices.Clone(before)
	for _, p := range restored {
		i := slices.IndexFunc(s.parts, func(o *part) bool { return o.name == p.name })
		switch {
		case i >= 0 && s.parts[i].list == nil:
			p.err = s.parts[i].err
			s.parts[i] = p
		case i < 0 && !listed:
			s.parts = append(s.parts, p)
		default:
			continue
		}
		s.restored++
		s.set.log.Warn("a source starts from the copy of its last list", "source", s.name, "targets", len(p.list.Targets), "age", time.Since(p.read).Round(time.Second))
	}
	if err := s.set.merge(); err != nil {
		s.set.log.Warn("the copy of a list is not used", "source", s.name, "error", err)
		s.parts = before
	}
}
