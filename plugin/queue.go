package plugin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

const (
	// chunkSize is how many bytes of lines are written at once at most, and
	// dropped at once where the queue is full.
	chunkSize = 64 << 10

	// gatherTime is how long lines gather before they are written. A write for each
	// line would cost more than everything else that is done for it.
	gatherTime = 100 * time.Millisecond
)

// ErrUnread is the error of [Output.Close] if nobody reads what is written, so that
// the writer still blocks.
var ErrUnread = errors.New("stdout is not read")

// queue hands lines to a writer through a goroutine, so that put never waits. It
// holds a limited number of bytes; the oldest lines are dropped for new ones.
type queue struct {
	limit, chunkSize int
	gather           time.Duration // how long lines gather before they are written

	closing chan struct{} // closed by close: lines are written without a delay from then on
	failed  chan struct{} // closed when the writer has failed
	empty   chan struct{} // holds one when everything has been written, for close
	wake    chan struct{} // holds one when there is something to write; closed by close

	mu      sync.Mutex // guards what follows; never held during a write
	chunks  []chunk    // waiting, oldest first
	size    int        // their bytes
	writing int        // bytes that are being written
	spare   []byte     // a buffer to use again
	closed  bool
	err     error  // what the writer failed with
	written uint64 // lines
	dropped uint64 // lines
}

// chunk is some whole lines.
type chunk struct {
	b     []byte
	lines int
}

// newQueue starts the goroutine that writes to w. It ends with close.
func newQueue(w io.Writer, limit int, gather time.Duration) *queue {
	q := &queue{
		limit: limit, chunkSize: min(chunkSize, max(limit/16, 1)), gather: gather,
		closing: make(chan struct{}), failed: make(chan struct{}), empty: make(chan struct{}, 1), wake: make(chan struct{}, 1),
	}
	go q.run(w)
	return q
}

// put adds one line.
func (q *queue) put(line []byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || q.err != nil {
		q.dropped++
		return
	}
	for len(q.chunks) > 0 && q.size+q.writing+len(line) > q.limit {
		q.dropped += uint64(q.chunks[0].lines)
		q.take()
	}
	if q.size+q.writing+len(line) > q.limit {
		q.dropped++ // the lines that are being written fill the queue already
		return
	}
	last := len(q.chunks) - 1
	if last < 0 || len(q.chunks[last].b)+len(line) > q.chunkSize {
		q.chunks = append(q.chunks, chunk{b: q.spare[:0]})
		q.spare = nil
		last++
	}
	q.chunks[last].b = append(q.chunks[last].b, line...)
	q.chunks[last].lines++
	q.size += len(line)
	signal(q.wake)
}

// take removes the oldest chunk. q.mu is held.
func (q *queue) take() chunk {
	c := q.chunks[0]
	q.chunks[0] = chunk{}
	q.chunks = q.chunks[1:]
	q.size -= len(c.b)
	return c
}

// run writes until close, or until the writer fails.
func (q *queue) run(w io.Writer) {
	gather := time.NewTimer(q.gather)
	defer gather.Stop()
	for range q.wake {
		gather.Reset(q.gather)
		select {
		case <-gather.C:
		case <-q.closing:
		}
		for {
			c, ok := q.next()
			if !ok {
				break
			}
			_, err := w.Write(c.b)
			if !q.done(c, err) {
				return
			}
		}
	}
}

// next takes what is to be written next.
func (q *queue) next() (chunk, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.chunks) == 0 {
		signal(q.empty)
		return chunk{}, false
	}
	c := q.take()
	q.writing = len(c.b)
	return c, true
}

// done records how the write of c ended, and reports whether to go on.
func (q *queue) done(c chunk, err error) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.writing = 0
	if err == nil {
		q.written += uint64(c.lines)
		q.spare = c.b
		return true
	}
	q.err = fmt.Errorf("write metrics to stdout: %w", err)
	q.dropped += uint64(c.lines)
	for len(q.chunks) > 0 {
		q.dropped += uint64(q.take().lines)
	}
	close(q.failed)
	return false
}

// close takes no more lines and returns when all are written. If ctx is done
// earlier, the lines that are left are dropped and the error wraps ErrUnread. If
// the writer has failed, close returns its error.
func (q *queue) close(ctx context.Context) error {
	q.mu.Lock()
	if !q.closed {
		q.closed = true
		close(q.closing)
		close(q.wake) // put adds nothing any more; run still writes what is there
	}
	q.mu.Unlock()
	for {
		q.mu.Lock()
		err, dropped, pending := q.err, q.dropped, q.size+q.writing
		q.mu.Unlock()
		if err != nil {
			return fmt.Errorf("%w: %d lines are lost", err, dropped)
		}
		if pending == 0 {
			return nil
		}
		select {
		case <-q.empty:
		case <-q.failed:
		case <-ctx.Done():
			return q.abandon()
		}
	}
}

// abandon drops all lines that wait. A write that has begun cannot be stopped: it
// ends with the process.
func (q *queue) abandon() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	lines := 0
	for len(q.chunks) > 0 {
		lines += q.take().lines
	}
	q.dropped += uint64(lines)
	return fmt.Errorf("%w: %d lines and what was being written are lost", ErrUnread, lines)
}

// queueStats are counts of a queue since its start.
type queueStats struct {
	bytes            int // waiting now
	written, dropped uint64
	err              error // what the writer failed with
}

func (q *queue) stats() queueStats {
	q.mu.Lock()
	defer q.mu.Unlock()
	return queueStats{q.size + q.writing, q.written, q.dropped, q.err}
}

// signal puts a token into a channel of one, unless it is there.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
