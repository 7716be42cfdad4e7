package otel

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
)

// Defaults of a [Pusher].
const (
	DefaultInterval = 10 * time.Second
	DefaultTimeout  = 10 * time.Second
)

const (
	// messageLimit is how many bytes an OTLP message has at most, before
	// compression. Collectors take 4 MiB by default. To make a message, an exporter
	// needs twenty times its size in memory.
	messageLimit = 512 << 10

	// leastLimit is the lowest limit, for a collector that refuses messages as too
	// large. After recoverPushes pushes without such a refusal the limit is doubled
	// again: the collector, or the proxy before it, may have been replaced.
	leastLimit    = 32 << 10
	recoverPushes = 100

	// firstPush is when the first push comes at the latest, so that a user soon sees
	// a wrong endpoint or the first figures.
	firstPush = 3 * time.Second

	// longestPause bounds how long a collector can ask the pusher to wait.
	longestPause = 5 * time.Minute

	// graceTime is how long Run may still push after its context is done. If it
	// stopped in the middle of a push, the last push would send again what the
	// collector has taken of it, and with delta the collector would count it twice.
	graceTime = 2500 * time.Millisecond
)

// Pusher pushes what a [Store] holds into an exporter, in messages of at most
// 512 KiB, or smaller ones if the receiver refuses these as too large. Make one
// with [NewPusher]; the zero value does not work. A store has one pusher at most.
//
// Set the fields before Run. Call Run once and Close after it has returned. Only
// SetInterval may be called at the same time.
type Pusher struct {
	// Interval is the time from the start of one push to the start of the next. The
	// first push comes within three seconds. Zero means [DefaultInterval].
	// [Pusher.SetInterval] changes it while Run is running.
	Interval time.Duration

	// Timeout is how long one push may take, with all its messages. Zero means
	// [DefaultTimeout].
	Timeout time.Duration

	// Log gets a record when pushes begin to fail, for each further cause, and when
	// they succeed again. Nil means no log.
	Log *slog.Logger

	store    *Store
	exporter sdkmetric.Exporter
	resource *resource.Resource
	head     int // bytes that the resource takes in a message, at most
	chunk    *chunk
	refs     []ref // of the push that runs; reused
	health   health
	broken   *ExportError // why nothing can be sent any more

	started, deliveredAt time.Time
	delivered            selfCounts // what a push delivered at deliveredAt
	deliveredBreaks      breaks     // the same

	limit       int       // bytes of a message
	smallest    int       // the lowest limit that was logged
	calm        int       // pushes since the limit changed
	quiet       time.Time // until when the collector wants no push
	toldCrowded time.Time // when a host with too many addresses was last logged

	interval atomic.Int64  // ns from one push to the next, 0 for that of Interval
	changed  chan struct{} // holds one if the interval has changed
}

// NewPusher returns a pusher that pushes what st holds into e, as the points of
// resource r. Nil means a resource without attributes. It sends nothing before Run
// or Close.
//
// Counters and histograms of targets are delta if e wants
// [metricdata.DeltaTemporality] for a counter, those of the program itself if e
// wants it for an observable counter.
//
// e must not retry by itself, because the next push carries what this one could
// not deliver: turn the exporter's own retry off. [ExportError] tells what the
// pusher makes of e's errors.
func NewPusher(st *Store, e sdkmetric.Exporter, r *resource.Resource) *Pusher {
	wants := func(k sdkmetric.InstrumentKind) bool { return e.Temporality(k) == metricdata.DeltaTemporality }
	d := temporalities{counters: wants(sdkmetric.InstrumentKindCounter), self: wants(sdkmetric.InstrumentKindObservableCounter)}
	st.pushed.Store(true)
	st.delta.Store(d.counters)
	if r == nil {
		r = resource.Empty()
	}
	p := &Pusher{
		store: st, exporter: e, resource: r, chunk: newChunk(st, d), health: health{store: st},
		started: st.started, deliveredAt: st.started, limit: messageLimit, smallest: messageLimit, changed: make(chan struct{}, 1),
	}
	for _, kv := range r.Attributes() {
		p.head += attributeBytes(&kv)
	}
	return p
}

// SetInterval changes the interval. A shorter one takes effect at once, a longer
// one after the next push. It is safe for concurrent use.
func (p *Pusher) SetInterval(d time.Duration) {
	p.interval.Store(int64(d))
	select {
	case p.changed <- struct{}{}:
	default: // Run is going to look anyway
	}
}

func (p *Pusher) every() time.Duration {
	if d := time.Duration(p.interval.Load()); d > 0 {
		return d
	}
	return orDefault(p.Interval, DefaultInterval)
}

func orDefault(d, byDefault time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return byDefault
}

func (p *Pusher) log() *slog.Logger {
	if p.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return p.Log
}

// Run pushes once in every interval until ctx is done. Then it finishes the push
// that runs, pushes what no push has delivered, for 2.5 seconds in all, and returns
// nil. It returns an error earlier if the exporter reports that it is [Broken].
// Call Close afterwards.
func (p *Pusher) Run(ctx context.Context) error {
	next := time.Now().Add(min(p.every(), firstPush))
	timer := time.NewTimer(time.Until(next))
	defer timer.Stop()
	whole, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(graceTime, cancel) })
	defer stop()
	for {
		select {
		case <-ctx.Done():
			if left, _ := p.store.table.undelivered(); left > 0 && !p.quiet.After(time.Now()) {
				p.push(whole, true)
			}
			return p.brokenError()
		case <-p.changed: // a shorter interval does not wait for the end of a long one
			if soon := time.Now().Add(p.every()); soon.Before(next) {
				next = soon
			}
		case <-timer.C:
			if p.push(whole, false); p.broken != nil {
				return p.broken
			}
			for now := time.Now(); !next.After(now); { // a push that took too long replaces those that were due meanwhile
				next = next.Add(p.every())
			}
		}
		for next.Before(p.quiet) {
			next = next.Add(p.every())
		}
		timer.Reset(time.Until(next))
	}
}

func (p *Pusher) brokenError() error {
	if p.broken == nil {
		return nil
	}
	return p.broken
}

// Close pushes what no push has delivered, until ctx is done, and logs what is lost
// if that fails. Then it shuts the exporter down. The error is that of Run, if there
// was one, joined with that of the exporter's Shutdown.
func (p *Pusher) Close(ctx context.Context) error {
	if p.broken == nil {
		p.push(ctx, true)
	}
	if p.broken == nil {
		left, all := p.store.table.undelivered()
		p.health.end(p.log(), left, all)
	}
	return errors.Join(p.brokenError(), p.exporter.Shutdown(context.WithoutCancel(ctx)))
}

// push sends everything, or with newOnly what no push has delivered. It stops as
// soon as the collector takes nothing: otherwise each of many messages would wait
// for its own timeout.
func (p *Pusher) push(ctx context.Context, newOnly bool) {
	ctx, cancel := context.WithTimeout(ctx, orDefault(p.Timeout, DefaultTimeout))
	defer cancel()
	now := p.store.stamp()
	failed := p.pushSelf(ctx, now)
	if taken(failed) || failed.Outcome == Refused {
		p.refs = p.store.table.refs(p.refs[:0], newOnly)
		failed = worse(failed, p.pushStreams(ctx, now, p.refs))
		clear(p.refs) // otherwise it would keep removed targets in memory
	}
	if failed != nil && failed.Outcome == Broken {
		p.broken = failed
		return
	}
	if failed != nil && errors.Is(ctx.Err(), context.Canceled) {
		return // the process ends: Close pushes again
	}
	if failed != nil {
		p.quiet = time.Now().Add(min(failed.RetryAfter, longestPause))
	}
	lost := p.store.table.sweep(now, max(keepTime, 2*p.every()))
	if host := p.store.table.takeCrowded(); host != "" && now.Sub(p.toldCrowded) >= time.Hour {
		p.toldCrowded = now
		p.log().Warn("a name has more addresses than are kept from push to push: counts are lost", "host", host, "kept", maxStreams, "series_lost", lost)
	}
	p.health.note(p.log(), now, failed, lost)
}

// pushSelf sends the figures on the program itself: a small message that also finds
// out whether the collector is there.
func (p *Pusher) pushSelf(ctx context.Context, now time.Time) *ExportError {
	counts := p.store.self()
	p.chunk.begin(now)
	if p.started.After(now) { // the wall clock was set back, as for streams
		p.started = now
	}
	if p.deliveredAt.After(now) {
		p.deliveredAt = now
	}
	p.chunk.addSelf(counts, p.delivered, p.started, p.deliveredAt)
	broken := p.store.table.breaksNow()
	p.chunk.addBreaks(broken, p.deliveredBreaks, p.started, p.deliveredAt)
	failed := p.export(ctx)
	if taken(failed) {
		p.delivered, p.deliveredBreaks, p.deliveredAt = counts, broken, now
	}
	return failed
}

// export sends the chunk that has been built, and counts the points that the
// collector rejects.
func (p *Pusher) export(ctx context.Context) *ExportError {
	scopes := p.chunk.scopes()
	if scopes == nil {
		return nil
	}
	failed := judge(p.exporter.Export(ctx, &metricdata.ResourceMetrics{Resource: p.resource, ScopeMetrics: scopes}))
	if failed != nil && failed.Outcome == Partial {
		p.health.rejected += failed.Rejected
	}
	return failed
}

// pushStreams sends streams in as many messages as necessary. It returns the error
// that says most. After a message that was refused it sends the others.
func (p *Pusher) pushStreams(ctx context.Context, now time.Time, refs []ref) *ExportError {
	var worst *ExportError
	for p.recoverLimit(); len(refs) > 0; {
		n := p.fill(now, refs)
		failed := p.export(ctx)
		large := failed != nil && failed.Outcome == TooLarge
		if large && p.limit > leastLimit && n > 1 {
			p.limit, p.calm = p.limit/2, 0
			continue
		}
		worst = worse(worst, failed)
		switch {
		case taken(failed):
			p.store.table.delivered(refs[:n], now)
		case failed.Outcome == Unavailable, failed.Outcome == Broken, large && n > 1:
			return worst
		}
		refs = refs[n:]
	}
	if p.limit < p.smallest {
		p.smallest = p.limit
		p.log().Info("the collector rejected a message as too large: now sending smaller ones", "bytes", p.smallest)
	}
	return worst
}

// recoverLimit raises the limit of messages again after recoverPushes pushes.
func (p *Pusher) recoverLimit() {
	if p.calm++; p.calm > recoverPushes && p.limit < messageLimit {
		p.limit, p.calm = 2*p.limit, 0
	}
}

// fill builds a message of as many refs as it can hold, and returns how many.
func (p *Pusher) fill(now time.Time, refs []ref) int {
	p.chunk.begin(now)
	for i := range refs {
		if !p.addRef(&refs[i]) {
			return i
		}
	}
	return len(refs)
}

func (p *Pusher) addRef(r *ref) bool {
	p.store.table.mu.Lock()
	defer p.store.table.mu.Unlock()
	r.recorded = r.stream.recorded
	return p.chunk.addWithin(p.limit-p.head, *r)
}
