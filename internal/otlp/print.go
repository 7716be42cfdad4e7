package otlp

import (
	"context"
	"fmt"
	"io"
	"net/http"

	colpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/pingtel/pingtel/otel"
)

// printer is a RoundTripper that prints messages as OTLP in JSON, one a line. If
// nobody reads, only the printing waits. It prints one message at a time.
type printer struct {
	w       io.Writer
	written chan error // of the line that is being written
	writing bool
}

func newPrinter(w io.Writer) *printer { return &printer{w: w, written: make(chan error, 1)} }

func (p *printer) client() *http.Client { return &http.Client{Transport: p} }

// RoundTrip counts a line as sent as soon as its write has begun: when the reader
// continues, it gets the whole line.
func (p *printer) RoundTrip(r *http.Request) (*http.Response, error) {
	defer r.Body.Close()
	if err := p.print(r.Context(), r.Body); err != nil {
		return nil, err
	}
	return &http.Response{Status: "200 OK", StatusCode: http.StatusOK, Body: http.NoBody, Header: http.Header{}, Request: r}, nil
}

func (p *printer) print(ctx context.Context, body io.Reader) error {
	if err := p.await(ctx); err != nil {
		return err
	}
	if p.writing {
		return failed("stdout", otel.Unavailable, fmt.Errorf("it is not read: %w", ctx.Err()))
	}
	message, err := io.ReadAll(body)
	if err != nil {
		return failed("stdout", otel.Refused, err)
	}
	var m colpb.ExportMetricsServiceRequest
	if err := proto.Unmarshal(message, &m); err != nil {
		return failed("stdout", otel.Refused, err)
	}
	line, err := protojson.MarshalOptions{UseEnumNumbers: true}.Marshal(&m)
	if err != nil {
		return failed("stdout", otel.Refused, err)
	}
	p.writing = true
	go func() { // ends with the write, or with the process
		_, err := p.w.Write(append(line, '\n'))
		p.written <- err
	}()
	return p.await(ctx)
}

// await waits until the line that is being written, if any, is written or ctx is
// done.
func (p *printer) await(ctx context.Context) error {
	if !p.writing {
		return nil
	}
	select {
	case err := <-p.written:
		p.writing = false
		if err != nil {
			return failed("stdout", otel.Broken, err)
		}
	case <-ctx.Done():
	}
	return nil
}
