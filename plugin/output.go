package plugin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/internal/monitor"
)

// DefaultQueueBytes is how many bytes of lines wait for stdout at most, unless
// a limit is given: three rounds of ten thousand targets.
const DefaultQueueBytes = 16 << 20

// Output is a [monitor.Sink] that writes results as lines. It never blocks:
// lines wait in a queue of limited size, the oldest are dropped where it is
// full, and counted. Make one with [NewOutput].
type Output struct {
	queue *queue
	log   *slog.Logger

	mu      sync.Mutex // guards what follows
	encoder encoder
	buf     []byte
	refused int // results that could not be encoded
}

// NewOutput returns an output to w in the format of t. A limit of zero bytes
// means DefaultQueueBytes.
func NewOutput(w io.Writer, t config.Telegraf, limit int, log *slog.Logger) *Output {
	if limit <= 0 {
		limit = DefaultQueueBytes
	}
	o := &Output{queue: newQueue(w, limit, gatherTime), log: log}
	o.SetFormat(t)
	return o
}

// SetFormat says how results are written from now on.
func (o *Output) SetFormat(t config.Telegraf) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.encoder.setFormat(t)
}

// Record writes one result. A series that was ended before its first request
// has none.
func (o *Output) Record(t *monitor.Target, r *icmpcore.PingResult) {
	ended := errors.Is(r.Err, context.Canceled) || errors.Is(r.Err, net.ErrClosed)
	if ended && r.Sent == 0 {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	var err error
	o.buf, err = o.encoder.append(o.buf[:0], t.Host, t.Tags, r)
	if err == nil {
		o.queue.put(o.buf)
		return
	}
	if o.refused == 0 { // nothing that a file or the network says comes to this
		o.log.Error("a result cannot be written", "error", err)
	}
	o.refused++
}

// complete returns an error where results could not be written as lines.
func (o *Output) complete() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.refused > 0 {
		return fmt.Errorf("results that could not be written: %d", o.refused)
	}
	return nil
}

// Failed returns a channel that is closed when stdout cannot be written any
// more.
func (o *Output) Failed() <-chan struct{} { return o.queue.failed }

// Close writes what waits and returns when that is done, or when ctx is. The
// error says what was lost.
func (o *Output) Close(ctx context.Context) error { return o.queue.close(ctx) }
