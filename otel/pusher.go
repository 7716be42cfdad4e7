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
	// compression. Collectors take 4 MiB by default. An exporter takes twenty
	// times the size of a message in memory to make it.
	messageLimit = 512 << 10

	// leastLimit is how far the limit falls where a collector refuses
	// messages as too large. It is doubled again after so many pushes without
	// that: the collector, or what stands before it, may be another by then.
	leastLimit    = 32 << 10
	recoverPushes = 100

	// firstPush is when the first push comes at the latest, so that a wrong
	// endpoint and the first figures are seen soon.
	firstPush = 3 * time.Second

	// longestPause bounds for how long a collector can ask to be left alone.
	longestPause = 5 * time.Minute

	// graceTime is how long Run may still push when it is to end. What the
	// collector has taken of a push under way would else be sent again by the
	// last one, and with delta be counted twice.
	graceTime = 2500 * time.Millisecond
)

// Pusher pushes what a [Store] holds into an exporter, in messages of at most
// 512 KiB, or less where the receiver refuses these as too large. Make one with
// [NewPusher]. A store has one pusher at most.
type Pusher struct {
	// Interval is the time from the start of one push to the next; the first
	// comes within three seconds. Zero means DefaultInterval. SetInterval changes
	// it while Run is running.
	Interval time.Duration

	// Timeout is how long one push, of many messages, may take. Zero means
	// DefaultTimeout.
	Timeout time.Duration

	// Log gets a line when pushes begin to fail, for a further cause of that, and
	// when they succeed again. Nil means that there is no log.
	Log *slog.Logger

	store    *Store
	exporter sdkmetric.Exporter
	resource *resource.Resource
	head     int // bytes that the resource takes in a message, at most
	chunk    *chunk
	refs     []ref // of the push under way; used again
	health   health
	broken   *ExportError // why nothing can be sent any more

	started, deliveredAt time.Time
	delivered            selfCounts // that a push delivered at deliveredAt

	limit       int       // bytes of a message
	smallest    int       // limit that was logged
	calm        int       // pushes since the limit changed
	quiet       time.Time // until when the collector wants to be left alone
	toldCrowded time.Time // when it was logged that addresses are too many

	interval atomic.Int64  // ns from one push to the next, 0 for that of Interval
	changed  chan struct{} // holds one where the interval has changed
}

// NewPusher returns a pusher of what st holds, as the points of resource r, into
// e. It sends nothing before Run or Close. Counters and histograms of targets
// are delta where e wants [metricdata.DeltaTemporality] of a counter, those of
// the program itself where it wants it of an observable counter.
//
// e must not retry by itself: the next push carries what this one did not. Set
// the exporter's own retry off. Its errors are taken as [ExportError] says.
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

// SetInterval changes the interval. A shorter one counts from now on, a longer
// one from the next push.
func (p *Pusher) SetInterval(d time.Duration) {
	p.interval.Store(int64(d))
	select {
	case p.changed <- struct{}{}:
	default: // Run will look already
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

// Run pushes once in every interval until ctx is done. Then it finishes a push
// under way, pushes what none has delivered, for 2.5 seconds in all, and returns
// nil. It returns an error earlier where the exporter says that it is [Broken].
// Close has to follow.
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
		case <-p.changed: // a shorter interval must not wait for the end of a long one
			if soon := time.Now().Add(p.every()); soon.Before(next) {
				next = soon
			}
		case <-timer.C:
			if p.push(whole, false); p.broken != nil {
				return p.broken
			}
			for now := time.Now(); !next.After(now); { // a push that took too long leaves out its successors
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

// Close pushes what no push has delivered, until ctx is done, logs what is lost
// where that fails, and shuts the exporter down. It must not run beside Run. The
// error is that of Run, if there was one, or of the exporter's end.
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

// push sends everything, or with newOnly what no push has delivered. It stops at
// the first sign that the collector takes nothing: with many messages each would
// wait in vain for its turn.
func (p *Pusher) push(ctx context.Context, newOnly bool) {
	ctx, cancel := context.WithTimeout(ctx, orDefault(p.Timeout, DefaultTimeout))
	defer cancel()
	now := p.store.stamp()
	failed := p.pushSelf(ctx, now)
	if taken(failed) || failed.Outcome == Refused {
		p.refs = p.store.table.refs(p.refs[:0], newOnly)
		failed = worse(failed, p.pushStreams(ctx, now, p.refs))
		clear(p.refs) // or it would keep removed targets
	}
	if failed != nil && failed.Outcome == Broken {
		p.broken = failed
		return
	}
	if failed != nil && errors.Is(ctx.Err(), context.Canceled) {
		return // the end: Close pushes again
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

// pushSelf sends the figures of pingtel itself: a small message, which finds
// out whether there is a collector.
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
	failed := p.export(ctx)
	if taken(failed) {
		p.delivered, p.deliveredAt = counts, now
	}
	return failed
}

// export sends the chunk that has been built, and counts what of it the
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

// pushStreams sends streams in as many messages as it takes. The error is the
// one that says most; one message that is refused does not keep the others.
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
		p.log().Info("the collector refuses large messages: it gets smaller ones", "bytes", p.smallest)
	}
	return worst
}

// recoverLimit raises the limit of messages again from time to time.
func (p *Pusher) recoverLimit() {
	if p.calm++; p.calm > recoverPushes && p.limit < messageLimit {
		p.limit, p.calm = 2*p.limit, 0
	}
}

// fill builds a message of the first refs and returns how many they are.
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
