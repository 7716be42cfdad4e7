package otel

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	colpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/pingtel/pingtel/internal/config"
)

// TestTextBound lets a collector answer with more than belongs into a log.
func TestTextBound(t *testing.T) {
	long := "why: " + strings.Repeat("é", 20_000)
	refuse := func(int) (*colpb.ExportMetricsServiceResponse, error) {
		return nil, status.Error(codes.InvalidArgument, long)
	}
	reject := func(int) (*colpb.ExportMetricsServiceResponse, error) {
		return &colpb.ExportMetricsServiceResponse{PartialSuccess: &colpb.ExportMetricsPartialSuccess{RejectedDataPoints: 1, ErrorMessage: long}}, nil
	}
	answer := func(code int, header, body string) func(t *testing.T) string {
		return func(t *testing.T) string {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/plain")
				if header != "" {
					w.Header().Set(header, body)
				}
				w.WriteHeader(code)
				w.Write([]byte(body)) // a failure shows at the client
			}))
			t.Cleanup(s.Close)
			return s.URL
		}
	}
	message, err := proto.Marshal(&colpb.ExportMetricsServiceRequest{ResourceMetrics: []*metricspb.ResourceMetrics{
		{ScopeMetrics: []*metricspb.ScopeMetrics{{}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name     string
		protocol string
		listen   func(t *testing.T) string
	}{
		{"refused", "grpc", func(t *testing.T) string { return (&receiver{answer: refuse}).listen(t, "grpc") }},
		{"partial", "grpc", func(t *testing.T) string { return (&receiver{answer: reject}).listen(t, "grpc") }},
		{"refused", "http/protobuf", func(t *testing.T) string { return (&receiver{answer: refuse}).listen(t, "http/protobuf") }},
		{"partial", "http/protobuf", func(t *testing.T) string { return (&receiver{answer: reject}).listen(t, "http/protobuf") }},
		{"text", "http/protobuf", answer(http.StatusBadRequest, "", long)},
		{"moved", "http/protobuf", answer(http.StatusFound, "Location", long)},
	}
	for _, tt := range tests {
		t.Run(tt.protocol+" "+tt.name, func(t *testing.T) {
			endpoint := tt.listen(t)
			table := config.OTel{Endpoint: &endpoint, Protocol: &tt.protocol}
			s, err := table.Settings(time.Second, func(string) (string, bool) { return "", false })
			if err != nil {
				t.Fatal(err)
			}
			c, err := newClient(s, "test")
			if err != nil {
				t.Fatal(err)
			}
			defer c.close()
			got := c.export(t.Context(), message)
			if got == nil {
				t.Fatal("no error")
			}
			if text := got.Error(); len(text) > maxText+100 || !strings.Contains(text, "why: é") || !utf8.ValidString(text) {
				t.Errorf("%d bytes: %.100q, want the beginning of the reason and at most %d bytes of it", len(text), text, maxText)
			}
		})
	}
}

// TestBounded: the error behind a text that is cut is still found.
func TestBounded(t *testing.T) {
	for _, n := range []int{maxText - 1, maxText, maxText + 1} {
		inner := errors.New(strings.Repeat("x", n))
		err := error(bounded{inner})
		if whole := err.Error() == inner.Error(); whole != (n <= maxText) || !errors.Is(err, inner) {
			t.Errorf("%d bytes: whole %t, is the inner one %t", n, whole, errors.Is(err, inner))
		}
	}
}
