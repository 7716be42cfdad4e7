// Package history remembers what the rounds of each target gave: all round-trip
// times in buckets of 2 %, and the counts of everything else. The sum of any rounds
// has the same form, so a percentile of any time is that of all its round-trip times.
//
// The newest rounds of a target are in memory. After an hour at most they are packed
// into a block, which goes to a [bbolt] file, one a day, or stays in memory.
//
// [bbolt]: https://pkg.go.dev/go.etcd.io/bbolt
package history

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
)

const (
	// blockSeconds is how long a block is. With the time until it is written, a
	// process that is killed loses an hour at most.
	blockSeconds = 59 * 60

	// sweepTime is how often blocks are written. Those of all targets are spread
	// over the hour, so each time a few are.
	sweepTime = 10 * time.Second

	// markTime is how often it is noted that the process runs.
	markTime = time.Minute

	// awayTime is how long a gap between two sweeps is that counts as one in which
	// the process did not run.
	awayTime = 90 * time.Second

	// maxQueue bounds the blocks in memory that wait for the disk, in bytes. It is
	// an hour's worth of 20,000 targets.
	maxQueue = 64 << 20

	// batch is how many blocks are written at once.
	batch = 512
)

// Options are the settings of a history. All but Keep and MaxSize are needed.
type Options struct {
	Dir     string // where the files are; "": in memory
	Keep    time.Duration
	MaxSize int64 // of all files, or of what is in memory, in bytes
	Log     *slog.Logger
	Now     time.Time // when it begins

	queue  int  // bound of the blocks that wait, in bytes; 0: maxQueue
	noSync bool // do not wait for the disk, in tests that write very often
}

// Span is a time in which the prober ran, in Unix seconds.
type Span struct{ Start, End int64 }

// store is where blocks stay.
type store interface {
	// write keeps blocks and changes of paths, and replaces the spans that have the same
	// start.
	write(blocks []*sealed, changes []noted, running []Span) error
	// blocks calls f for each block of a target that may have rounds from one time
	// to before another.
	blocks(k Key, from, to int64, f func(*block) error) error
	// newest returns the usual round-trip time in the newest block of a target, as
	// a bucket, 0 if there is none.
	newest(k Key, before int64) int
	running(from, to int64) ([]Span, error)
	// changes returns the path changes of a target from one time to before another.
	changes(k Key, from, to int64) ([]PathChange, error)
	id(k Key) (ID, bool)
	// expire removes what is too old or too much.
	expire(now time.Time) error
	close() error
	String() string
}

// sealed is a block that gets no more rounds.
type sealed struct {
	*block
	of *Series
}

// History is safe for concurrent use. Make one with [Open].
type History struct {
	o     Options
	store store

	// commit is held while blocks move from memory to the store, and for reading
	// while somebody reads both.
	commit sync.RWMutex

	mu     sync.Mutex // guards what follows; never held during I/O
	series map[Key]*Series
	sorted []*Series // by key; nil after a change

	queueMu        sync.Mutex // guards what follows
	queue          []*sealed
	queued         int     // bytes
	dropped        uint64  // rounds that did not get into the queue
	changes        []noted // path changes that wait for the store
	changesDropped uint64
	failing        error // of the last write

	sweeping sync.Mutex // held by Sweep and Close; guards what follows
	span     Span       // in which the process runs
	unsaved  []Span     // before it
	expired  time.Time  // when expire ran last
	written  time.Time  // when the span was written last
}

// Open opens a history.
func Open(o Options) (*History, error) {
	now := o.Now.Unix()
	if o.queue == 0 {
		o.queue = maxQueue
	}
	h := &History{o: o, series: make(map[Key]*Series), span: Span{now, now}, expired: o.Now}
	if o.Dir == "" {
		h.store = newMemory(o)
		return h, nil
	}
	d, err := openDisk(o)
	if err != nil {
		return nil, err
	}
	h.store = d
	return h, nil
}

// String says where the history is.
func (h *History) String() string { return h.store.String() }

// Series is the history of one target.
type Series struct {
	ID  ID
	key Key
	h   *History

	mu      sync.Mutex // guards what follows
	removed bool       // no target of the file has it
	asked   bool       // usual is what the store knows
	now     block      // gets the next round
	pending []*block   // wait for the disk
	last    int64      // Unix seconds of the newest round, 0 if there is none
	usual   float32    // bucket of the usual round-trip time, 0 if not known
	recent  [recentRounds]moment
	rounds  uint32 // recorded, all in all
}

// Key returns the short form of the series' ID.
func (s *Series) Key() Key { return s.key }

// Series returns the series of a target, a new one if there is none.
func (h *History) Series(id ID) *Series {
	k := id.key()
	h.mu.Lock()
	s := h.series[k]
	if s != nil {
		h.mu.Unlock()
		s.mu.Lock()
		s.removed = false
		s.mu.Unlock()
		return s
	}
	s = &Series{ID: id, key: k, h: h}
	h.series[k], h.sorted = s, nil
	h.mu.Unlock()
	return s
}

// Remove says that a target is no longer probed. Its history stays.
func (s *Series) Remove() {
	s.mu.Lock()
	s.removed = true
	s.mu.Unlock()
}

// scratch are slices of buckets to use again.
var scratch = sync.Pool{New: func() any { return new([]int) }}

// Record takes the result of a round. It does not block.
func (s *Series) Record(r *icmpcore.PingResult) {
	form, ok := shapeOf(r)
	if !ok {
		return
	}
	at := r.Start.Unix()
	if at < 0 {
		return // the clock is not set
	}
	buckets := scratch.Get().(*[]int)
	s.mu.Lock()
	if b := &s.now; !b.empty() && (at < b.last || s.key.slot(at) != s.key.slot(b.start) || len(b.body) > maxBlock) {
		s.seal()
	}
	if s.now.empty() {
		s.now.start, s.now.last = at, at
		s.now.usual = uint16(s.usual)
	}
	s.last = at
	*buckets = s.now.add(at, form, r, *buckets)
	s.remember(form, *buckets)
	s.mu.Unlock()
	scratch.Put(buckets)
}

// seal ends the block that grows, and queues it. s.mu is held.
func (s *Series) seal() {
	b := s.now
	b.endRun()
	s.now = block{head: make([]byte, 0, min(len(b.head)+8, 1024)), body: make([]byte, 0, len(b.body)+len(b.body)/16)}
	s.learn(&b)
	h := s.h
	h.queueMu.Lock()
	defer h.queueMu.Unlock()
	if h.queued+b.size() > h.o.queue {
		h.dropped += uint64(b.rounds)
		return
	}
	h.queue = append(h.queue, &sealed{&b, s})
	h.queued += b.size()
	s.pending = append(s.pending, &b)
}

func (b *block) size() int { return cap(b.head) + cap(b.body) + 200 }

// Dropped returns how many rounds were not kept because the disk did not take them.
func (h *History) Dropped() uint64 {
	h.queueMu.Lock()
	defer h.queueMu.Unlock()
	return h.dropped
}

// Run writes blocks until ctx is done.
func (h *History) Run(ctx context.Context) {
	tick := time.NewTicker(sweepTime)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			h.Sweep(now)
		}
	}
}

// Sweep writes what is due at a time.
func (h *History) Sweep(now time.Time) {
	h.sweeping.Lock()
	defer h.sweeping.Unlock()
	for _, s := range h.all() {
		h.sweep(s, now.Unix())
	}
	h.mark(now)
	if h.waiting() || now.Sub(h.written).Abs() >= markTime {
		h.writeAll(context.Background())
		h.written = now
	}
	if now.Sub(h.expired) >= time.Minute || now.Before(h.expired) {
		h.expired = now
		if err := h.store.expire(now); err != nil {
			h.o.Log.Warn("history: cannot remove what is too old", "error", err)
		}
	}
}

// sweep ends the block of a series if its time is over, and drops a series of which
// nothing is in memory. It asks the store once for the usual round-trip time.
func (h *History) sweep(s *Series, now int64) {
	s.mu.Lock()
	asked := s.asked
	s.asked = true
	s.mu.Unlock()
	if !asked {
		if usual := h.store.newest(s.key, now); usual > 0 {
			s.mu.Lock()
			s.usual = float32(usual)
			s.mu.Unlock()
		}
	}
	s.mu.Lock()
	if !s.now.empty() && s.key.slot(now) != s.key.slot(s.now.start) {
		s.seal()
	}
	gone := s.removed && s.now.empty() && len(s.pending) == 0
	s.mu.Unlock()
	if !gone {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.removed && s.now.empty() && len(s.pending) == 0 { // still
		delete(h.series, s.key)
		h.sorted = nil
	}
}

// all returns the series by key.
func (h *History) all() []*Series {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.sorted == nil {
		h.sorted = make([]*Series, 0, len(h.series))
		for _, s := range h.series {
			h.sorted = append(h.sorted, s)
		}
		slices.SortFunc(h.sorted, func(a, b *Series) int { return slices.Compare(a.key[:], b.key[:]) })
	}
	return h.sorted
}

// mark notes that the process runs. h.sweeping is held.
func (h *History) mark(now time.Time) {
	at := now.Unix()
	h.queueMu.Lock()
	defer h.queueMu.Unlock()
	if at-h.span.End > int64(awayTime.Seconds()) || at < h.span.End-1 { // stopped, or the clock was set
		h.unsaved = append(h.unsaved, h.span)
		h.span = Span{at, at}
	}
	h.span.End = max(h.span.End, at)
}

// writeAll writes the queue, until ctx is done or a write fails. h.sweeping is held.
func (h *History) writeAll(ctx context.Context) {
	for first := true; first || h.waiting(); first = false {
		if ctx.Err() != nil || !h.writeSome() {
			return
		}
	}
}

func (h *History) waiting() bool {
	h.queueMu.Lock()
	defer h.queueMu.Unlock()
	return len(h.queue) > 0
}

// writeSome writes a batch, and reports whether that worked.
func (h *History) writeSome() bool {
	h.queueMu.Lock()
	some := h.queue[:min(len(h.queue), batch)]
	changes := h.changes
	spans := append(slices.Clone(h.unsaved), h.span)
	h.queueMu.Unlock()
	h.commit.Lock()
	err := h.store.write(some, changes, spans)
	if err == nil {
		for _, b := range some {
			b.of.mu.Lock()
			b.of.pending = slices.DeleteFunc(b.of.pending, func(p *block) bool { return p == b.block })
			b.of.mu.Unlock()
		}
		h.queueMu.Lock()
		h.changes = slices.Clone(h.changes[len(changes):])
		h.queueMu.Unlock()
	}
	h.commit.Unlock()
	h.queueMu.Lock()
	defer h.queueMu.Unlock()
	switch {
	case err != nil && h.failing == nil:
		h.o.Log.Warn("history is not written; measuring goes on", "error", err)
	case err == nil && h.failing != nil:
		h.o.Log.Info("history is written again", "rounds_lost", h.dropped)
	}
	h.failing = err
	if err != nil {
		return false
	}
	for _, b := range some {
		h.queued -= b.size()
	}
	h.queue = slices.Delete(h.queue, 0, len(some))
	h.unsaved = nil
	return true
}

// Close writes what is in memory, until ctx is done. No Record may come after it.
func (h *History) Close(ctx context.Context, now time.Time) error {
	h.sweeping.Lock()
	defer h.sweeping.Unlock()
	for _, s := range h.all() {
		s.mu.Lock()
		if !s.now.empty() {
			s.seal()
		}
		s.mu.Unlock()
	}
	h.mark(now)
	h.writeAll(ctx)
	h.queueMu.Lock()
	lost, err := 0, h.failing
	for _, b := range h.queue {
		lost += b.rounds
	}
	changes := len(h.changes)
	h.queueMu.Unlock()
	if lost+changes > 0 {
		if err == nil {
			err = ctx.Err()
		}
		err = fmt.Errorf("history: %d rounds and %d changes of paths are lost: %w", lost, changes, err)
	}
	if closed := h.store.close(); err == nil {
		err = closed
	}
	return err
}
