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

// StoreOptions say what a [Store] keeps. The zero value is ready to use.
type StoreOptions struct {
	// Bounds are the upper bounds of the buckets of ping.rtt, in seconds, above 0
	// and ascending. Nil means [DefaultBounds]. With Exponential they are not used.
	Bounds []float64

	// Exponential makes ping.rtt a base-2 exponential histogram of at most 160
	// buckets.
	Exponential bool

	// Native keeps an exponential histogram beside the one with Bounds, which
	// [Store.WriteProtobuf] writes as a native histogram of Prometheus. It takes up to
	// 1.6 KiB for each address. With Exponential it changes nothing.
	Native bool

	// Metrics are the names of the instruments to produce; see [Instruments]. Nil
	// means all, an empty list means none.
	Metrics []string

	// Version is the version of the instrumentation scope. It may be empty.
	Version string

	// Self returns what the program reports on itself. Nil means that there are no
	// such points, except ping.export.failed. Self is called for each push and each
	// Produce, from several goroutines at once if there are several readers.
	Self func() Self
}

// Self is what a program that pings reports on itself.
type Self struct {
	Targets     int    // targets that are pinged now
	Skipped     uint64 // series that were not sent, since the start
	Foreign     uint64 // of [icmpcore.Stats]
	KernelDrops uint64 // of [icmpcore.Stats]

	// Sources is how many sources of targets there are. With 0, the following have no
	// points.
	Sources        int
	SourceAge      time.Duration // since the source of the oldest list in force last gave it
	SourceFailures uint64        // attempts to read a source that failed, since the start

	// Fleet says how the program stands among several that share the targets. Nil
	// means that there are no points of it.
	Fleet *FleetSelf
}

// FleetSelf is what a program reports on the fleet of programs that share their
// targets.
type FleetSelf struct {
	Members int           // programs in the fleet, this one included
	Owned   int           // targets of this one
	Changes uint64        // of the list of programs, since the start
	ViewAge time.Duration // of what this one knows of the others; negative: it is fixed, or unknown
}

// Store counts the results of any number of targets. It is a [sdkmetric.Producer]
// for any reader, and a [Pusher] pushes what it holds. Make one with [NewStore]; the
// zero value does not work. All methods are safe for concurrent use.
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
	last  time.Time  // what stamp returned last
	asked time.Time  // when it was called last
}

// NewStore returns an empty store. The error names the option whose value is not
// allowed.
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
		switch {
		case o.Exponential:
			return newExponential()
		case o.Native:
			return newBoth(s.bounds)
		}
		return newExplicit(s.bounds)
	})
	wanted := func(name string) bool { return o.Metrics == nil || slices.Contains(o.Metrics, name) }
	for i, in := range targetInstruments {
		s.targets[i] = wanted(in.name)
	}
	for i, in := range selfInstruments {
		s.selves[i] = wanted(in.name) && (o.Self != nil || i == failedMetric || i == breaksMetric)
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
	Host   string          // server.address, as the user wrote it
	Family icmpcore.Family // network.type as long as no address is known
	DSCP   int             // ping.dscp; 0 means that there is none

	// Attributes are further ones. If a key is one of the package's own, the package
	// wins. The store keeps the slice: do not change it.
	Attributes []attribute.KeyValue
}

// Target is a target of one [Store], to which alone it may be given. Make one with
// [Store.Add].
type Target struct {
	options TargetOptions
	streams []*stream // the one that was recorded last is first
	rounds  uint64    // series recorded
	removed time.Time // zero while it is in the store
}

// Add adds a target. No two targets of a store may have the same attributes: they
// would be two points of one series. The store does not check that. A target with
// the attributes of a removed one continues its counts, if it has a result within
// ten minutes.
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

// Record counts the result of one series of t. It ignores results of a removed
// target, and a series that was cancelled before its first request. It does not
// keep r.
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

// Failed returns how many pushes of a [Pusher] have failed since the start, wholly
// or in part.
func (s *Store) Failed() uint64 { return s.failed.Load() }

// Produce returns the points of all targets in the store, cumulative since their
// start, all with the time of the call. It fails if a [Pusher] takes deltas from
// the same store, because the sums do not contain these any more. A target that has
// no result yet has no points.
func (s *Store) Produce(ctx context.Context) ([]metricdata.ScopeMetrics, error) {
	if s.delta.Load() {
		return nil, errDelta
	}
	c, now := newChunk(s, temporalities{}), s.stamp()
	c.begin(now)
	c.addSelf(s.self(), selfCounts{}, s.started, s.started)
	c.addBreaks(s.table.breaksNow(), nil, s.started, s.started)
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
	s.settle(refs, now)
	return c.scopes(), nil
}

// settle notes that refs have been read, and drops what need not be kept any
// longer. Where there is a [Pusher], it does so after each push.
func (s *Store) settle(refs []ref, now time.Time) {
	if !s.pushed.Load() {
		s.table.delivered(refs, now)
		s.table.sweep(now, keepTime)
	}
}

var errDelta = errors.New("otel: the store is pushed with delta temporality: a reader wants a store of its own")

func (s *Store) scope() instrumentation.Scope {
	return instrumentation.Scope{Name: scopeName, Version: s.options.Version}
}

// selfCounts are the figures on the program itself. A negative one has no point.
type selfCounts [selfMetrics]int64

// none is the value of a figure that does not exist.
const none = -1

func (s *Store) self() selfCounts {
	n := selfCounts{failedMetric: int64(s.failed.Load()), membersMetric: none, ownedMetric: none, changesMetric: none, viewAgeMetric: none}
	if s.options.Self != nil {
		self := s.options.Self()
		n[targetsMetric], n[skippedMetric] = int64(self.Targets), int64(self.Skipped)
		n[foreignMetric], n[dropsMetric] = int64(self.Foreign), int64(self.KernelDrops)
		n[sourceAgeMetric], n[sourceFailuresMetric] = none, none
		if self.Sources > 0 {
			n[sourceAgeMetric], n[sourceFailuresMetric] = int64(self.SourceAge.Seconds()), int64(self.SourceFailures)
		}
		if f := self.Fleet; f != nil {
			n[membersMetric], n[ownedMetric], n[changesMetric] = int64(f.Members), int64(f.Owned), int64(f.Changes)
			if f.ViewAge >= 0 {
				n[viewAgeMetric] = int64(f.ViewAge.Round(time.Second) / time.Second)
			}
		}
	}
	return n
}

// longestHold is how far the wall clock may be set back without the times of the
// points following it.
const longestHold = 5 * time.Minute

// stamp returns the time for points that are made now: the wall clock's. If the
// clock was set back a little, stamp continues from its last value at half the
// speed until the clock has caught up, because databases refuse points that are
// older than their last. If the clock was set back far, it had been wrong, and
// stamp follows it.
func (s *Store) stamp() time.Time {
	s.clock.Lock()
	defer s.clock.Unlock()
	now := time.Now()
	s.last, s.asked = later(s.last, now.Sub(s.asked), now.Round(0)), now
	return s.last
}

// later returns the stamp for the wall time now, if the stamp before it was last
// and elapsed is the time between the two calls.
func later(last time.Time, elapsed time.Duration, now time.Time) time.Time {
	held := last.Add(elapsed / 2)
	if back := held.Sub(now); !last.IsZero() && back > 0 && back <= longestHold {
		return held
	}
	return now
}
