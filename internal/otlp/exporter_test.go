package otlp

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/instrumentation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
	colpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/otel"
)

var protocols = []string{"grpc", "http/protobuf"}

// grpcAnswer answers every message over gRPC.
type grpcAnswer func() (*colpb.ExportMetricsServiceResponse, error)

type grpcServer struct {
	colpb.UnimplementedMetricsServiceServer

	answer grpcAnswer
	mu     sync.Mutex
	asked  int
	md     metadata.MD // of the last message
}

func (s *grpcServer) Export(ctx context.Context, _ *colpb.ExportMetricsServiceRequest) (*colpb.ExportMetricsServiceResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	s.md, _ = metadata.FromIncomingContext(ctx)
	return s.answer()
}

// listen starts a server over gRPC and returns its endpoint.
func (s *grpcServer) listen(t *testing.T, options ...grpc.ServerOption) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(options...)
	colpb.RegisterMetricsServiceServer(server, s)
	go server.Serve(l) // ended by Stop
	t.Cleanup(server.Stop)
	return l.Addr().String()
}

// exporting returns an exporter to endpoint.
func exporting(t *testing.T, table config.OTel, endpoint, protocol string) Exporter {
	t.Helper()
	table.Endpoint, table.Protocol = &endpoint, &protocol
	s, err := table.Settings(10*time.Second, func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	e, err := NewExporter(s, "v1", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Shutdown(context.Background()) }) // ends connections
	return e
}

// message is a message of one point.
func message() *metricdata.ResourceMetrics {
	return &metricdata.ResourceMetrics{Resource: resource.Empty(), ScopeMetrics: []metricdata.ScopeMetrics{{
		Scope: instrumentation.Scope{Name: "test"},
		Metrics: []metricdata.Metrics{{Name: "ping.up", Unit: "{target}",
			Data: metricdata.Gauge[int64]{DataPoints: []metricdata.DataPoint[int64]{{Value: 1, Time: time.Unix(1, 0)}}}}},
	}}}
}

// export exports one message, and returns how that went: nil where it was
// taken.
func export(t *testing.T, e Exporter) *otel.ExportError {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := e.Export(ctx, message())
	if err == nil {
		return nil
	}
	var known *otel.ExportError
	if !errors.As(err, &known) {
		t.Fatalf("%v is no *otel.ExportError", err)
	}
	return known
}

// TestTemporality: lowmemory makes deltas of synchronous counters alone.
func TestTemporality(t *testing.T) {
	kinds := []sdkmetric.InstrumentKind{sdkmetric.InstrumentKindCounter, sdkmetric.InstrumentKindHistogram,
		sdkmetric.InstrumentKindObservableCounter, sdkmetric.InstrumentKindObservableUpDownCounter}
	for preference, want := range map[string]string{"cumulative": "CCCC", "delta": "DDDC", "lowmemory": "DDCC"} {
		e := exporting(t, config.OTel{Temporality: &preference}, "localhost:1", "grpc")
		var b strings.Builder
		for _, k := range kinds {
			b.WriteString(e.Temporality(k).String()[:1])
		}
		if got := b.String(); got != want {
			t.Errorf("%s: %s, want %s", preference, got, want)
		}
	}
}

// TestNames holds the names that the file may use, and its default bounds, equal
// to those of package otel.
func TestNames(t *testing.T) {
	if a, b := config.OTelMetrics(), otel.Instruments(); !slices.Equal(a, b) {
		t.Errorf("config knows %v, otel has %v", a, b)
	}
	if a, b := config.DefaultOTelBounds(), otel.DefaultBounds(); !slices.Equal(a, b) {
		t.Errorf("config has bounds %v, otel %v", a, b)
	}
}
