package fleet

import (
	"context"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/pingtel/pingtel/internal/config"
)

const (
	// firstWait is how long a start waits for the list of members. Without one the
	// prober measures all targets until it comes.
	firstWait = 5 * time.Second

	// spacing is the shortest time from one change of our share to the next, so that a
	// list that changes all the time costs little.
	spacing = time.Second
)

// Stats says how this prober stands in its fleet.
type Stats struct {
	Prober  string // name of this prober
	Members int    // probers, this one included
	Targets int    // of all of them together
	Owned   int    // targets of this prober
	Changes uint64 // of the list of members, since the start

	// ViewAge is how long ago it was last known who is there. It is negative where
	// that is fixed, or where it has never been known.
	ViewAge time.Duration

	// Waiting is set while the prober does not know who is there, not even by a list
	// from before its start.
	Waiting bool
}

// engine finds out who is there. It calls the methods of the fleet below "What an
// engine says".
type engine interface {
	// run works until ctx is done.
	run(ctx context.Context)

	// leave says to the other members that this one goes. It reports whether they can
	// know now.
	leave(ctx context.Context) (bool, error)

	// close frees everything. It comes after run.
	close()
}

// Fleet knows the probers that share a list of targets, and which of the targets are
// this prober's. Make one with [New]. Its methods are safe for concurrent use.
type Fleet struct {
	log     *slog.Logger
	engine  engine        // nil: the members are fixed
	changed chan struct{} // holds a value when the share has changed
	first   chan struct{} // closed when the members are known for the first time
	stop    context.CancelFunc
	running sync.WaitGroup

	memory memory // of the goroutine of the engine
	noCopy bool   // of the same: the log says that the copy cannot be written

	mu        sync.Mutex // guards what follows; never held during I/O
	config    config.Fleet
	refresh   time.Duration
	view      *view // nil: the members are fixed
	ownership *Ownership
	share     Share
	targets   int // of all probers, since the last Take
	changes   uint64
	heardAt   time.Time   // when the engine was last known to work
	expiry    *time.Timer // of the next member to drop
	signalled time.Time   // when changed got its last value
	pending   *time.Timer // gives it its next one
	problem   string      // the text of the last error of the engine, "" while it works
	tooMany   bool        // that has been logged
	closed    bool
}

// New returns the fleet that c describes. It does nothing until Start.
func New(c *config.Config, log *slog.Logger) *Fleet {
	f := newFleet(c, log)
	if c.Fleet.Members == nil {
		return f
	}
	if c.Fleet.Members.Source != nil {
		f.engine = newList(f, c.Fleet.Members)
	} else {
		f.engine = newNATS(f, &c.Fleet)
	}
	return f
}

func newFleet(c *config.Config, log *slog.Logger) *Fleet {
	f := &Fleet{log: log, changed: make(chan struct{}, 1), first: make(chan struct{}), stop: func() {}}
	if m := c.Fleet.Members; m != nil {
		f.refresh = m.Refresh
		holdDown, trust := 2*m.Refresh, m.Refresh
		if m.Source != nil { // a look comes once in a refresh: the second one without a member ends the hold-down
			holdDown, trust = holdDown+m.Refresh/4, trust+m.Refresh/4
		}
		f.view = newView(Member{Name: c.Fleet.Member, Zone: c.Fleet.Zone}, holdDown, trust)
		f.memory = newMemory(c)
	}
	f.setConfig(c.Fleet)
	return f
}

// setConfig takes over the settings of a file. f.mu is held, except in New.
func (f *Fleet) setConfig(c config.Fleet) {
	if old := f.config; f.ownership != nil && old.Copies == c.Copies && old.Shard == c.Shard && old.Shards == c.Shards {
		return
	}
	if f.ownership != nil {
		f.changes++
	}
	f.config = c
	f.assign()
}

// assign finds out anew who owns what. f.mu is held.
func (f *Fleet) assign() {
	c := f.config
	self, members, copies := Member{Name: c.Member, Zone: c.Zone}, []Member(nil), c.Copies
	switch {
	case f.view != nil:
		self, members = f.view.self, f.view.members()
	case c.Shards > 0:
		self = shard(c.Shard)
		for i := range c.Shards {
			members = append(members, shard(i))
		}
	}
	f.ownership = NewOwnership(self, members, copies)
}

// shard is a prober that is known by its number.
func shard(number int) Member { return Member{Name: strconv.Itoa(number)} }

// Start begins to watch who is there. It returns when that is known, or after five
// seconds: then those of the last list count that this prober has kept. Without one all
// targets are this prober's until it is known.
func (f *Fleet) Start(ctx context.Context) {
	if f.engine == nil {
		return
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	f.stop = stop
	f.running.Go(func() { f.engine.run(running) })
	wait := time.NewTimer(firstWait)
	defer wait.Stop()
	select {
	case <-f.first:
		select {
		case <-f.changed: // the caller takes its share next
		default:
		}
	case <-ctx.Done():
	case <-wait.C:
		f.restore()
	}
}

// restore takes the members of the copy, unless the engine has said by now who is there.
func (f *Fleet) restore() {
	last, at, err := f.memory.read()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.view.known {
		return
	}
	if err != nil {
		f.log.Warn("there is no copy of the list of the fleet's members", "error", err)
	}
	if last.Self.Name == "" {
		f.log.Warn("the other probers of the fleet are not known yet: measuring all targets until they are")
		return
	}
	f.view.restore(last)
	f.heardAt = at
	f.assign()
	f.log.Warn("the other probers of the fleet are not known yet: the list from before the start is in force until they are",
		"members", len(f.ownership.members), "age", max(0, time.Since(at)).Round(time.Second))
}

// Changed returns a channel that holds a value when Take gives other targets.
func (f *Fleet) Changed() <-chan struct{} { return f.changed }

// Take returns c with the targets alone that this prober measures from now on; see
// [Share.Take]. It returns when it has to be called again, or zero.
func (f *Fleet) Take(c *config.Config, now time.Time) (*config.Config, time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.setConfig(c.Fleet)
	f.targets = len(c.Targets)
	mine := *c
	var next time.Time
	mine.Targets, next = f.share.Take(f.ownership, c.Targets, now, func(t *config.Target) time.Duration {
		return c.IntervalOf(t) + f.refresh // the new owner may hear of it later than we, by a refresh
	})
	return &mine, next
}

// Stats returns how this prober stands.
func (f *Fleet) Stats() *Stats {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := &Stats{Prober: f.config.Member, Members: len(f.ownership.members), Targets: f.targets, Owned: f.share.owned, Changes: f.changes, ViewAge: -1}
	if f.view != nil {
		s.Waiting = !f.view.known
		if f.view.known {
			s.ViewAge = max(0, time.Since(f.heardAt))
		}
	}
	return s
}

// Leave says to the other members that this one goes, and reports whether they take
// over its targets now: it has to go on measuring them until they have begun.
func (f *Fleet) Leave(ctx context.Context) bool {
	if f.engine == nil {
		return false
	}
	f.mu.Lock()
	alone := len(f.view.others) == 0
	f.mu.Unlock()
	f.stop() // before: it would come back
	f.running.Wait()
	left, err := f.engine.leave(ctx)
	if err != nil {
		f.log.Warn("the other probers of the fleet cannot be told that this one stops: they take over its targets when they miss it", "error", err)
	}
	return left && !alone
}

// Close ends the watching.
func (f *Fleet) Close() {
	f.stop()
	f.running.Wait()
	if f.engine != nil {
		f.engine.close()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	for _, t := range []*time.Timer{f.expiry, f.pending} {
		if t != nil {
			t.Stop()
		}
	}
}

// What an engine says.

// heard notes members that are there now.
func (f *Fleet) heard(members ...Member) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var joined []string
	refused := 0
	for _, m := range members {
		changed, ok := f.view.heard(m, time.Now())
		if changed {
			joined = append(joined, m.Name)
		}
		if !ok {
			refused++
		}
	}
	if refused > 0 && !f.tooMany {
		f.tooMany = true
		f.log.Error("the fleet has more members than pingtel takes: the rest is left out", "most", config.MaxMembers)
	}
	f.settle("probers have joined the fleet, or changed their zone", slog.LevelInfo, joined)
}

// left notes that a member has gone on purpose.
func (f *Fleet) left(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.view.left(name) {
		f.settle("a prober has left the fleet", slog.LevelInfo, []string{name})
	}
}

// works notes that the engine works: that all that was said until now has arrived. Only
// the goroutine of the engine calls it.
func (f *Fleet) works() {
	last, now := f.noteWorks()
	err := f.memory.keep(last, now, f.refresh)
	if err != nil && !f.noCopy {
		f.noCopy = true
		f.log.Warn("the list of the fleet's members is not kept for a restart", "error", err)
	}
}

func (f *Fleet) noteWorks() (lastView, time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.problem != "" {
		f.log.Info("the list of the fleet's members can be read again")
		f.problem = ""
	}
	f.heardAt = time.Now()
	first := !f.view.known
	f.drop(f.view.works(f.heardAt))
	if first {
		f.assign()
		f.log.Info("the probers of the fleet are known", "members", len(f.ownership.members))
		close(f.first)
		f.signal()
	}
	self := f.view.self
	return lastView{self, slices.DeleteFunc(f.view.members(), func(m Member) bool { return m == self })}, f.heardAt
}

// away notes that the engine does not work, and why. Nothing changes until it does.
func (f *Fleet) away(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.view.away()
	if f.problem == "" {
		f.log.Error("the list of the fleet's members cannot be read: the last one stays in force", "error", err)
	} else if f.problem != err.Error() {
		f.log.Debug("the list of the fleet's members still cannot be read", "error", err)
	}
	f.problem = err.Error()
}

// expire drops members that were silent for too long.
func (f *Fleet) expire() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.closed {
		f.drop(f.view.expire(time.Now()))
	}
}

// drop notes that members were dropped. f.mu is held.
func (f *Fleet) drop(names []string) {
	f.settle("probers of the fleet are missing: the other ones take over their targets", slog.LevelWarn, names)
}

// settle puts a change of the members in force, if there is one, and sets the timer for
// the next one. f.mu is held.
func (f *Fleet) settle(what string, level slog.Level, names []string) {
	if f.expiry != nil {
		f.expiry.Stop()
	}
	if next := f.view.next(); !next.IsZero() && !f.closed {
		f.expiry = time.AfterFunc(max(0, time.Until(next)), f.expire)
	}
	if len(names) == 0 || !f.view.known { // until then there is no list that could change
		return
	}
	f.changes++
	f.assign()
	const most = 10
	f.log.Log(context.Background(), level, what, "probers", slices.Clone(names[:min(len(names), most)]), "count", len(names), "members", len(f.ownership.members))
	f.signal()
}

// signal says that there is another share, but not more often than once in spacing.
// f.mu is held.
func (f *Fleet) signal() {
	if !f.view.known {
		return // Start waits for it, or has given up
	}
	if f.pending != nil {
		return
	}
	if wait := spacing - time.Since(f.signalled); wait > 0 && !f.signalled.IsZero() {
		f.pending = time.AfterFunc(wait, func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.pending = nil
			f.signal()
		})
		return
	}
	f.signalled = time.Now()
	select {
	case f.changed <- struct{}{}:
	default:
	}
}
