package otel

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	colpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/pingtel/pingtel/internal/config"
)

// TestVerdicts: a collector that has no room for now gets no smaller messages,
// whatever the code that it has in common with a limit.
func TestVerdicts(t *testing.T) {
	patience := &errdetails.RetryInfo{RetryDelay: durationpb.New(7 * time.Second)}
	for _, tt := range []struct {
		code codes.Code
		text string
		info *errdetails.RetryInfo
		want verdict
		wait time.Duration
	}{
		{codes.ResourceExhausted, "grpc: received message larger than max (5 vs. 4)", nil, tooLarge, 0},
		{codes.ResourceExhausted, "grpc: received message after decompression larger than max 4", nil, tooLarge, 0},
		{codes.ResourceExhausted, "Received message exceeds the maximum configured message size.", nil, tooLarge, 0},
		{codes.OutOfRange, "Error, decoded message length too large: found 5 bytes, the limit is: 4 bytes", nil, tooLarge, 0},
		{codes.ResourceExhausted, "quota exceeded", nil, outage, 0},
		{codes.ResourceExhausted, "", nil, outage, 0},
		{codes.ResourceExhausted, "try later", patience, outage, 7 * time.Second},
		{codes.Unavailable, "try later", patience, outage, 7 * time.Second},
		{codes.InvalidArgument, "no", nil, refused, 0},
		{codes.Internal, "no", nil, outage, 0},
	} {
		s := status.New(tt.code, tt.text)
		if tt.info != nil {
			var err error
			if s, err = s.WithDetails(tt.info); err != nil {
				t.Fatal(err)
			}
		}
		if got, wait := verdictOfStatus(s); got != tt.want || wait != tt.wait {
			t.Errorf("%v: verdict %v, wait %v, want %v, %v", s, got, wait, tt.want, tt.wait)
		}
	}
	for code, want := range map[int]verdict{413: tooLarge, 400: refused, 401: outage, 404: outage, 429: outage, 500: outage, 503: outage, 308: outage} {
		if got := verdictOfHTTP(code); got != want {
			t.Errorf("HTTP %d: verdict %v, want %v", code, got, want)
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
	for name, tt := range map[string]struct {
		code       int
		kind, body string
		taken      bool
		say        string // "" for a push without an error
	}{
		"empty":             {200, "", "", true, ""},
		"empty OTLP":        {200, contentType, "", true, ""},
		"empty HTML":        {200, "text/html", "", true, ""},
		"no content":        {204, "", "", true, ""},
		"HTML":              {200, "text/html; charset=utf-8", "<html>", false, `200 OK, with an answer of type "text/html"`},
		"text":              {200, "text/plain", "ok", false, `type "text/plain"`},
		"JSON":              {200, "application/json", `{"partialSuccess":{}, "more":1}`, true, ""},
		"JSON, in part":     {200, "Application/JSON;charset=utf-8", `{"partialSuccess":{"rejectedDataPoints":"3","errorMessage":"old"}}`, true, "has rejected 3 points: old"},
		"JSON, not OTLP":    {200, "application/json", `["ok"]`, false, "no OTLP"},
		"not OTLP":          {200, contentType, "\xff\xff", false, "no OTLP"},
		"too long":          {200, contentType, strings.Repeat("x", maxAnswer+1), true, "the answer is not read"},
		"too long for JSON": {200, "application/json", strings.Repeat(" ", maxAnswer+1), true, "the answer is not read"},
		"HTML, long":        {200, "text/html", strings.Repeat("x", maxAnswer+1), false, "text/html"},
		"moved":             {302, "", "/login?x", false, "/login?x: set the endpoint to that"},
	} {
		t.Run(name, func(t *testing.T) {
			temporality := "delta"
			endpoint := answering(t, tt.code, tt.kind, tt.body)
			p, log := newTestPusher(t, config.OTel{Temporality: &temporality}, endpoint, "http/protobuf")
			a := newTarget("a")
			p.Record(a, reply(addrA))
			p.push(t.Context())
			if s := p.table.targets[a].streams[0]; (s.delivered == 1) != tt.taken {
				t.Errorf("taken %t, want %t", s.delivered == 1, tt.taken)
			}
			l := log.take()
			if tt.say == "" && len(l) > 0 || tt.say != "" && (len(l) != 1 || !strings.Contains(strings.ReplaceAll(l[0], `\"`, `"`), tt.say)) {
				t.Errorf("log %.500q, want %q", l, tt.say)
			}
			if tt.code == 302 && !strings.Contains(l[0], "moved to "+endpoint+"/login") {
				t.Errorf("log %q: want the whole URL", l)
			}
		})
	}
}

// TestLongAnswer: over gRPC too a message whose answer cannot be read was taken.
func TestLongAnswer(t *testing.T) {
	temporality := "delta"
	r := &receiver{answer: func(int) (*colpb.ExportMetricsServiceResponse, error) {
		return &colpb.ExportMetricsServiceResponse{PartialSuccess: &colpb.ExportMetricsPartialSuccess{RejectedDataPoints: 1, ErrorMessage: strings.Repeat("x", 5<<20)}}, nil
	}}
	p, log := newTestPusher(t, config.OTel{Temporality: &temporality}, r.listen(t, "grpc"), "grpc")
	for _, target := range manyTargets(10) {
		p.Record(target, reply(addrA))
	}
	p.push(t.Context())
	if l := log.take(); r.asked != 2 || len(l) != 1 || !strings.Contains(l[0], "the answer is not read") {
		t.Errorf("asked %d times, want 2; log %q", r.asked, l)
	}
	r.answer, r.got = nil, nil
	p.push(t.Context())
	if got := count(t, r.lines(), "ping.replies", "198.18.0.3.0"); got != "0" {
		t.Errorf("replies %s in the next push, want 0: the collector has had them", got)
	}
}

// TestHeaderBeforeRefusal: a message that is too large is, though a proxy sends
// the head of an answer before the collector's refusal.
func TestHeaderBeforeRefusal(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	head := func(ctx context.Context, _ any, _ *grpc.UnaryServerInfo, _ grpc.UnaryHandler) (any, error) {
		if err := grpc.SendHeader(ctx, metadata.Pairs("via", "proxy")); err != nil {
			return nil, err
		}
		return nil, status.Error(codes.ResourceExhausted, "grpc: received message larger than max (2000000 vs. 1048576)")
	}
	s := grpc.NewServer(grpc.UnaryInterceptor(head))
	colpb.RegisterMetricsServiceServer(s, new(receiver))
	go s.Serve(l) // ended by Stop
	t.Cleanup(s.Stop)
	p, _ := newTestPusher(t, config.OTel{}, l.Addr().String(), "grpc")
	if err := p.pushSelf(t.Context(), time.Now()); verdictOf(err) != tooLarge {
		t.Errorf("verdict %v of %v, want %v", verdictOf(err), err, tooLarge)
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
		p, log := newTestPusher(t, config.OTel{}, endpoint, protocol)
		p.push(t.Context())
		if l := log.take(); len(l) != 1 || !strings.Contains(l[0], "counts are kept") {
			t.Errorf("%s: log %q", protocol, l)
		}
	}
}

// TestWrongPort speaks gRPC to a server of HTTP/1.
func TestWrongPort(t *testing.T) {
	endpoint := answering(t, 200, "text/plain", "hello")
	p, log := newTestPusher(t, config.OTel{}, strings.TrimPrefix(endpoint, "http://"), "grpc")
	p.push(t.Context())
	if l := log.take(); len(l) != 1 || !strings.Contains(l[0], "see otel.protocol") {
		t.Errorf("log %q", l)
	}
}

// TestSchemeNames: hosts with the names of gRPC's resolvers are hosts.
func TestSchemeNames(t *testing.T) {
	for _, host := range []string{"unix", "dns", "passthrough", "xds"} {
		p, log := newTestPusher(t, config.OTel{}, host+":4317", "grpc")
		if got := p.client.(*grpcClient).conn.CanonicalTarget(); got != "dns:///"+host+":4317" {
			t.Errorf("target %s, log %q", got, log.take())
		}
	}
}

// secured starts a server that answers 503 over TLS, and returns its URL and a
// file with its certificate.
func secured(t *testing.T, c *tls.Config) (s *httptest.Server, ca string) {
	t.Helper()
	s = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }))
	s.TLS, s.Config.ErrorLog = c, log.New(io.Discard, "", 0)
	c.NextProtos = []string{"h2", "http/1.1"}
	s.StartTLS()
	t.Cleanup(s.Close)
	ca = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return s, ca
}

// TestAsked: that the collector asks for a certificate is told where a
// connection fails by it, and not where it does for something else.
func TestAsked(t *testing.T) {
	const hint = "asks for a certificate of ours"
	push := func(p *Pusher, log *logged) string {
		p.health.since = time.Time{} // each failure is told
		p.push(t.Context())
		return strings.Join(log.take(), "")
	}
	s, ca := secured(t, &tls.Config{ClientAuth: tls.RequestClientCert})
	p, log := newTestPusher(t, config.OTel{CAFile: &ca}, s.URL, "http/protobuf")
	if l := push(p, log); !strings.Contains(l, "503") || strings.Contains(l, hint) {
		t.Errorf("it only would like one: %s", l)
	}
	s.Close()
	if l := push(p, log); l == "" || strings.Contains(l, hint) {
		t.Errorf("it is away: %s", l)
	}
	s, ca = secured(t, &tls.Config{ClientAuth: tls.RequireAnyClientCert})
	for _, protocol := range protocols {
		p, log = newTestPusher(t, config.OTel{CAFile: &ca}, s.URL, protocol)
		if l := push(p, log); !strings.Contains(l, hint) {
			t.Errorf("%s: it wants one: %s", protocol, l)
		}
	}
	s.Close()
	if l := push(p, log); !strings.Contains(l, "refused") || strings.Contains(l, hint) {
		t.Errorf("it wanted one and is away: %s", l)
	}
}

// TestWrongName: a certificate for another host is none.
func TestWrongName(t *testing.T) {
	s, ca := secured(t, new(tls.Config))
	for _, protocol := range protocols {
		for host, want := range map[string]string{"localhost": "not localhost", "127.0.0.1": "503"} {
			p, log := newTestPusher(t, config.OTel{CAFile: &ca}, strings.Replace(s.URL, "127.0.0.1", host, 1), protocol)
			p.push(t.Context())
			if l := fmt.Sprint(log.take()); !strings.Contains(l, want) {
				t.Errorf("%s %s: log %s, want %q", protocol, host, l, want)
			}
		}
	}
}
