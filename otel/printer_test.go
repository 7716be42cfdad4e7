package otel

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pingtel/pingtel/internal/config"
)

// printing returns a pusher that prints into a pipe, and its reading end.
func printing(t *testing.T) (*Pusher, *logged, *io.PipeReader) {
	t.Helper()
	r, w := io.Pipe()
	p, log := newTestPusher(t, config.OTel{}, "http://127.0.0.1:1", "http/protobuf")
	p.client = newPrinter(w)
	return p, log, r
}

// Where the reader is gone nothing can be done any more.
func TestPrintClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, log, r := printing(t)
		gone := errors.New("the reader is gone")
		r.CloseWithError(gone)
		if err := p.Run(t.Context()); !errors.Is(err, gone) || !strings.Contains(err.Error(), "stdout") {
			t.Errorf("Run: %v", err)
		}
		if err := p.Close(t.Context()); !errors.Is(err, gone) {
			t.Errorf("Close: %v", err)
		}
		if lines := log.take(); len(lines) > 0 {
			t.Errorf("log %q", lines)
		}
	})
}

// A reader that stops reading is told of, keeps nothing waiting, and gets
// every count in the end.
func TestPrintBlocked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, log, r := printing(t)
		host := newTarget("a")
		p.Record(host, reply(addrA))
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- p.Run(ctx) }()
		time.Sleep(5 * p.settings.Interval)
		if lines := log.take(); len(lines) != 1 || !strings.Contains(lines[0], "push to stdout: it is not read") {
			t.Errorf("log %q", lines)
		}
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
		last, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		start := time.Now()
		if err := p.Close(last); err != nil {
			t.Errorf("Close: %v", err)
		}
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("Close took %v", took)
		}
		if lines := log.take(); len(lines) != 1 || !strings.Contains(lines[0], "what no push before it has delivered is lost") {
			t.Errorf("log %q", lines)
		}
		r.Close() // lets the line under way end
	})
}
