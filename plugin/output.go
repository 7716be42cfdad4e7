package plugin

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"

	"github.com/pingtel/pingtel/icmpcore"
)

// DefaultQueueBytes is the default limit of the lines that wait in an [Output]:
// three rounds of ten thousand targets.
const DefaultQueueBytes = 16 << 20

// Output writes results as lines to a writer that may block, as a full pipe does.
// It never blocks its callers: lines wait in a queue of limited size. When the
// queue is full, the oldest lines are dropped and counted. Lines gather for a tenth
// of a second before they are written. Make one with [NewOutput]; the zero value
// does not work. Its methods are safe for concurrent use.
type Output struct {
	queue *queue
	log   *slog.Logger

	mu      sync.Mutex // guards what follows
	encoder *Encoder
	buf     []byte
	refused int // results that could not be encoded
}

// NewOutput returns an output to w in format f. limit is how many bytes of lines
// may wait; 0 means [DefaultQueueBytes]. log, which may be nil, gets a record if a
// result cannot be encoded.
//
// A goroutine of the Output writes to w until Close. One Write to w has whole
// lines, 64 KiB at most unless a single line is longer.
func NewOutput(w io.Writer, f Format, limit int, log *slog.Logger) *Output {
	if limit <= 0 {
		limit = DefaultQueueBytes
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Output{queue: newQueue(w, limit, gatherTime), log: log, encoder: NewEncoder(f)}
}

// SetFormat sets the format of the results that are written from now on.
func (o *Output) SetFormat(f Format) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.encoder = NewEncoder(f)
}

// Write queues the line of one result; see [Encoder.Append]. It does not wait, and
// it does not keep tags or r. After Close and after a failure of the writer, the
// line is dropped and counted.
func (o *Output) Write(host string, tags []Tag, r *icmpcore.PingResult) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var err error
	o.buf, err = o.encoder.Append(o.buf[:0], host, tags, r)
	if err == nil {
		o.queue.put(o.buf)
		return
	}
	if o.refused == 0 { // nothing that a file or the network says comes to this
		o.log.Error("a result cannot be written", "error", err)
	}
	o.refused++
}

// WriteLine queues a line that the caller has encoded, with its newline, as Write
// does. It does not keep line.
func (o *Output) WriteLine(line []byte) { o.queue.put(line) }

// OutputStats are counts of an [Output].
type OutputStats struct {
	QueuedBytes  int    // bytes of lines that wait, or are being written, now
	LinesWritten uint64 // since the start
	LinesDropped uint64 // since the start: the queue was full, the writer failed, or Close was called
}

// Stats returns the counts so far.
func (o *Output) Stats() OutputStats {
	s := o.queue.stats()
	return OutputStats{QueuedBytes: s.bytes, LinesWritten: s.written, LinesDropped: s.dropped}
}

// Failed returns a channel that is closed when the writer returns an error.
// Nothing is written after that, and Close returns the error.
func (o *Output) Failed() <-chan struct{} { return o.queue.failed }

// Close writes the lines that wait, and returns when that is done or ctx is done.
// The error says how many lines are lost and why: it wraps [ErrUnread] if the
// writer still blocks, or else the writer's own error. Close does not close the
// writer.
func (o *Output) Close(ctx context.Context) error {
	if err := o.queue.close(ctx); err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.refused > 0 {
		return fmt.Errorf("results that could not be written: %d", o.refused)
	}
	return nil
}
