// Package explain is the output that explains loss. It traces targets that begin to lose,
// keeps a route of each healthy path to compare with, joins targets that fail together to
// one cause, and hands what it finds to the other outputs.
package explain

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/internal/monitor"
	"github.com/pingtel/pingtel/internal/output"
	"github.com/pingtel/pingtel/internal/path"
)

const (
	routeAge   = time.Hour              // after which the route of a healthy path is traced anew
	tickTime   = 250 * time.Millisecond // from one look at what is due to the next
	partEchoes = 10                     // to each hop after partial loss, which few echoes do not show
)

// Enabled reports whether the file turns the output on.
func Enabled(c *config.Config) bool { return c.Path.OnLoss }

// Output traces targets. Make one with [Open].
type Output struct {
	env  output.Env
	wake chan struct{} // holds a value if there is something to hand over

	mu       sync.Mutex // guards what follows
	settings config.Path
	interval time.Duration
	budget   budget
	targets  map[*monitor.Target]*state
	due      queue    // healthy paths, by when to trace them
	waiting  []*state // that have begun to lose and are not traced yet
	running  int      // traces after a loss
	checking int      // traces of healthy paths
	causes   []cause  // the newest last
	outage   outage
	found    []finding // to hand over
	over     bool
}

// state is what is known of a target.
type state struct {
	target  *monitor.Target
	addr    netip.Addr  // of the latest series
	hops    int         // by the TTL of the latest reply
	route   *path.Route // of the last trace that reached the target; nil before that
	well    bool        // the latest round had less than the loss that counts
	series  path.Series // that began the loss
	since   time.Time   // when that was
	heard   time.Time   // when the latest series with a reply began
	lost    time.Time   // when the latest series without one began
	waiting bool        // in Output.waiting
	tracing bool
	gone    bool

	next  time.Time // when to trace the healthy path
	index int       // in the queue
}

// finding is something to hand over.
type finding struct {
	target *monitor.Target
	path   *output.Path
}

// Open returns the output, nil for a process that runs one round: loss begins only after
// a round without.
func Open(c *config.Config, env output.Env) (output.Output, error) {
	if env.Once {
		return nil, nil
	}
	o := &Output{env: env, wake: make(chan struct{}, 1), targets: make(map[*monitor.Target]*state)}
	o.take(c)
	o.budget.tokens = o.budget.most
	return o, nil
}

func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return fmt.Sprintf("traces from %g%% loss on", o.settings.Loss)
}

// take takes the settings of a file.
func (o *Output) take(c *config.Config) {
	o.settings, o.interval = c.Path, c.Agent.Interval
	o.budget.set(c.Path.Share, c.Plan().Rate, c.Agent.MaxRate)
}

// Reload takes over the settings.
func (o *Output) Reload(next *config.Config) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.take(next)
}

// Record looks at the loss of a series.
func (o *Output) Record(t *monitor.Target, r *icmpcore.PingResult) {
	if r.Sent == 0 || errors.Is(r.Err, context.Canceled) || errors.Is(r.Err, net.ErrClosed) {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.over {
		return
	}
	now := time.Now()
	s := o.targets[t]
	if s == nil {
		s = &state{target: t, next: now}
		o.targets[t] = s
		o.due.add(s)
	}
	if s.addr != r.Addr {
		s.addr, s.route = r.Addr, nil // the name has another address now
	}
	if r.Received > 0 {
		s.hops, s.heard = r.Hops, r.Start
		o.refute(s)
	} else {
		s.lost = r.Start
	}
	if r.Loss < o.settings.Loss {
		s.well = true
		return
	}
	if s.well {
		s.well, s.since, s.series = false, now, path.Series{Sent: r.Sent, Received: r.Received}
		o.failed(s, now)
	}
}

// Forget forgets a target.
func (o *Output) Forget(t *monitor.Target) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if s := o.targets[t]; s != nil {
		s.gone = true
		o.due.remove(s)
		delete(o.targets, t)
	}
}

// failed joins a target that begins to lose to a cause that is known, or lets it be
// traced. o.mu is held.
func (o *Output) failed(s *state, now time.Time) {
	if s.waiting {
		return // it fails again before it had its turn
	}
	o.outage.begin(now)
	if c, hop := o.match(s, now); c != nil {
		o.join(s, c, hop, now)
		return
	}
	s.waiting = true
	o.waiting = append(o.waiting, s)
	o.traceWaiting(now)
}

// traceWaiting starts traces of targets that wait, as many as may run. o.mu is held.
func (o *Output) traceWaiting(now time.Time) {
	for len(o.waiting) > 0 && o.running < o.settings.Max {
		s := o.waiting[0]
		if !s.gone && s.tracing {
			return // the trace of its healthy path ends soon
		}
		if !s.gone && !o.budget.spend(s.cost(s.echoes()), now) {
			return
		}
		o.waiting[0] = nil
		o.waiting = o.waiting[1:]
		s.waiting = false
		if s.gone {
			o.outage.leave()
			continue
		}
		o.running++
		o.trace(s, s.echoes(), true)
	}
	if len(o.waiting) == 0 {
		o.waiting = nil
	}
}

// echoes is how many echoes to each hop a trace after a loss takes.
func (s *state) echoes() int {
	if s.series.Received > 0 {
		return partEchoes
	}
	return path.DefaultCount
}

// cost is about how many echoes a trace takes.
func (s *state) cost(each int) int {
	hops := 12
	if s.route != nil {
		hops = len(s.route.Hops)
	} else if s.hops > 0 {
		hops = min(s.hops, 30)
	}
	return hops*each + 1
}

// trace starts a trace. o.mu is held.
func (o *Output) trace(s *state, each int, loss bool) {
	s.tracing = true
	e := s.target.Options
	e.Count, e.Interval, e.OnEcho = each, path.DefaultInterval, nil
	opts := path.Options{Echoes: e, Hops: s.hops}
	if s.route != nil {
		opts.Hops = len(s.route.Hops)
	}
	to := icmpcore.Target{Host: s.target.Host, Addr: s.addr}
	spent := s.cost(each)
	done := func(t *path.Trace) { o.ended(s, t, spent, loss) }
	if !o.settings.MTU {
		path.Go(o.env.Prober(), to, opts, done)
		return
	}
	go func() { // asks the system for its interfaces, and ends
		mtu, err := path.InterfaceMTU(to.Addr, e.Source, e.Interface)
		if err == nil {
			opts.MTU = mtu
		} else {
			o.env.Log.Debug("no MTU for a trace", "host", to.Host, "error", err)
		}
		path.Go(o.env.Prober(), to, opts, done)
	}()
}

// ended takes a trace.
func (o *Output) ended(s *state, t *path.Trace, spent int, loss bool) {
	now := time.Now()
	o.mu.Lock()
	defer o.mu.Unlock()
	s.tracing = false
	o.budget.tokens -= float64(t.Sent - spent)
	if loss {
		o.running--
	} else {
		o.checking--
		s.next = now.Add(routeAge)
		if t.Sent == 0 || !t.Reached {
			s.next = now.Add(o.interval)
		}
		if !s.gone {
			o.due.add(s)
		}
	}
	if o.over {
		return
	}
	o.judge(s, t, loss, now)
	o.traceWaiting(now)
}

// judge hands over the verdict on a trace. o.mu is held.
func (o *Output) judge(s *state, t *path.Trace, loss bool, now time.Time) {
	if s.gone || t.Addr != s.addr {
		if loss {
			o.outage.leave()
		}
		return
	}
	series := path.Series{}
	if loss {
		series = s.series
	}
	before := s.route
	v := path.Judge(t, before, series)
	if t.Sent == 0 {
		if loss {
			o.outage.add(v.Text, v.Text, s.target.Host, v.Text)
		}
		return
	}
	p := &output.Path{Trace: t, Route: t.Route(), Verdict: v, At: now, Loss: loss}
	if t.Reached {
		route, same := before.Join(t)
		if !same {
			p.Before = before
		}
		p.Route, s.route = route, &route
	}
	o.hand(s, p)
	o.contradict(t.Route().Hops)
	if !loss {
		return
	}
	o.outage.count(s.target.Host, v)
	if c, ok := causeOf(t, v, s.route, now); ok {
		o.learn(c, now)
	}
}

// hand queues what is known of a path for the other outputs. o.mu is held.
func (o *Output) hand(s *state, p *output.Path) {
	o.found = append(o.found, finding{s.target, p})
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// Run hands findings over, traces healthy paths, and logs outages, until ctx is done.
func (o *Output) Run(ctx context.Context) error {
	tick := time.NewTicker(tickTime)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			o.mu.Lock()
			o.over = true
			o.mu.Unlock()
			o.handOver()
			o.logOutage(time.Now(), true)
			return nil
		case <-o.wake:
		case <-tick.C:
			o.check(time.Now())
		}
		o.handOver()
		o.logOutage(time.Now(), false)
	}
}

// handOver gives the other outputs what was found.
func (o *Output) handOver() {
	o.mu.Lock()
	found := o.found
	o.found = nil
	o.mu.Unlock()
	for _, f := range found {
		o.env.RecordPath(f.target, f.path)
	}
}

// check starts what is due.
func (o *Output) check(now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.waiting) > 0 {
		o.widenAll(now)
		o.joinWaiting(now)
	}
	o.giveUp(now)
	o.traceWaiting(now)
	for o.checking < o.settings.Max && len(o.waiting) == 0 {
		s := o.due.first(now)
		if s == nil {
			return
		}
		if s.tracing || !s.well {
			o.due.remove(s)
			s.next = now.Add(o.interval)
			o.due.add(s)
			continue
		}
		if !o.budget.spare(s.cost(1), now) {
			return
		}
		o.due.remove(s)
		o.checking++
		o.trace(s, 1, false)
	}
}

// giveUp drops targets that waited for longer than an interval: a trace would show what
// is now, and not what their loss was. o.mu is held.
func (o *Output) giveUp(now time.Time) {
	kept := o.waiting[:0]
	for _, s := range o.waiting {
		switch {
		case s.gone:
			o.outage.leave()
		case now.Sub(s.since) > o.interval:
			o.outage.drop(s)
		default:
			kept = append(kept, s)
			continue
		}
		s.waiting = false
	}
	clear(o.waiting[len(kept):])
	o.waiting = kept
}

// Close does nothing: Run has handed everything over.
func (o *Output) Close(context.Context) error { return nil }
