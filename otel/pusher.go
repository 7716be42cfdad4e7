package otel

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/internal/monitor"
)

const (
	// messageLimit is how many bytes a message has at most, before
	// compression. Collectors take 4 MiB unless told otherwise.
	messageLimit = 2 << 20

	// leastLimit is how far the limit falls where a collector refuses
	// messages as too large.
	leastLimit = 64 << 10

	// firstPush is when the first push comes at the latest, so that a wrong
	// endpoint and the first figures are seen soon.
	firstPush = 3 * time.Second
)

// Config is what a [Pusher] is made of.
type Config struct {
	Settings *config.OTelSettings
	Version  string // of pingtel
	Log      *slog.Logger

	// Stdout, if not nil, gets what would be sent, as OTLP in JSON, one
	// message a line. Nothing is sent then.
	Stdout io.Writer

	// Self returns the counts of the prober and of the monitor.
	Self func() (icmpcore.Stats, monitor.Stats)
}

// Pusher is a [monitor.Sink] that counts results and pushes the counts to a
// collector. Make one with [New]; Record, Forget, Reload and Failed are
// safe for use beside Run.
type Pusher struct {
	settings *config.OTelSettings
	log      *slog.Logger
	self     func() (icmpcore.Stats, monitor.Stats)
	table    table
	client   client
	encoder  *encoder
	started  int64 // Unix ns
	refs     []ref // of the push under way; used again
	health   health
	broken   error // why nothing can be sent any more

	interval atomic.Int64 // ns from one push to the next
}

// New returns a pusher. It sends nothing before Run or Close. The error says
// what of the settings cannot be used.
func New(c Config) (*Pusher, error) {
	s := c.Settings
	p := &Pusher{settings: s, log: c.Log, self: c.Self, started: time.Now().UnixNano(), health: health{log: c.Log}}
	p.interval.Store(int64(s.Interval))
	p.table.init(func() histogram { return newExponential() })
	if s.Histogram == "explicit" {
		b := newBounds(s.Bounds)
		p.table.init(func() histogram { return newExplicit(b) })
	}
	p.encoder = newEncoder(newResource(s.Resource, c.Version, c.Log), c.Version, s.Temporality, s.Histogram, messageLimit)
	if c.Stdout != nil {
		p.client = newPrinter(c.Stdout)
		return p, nil
	}
	var err error
	p.client, err = newClient(s, "pingtel/"+c.Version)
	return p, err
}

// Record counts the result of one series.
func (p *Pusher) Record(t *monitor.Target, r *icmpcore.PingResult) { p.table.record(t, r) }

// Forget ends the series of a target. What no push has carried yet of them the
// next one does. A target with the same attributes that comes within ten
// minutes, or within two intervals where these are longer, goes on with them.
func (p *Pusher) Forget(t *monitor.Target) { p.table.forget(t, time.Now()) }

// Failed returns how many pushes have failed since the start, wholly or in
// part.
func (p *Pusher) Failed() uint64 { return p.health.failed.Load() }

// Reload takes over the interval of next, from the next push on. All else of
// it takes a restart, which is said where there is need for one.
func (p *Pusher) Reload(next *config.OTelSettings) {
	p.interval.Store(int64(next.Interval))
	s := *p.settings
	s.Interval = next.Interval
	if keys := s.Changes(next); len(keys) > 0 {
		p.log.Warn("restart pingtel to change " + strings.Join(keys, ", "))
	}
}

// Run pushes once in every interval until ctx is done, and returns nil, or
// until stdout cannot be written any more, and returns that error. Close has to
// follow.
func (p *Pusher) Run(ctx context.Context) error {
	next := time.Now().Add(min(p.settings.Interval, firstPush))
	timer := time.NewTimer(time.Until(next))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		if p.push(ctx); p.broken != nil {
			return p.broken
		}
		interval := time.Duration(p.interval.Load())
		for now := time.Now(); !next.After(now); { // a push that took too long leaves out its successors
			next = next.Add(interval)
		}
		timer.Reset(time.Until(next))
	}
}

// Close pushes a last time, until ctx is done, and ends the connection. It must
// not run beside Run. The error is that of Run, if there was one, or of the
// connection's end.
func (p *Pusher) Close(ctx context.Context) error {
	if p.broken == nil {
		p.push(ctx)
	}
	if p.broken != nil {
		return errors.Join(p.broken, p.client.close())
	}
	p.health.end()
	return p.client.close()
}

// push sends everything. It stops at the first sign that the collector takes
// nothing: with many messages each would wait in vain for its turn.
func (p *Pusher) push(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, p.settings.Timeout)
	defer cancel()
	now := time.Now()
	err := p.pushSelf(ctx, now)
	if v := verdictOf(err); err == nil || v != outage && v != broken {
		p.refs = p.table.refs(p.refs[:0])
		if later := p.pushStreams(ctx, now, p.refs); err == nil {
			err = later
		}
		clear(p.refs) // or it would keep removed targets
	}
	if err != nil && verdictOf(err) == broken {
		p.broken = err
		return
	}
	if err != nil && errors.Is(ctx.Err(), context.Canceled) {
		return // the end: Close pushes again
	}
	lost := p.table.sweep(now, max(keepTime, 2*time.Duration(p.interval.Load())))
	p.health.note(now, err, lost)
}

// pushSelf sends the figures of pingtel itself: a small message, which finds
// out whether there is a collector.
func (p *Pusher) pushSelf(ctx context.Context, now time.Time) error {
	engine, schedule := p.self()
	p.encoder.begin(now)
	p.started = min(p.started, now.UnixNano()) // as of streams
	p.encoder.addSelf(engine, schedule, p.health.failed.Load(), p.started)
	return p.export(ctx)
}

// export sends the message that has been built, and counts what of it the
// collector rejects.
func (p *Pusher) export(ctx context.Context) error {
	err := p.client.export(ctx, p.encoder.message())
	if partly := (*partialError)(nil); errors.As(err, &partly) {
		p.health.rejected += partly.points
	}
	return err
}

// pushStreams sends streams in as many messages as it takes. The error is the
// first one; those of single messages do not end it.
func (p *Pusher) pushStreams(ctx context.Context, now time.Time, refs []ref) error {
	var first error
	note := func(err error) {
		if first == nil {
			first = err
		}
	}
	for len(refs) > 0 {
		n := p.fill(now, refs)
		err := p.export(ctx)
		switch {
		case err == nil:
			p.table.delivered(refs[:n], now)
		case verdictOf(err) == partly:
			p.table.delivered(refs[:n], now)
			note(err)
		case verdictOf(err) == tooLarge && p.encoder.limit > leastLimit && n > 1:
			p.encoder.limit /= 2
			p.log.Info("the collector refuses large messages: sending smaller ones", "bytes", p.encoder.limit, "error", err)
			continue
		case verdictOf(err) == broken:
			return err
		case verdictOf(err) == outage:
			note(err)
			return first
		default:
			note(err)
		}
		refs = refs[n:]
	}
	return first
}

// fill builds a message of the first refs and returns how many they are.
func (p *Pusher) fill(now time.Time, refs []ref) int {
	p.encoder.begin(now)
	for i := range refs {
		if !p.addRef(&refs[i]) {
			return i
		}
	}
	return len(refs)
}

func (p *Pusher) addRef(r *ref) bool {
	p.table.mu.Lock()
	defer p.table.mu.Unlock()
	r.recorded = r.stream.recorded
	current := r.entry.removed.IsZero() && r.entry.streams[0] == r.stream
	return p.encoder.add(&r.entry.target.Target, r.stream, current)
}
