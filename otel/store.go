package otel

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/pingtel/pingtel/icmpcore"
)

// StoreOptions say what a [Store] keeps. The zero value is good.
type StoreOptions struct {
	// Bounds are the upper bounds of the buckets of ping.rtt: seconds, ascending.
	// Nil means [DefaultBounds]. They count for nothing with Exponential.
	Bounds []float64

	// Exponential makes ping.rtt a base-2 exponential histogram of at most 160
	// buckets.
	Exponential bool

	// Metrics are the names of the instruments to produce. Nil means all.
	Metrics []string

	// Version is that of the instrumentation scope.
	Version string

	// Self returns what the program reports of itself. Nil means that there are
	// no such points, except ping.export.failed.
	Self func() Self
}

// Self is what a program that pings reports of itself.
type Self struct {
	Targets     int    // in the configuration in force
	Skipped     uint64 // series left out since the start
	Foreign     uint64 // [icmpcore.Stats]
	KernelDrops uint64 // [icmpcore.Stats]
}

// Store counts the results of any number of targets. It is a
// [sdkmetric.Producer] for any reader, and what a [Pusher] pushes. All methods
// are safe for concurrent use.
//
// [sdkmetric.Producer]: https://pkg.go.dev/go.opentelemetry.io/otel/sdk/metric#Producer
type Store struct {
	options StoreOptions
	bounds  *bounds // of the explicit histogram
	targets [targetMetrics]bool
	selves  [selfMetrics]bool
	table   table
	started time.Time
	failed  atomic.Uint64 // pushes, wholly or in part
	pushed  atomic.Bool   // a pusher delivers the points, and drops what is over
	delta   atomic.Bool   // the pusher takes deltas

	clock sync.Mutex // guards what follows
	last  time.Time  // that stamp returned last
	asked time.Time  // when that was
}

// NewStore returns an empty store. The error names options that cannot be used.
func NewStore(o StoreOptions) (*Store, error) {
	s := &Store{options: o, started: time.Now()}
	if o.Bounds == nil {
		o.Bounds = DefaultBounds()
	}
	for i, b := range o.Bounds {
		if !(b > 0) || i > 0 && b <= o.Bounds[i-1] {
			return nil, fmt.Errorf("otel: bounds %v: want ascending numbers above 0", o.Bounds)
		}
	}
	s.bounds = newBounds(slices.Clone(o.Bounds))
	s.table.init(func() histogram {
		if o.Exponential {
			return newExponential()
		}
		return newExplicit(s.bounds)
	})
	wanted := func(name string) bool { return o.Metrics == nil || slices.Contains(o.Metrics, name) }
	for i, in := range targetInstruments {
		s.targets[i] = wanted(in.name)
	}
	for i, in := range selfInstruments {
		s.selves[i] = wanted(in.name) && (o.Self != nil || i == failedMetric)
	}
	known := Instruments()
	for _, name := range o.Metrics {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("otel: no instrument %q: want some of %s", name, strings.Join(known, ", "))
		}
	}
	return s, nil
}

// TargetOptions describe a target: they are its attributes.
type TargetOptions struct {
	Host       string               // server.address, as the user wrote it
	Family     icmpcore.Family      // network.type while no address is known
	DSCP       int                  // ping.dscp, 0 for none
	Attributes []attribute.KeyValue // more of them; those of the package win where the keys are equal. Not changed, and kept
}

// Target is a target of a [Store]. Make one with [Store.Add].
type Target struct {
	options TargetOptions
	streams []*stream // the one recorded last is the first
	rounds  uint64    // series recorded
	removed time.Time // zero as long as it is in the store
}

// Add takes in a target. Two with the same attributes would be one series of
// points twice: it is the caller's task that there are none. One that has the
// attributes of a removed target goes on with its counts, if it has a result
// within ten minutes.
func (s *Store) Add(o TargetOptions) *Target {
	byKey := func(a, b attribute.KeyValue) int { return strings.Compare(string(a.Key), string(b.Key)) }
	if !slices.IsSortedFunc(o.Attributes, byKey) {
		o.Attributes = slices.Clone(o.Attributes)
		slices.SortStableFunc(o.Attributes, byKey)
	}
	t := &Target{options: o}
	s.table.add(t)
	return t
}

// Record counts the result of one series of t. That of a removed target counts
// for nothing, and so does one that was ended before its first request. It does
// not keep r.
func (s *Store) Record(t *Target, r *icmpcore.PingResult) { s.table.record(t, r) }

// Remove removes t: [Store.Produce] leaves it out from now on. A Pusher still
// sends what no push has delivered yet. To remove it twice is allowed.
func (s *Store) Remove(t *Target) {
	now := time.Now()
	s.table.remove(t, now)
	if !s.pushed.Load() {
		s.table.sweepOverdue(now) // perhaps nothing reads the store
	}
}

// Failed returns how many pushes have failed since the start, wholly or in
// part.
func (s *Store) Failed() uint64 { return s.failed.Load() }

// Produce returns the points of all targets in the store, cumulative since their
// start, with one time for all. It fails where a [Pusher] takes deltas from the
// same store: these are not in the sums any more.
func (s *Store) Produce(ctx context.Context) ([]metricdata.ScopeMetrics, error) {
	if s.delta.Load() {
		return nil, errors.New("otel: the store is pushed with delta temporality: a reader wants a store of its own")
	}
	c, now := newChunk(s, temporalities{}), s.stamp()
	c.begin(now)
	c.addSelf(s.self(), selfCounts{}, s.started, s.started)
	refs := s.table.kept()
	for i := range refs {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		s.table.mu.Lock()
		refs[i].recorded = refs[i].stream.recorded
		c.add(refs[i])
		s.table.mu.Unlock()
	}
	if !s.pushed.Load() { // a Pusher does this after each push
		s.table.delivered(refs, now)
		s.table.sweep(now, keepTime)
	}
	return c.scopes(), nil
}

func (s *Store) scope() instrumentation.Scope {
	return instrumentation.Scope{Name: scopeName, Version: s.options.Version}
}

// selfCounts are the figures of pingtel itself.
type selfCounts [selfMetrics]int64

func (s *Store) self() selfCounts {
	n := selfCounts{failedMetric: int64(s.failed.Load())}
	if s.options.Self != nil {
		self := s.options.Self()
		n[targetsMetric], n[skippedMetric] = int64(self.Targets), int64(self.Skipped)
		n[foreignMetric], n[dropsMetric] = int64(self.Foreign), int64(self.KernelDrops)
	}
	return n
}

// longestHold is how far a wall clock may be set back for the points' times not
// to follow it.
const longestHold = 5 * time.Minute

// stamp returns the time of points that are made now: the wall clock's. While
// that is a little behind the last stamp, because it was corrected, stamp goes on
// from there at half the speed: databases refuse points that are older than their
// last. A clock that was set back far had been wrong, and stamp follows it.
func (s *Store) stamp() time.Time {
	s.clock.Lock()
	defer s.clock.Unlock()
	now := time.Now()
	s.last, s.asked = later(s.last, now.Sub(s.asked), now.Round(0)), now
	return s.last
}

// later is the stamp at wall time now, elapsed after the one that gave last.
func later(last time.Time, elapsed time.Duration, now time.Time) time.Time {
	held := last.Add(elapsed / 2)
	if back := held.Sub(now); !last.IsZero() && back > 0 && back <= longestHold {
		return held
	}
	return now
}
