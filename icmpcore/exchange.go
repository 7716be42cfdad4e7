package icmpcore

import (
	"bytes"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// inbox is how callers reach the engine.
type inbox struct {
	some   atomic.Bool // there is something in it
	asleep atomic.Bool // the engine sleeps, or is about to
	wake   func()      // ends the engine's sleep

	mu        sync.Mutex // guards what follows; never held during I/O
	started   []int32
	cancelled []cancellation
	closed    error

	spare     []int32 // the engine's: what it took last, to be filled again
	spareGone []cancellation
}

// cancellation ends one series early.
type cancellation struct {
	slot int32
	gen  uint32
	err  error
}

// start hands a series over. It returns why the engine takes none any more.
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
	if b.closed != nil { // which ends them all
		b.mu.Unlock()
		return
	}
	b.cancelled = append(b.cancelled, c)
	b.mu.Unlock()
	b.ring()
}

// close ends the engine with err; the first one counts.
func (b *inbox) close(err error) {
	b.mu.Lock()
	if b.closed == nil {
		b.closed = err
	}
	b.mu.Unlock()
	b.ring()
}

// ring says that there is something and wakes the engine if it sleeps.
func (b *inbox) ring() {
	b.some.Store(true)
	if b.asleep.Load() && b.asleep.Swap(false) {
		b.wake()
	}
}

// take empties the inbox. What it returns is valid until the next call.
func (b *inbox) take() (started []int32, cancelled []cancellation, closed error) {
	if !b.some.Load() {
		return nil, nil, nil
	}
	b.some.Store(false)
	b.mu.Lock()
	defer b.mu.Unlock()
	started, cancelled = b.started, b.cancelled
	b.started, b.cancelled = b.spare[:0], b.spareGone[:0]
	b.spare, b.spareGone = started, cancelled
	return started, cancelled, b.closed
}

// sleeping announces sleep and reports whether the inbox is empty, so that
// the engine may go.
func (b *inbox) sleeping() bool {
	b.asleep.Store(true)
	if b.some.Load() {
		b.asleep.Store(false)
		return false
	}
	return true
}

func (b *inbox) awake() { b.asleep.Store(false) }

// delivery is one thing to hand to a caller: what happened to an echo, or the
// result of the series in slot.
type delivery struct {
	slot int32
	echo *watched
}

type watched struct {
	f    func(Echo)
	echo Echo
}

// outbox takes results from the engine to their callers on a goroutine of its
// own, so that a slow caller delays nobody's measuring.
type outbox struct {
	slots *slots
	free  func([]int32) // gives slots back

	fresh []delivery // the engine's, not yet handed over

	runner  atomic.Uint64 // number of the goroutine that calls back, 0: not known
	calling atomic.Bool   // it is calling back

	mu    sync.Mutex // guards what follows
	full  []delivery
	ended bool
	some  chan struct{} // holds one where full or ended has changed
}

// add notes a delivery; flush hands it over.
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
	case o.some <- struct{}{}:
	default: // it is told already
	}
}

// end makes run return once everything is delivered.
func (o *outbox) end() {
	o.mu.Lock()
	o.ended = true
	o.mu.Unlock()
	o.ring()
}

// run calls the callers back, one at a time and in order, until end.
func (o *outbox) run() {
	o.runner.Store(goroutineNumber())
	var batch []delivery
	freed := make([]int32, 0, 256)
	for range o.some {
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

// onCallback reports whether the caller runs in a callback.
func (o *outbox) onCallback() bool {
	if !o.calling.Load() {
		return false
	}
	runner := o.runner.Load()
	return runner != 0 && runner == goroutineNumber()
}

// goroutineNumber returns the runtime's number of this goroutine, or 0 where it
// cannot be told. Numbers are not used twice. The head of a stack trace is the
// only place that Go gives it, and reading it takes a microsecond or two: what
// asks for it waits for a network anyway.
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
