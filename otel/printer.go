package otel

import (
	"context"
	"fmt"
	"io"

	colpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// printer is a client that prints messages as OTLP in JSON, one a line. A
// reader that stops reading holds up the printing alone.
type printer struct {
	w       io.Writer
	written chan error // of the line under way
	writing bool
}

func newPrinter(w io.Writer) *printer { return &printer{w: w, written: make(chan error, 1)} }

// export counts a line as sent once it is being written: when the reader goes
// on, it gets the whole of it.
func (p *printer) export(ctx context.Context, message []byte) error {
	if err := p.await(ctx); err != nil {
		return err
	}
	if p.writing {
		return &pushError{endpoint: "stdout", err: fmt.Errorf("it is not read: %w", ctx.Err())}
	}
	var m colpb.ExportMetricsServiceRequest
	if err := proto.Unmarshal(message, &m); err != nil {
		return &pushError{endpoint: "stdout", verdict: refused, err: err}
	}
	line, err := protojson.MarshalOptions{UseEnumNumbers: true}.Marshal(&m)
	if err != nil {
		return &pushError{endpoint: "stdout", verdict: refused, err: err}
	}
	p.writing = true
	go func() { // ends with the write, or with the process
		_, err := p.w.Write(append(line, '\n'))
		p.written <- err
	}()
	return p.await(ctx)
}

// await waits for the end of the line under way, if there is one, until ctx is
// done.
func (p *printer) await(ctx context.Context) error {
	if !p.writing {
		return nil
	}
	select {
	case err := <-p.written:
		p.writing = false
		if err != nil {
			return &pushError{endpoint: "stdout", verdict: broken, err: err}
		}
	case <-ctx.Done():
	}
	return nil
}

func (p *printer) close() error { return nil }
