package path

import (
	"errors"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
)

// Prober is the part of an [icmpcore.Pinger] that a trace needs.
type Prober interface {
	Go(t icmpcore.Target, o icmpcore.Options, done func(icmpcore.PingResult)) (icmpcore.Run, error)
}

// Options say how to trace.
type Options struct {
	// Echoes are the echoes: Count to each hop, and for the Timeout of the whole trace.
	// TTL and OnEcho are not used, and a size below MinSize is raised to it.
	Echoes icmpcore.Options

	// Flows is how many flows to follow, each with Echoes.Count echoes to each hop. Where
	// routers share the load between paths, flows take different ones. Zero means one.
	Flows int

	// Hops is how many hops away the target is, as far as known. With zero, the trace
	// sends one echo to the target first, and takes the number from the reply.
	Hops int

	// Seen, if not nil, is called for each address that answers, as soon as it does and
	// possibly more than once. It must not block.
	Seen func(netip.Addr)

	// MTU is the MTU of the interface. If it is not zero, the trace looks for the largest
	// packet that the path takes, up to that size.
	MTU int
}

// The defaults of the echoes of a trace.
const (
	DefaultCount    = 3
	DefaultInterval = 10 * time.Millisecond
	MinSize         = 10 // payload bytes that a constant flow needs
)

const (
	maxTTL     = 64 // of echoes to the target, and the most hops that are followed
	firstBlock = 12 // hops probed first if the target does not answer
	nextBlock  = 6  // further hops probed each time that one of the last answers
	silentGap  = 5  // hops that may be silent in a row when the target does not answer
	mostMore   = 2  // times that further hops are tried because the target, which answers, has no place yet
	mostGuess  = 24 // hops probed at once because a reply's TTL says so: it may start at an odd one

	// timeoutStep is to what timeouts are rounded. The Pinger prepares every different set
	// of options once.
	timeoutStep = 10 * time.Millisecond
)

// Go traces the path to a target, and does not block. It calls done with the trace once,
// on a goroutine of its own. Everything is sent at once, and the whole trace takes one
// timeout; it ends as soon as nothing is missing. The search for the MTU comes after that.
func Go(p Prober, target icmpcore.Target, o Options, done func(*Trace)) {
	o.Echoes.Size = max(o.Echoes.Size, MinSize)
	o.Flows = max(o.Flows, 1)
	if o.Echoes.Count <= 0 {
		o.Echoes.Count = DefaultCount
	}
	if o.Echoes.Interval <= 0 {
		o.Echoes.Interval = DefaultInterval
	}
	if o.Echoes.Timeout <= 0 {
		o.Echoes.Timeout = icmpcore.DefaultTimeout
	}
	t := &tracer{prober: p, target: target, opts: o, done: done, start: time.Now()}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.begin()
}

// tracer is a trace that runs.
type tracer struct {
	prober Prober
	target icmpcore.Target
	opts   Options
	done   func(*Trace)
	start  time.Time

	mu     sync.Mutex    // guards what follows; held while series are started
	open   int           // series that run
	hops   []seen        // by TTL, from 1
	whole  seen          // echoes with enough TTL for the whole path
	rtt    time.Duration // of the first reply of the target
	used   time.Duration // of the trace's time
	expect int           // the hop of the target, by its first reply; 0 if not known
	err    error
	held   int
	more   int // times that further hops were tried for a target without a place
	over   bool
}

// seen is the outcome of the echoes of one TTL.
type seen struct {
	sent    int
	replies int // of the target
	answers []answer
	errors  []icmpcore.EchoError // other than an expired TTL
}

// answer is one answer of a hop, or the target's reply.
type answer struct {
	from  netip.Addr
	rtt   time.Duration
	quote *icmpcore.Quote // nil for a reply
}

// begin starts the first series. t.mu is held.
func (t *tracer) begin() {
	t.send(0, 1)
	t.reach(t.opts.Hops)
	t.end()
}

// reach sends echoes for the hops up to n that have none yet. t.mu is held.
func (t *tracer) reach(n int) {
	for len(t.hops) < min(n, maxTTL) {
		t.hops = append(t.hops, seen{})
		for flow := range t.opts.Flows {
			t.send(len(t.hops), uint16(flow)+1)
		}
	}
}

// send starts the series of a TTL, or the echo to the target if it is 0. t.mu is held.
func (t *tracer) send(ttl int, flow uint16) {
	o := t.opts.Echoes
	o.TTL, o.Flow = ttl, flow
	switch {
	case ttl == 0:
		o.TTL, o.Count = maxTTL, t.first()
	case ttl == t.expect && flow == 1 && o.Count > t.first():
		o.Count -= t.first() // which are some of them
	}
	o.Timeout = t.timeLeft(o)
	if ttl == 0 && t.opts.Hops == 0 { // nothing else is sent until it is over
		o.Timeout = max(t.opts.Echoes.Timeout/4, time.Millisecond)
	}
	o.OnEcho = func(e icmpcore.Echo) { t.take(ttl, &e) }
	t.open++
	if _, err := t.prober.Go(t.target, o, func(r icmpcore.PingResult) { t.result(ttl, &r) }); err != nil {
		t.open--
		t.err = err
	}
}

// first is how many echoes to the target come first: more than one where one is likely to
// be lost, since the trace then does not know how many hops to probe.
func (t *tracer) first() int {
	if t.opts.Echoes.Count > DefaultCount {
		return DefaultCount
	}
	return 1
}

// timeLeft is the timeout of a series that starts now: what is left of the trace's, but
// always a quarter of it. Time that echoes wait for the rate is not the trace's.
func (t *tracer) timeLeft(o icmpcore.Options) time.Duration {
	left := o.Timeout - t.used - time.Duration(o.Count-1)*o.Interval
	left = max(left, o.Timeout/4, 3*t.rtt)
	return min((left+timeoutStep-1)/timeoutStep*timeoutStep, time.Hour)
}

// take looks at one thing that happened to an echo.
func (t *tracer) take(ttl int, e *icmpcore.Echo) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.at(ttl)
	var failed *icmpcore.EchoError
	switch {
	case e.Outcome == icmpcore.OutcomeReply:
		s.replies++
		s.answers = append(s.answers, answer{from: e.From, rtt: e.RTT})
		if t.rtt == 0 {
			t.rtt = e.RTT
		}
	case e.Outcome != icmpcore.OutcomeError || !errors.As(e.Err, &failed) || failed.Kind == icmpcore.SendFailed:
	case failed.Kind == icmpcore.TimeExceeded && failed.Code == 0 && ttl > 0:
		s.answers = append(s.answers, answer{from: failed.From, rtt: e.RTT, quote: failed.Quote})
		if t.opts.Seen != nil {
			t.opts.Seen(failed.From)
		}
		t.used = max(t.used, min(e.RTT, t.opts.Echoes.Timeout))
		t.extend(ttl)
	default:
		s.errors = append(s.errors, *failed)
	}
}

func (t *tracer) at(ttl int) *seen {
	if ttl == 0 {
		return &t.whole
	}
	return &t.hops[ttl-1]
}

// extend sends echoes for further hops if hop ttl, which answered, is so near to the last
// one that there may be more.
func (t *tracer) extend(ttl int) {
	for i := range t.hops {
		if t.hops[i].replies > 0 || len(t.hops[i].errors) > 0 {
			return // that is the end
		}
	}
	gap := silentGap
	if t.whole.replies > 0 || t.opts.Hops > 0 {
		gap = 1 // the number of hops is known, more or less
	}
	if ttl > len(t.hops)-gap {
		t.reach(len(t.hops) + nextBlock)
	}
}

// result takes the result of a series.
func (t *tracer) result(ttl int, r *icmpcore.PingResult) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open--
	t.at(ttl).sent += r.Sent
	t.held += r.Held
	if r.Err != nil {
		t.err = r.Err
	}
	if refused := firstRefusal(r); refused != nil {
		t.err = refused
	}
	if ttl == 0 {
		t.used = r.Duration
	}
	if ttl == 0 && len(t.hops) == 0 {
		t.guess(r)
	}
	t.end()
}

// firstRefusal returns the error of the first request that the system refused.
func firstRefusal(r *icmpcore.PingResult) error {
	for i := range r.Errors {
		if r.Errors[i].Kind == icmpcore.SendFailed {
			return &r.Errors[i]
		}
	}
	return nil
}

// guess starts the echoes for the hops, as many as the echo to the target tells.
func (t *tracer) guess(r *icmpcore.PingResult) {
	switch {
	case r.Sent == 0 || r.Err != nil:
	case r.Received > 0 && r.Hops > 0:
		t.expect = r.Hops
		t.reach(min(r.Hops, mostGuess))
	case r.Received > 0:
		t.reach(firstBlock) // the system does not say
	case len(t.whole.errors) > 0 && t.whole.errors[0].Quote != nil && t.whole.errors[0].Quote.TTL > 0:
		t.reach(min(maxTTL-t.whole.errors[0].Quote.TTL+1, mostGuess))
	default:
		t.reach(firstBlock)
	}
}

// end ends the trace if nothing is missing any more.
func (t *tracer) end() {
	if t.open > 0 || t.over {
		return
	}
	if t.unplaced() && t.more < mostMore && t.err == nil {
		t.more++
		t.reach(len(t.hops) + nextBlock)
		if t.open > 0 {
			return
		}
	}
	t.over = true
	tr := t.assemble()
	if t.opts.MTU == 0 || !tr.Reached {
		t.finish(tr)
		return
	}
	newSearch(t, tr).round()
}

func (t *tracer) finish(tr *Trace) {
	tr.Duration = time.Since(t.start)
	if t.done != nil {
		go t.done(tr)
	}
}

// unplaced reports whether the target answers, but not yet at any hop.
func (t *tracer) unplaced() bool {
	if t.whole.replies == 0 {
		return false
	}
	return !slices.ContainsFunc(t.hops, func(s seen) bool { return s.replies > 0 || len(s.errors) > 0 })
}
