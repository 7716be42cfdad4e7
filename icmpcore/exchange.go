package icmpcore

import (
	"bytes"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// inbox carries requests from callers to the engine.
type inbox struct {
	pending atomic.Bool // the inbox is not empty
	asleep  atomic.Bool // the engine sleeps, or is about to
	wake    func()      // ends the engine's sleep

	mu        sync.Mutex // guards started, cancelled and closed; never held during I/O
	started   []int32
	cancelled []cancellation
	closed    error

	spareStarted   []int32 // only for the engine: the lists that it took last, for reuse
	spareCancelled []cancellation
}

// cancellation ends one series early.
type cancellation struct {
	slot int32
	gen  uint32
	err  error
}

// start hands a series to the engine. It returns an error if the engine has
// ended.
func (b *inbox) start(i int32) error {
	b.mu.Lock()
	if b.closed != nil {
		defer b.mu.Unlock()
		return b.closed
	}
	b.started = append(b.started, i)
	b.mu.Unlock()
	b.ring()
	return nil
}

func (b *inbox) cancel(c cancellation) {
	b.mu.Lock()
	if b.closed != nil { // closing ends all series
		b.mu.Unlock()
		return
	}
	b.cancelled = append(b.cancelled, c)
	b.mu.Unlock()
	b.ring()
}

// close ends the engine with err. Only the first call has an effect.
func (b *inbox) close(err error) {
	b.mu.Lock()
	if b.closed == nil {
		b.closed = err
	}
	b.mu.Unlock()
	b.ring()
}

// ring marks the inbox as not empty and wakes the engine if it sleeps.
func (b *inbox) ring() {
	b.pending.Store(true)
	if b.asleep.Load() && b.asleep.Swap(false) {
		b.wake()
	}
}

// take empties the inbox. What it returns is valid until the next call.
func (b *inbox) take() (started []int32, cancelled []cancellation, closed error) {
	if !b.pending.Load() {
		return nil, nil, nil
	}
	b.pending.Store(false)
	b.mu.Lock()
	defer b.mu.Unlock()
	started, cancelled = b.started, b.cancelled
	b.started, b.cancelled = b.spareStarted[:0], b.spareCancelled[:0]
	b.spareStarted, b.spareCancelled = started, cancelled
	return started, cancelled, b.closed
}

// sleeping announces that the engine goes to sleep. It reports whether the
// inbox is empty; if not, the engine must stay awake.
func (b *inbox) sleeping() bool {
	b.asleep.Store(true)
	if b.pending.Load() {
		b.asleep.Store(false)
		return false
	}
	return true
}

func (b *inbox) awake() { b.asleep.Store(false) }

// delivery is one callback to make: for an event of an echo, or for the result of
// the series in slot.
type delivery struct {
	slot int32
	echo *watched
}

type watched struct {
	f    func(Echo)
	echo Echo
}

// outbox carries results from the engine to callers. It makes the callbacks on a
// goroutine of its own, so a slow callback does not delay the engine.
type outbox struct {
	slots *slots
	free  func([]int32) // makes slots free

	fresh []delivery // only for the engine: not yet handed over

	runner  atomic.Uint64 // number of the goroutine that makes the callbacks, 0: unknown
	calling atomic.Bool   // a callback is running

	mu    sync.Mutex // guards full and ended
	full  []delivery
	ended bool
	ready chan struct{} // holds one element if full or ended has changed
}

// add stores a delivery until flush hands it over.
func (o *outbox) add(d delivery) { o.fresh = append(o.fresh, d) }

func (o *outbox) flush() {
	if len(o.fresh) == 0 {
		return
	}
	o.mu.Lock()
	if len(o.full) == 0 {
		o.full, o.fresh = o.fresh, o.full
	} else {
		o.full = append(o.full, o.fresh...)
	}
	o.mu.Unlock()
	clear(o.fresh)
	o.fresh = o.fresh[:0]
	o.ring()
}

func (o *outbox) ring() {
	select {
	case o.ready <- struct{}{}:
	default: // run has a signal to read already
	}
}

// end makes run return when everything is delivered.
func (o *outbox) end() {
	o.mu.Lock()
	o.ended = true
	o.mu.Unlock()
	o.ring()
}

// run makes the callbacks, one at a time and in order, until end.
func (o *outbox) run() {
	o.runner.Store(goroutineNumber())
	var batch []delivery
	freed := make([]int32, 0, 256)
	for range o.ready {
		o.mu.Lock()
		batch, o.full = o.full, batch[:0]
		ended := o.ended
		o.mu.Unlock()
		now := time.Now()
		o.calling.Store(true)
		for i, d := range batch {
			if d.echo != nil {
				d.echo.f(d.echo.echo)
				batch[i].echo = nil
				continue
			}
			s := o.slots.at(d.slot)
			done, r := s.done, s.result(now)
			if freed = append(freed, d.slot); len(freed) == cap(freed) {
				o.free(freed)
				freed = freed[:0]
			}
			if done != nil {
				done(r)
			}
		}
		o.calling.Store(false)
		o.free(freed)
		freed = freed[:0]
		if ended {
			return
		}
	}
}

// onCallback reports whether the calling goroutine is in a callback.
func (o *outbox) onCallback() bool {
	if !o.calling.Load() {
		return false
	}
	runner := o.runner.Load()
	return runner != 0 && runner == goroutineNumber()
}

// goroutineNumber returns the runtime's number of this goroutine, or 0 if it
// cannot be read. The runtime does not use a number twice. Go shows it only in
// the first line of a stack trace, which takes one or two microseconds to get.
// Only calls that wait for the network anyway need it.
func goroutineNumber() uint64 {
	var buf [64]byte
	trace, ok := bytes.CutPrefix(buf[:runtime.Stack(buf[:], false)], []byte("goroutine "))
	number, _, _ := bytes.Cut(trace, []byte(" "))
	n, err := strconv.ParseUint(string(number), 10, 64)
	if !ok || err != nil {
		return 0
	}
	return n
}
