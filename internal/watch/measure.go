package watch

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/internal/monitor"
	"github.com/pingtel/pingtel/internal/sweep"
)

// keptBySeries is how many figures a series keeps itself: the store has its own,
// and late replies are to be known as such.
const keptBySeries = 8

// retryAfter is when a host that could not be pinged is tried again.
const retryAfter = 10 * time.Second

var errNoHost = errors.New("the file names no host: want one a line")

// Hosts pings every host that source yields without end, until ctx is done, and
// shows what happens in the store. Names are looked up as by the ping command; a
// host that cannot be pinged is tried again. It closes the Pinger. The error is
// source's, or that of closing.
func (s *Store) Hosts(ctx context.Context, p sweep.Pinger, opts icmpcore.Options, source func(yield func([]byte) error) error) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	h := &endless{store: s, sweep: sweep.New(p), opts: opts, again: make(chan again)}
	h.opts.Count, h.opts.Keep = icmpcore.Forever, keptBySeries
	s.traceWith(p)
	err := h.sweep.Run(ctx, func(yield func([]byte, *sweep.Probe) error) error {
		err := h.source(ctx, source, yield)
		if err != nil {
			stop(err) // the series that run would go on for ever
		}
		return err
	})
	if cause := context.Cause(ctx); err == nil && !errors.Is(cause, context.Canceled) {
		err = cause
	}
	return err
}

// endless is a sweep that goes on until it is stopped.
type endless struct {
	store *Store
	sweep *sweep.Sweep
	opts  icmpcore.Options
	again chan again
}

// again is a host to try again.
type again struct {
	host string
	how  *sweep.Probe
}

// source yields the hosts, and then those that have to be tried again.
func (h *endless) source(ctx context.Context, hosts func(func([]byte) error) error, yield func([]byte, *sweep.Probe) error) error {
	n := 0
	if err := hosts(func(host []byte) error {
		n++
		text := string(host)
		return yield(host, h.probe(ctx, text))
	}); err != nil {
		return err
	}
	if n == 0 {
		return errNoHost
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case x := <-h.again:
			if err := yield([]byte(x.host), x.how); err != nil {
				return err
			}
		}
	}
}

// probe returns how a host is pinged.
func (h *endless) probe(ctx context.Context, host string) *sweep.Probe {
	t := h.store.Add(host, nil, h.opts.Interval)
	t.pingedBy(&h.opts)
	opts := h.opts
	opts.OnEcho = t.Echo
	var how *sweep.Probe
	how = h.sweep.Probe(opts, func(r icmpcore.PingResult) {
		if ctx.Err() != nil {
			return // it ends because the whole view does
		}
		t.Ended(numbers(&r), r.Err)
		time.AfterFunc(retryAfter, func() {
			select {
			case h.again <- again{host, how}:
			case <-ctx.Done():
			}
		})
	})
	return how
}

// Targets pings the targets of a file by its schedule until ctx is done, and
// shows what happens in the store.
func (s *Store) Targets(ctx context.Context, p monitor.Prober, c *config.Config) error {
	s.traceWith(p)
	shown := *c
	shown.Targets = make([]config.Target, 0, len(c.Targets))
	found := make(map[*config.Probe]*Target, len(c.Targets))
	for _, t := range c.Targets {
		var tags []string
		for _, tag := range t.Tags {
			tags = append(tags, tag.Key+"="+tag.Value)
		}
		x := s.Add(t.Host, tags, c.IntervalOf(&t)/time.Duration(max(t.Options.Count, 1)))
		own := *t.Probe
		own.Options.OnEcho = x.Echo
		x.pingedBy(&own.Options)
		found[&own] = x
		shown.Targets = append(shown.Targets, config.Target{Host: t.Host, Probe: &own})
	}
	m := monitor.New(p, &shown, slog.New(slog.DiscardHandler), results(found)) // its messages are in the results too
	m.Run(ctx)
	m.Close()
	return nil
}

// results is a sink of the monitor: the ends of the series.
type results map[*config.Probe]*Target

// Record takes in the end of a series.
func (r results) Record(t *monitor.Target, res *icmpcore.PingResult) {
	if numbers(res) == 0 && res.Err != nil {
		r[t.Probe].Ended(0, res.Err)
		return
	}
	r[t.Probe].Ended(t.Options.Count, nil) // its echoes have said what there is to say
}

// Forget never comes: the file is not read again.
func (r results) Forget(*monitor.Target) {}

// numbers is how many echoes of a series are decided: sent, or refused by the
// system.
func numbers(r *icmpcore.PingResult) int {
	n := r.Sent
	for i := range r.Errors {
		if r.Errors[i].Kind == icmpcore.SendFailed {
			n++
		}
	}
	return n
}
