package otlp

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	colpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/otel"
)

// printing returns an exporter that prints into a pipe, and its reading end.
func printing(t *testing.T) (Exporter, *io.PipeReader) {
	t.Helper()
	r, w := io.Pipe()
	s, err := new(config.OTel).Settings(time.Second, func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	e, err := NewPrinter(s, w, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return e, r
}

// TestPrint reads a line as OTLP in JSON.
func TestPrint(t *testing.T) {
	e, r := printing(t)
	go func() {
		if err := e.Export(t.Context(), message()); err != nil {
			t.Error(err)
		}
	}()
	line, err := bufio.NewReader(r).ReadBytes('\n')
	if err != nil {
		t.Fatal(err)
	}
	var m colpb.ExportMetricsServiceRequest
	if err := protojson.Unmarshal(line, &m); err != nil {
		t.Fatal(err)
	}
	if p := m.ResourceMetrics[0].ScopeMetrics[0].Metrics[0].GetGauge().DataPoints[0]; p.GetAsInt() != 1 || p.TimeUnixNano != 1e9 {
		t.Errorf("%s", line)
	}
}

// TestPrintClosed: where the reader is gone nothing can be done any more.
func TestPrintClosed(t *testing.T) {
	e, r := printing(t)
	gone := errors.New("the reader is gone")
	r.CloseWithError(gone)
	if got := export(t, e); got == nil || got.Outcome != otel.Broken || !errors.Is(got, gone) || !strings.Contains(got.Error(), "stdout") {
		t.Errorf("%+v", got)
	}
}

// TestPrintBlocked: a reader that stops reading is reported, keeps nothing
// waiting, and gets the whole line in the end.
func TestPrintBlocked(t *testing.T) {
	e, r := printing(t)
	for i := range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		err := e.Export(ctx, message())
		cancel()
		if i == 0 && err != nil || i > 0 && (err == nil || !strings.Contains(err.Error(), "push to stdout: it is not read")) {
			t.Errorf("message %d: %v", i, err)
		}
	}
	go e.Export(t.Context(), message()) // as far as the pipe is read
	text := bufio.NewReader(r)
	for range 2 {
		if line, err := text.ReadBytes('\n'); err != nil || !bytes.HasPrefix(line, []byte(`{"resourceMetrics"`)) && !bytes.HasPrefix(line, []byte("{ ")) {
			t.Errorf("%.100s, %v", line, err)
		}
	}
	r.Close()
}
