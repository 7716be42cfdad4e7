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
	// messages as too large. It is doubled again after so many pushes without
	// that: the collector, or what stands before it, may be another by then.
	leastLimit    = 64 << 10
	recoverPushes = 100

	// firstPush is when the first push comes at the latest, so that a wrong
	// endpoint and the first figures are seen soon.
	firstPush = 3 * time.Second

	// longestPause bounds for how long a collector can ask to be left alone.
	longestPause = 5 * time.Minute

	// graceTime is how long a push under way may go on when Run is to end. What
	// the collector has taken of it would else be sent again by the last one,
	// and with delta be counted twice.
	graceTime = 2 * time.Second
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

	delivered   selfCounts // that a push has delivered last, and when, Unix ns
	deliveredAt int64

	smallest    int       // limit of messages that has been told of
	calm        int       // pushes since the limit changed
	quiet       time.Time // until when the collector wants to be left alone
	toldCrowded time.Time // when it was told that addresses are too many

	interval atomic.Int64  // ns from one push to the next
	reloaded chan struct{} // holds one where the interval has changed
}

// New returns a pusher. It sends nothing before Run or Close. The error says
// what of the settings cannot be used.
func New(c Config) (*Pusher, error) {
	s := c.Settings
	p := &Pusher{settings: s, log: c.Log, self: c.Self, started: time.Now().UnixNano(), health: health{log: c.Log},
		smallest: messageLimit, reloaded: make(chan struct{}, 1)}
	p.deliveredAt = p.started
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

// Reload takes over the interval of next. All else of it takes a restart, which
// is said where there is need for one.
func (p *Pusher) Reload(next *config.OTelSettings) {
	p.interval.Store(int64(next.Interval))
	select {
	case p.reloaded <- struct{}{}:
	default: // Run will look already
	}
	s := *p.settings
	s.Interval = next.Interval
	if keys := s.Changes(next); len(keys) > 0 {
		p.log.Warn("restart pingtel to change " + strings.Join(keys, ", "))
	}
}

// Run pushes once in every interval until ctx is done, and returns nil, or
// until stdout cannot be written any more, and returns that error. A push under
// way when ctx is done has two seconds more. Close has to follow.
func (p *Pusher) Run(ctx context.Context) error {
	interval := func() time.Duration { return time.Duration(p.interval.Load()) }
	next := time.Now().Add(min(interval(), firstPush))
	timer := time.NewTimer(time.Until(next))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-p.reloaded: // a shorter interval must not wait for the end of a long one
			if soon := time.Now().Add(interval()); soon.Before(next) {
				next = soon
			}
		case <-timer.C:
			if p.pushWhole(ctx); p.broken != nil {
				return p.broken
			}
			for now := time.Now(); !next.After(now); { // a push that took too long leaves out its successors
				next = next.Add(interval())
			}
		}
		for next.Before(p.quiet) {
			next = next.Add(interval())
		}
		timer.Reset(time.Until(next))
	}
}

// pushWhole is push, with graceTime more when ctx is done.
func (p *Pusher) pushWhole(ctx context.Context) {
	whole, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(graceTime, cancel) })
	defer stop()
	p.push(whole)
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
	if taken(err) || verdictOf(err) == refused {
		p.refs = p.table.refs(p.refs[:0])
		err = worse(err, p.pushStreams(ctx, now, p.refs))
		clear(p.refs) // or it would keep removed targets
	}
	if err != nil && verdictOf(err) == broken {
		p.broken = err
		return
	}
	if err != nil && errors.Is(ctx.Err(), context.Canceled) {
		return // the end: Close pushes again
	}
	if failed := (*pushError)(nil); errors.As(err, &failed) {
		p.quiet = time.Now().Add(min(failed.wait, longestPause))
	}
	lost := p.table.sweep(now, max(keepTime, 2*time.Duration(p.interval.Load())))
	if host := p.table.takeCrowded(); host != "" && now.Sub(p.toldCrowded) >= time.Hour {
		p.toldCrowded = now
		p.log.Warn("a name has more addresses than are kept from push to push: counts are lost", "host", host, "kept", maxStreams, "series_lost", lost)
	}
	p.health.note(now, err, lost)
}

// pushSelf sends the figures of pingtel itself: a small message, which finds
// out whether there is a collector.
func (p *Pusher) pushSelf(ctx context.Context, now time.Time) error {
	engine, schedule := p.self()
	counts := selfCounts{
		targetsMetric: uint64(schedule.Targets),
		skippedMetric: schedule.Skipped + schedule.Missed,
		foreignMetric: engine.Foreign,
		dropsMetric:   engine.KernelDrops,
		failedMetric:  p.health.failed.Load(),
	}
	at := now.UnixNano()
	p.encoder.begin(now)
	p.started, p.deliveredAt = min(p.started, at), min(p.deliveredAt, at) // as of streams
	p.encoder.addSelf(counts, p.delivered, p.started, p.deliveredAt)
	err := p.export(ctx)
	if taken(err) {
		p.delivered, p.deliveredAt = counts, at
	}
	return err
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
// one that tells most; one message that is refused does not keep the others.
func (p *Pusher) pushStreams(ctx context.Context, now time.Time, refs []ref) error {
	var worst error
	for p.recoverLimit(); len(refs) > 0; {
		n := p.fill(now, refs)
		err := p.export(ctx)
		v := verdictOf(err)
		if v == tooLarge && p.encoder.limit > leastLimit && n > 1 {
			p.encoder.limit, p.calm = p.encoder.limit/2, 0
			continue
		}
		if err != nil {
			worst = worse(worst, err)
		}
		switch {
		case taken(err):
			p.table.delivered(refs[:n], now)
		case v == broken:
			return err
		case v == outage, v == tooLarge && n > 1:
			return worst
		}
		refs = refs[n:]
	}
	if p.encoder.limit < p.smallest {
		p.smallest = p.encoder.limit
		p.log.Info("the collector refuses large messages: it gets smaller ones", "bytes", p.smallest)
	}
	return worst
}

// recoverLimit raises the limit of messages again from time to time.
func (p *Pusher) recoverLimit() {
	if p.calm++; p.calm > recoverPushes && p.encoder.limit < messageLimit {
		p.encoder.limit, p.calm = 2*p.encoder.limit, 0
	}
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
