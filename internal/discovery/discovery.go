// Package discovery reads the targets that a configuration keeps elsewhere: in files,
// behind HTTP, in the DNS, and in Kubernetes. A list is taken whole or not at all, and
// a source that is away changes nothing.
package discovery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pingtel/pingtel/internal/config"
)

// firstWait is how long [Set.Start] waits for sources to answer for the first time.
// A source that takes longer starts with the copy of its last list.
const firstWait = 3 * time.Second

// Set is the sources of one configuration. Make one with [New].
type Set struct {
	config  *config.Config
	log     *slog.Logger
	sources []*source
	changed chan struct{} // holds a value if there are other targets than those of the last call of Targets
	watcher *watcher      // nil if no source is a file, or the system has none to give
	noWatch bool          // of tests: it has none to give
	stop    context.CancelFunc
	running sync.WaitGroup
	first   sync.WaitGroup // of the sources' first looks

	mu      sync.Mutex     // guards what follows, and the parts of sources
	merged  *config.Merged // the targets in force
	started bool
	noCopy  bool // the log says that copies cannot be written
}

// Options are what a set needs beside the configuration. The zero value works.
type Options struct {
	Log     *slog.Logger // nil: none
	Version string       // of pingtel, for HTTP servers
	Before  *Set         // closed, whose lists go on for sources that are in the new file too
	Keep    bool         // write copies of the lists, where the configuration has a folder for them

	system system // of tests; the zero value is the real one
}

// New returns the sources of c. It reads nothing until Start.
func New(c *config.Config, o Options) *Set {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Set{config: c, log: o.Log, changed: make(chan struct{}, 1), stop: func() {}, merged: &config.Merged{Targets: c.Targets}}
	names := make(map[string]int)
	for _, cs := range c.Sources {
		name := cs.Name()
		if names[name]++; names[name] > 1 {
			name = fmt.Sprintf("%s #%d", name, names[name])
		}
		src := &source{Source: cs, name: name, set: s, copies: copiesIn(c.Agent.State, o.Keep), wake: make(chan struct{}, 1)}
		src.looker = newLooker(src, o)
		s.sources = append(s.sources, src)
	}
	if o.Before != nil {
		s.adopt(o.Before)
	}
	return s
}

// adopt takes over the lists of sources that go on.
func (s *Set) adopt(before *Set) {
	for _, src := range s.sources {
		for _, old := range before.sources {
			if !src.SamePlace(old.Source) || src.name != old.name {
				continue
			}
			src.failures = old.failures
			for _, p := range old.parts {
				next := *p
				if !src.Same(old.Source) { // what is made of the list differs
					next.stamp, next.foreign = nil, true
				}
				if src.copies != old.copies {
					next.stamp = nil // so that it gets a copy
				}
				src.parts = append(src.parts, &next)
			}
		}
	}
	if err := s.merge(); err != nil {
		s.log.Warn("the lists of sources are not taken over", "error", err)
		for _, src := range s.sources {
			src.parts = nil
		}
	}
}

// Start reads all sources, and goes on reading them until Close. It returns when each
// has given a list or could not, but after three seconds at the latest.
func (s *Set) Start(ctx context.Context) {
	if len(s.sources) == 0 {
		return
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	s.watcher = s.watch(running)
	s.first.Add(len(s.sources))
	for _, src := range s.sources {
		s.running.Go(func() { src.run(running) })
	}
	all := make(chan struct{})
	go func() { // ends with the first looks, which are bounded
		s.first.Wait()
		close(all)
	}()
	late := time.NewTimer(firstWait)
	defer late.Stop()
	select {
	case <-all:
	case <-ctx.Done():
	case <-late.C:
		for _, src := range s.sources {
			src.restore()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.started = true
	select {
	case <-s.changed: // the caller reads the targets next
	default:
	}
}

// Close ends the reading. The lists stay as they are.
func (s *Set) Close() {
	s.stop()
	s.running.Wait()
	if s.watcher != nil {
		s.watcher.close()
	}
}

// Changed returns a channel that holds a value when other targets are in force.
func (s *Set) Changed() <-chan struct{} { return s.changed }

// Targets returns the targets of the configuration itself and of all lists in force.
// A target that is the same series as an earlier one is not among them.
func (s *Set) Targets() []config.Target {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.merged.Targets
}

// Status is the state of one source.
type Status struct {
	Name     string
	Line     int             // of its table
	Targets  int             // in force, of its lists
	Listed   bool            // it has given a list, at some time
	Read     time.Time       // when it last gave what is in force now; of several lists the oldest
	Failures uint64          // since the start
	Refused  int             // entries of its lists that cannot be targets
	Faults   []string        // some of them
	Errors   []string        // why newer lists are not in force
	List     []config.Target // of its lists
}

// Status returns the state of all sources, in the order of the file.
func (s *Set) Status() []Status {
	if len(s.sources) == 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Status, len(s.sources))
	for i, src := range s.sources {
		st := Status{Name: src.name, Line: src.Line, Failures: src.failures}
		if src.err != nil {
			st.Errors = append(st.Errors, src.err.Error())
		}
		for _, p := range src.parts {
			if p.err != nil {
				st.Errors = append(st.Errors, p.say(p.err.Error()))
			}
			if p.list == nil {
				continue
			}
			if !st.Listed || p.read.Before(st.Read) {
				st.Read = p.read
			}
			st.Listed = true
			st.Targets += len(p.list.Targets)
			st.List = append(st.List, p.list.Targets...)
			st.Refused += p.refused
			for _, fault := range p.faults {
				st.Faults = append(st.Faults, p.say(fault))
			}
		}
		all[i] = st
	}
	return all
}

// Without returns an error for each source that has no list.
func (s *Set) Without() error {
	var errs []error
	for _, st := range s.Status() {
		if !st.Listed {
			for _, e := range st.Errors {
				errs = append(errs, fmt.Errorf("%s: %s", st.Name, e))
			}
			if len(st.Errors) == 0 {
				errs = append(errs, fmt.Errorf("%s: no answer yet", st.Name))
			}
		}
	}
	return errors.Join(errs...)
}

// merge puts the targets of all lists in force. s.mu is held, except in New. It
// returns an error if they need more echo requests than the file allows.
func (s *Set) merge() error {
	lists := [][]config.Target{s.config.Targets}
	for _, src := range s.sources {
		for _, p := range src.parts {
			if p.list != nil {
				lists = append(lists, p.list.Targets)
			}
		}
	}
	if s.merged.Of(lists...) {
		return nil
	}
	all := config.Merge(s.merged, lists...)
	same := slices.Equal(all.Targets, s.merged.Targets)
	if !same {
		with := *s.config
		with.Targets = all.Targets
		if err := with.CheckRate(); err != nil {
			return err
		}
	}
	if other := s.merged.Other; all.Other != nil && (other == nil || other.Host != all.Other.Host) {
		s.log.Warn("a target of a source is left out: another one has its host and tags but other options; give one of them a tag", "host", all.Other.Host)
	}
	s.merged = all
	if same {
		return nil
	}
	select {
	case s.changed <- struct{}{}:
	default:
	}
	return nil
}

// noteCopy logs why a copy cannot be written, once.
func (s *Set) noteCopy(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.noteCopyLocked(err)
}

// noteCopyLocked is noteCopy while s.mu is held.
func (s *Set) noteCopyLocked(err error) {
	if err == nil || s.noCopy {
		return
	}
	s.noCopy = true
	s.log.Warn("a list of targets is not kept for a restart", "error", err)
}

// plain returns an error whose text stays the same while its cause does: without the
// ports of connections, and without what the name of the source says already.
func plain(err error) error {
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		var texts []string
		for _, e := range several.Unwrap() {
			texts = append(texts, plain(e).Error())
		}
		return errors.New(strings.Join(texts, "; "))
	}
	if u := (*url.Error)(nil); errors.As(err, &u) {
		err = u.Err
	}
	if op := (*net.OpError)(nil); errors.As(err, &op) && op.Source != nil {
		return fmt.Errorf("%s %s: %w", op.Op, op.Net, op.Err)
	}
	return err
}

// Read reads all sources once, within a time. Sources that cannot be read have their
// copies.
func Read(ctx context.Context, c *config.Config, o Options) *Set {
	s := New(c, o)
	s.Start(ctx)
	s.Close()
	return s
}
