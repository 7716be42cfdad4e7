package otlp

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	colpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/otel"
)

// TestOutcomes: a collector that has no room for now gets no smaller messages,
// whatever the code that it has in common with a limit.
func TestOutcomes(t *testing.T) {
	patience := &errdetails.RetryInfo{RetryDelay: durationpb.New(7 * time.Second)}
	for _, tt := range []struct {
		code codes.Code
		text string
		info *errdetails.RetryInfo
		want otel.Outcome
		wait time.Duration
	}{
		{codes.ResourceExhausted, "grpc: received message larger than max (5 vs. 4)", nil, otel.TooLarge, 0},
		{codes.ResourceExhausted, "grpc: received message after decompression larger than max 4", nil, otel.TooLarge, 0},
		{codes.ResourceExhausted, "Received message exceeds the maximum configured message size.", nil, otel.TooLarge, 0},
		{codes.OutOfRange, "Error, decoded message length too large: found 5 bytes, the limit is: 4 bytes", nil, otel.TooLarge, 0},
		{codes.ResourceExhausted, "quota exceeded", nil, otel.Unavailable, 0},
		{codes.ResourceExhausted, "", nil, otel.Unavailable, 0},
		{codes.ResourceExhausted, "try later", patience, otel.Unavailable, 7 * time.Second},
		{codes.Unavailable, "try later", patience, otel.Unavailable, 7 * time.Second},
		{codes.InvalidArgument, "no", nil, otel.Refused, 0},
		{codes.Internal, "no", nil, otel.Unavailable, 0},
	} {
		s := status.New(tt.code, tt.text)
		if tt.info != nil {
			var err error
			if s, err = s.WithDetails(tt.info); err != nil {
				t.Fatal(err)
			}
		}
		if got, wait := outcomeOf(s); got != tt.want || wait != tt.wait {
			t.Errorf("%v: outcome %v, wait %v, want %v, %v", s, got, wait, tt.want, tt.wait)
		}
	}
	for code, want := range map[int]otel.Outcome{413: otel.TooLarge, 400: otel.Refused, 401: otel.Unavailable, 404: otel.Unavailable, 429: otel.Unavailable, 500: otel.Unavailable, 503: otel.Unavailable, 308: otel.Unavailable} {
		if got := outcomeOfHTTP(code); got != want {
			t.Errorf("HTTP %d: outcome %v, want %v", code, got, want)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 25, 10, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"": 0, "12": 12 * time.Second, "-1": 0, "soon": 0, "99999999999999999999": 0,
		"Wed, 25 Nov 2026 10:02:00 GMT": 2 * time.Minute, "Wed, 25 Nov 2026 09:00:00 GMT": 0,
	} {
		if got := retryAfter(text, now); got != want {
			t.Errorf("retryAfter(%q) = %v, want %v", text, got, want)
		}
	}
}

// answering returns the endpoint of a server with one answer for all.
func answering(t *testing.T, code int, kind, body string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = nil
		if kind != "" {
			w.Header().Set("Content-Type", kind)
		}
		if code/100 == 3 {
			w.Header().Set("Location", body)
		}
		w.WriteHeader(code)
		w.Write([]byte(body)) // a failure shows at the client
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// TestAnswers: what a 2xx means is in its answer.
func TestAnswers(t *testing.T) {
	partly := func(n int64, reason string) string {
		b, err := proto.Marshal(&colpb.ExportMetricsServiceResponse{PartialSuccess: &colpb.ExportMetricsPartialSuccess{RejectedDataPoints: n, ErrorMessage: reason}})
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	const taken = otel.Outcome(99)
	for name, tt := range map[string]struct {
		code       int
		kind, body string
		want       otel.Outcome
		rejected   int64
		say        string
	}{
		"empty":             {200, "", "", taken, 0, ""},
		"empty OTLP":        {200, contentType, "", taken, 0, ""},
		"empty HTML":        {200, "text/html", "", taken, 0, ""},
		"no content":        {204, "", "", taken, 0, ""},
		"in part":           {200, contentType, partly(3, "old"), otel.Partial, 3, "has rejected 3 points: old"},
		"charset, in part":  {200, contentType + "; charset=utf-8", partly(4, "old"), otel.Partial, 4, "has rejected 4 points: old"},
		"a warning":         {200, contentType, partly(0, "old"), taken, 0, ""},
		"HTML":              {200, "text/html; charset=utf-8", "<html>", otel.Unavailable, 0, `200 OK, with an answer of type "text/html"`},
		"text":              {200, "text/plain", "ok", otel.Unavailable, 0, `type "text/plain"`},
		"JSON":              {200, "application/json", `{"partialSuccess":{}, "more":1}`, taken, 0, ""},
		"JSON, in part":     {200, "Application/JSON;charset=utf-8", `{"partialSuccess":{"rejectedDataPoints":"3","errorMessage":"old"}}`, otel.Partial, 3, "has rejected 3 points: old"},
		"JSON, a warning":   {200, "application/json", `{"partialSuccess":{"errorMessage":"old"}}`, taken, 0, ""},
		"JSON, not OTLP":    {200, "application/json", `["ok"]`, otel.Unavailable, 0, "no OTLP"},
		"not OTLP":          {200, contentType, "\xff\xff", otel.Unavailable, 0, "no OTLP"},
		"too long":          {200, contentType, strings.Repeat("x", maxAnswer+1), otel.Partial, 0, "too long to be read"},
		"too long for JSON": {200, "application/json", strings.Repeat(" ", maxAnswer+1), otel.Partial, 0, "too long to be read"},
		"HTML, long":        {200, "text/html", strings.Repeat("x", maxAnswer+1), otel.Unavailable, 0, "text/html"},
		"moved":             {302, "", "/login?x", otel.Unavailable, 0, "/login?x: set the endpoint to that"},
	} {
		t.Run(name, func(t *testing.T) {
			endpoint := answering(t, tt.code, tt.kind, tt.body)
			got := export(t, exporting(t, config.OTel{}, endpoint, "http/protobuf"))
			if tt.want == taken {
				if got != nil {
					t.Errorf("%v, want no error", got)
				}
				return
			}
			if got == nil || got.Outcome != tt.want || got.Rejected != tt.rejected || !strings.Contains(got.Error(), tt.say) {
				t.Fatalf("%+v, want outcome %v, %d rejected, %q", got, tt.want, tt.rejected, tt.say)
			}
			if !strings.Contains(got.Error(), endpoint) || tt.code == 302 && !strings.Contains(got.Error(), "moved to "+endpoint+"/login") {
				t.Errorf("%v: want the whole URL", got)
			}
		})
	}
}

// TestPartialOverGRPC: the number of rejected points comes out, and a warning is
// no failure.
func TestPartialOverGRPC(t *testing.T) {
	for rejected, want := range map[int64]string{7: "has rejected 7 points: old", 0: ""} {
		s := &grpcServer{answer: func() (*colpb.ExportMetricsServiceResponse, error) {
			return &colpb.ExportMetricsServiceResponse{PartialSuccess: &colpb.ExportMetricsPartialSuccess{RejectedDataPoints: rejected, ErrorMessage: "old"}}, nil
		}}
		got := export(t, exporting(t, config.OTel{}, s.listen(t), "grpc"))
		if want == "" && got != nil || want != "" && (got == nil || got.Rejected != rejected || !strings.Contains(got.Error(), want)) {
			t.Errorf("%d rejected: %+v, want %q", rejected, got, want)
		}
	}
}

// TestRetryLater: how long a collector wants to be left alone comes out, and the
// exporter makes one call.
func TestRetryLater(t *testing.T) {
	busy, err := status.New(codes.Unavailable, "busy").WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(42 * time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	s := &grpcServer{answer: func() (*colpb.ExportMetricsServiceResponse, error) { return nil, busy.Err() }}
	if got := export(t, exporting(t, config.OTel{}, s.listen(t), "grpc")); got == nil || got.RetryAfter != 42*time.Second || s.asked != 1 {
		t.Errorf("gRPC: %+v, asked %d times", got, s.asked)
	}
	asked := 0
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		w.Header().Set("Retry-After", "42")
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer h.Close()
	if got := export(t, exporting(t, config.OTel{}, h.URL, "http/protobuf")); got == nil || got.RetryAfter != 42*time.Second || asked != 1 {
		t.Errorf("HTTP: %+v, asked %d times", got, asked)
	}
}

// TestVariables: what the file says counts, whatever the OTEL_* variables say
// that the exporters read themselves.
func TestVariables(t *testing.T) {
	for _, v := range []string{"", "METRICS_"} {
		for name, value := range map[string]string{
			"ENDPOINT": "https://127.0.0.1:1/else", "HEADERS": "x-token=variable,x-other=variable", "COMPRESSION": "gzip", "TIMEOUT": "1",
			"CERTIFICATE": "/nonexistent", "CLIENT_CERTIFICATE": "/nonexistent", "CLIENT_KEY": "/nonexistent", "INSECURE": "false",
		} {
			t.Setenv("OTEL_EXPORTER_OTLP_"+v+name, value)
		}
	}
	var got http.Header
	h := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got = r.Header
		got.Set("path", r.URL.Path)
		got.Set("host", r.Host)
	}))
	defer h.Close()
	none := "none"
	for _, headers := range []map[string]string{{}, {"x-token": "file", "host": "other.example"}} {
		if err := export(t, exporting(t, config.OTel{Headers: headers, Compression: &none}, h.URL, "http/protobuf")); err != nil {
			t.Fatal(err)
		}
		if got.Get("x-token") != headers["x-token"] || got.Get("x-other") != "" || got.Get("Content-Encoding") != "" ||
			got.Get("User-Agent") != "pingtel/v1" || got.Get("path") != "/v1/metrics" || headers["host"] != "" && got.Get("host") != headers["host"] {
			t.Errorf("HTTP: %v, want the headers %v", got, headers)
		}
		s := &grpcServer{answer: func() (*colpb.ExportMetricsServiceResponse, error) {
			return new(colpb.ExportMetricsServiceResponse), nil
		}}
		delete(headers, "host")
		if err := export(t, exporting(t, config.OTel{Headers: headers, Compression: &none}, s.listen(t), "grpc")); err != nil {
			t.Fatal(err)
		}
		if strings.Join(s.md.Get("x-token"), ",") != headers["x-token"] || len(s.md.Get("x-other")) > 0 || !strings.HasPrefix(s.md.Get("user-agent")[0], "pingtel/v1 ") {
			t.Errorf("gRPC: %v, want the headers %v", s.md, headers)
		}
	}
}

// TestLongAnswer: over gRPC too a message whose answer cannot be read was taken.
func TestLongAnswer(t *testing.T) {
	s := &grpcServer{answer: func() (*colpb.ExportMetricsServiceResponse, error) {
		return &colpb.ExportMetricsServiceResponse{PartialSuccess: &colpb.ExportMetricsPartialSuccess{RejectedDataPoints: 1, ErrorMessage: strings.Repeat("x", 5<<20)}}, nil
	}}
	if got := export(t, exporting(t, config.OTel{}, s.listen(t), "grpc")); got == nil || got.Outcome != otel.Partial || !strings.Contains(got.Error(), "too long to be read") {
		t.Errorf("%+v", got)
	}
}

// TestHeaderBeforeRefusal: a message that is too large is, though a proxy sends
// the head of an answer before the collector's refusal.
func TestHeaderBeforeRefusal(t *testing.T) {
	head := func(ctx context.Context, _ any, _ *grpc.UnaryServerInfo, _ grpc.UnaryHandler) (any, error) {
		if err := grpc.SendHeader(ctx, metadata.Pairs("via", "proxy")); err != nil {
			return nil, err
		}
		return nil, status.Error(codes.ResourceExhausted, "grpc: received message larger than max (2000000 vs. 1048576)")
	}
	e := exporting(t, config.OTel{}, new(grpcServer).listen(t, grpc.UnaryInterceptor(head)), "grpc")
	if got := export(t, e); got == nil || got.Outcome != otel.TooLarge {
		t.Errorf("%+v, want outcome %v", got, otel.TooLarge)
	}
}

// TestHangUp: a connection that ends in the middle is an outage.
func TestHangUp(t *testing.T) {
	for _, protocol := range protocols {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go func() { // ends with the listener
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				c.Read(make([]byte, 100))
				c.(*net.TCPConn).SetLinger(0) // a reset
				c.Close()
			}
		}()
		t.Cleanup(func() { l.Close() })
		endpoint := map[string]string{"grpc": "", "http/protobuf": "http://"}[protocol] + l.Addr().String()
		if got := export(t, exporting(t, config.OTel{}, endpoint, protocol)); got == nil || got.Outcome != otel.Unavailable {
			t.Errorf("%s: %+v", protocol, got)
		}
	}
}

// TestWrongPort speaks gRPC to a server of HTTP/1.
func TestWrongPort(t *testing.T) {
	endpoint := answering(t, 200, "text/plain", "hello")
	if got := export(t, exporting(t, config.OTel{}, strings.TrimPrefix(endpoint, "http://"), "grpc")); got == nil || !strings.Contains(got.Error(), "see otel.protocol") {
		t.Errorf("%v", got)
	}
}

// TestSchemeNames: hosts with the names of gRPC's resolvers are hosts.
func TestSchemeNames(t *testing.T) {
	for _, host := range []string{"unix", "dns", "passthrough", "xds"} {
		e := exporting(t, config.OTel{}, host+":4317", "grpc")
		if got := e.(*grpcExporter).conn.CanonicalTarget(); got != "dns:///"+host+":4317" {
			t.Errorf("target %s", got)
		}
	}
}

// TestTextBound lets a collector answer with more than belongs into a log.
func TestTextBound(t *testing.T) {
	long := "why: " + strings.Repeat("é", 20_000)
	refuse := &grpcServer{answer: func() (*colpb.ExportMetricsServiceResponse, error) {
		return nil, status.Error(codes.InvalidArgument, long)
	}}
	rejected := &colpb.ExportMetricsServiceResponse{PartialSuccess: &colpb.ExportMetricsPartialSuccess{RejectedDataPoints: 1, ErrorMessage: long}}
	reject := &grpcServer{answer: func() (*colpb.ExportMetricsServiceResponse, error) { return rejected, nil }}
	body, err := proto.Marshal(rejected)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct{ protocol, endpoint string }{
		"refused":       {"grpc", refuse.listen(t)},
		"partial":       {"grpc", reject.listen(t)},
		"partial, HTTP": {"http/protobuf", answering(t, 200, contentType, string(body))},
		"text":          {"http/protobuf", answering(t, http.StatusBadRequest, "text/plain", long)},
		"moved":         {"http/protobuf", answering(t, http.StatusFound, "", "/"+long)},
	} {
		got := export(t, exporting(t, config.OTel{}, tt.endpoint, tt.protocol))
		if got == nil {
			t.Fatalf("%s: no error", name)
		}
		if text := got.Error(); len(text) > maxText+100 || !strings.Contains(text, "why:") || !utf8.ValidString(text) {
			t.Errorf("%s: %d bytes: %.100q, want the beginning of the reason and at most %d bytes of it", name, len(text), text, maxText)
		}
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
