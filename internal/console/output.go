package console

import (
	"bufio"
	"fmt"
	"io"
	"sync"
	"time"
)

// flushDelay is how long a line may wait for company: too short to be seen,
// long enough that many lines share a write.
const flushDelay = 20 * time.Millisecond

// output writes lines to stdout from several goroutines, buffered and flushed
// soon. The first failure is kept and told; what comes after it is dropped.
type output struct {
	failed func() // called once, when stdout has failed

	mu      sync.Mutex // guards the fields below, and is held while stdout is written
	w       *bufio.Writer
	beside  *screen // it makes room while something is written; nil: there is none
	err     error
	timer   *time.Timer
	waiting bool // the timer runs
}

func newOutput(w io.Writer, failed func()) *output {
	o := &output{failed: failed, w: bufio.NewWriterSize(w, 64<<10)}
	o.timer = time.AfterFunc(time.Hour, o.flush)
	o.timer.Stop()
	return o
}

// put writes lines. o.mu is held.
func (o *output) put(b []byte) {
	if o.err != nil || len(b) == 0 {
		return
	}
	write := func() error { _, err := o.w.Write(b); return err }
	if o.w.Buffered()+len(b) > o.w.Size() {
		write = o.undisturbed(write)
	}
	if err := write(); err != nil {
		o.fail(err)
		return
	}
	if !o.waiting {
		o.waiting = true
		o.timer.Reset(flushDelay)
	}
}

func (o *output) flush() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.waiting = false
	if o.err != nil || o.w.Buffered() == 0 {
		return
	}
	if err := o.undisturbed(o.w.Flush)(); err != nil {
		o.fail(err)
	}
}

// undisturbed returns write with no screen in its way. o.mu is held.
func (o *output) undisturbed(write func() error) func() error {
	if o.beside == nil {
		return write
	}
	return func() error { return o.beside.makeRoom(write) }
}

// showBeside says which screen shares the terminal from now on, nil: none.
func (o *output) showBeside(s *screen) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.beside = s
}

// fail keeps the first failure. o.mu is held.
func (o *output) fail(err error) {
	o.err = fmt.Errorf("write results: %w", err)
	o.failed()
}

// close writes what is left and returns what failed, now or before.
func (o *output) close() error {
	o.timer.Stop()
	o.flush()
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}
