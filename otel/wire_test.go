package otel_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	colpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	_ "google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/internal/otlp"
	"github.com/pingtel/pingtel/otel"
)

const (
	contentType = "application/x-protobuf"
	hostKey     = "server.address"
)

var (
	addrA = netip.MustParseAddr("198.18.0.1")
	addrB = netip.MustParseAddr("198.18.0.2")
)

// reply is a series of one reply.
func reply(a netip.Addr) *icmpcore.PingResult {
	return &icmpcore.PingResult{Addr: a, Sent: 1, Received: 1, RTTs: []time.Duration{time.Millisecond}, Start: time.Unix(1, 0)}
}

// receiver takes what a pusher sends, over gRPC or HTTP, and answers as it is
// told.
type receiver struct {
	colpb.UnimplementedMetricsServiceServer

	mu      sync.Mutex
	answer  func(points int) (*colpb.ExportMetricsServiceResponse, error)
	got     []*colpb.ExportMetricsServiceRequest // accepted
	asked   int
	headers []string // the values of x-token
	size    int      // of the message that answer is asked for
}

func (r *receiver) Export(ctx context.Context, m *colpb.ExportMetricsServiceRequest) (*colpb.ExportMetricsServiceResponse, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	return r.take(m, strings.Join(md.Get("x-token"), ","))
}

func (r *receiver) take(m *colpb.ExportMetricsServiceRequest, token string) (*colpb.ExportMetricsServiceResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked++
	r.headers = append(r.headers, token)
	response, err := &colpb.ExportMetricsServiceResponse{}, error(nil)
	r.size = proto.Size(m)
	if r.answer != nil {
		response, err = r.answer(len(requestLines(m)))
	}
	if err == nil {
		r.got = append(r.got, m)
	}
	return response, err
}

func requestLines(m *colpb.ExportMetricsServiceRequest) []string {
	var lines []string
	for _, metric := range m.ResourceMetrics[0].ScopeMetrics[0].Metrics {
		lines = append(lines, metricLines(metric)...)
	}
	return lines
}

// ServeHTTP answers as the OTLP specification has it for HTTP.
func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body := io.Reader(req.Body)
	if req.Header.Get("Content-Encoding") == "gzip" {
		zip, err := gzip.NewReader(req.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		body = zip
	}
	b, err := io.ReadAll(body)
	m := new(colpb.ExportMetricsServiceRequest)
	if err != nil || proto.Unmarshal(b, m) != nil || req.URL.Path != "/v1/metrics" || req.Header.Get("Content-Type") != contentType {
		http.Error(w, "no OTLP", http.StatusBadRequest)
		return
	}
	response, err := r.take(m, req.Header.Get("x-token"))
	code, out := http.StatusOK, proto.Message(response)
	if err != nil {
		s := status.Convert(err)
		code, out = map[codes.Code]int{
			codes.Unavailable: 503, codes.ResourceExhausted: 413, codes.InvalidArgument: 400, codes.PermissionDenied: 403, codes.Internal: 500,
		}[s.Code()], s.Proto()
	}
	b, err = proto.Marshal(out)
	if err != nil {
		http.Error(w, err.Error(), 500)
		return
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(code)
	w.Write(b) // a failure shows at the client
}

// listen starts the receiver for a protocol and returns its endpoint.
func (r *receiver) listen(t *testing.T, protocol string) string {
	t.Helper()
	if protocol == "http/protobuf" {
		s := httptest.NewServer(r)
		t.Cleanup(s.Close)
		return s.URL
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	colpb.RegisterMetricsServiceServer(s, r)
	go s.Serve(l) // ended by Stop
	t.Cleanup(s.Stop)
	return l.Addr().String()
}

// lines returns what has been accepted, pingtel's own figures left out.
func (r *receiver) lines() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var lines []string
	for _, m := range r.got {
		for _, line := range requestLines(m) {
			if strings.Contains(line, hostKey) {
				lines = append(lines, line)
			}
		}
	}
	r.got = nil
	return lines
}

func metricLines(m *metricspb.Metric) []string {
	var lines []string
	line := func(attributes []*commonpb.KeyValue, format string, args ...any) {
		lines = append(lines, m.Name+"{"+attributeText(attributes)+"} "+fmt.Sprintf(format, args...))
	}
	number := func(p *metricspb.NumberDataPoint) {
		if v, ok := p.Value.(*metricspb.NumberDataPoint_AsInt); ok {
			line(p.Attributes, "%d [%d %d]", v.AsInt, p.StartTimeUnixNano, p.TimeUnixNano)
		} else {
			line(p.Attributes, "%v [%d %d]", p.GetAsDouble(), p.StartTimeUnixNano, p.TimeUnixNano)
		}
	}
	for _, p := range m.GetSum().GetDataPoints() {
		number(p)
	}
	for _, p := range m.GetGauge().GetDataPoints() {
		number(p)
	}
	for _, p := range m.GetHistogram().GetDataPoints() {
		line(p.Attributes, "%d %v %v %v [%d %d]", p.Count, p.GetSum(), p.BucketCounts, p.ExplicitBounds, p.StartTimeUnixNano, p.TimeUnixNano)
	}
	for _, p := range m.GetExponentialHistogram().GetDataPoints() {
		line(p.Attributes, "%d %v scale %d zero %d at %d %v [%d %d]", p.Count, p.GetSum(), p.Scale, p.ZeroCount,
			p.Positive.Offset, p.Positive.BucketCounts, p.StartTimeUnixNano, p.TimeUnixNano)
	}
	return lines
}

func attributeText(list []*commonpb.KeyValue) string {
	var parts []string
	for _, a := range list {
		if v, ok := a.Value.Value.(*commonpb.AnyValue_IntValue); ok {
			parts = append(parts, fmt.Sprintf("%s=%d", a.Key, v.IntValue))
		} else {
			parts = append(parts, fmt.Sprintf("%s=%q", a.Key, a.Value.GetStringValue()))
		}
	}
	return strings.Join(parts, ",")
}

// logged is a log that a test reads.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

// take returns the lines since the last call.
func (l *logged) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.b.Reset()
	return slices.Collect(strings.Lines(l.b.String()))
}

// pusher is a pusher over the wire, and what belongs to it.
type pusher struct {
	*otel.Pusher

	store    *otel.Store
	settings *config.OTelSettings
}

func (p *pusher) add(host string) *otel.Target { return p.store.Add(otel.TargetOptions{Host: host}) }

// many adds n targets with five tags each, and records a reply of each. It
// returns the hosts.
func (p *pusher) many(n int) []string {
	var hosts []string
	for _, o := range manyTargets(n) {
		hosts = append(hosts, o.Host)
		p.store.Record(p.store.Add(o), reply(addrA))
	}
	return hosts
}

func manyTargets(n int) []otel.TargetOptions {
	list := make([]otel.TargetOptions, n)
	for i := range list {
		host := netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)}).String()
		list[i] = otel.TargetOptions{Host: fmt.Sprint(host, ".", i>>16), Attributes: []attribute.KeyValue{
			attribute.String("country", "de"), attribute.String("rack", fmt.Sprint("r", i%40)), attribute.String("role", "edge"),
			attribute.String("site", fmt.Sprint("fra", i%7)), attribute.String("team", "network"),
		}}
	}
	return list
}

// newTestPusher returns a pusher to endpoint by the exporters of the binary, and
// its log.
func newTestPusher(t testing.TB, table config.OTel, endpoint, protocol string) (*pusher, *logged) {
	t.Helper()
	table.Endpoint, table.Protocol = &endpoint, &protocol
	s, err := table.Settings(10*time.Second, func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	buffer := new(logged)
	log := slog.New(slog.NewTextHandler(buffer, nil))
	st, err := otel.NewStore(otel.StoreOptions{Bounds: s.Bounds, Exponential: s.Histogram == "exponential", Metrics: s.Metrics, Version: "v1",
		Self: func() otel.Self { return otel.Self{Targets: 2, Foreign: 5} }})
	if err != nil {
		t.Fatal(err)
	}
	resource, err := otlp.NewResource(map[string]string{"service.name": strings.Repeat("x", 300)}, "v1", "instance", log)
	if err != nil {
		t.Fatal(err)
	}
	e, err := otlp.NewExporter(s, "v1", log)
	if err != nil {
		t.Fatal(err)
	}
	p := &pusher{otel.NewPusher(st, e, resource), st, s}
	p.Timeout, p.Log = s.Timeout, log
	t.Cleanup(func() { e.Shutdown(context.Background()) }) // fails where the test has called Close
	return p, buffer
}

// count returns the value of a counter of host in lines, -1 where it is not
// there, and fails where it is there twice.
func count(t *testing.T, lines []string, metric, host string) string {
	t.Helper()
	found := ""
	for _, line := range lines {
		if strings.HasPrefix(line, metric+"{") && strings.Contains(line, hostKey+`="`+host+`"`) {
			if found != "" {
				t.Errorf("%s of %s is there twice", metric, host)
			}
			_, value, _ := strings.Cut(line, "} ")
			found = strings.Fields(value)[0]
		}
	}
	return found
}

var protocols = []string{"grpc", "http/protobuf"}

func TestPush(t *testing.T) {
	for _, protocol := range protocols {
		for _, compression := range []string{"gzip", "none"} {
			t.Run(protocol+" "+compression, func(t *testing.T) {
				r := new(receiver)
				p, log := newTestPusher(t, config.OTel{Compression: &compression, Headers: map[string]string{"x-token": "secret"}}, r.listen(t, protocol), protocol)
				a, b := p.add("a"), p.add("b")
				p.store.Record(a, reply(addrA))
				p.store.Record(b, reply(addrB))
				p.store.Record(b, reply(addrB))
				p.Push(t.Context())
				lines := r.lines()
				if got := count(t, lines, "ping.replies", "a") + count(t, lines, "ping.replies", "b") + count(t, lines, "ping.rtt", "b"); got != "122" {
					t.Errorf("replies and RTTs %s, want 1, 2, 2", got)
				}
				p.Push(t.Context()) // cumulative: the same again
				if got := count(t, r.lines(), "ping.replies", "b"); got != "2" {
					t.Errorf("replies %s in the second push, want 2", got)
				}
				if l := log.take(); len(l) > 0 {
					t.Errorf("log: %q", l)
				}
				if slices.ContainsFunc(r.headers, func(s string) bool { return s != "secret" }) {
					t.Errorf("headers %q", r.headers)
				}
			})
		}
	}
}

// TestOutage: one line when pushes begin to fail and one when they succeed
// again; a push is given up at the first sign; and nothing is lost or counted
// twice, whatever the temporality.
func TestOutage(t *testing.T) {
	for _, protocol := range protocols {
		for _, temporality := range []string{"cumulative", "delta", "lowmemory"} {
			for _, code := range []codes.Code{codes.Unavailable, codes.PermissionDenied} {
				t.Run(strings.Join([]string{protocol, temporality, code.String()}, " "), func(t *testing.T) {
					r := new(receiver)
					p, log := newTestPusher(t, config.OTel{Temporality: &temporality}, r.listen(t, protocol), protocol)
					a := p.add("a")
					p.store.Record(a, reply(addrA))
					p.Push(t.Context())
					r.answer = func(int) (*colpb.ExportMetricsServiceResponse, error) { return nil, status.Error(code, "closed") }
					r.lines()
					for range 3 {
						p.store.Record(a, reply(addrA))
						asked := r.asked
						p.Push(t.Context())
						if r.asked != asked+1 {
							t.Errorf("asked %d times in an outage, want once", r.asked-asked)
						}
					}
					if l := log.take(); len(l) != 1 || !strings.Contains(l[0], "level=WARN") || !strings.Contains(l[0], "closed") || !strings.Contains(l[0], p.settings.Endpoint) {
						t.Errorf("when it begins: %q", l)
					}
					r.answer = nil
					p.Push(t.Context())
					want := map[string]string{"cumulative": "4", "delta": "3", "lowmemory": "3"}[temporality]
					lines := r.lines()
					if got := count(t, lines, "ping.replies", "a"); got != want || count(t, lines, "ping.rtt", "a") != want {
						t.Errorf("replies %s after the outage, want %s", got, want)
					}
					if l := log.take(); len(l) != 1 || !strings.Contains(l[0], "level=INFO") || !strings.Contains(l[0], "failed_pushes=3") || strings.Contains(l[0], "lost") {
						t.Errorf("when it ends: %q", l)
					}
					p.Push(t.Context())
					if got, want := count(t, r.lines(), "ping.replies", "a"), map[bool]string{true: "4", false: "0"}[temporality == "cumulative"]; got != want {
						t.Errorf("replies %s in the next push, want %s", got, want)
					}
				})
			}
		}
	}
}

// TestTooLarge: a collector with a small limit gets smaller messages, in the
// same push.
func TestTooLarge(t *testing.T) {
	for _, protocol := range protocols {
		t.Run(protocol, func(t *testing.T) {
			const most = 3000 // points
			r := &receiver{answer: func(points int) (*colpb.ExportMetricsServiceResponse, error) {
				if points > most {
					return nil, status.Errorf(codes.ResourceExhausted, "received message larger than max")
				}
				return &colpb.ExportMetricsServiceResponse{}, nil
			}}
			p, log := newTestPusher(t, config.OTel{}, r.listen(t, protocol), protocol)
			hosts := p.many(1000)
			p.Push(t.Context())
			times := make(map[string]int)
			for _, line := range r.lines() {
				if strings.HasPrefix(line, "ping.replies{") {
					_, host, _ := strings.Cut(line, hostKey+`="`)
					host, _, _ = strings.Cut(host, `"`)
					times[host]++
				}
			}
			for _, host := range hosts {
				if times[host] != 1 {
					t.Fatalf("%s was delivered %d times, want once", host, times[host])
				}
			}
			for _, l := range log.take() {
				if !strings.Contains(l, "smaller") {
					t.Errorf("log: %s", l)
				}
			}
			asked := r.asked
			p.Push(t.Context())
			if len(r.got) != r.asked-asked {
				t.Errorf("the size was not learned: %d of %d messages taken", len(r.got), r.asked-asked)
			}
		})
	}
}

// TestLimitRecovers: a limit that was lowered is tried again, and told of once.
func TestLimitRecovers(t *testing.T) {
	most := 1500 // points
	r := &receiver{answer: func(points int) (*colpb.ExportMetricsServiceResponse, error) {
		if points > most {
			return nil, status.Errorf(codes.ResourceExhausted, "received message larger than max")
		}
		return &colpb.ExportMetricsServiceResponse{}, nil
	}}
	p, log := newTestPusher(t, config.OTel{}, r.listen(t, "grpc"), "grpc")
	p.many(400)
	p.Push(t.Context())
	low := p.Limit()
	if l := log.take(); low == otel.MessageLimit || len(l) != 1 || !strings.Contains(l[0], "smaller ones") {
		t.Fatalf("limit %d, log %q", low, l)
	}
	for range 2 {
		p.SetCalm(otel.RecoverPushes) // so many pushes later
		p.Push(t.Context())
		if p.Limit() != low {
			t.Errorf("limit %d, want %d: the collector has not changed", p.Limit(), low)
		}
	}
	most = 1 << 20
	p.Push(t.Context())
	if p.Limit() != low {
		t.Errorf("limit %d, want %d: it has just been tried", p.Limit(), low)
	}
	for range 6 {
		p.SetCalm(otel.RecoverPushes)
		p.Push(t.Context())
	}
	if l := log.take(); p.Limit() != otel.MessageLimit || len(l) > 0 {
		t.Errorf("limit %d, log %q", p.Limit(), l)
	}
}

// TestStops: a push ends with the first message that is not taken, wherever in
// it that comes, but for one that the collector refuses for what it holds.
func TestStops(t *testing.T) {
	for _, tt := range []struct {
		code  codes.Code
		text  string
		after int // messages that are taken
	}{
		{codes.ResourceExhausted, "quota exceeded", 0},
		{codes.ResourceExhausted, "quota exceeded", 2},
		{codes.Internal, "no", 1},
		{codes.Unavailable, "no", 3},
		{codes.ResourceExhausted, "received message larger than max", 0}, // the least that can be sent
	} {
		for _, protocol := range protocols {
			if protocol != "grpc" && tt.code == codes.ResourceExhausted {
				continue // another status there
			}
			t.Run(fmt.Sprint(protocol, tt), func(t *testing.T) {
				r := new(receiver)
				r.answer = func(int) (*colpb.ExportMetricsServiceResponse, error) {
					if r.asked > tt.after {
						return nil, status.Error(tt.code, tt.text)
					}
					return &colpb.ExportMetricsServiceResponse{}, nil
				}
				p, log := newTestPusher(t, config.OTel{}, r.listen(t, protocol), protocol)
				p.SetLimit(otel.LeastLimit)
				p.many(200)
				p.Push(t.Context())
				if l := log.take(); r.asked != tt.after+1 || len(l) != 1 || !strings.Contains(l[0], "the next push carries the counts") {
					t.Errorf("asked %d times, want %d; log %q", r.asked, tt.after+1, l)
				}
			})
		}
	}
}

// TestRefused: a message that is refused keeps no other from being sent.
func TestRefused(t *testing.T) {
	for _, protocol := range protocols {
		t.Run(protocol, func(t *testing.T) {
			calls := 0
			r := new(receiver)
			r.answer = func(int) (*colpb.ExportMetricsServiceResponse, error) {
				if calls++; calls == 2 { // the first holds pingtel's own figures
					return nil, status.Error(codes.InvalidArgument, "not that")
				}
				return &colpb.ExportMetricsServiceResponse{}, nil
			}
			p, log := newTestPusher(t, config.OTel{}, r.listen(t, protocol), protocol)
			p.SetLimit(otel.LeastLimit)
			p.many(100)
			p.Push(t.Context())
			if l := log.take(); len(l) != 1 || !strings.Contains(l[0], "not that") || len(r.got) < 3 {
				t.Errorf("log %q, %d messages taken", l, len(r.got))
			}
			p.Push(t.Context())
			if l := log.take(); len(l) != 1 || !strings.Contains(l[0], "succeed again") {
				t.Errorf("log %q", l)
			}
		})
	}
}

// TestPartial: rejected points are told, and not sent again with delta.
func TestPartial(t *testing.T) {
	for _, protocol := range protocols {
		t.Run(protocol, func(t *testing.T) {
			temporality := "delta"
			r := &receiver{answer: func(int) (*colpb.ExportMetricsServiceResponse, error) {
				return &colpb.ExportMetricsServiceResponse{PartialSuccess: &colpb.ExportMetricsPartialSuccess{RejectedDataPoints: 7, ErrorMessage: "out of order"}}, nil
			}}
			p, log := newTestPusher(t, config.OTel{Temporality: &temporality}, r.listen(t, protocol), protocol)
			a := p.add("a")
			p.store.Record(a, reply(addrA))
			p.Push(t.Context())
			if l := log.take(); len(l) != 1 || !strings.Contains(l[0], "has rejected 7 points: out of order") || strings.Contains(l[0], "kept") {
				t.Errorf("log %q", l)
			}
			p.End()
			if l := log.take(); len(l) != 1 || !strings.Contains(l[0], "the last push was taken in part") || strings.Contains(l[0], "failed:") {
				t.Errorf("log at the end %q", l)
			}
			r.answer = func(int) (*colpb.ExportMetricsServiceResponse, error) {
				return nil, status.Error(codes.Unavailable, "gone")
			}
			for range 2 {
				p.Push(t.Context())
			}
			if l := log.take(); len(l) != 1 || !strings.Contains(l[0], "the next push carries the counts") {
				t.Errorf("log of an outage behind that %q", l)
			}
			r.answer = nil
			r.lines()
			p.Push(t.Context())
			if got := count(t, r.lines(), "ping.replies", "a"); got != "0" {
				t.Errorf("replies %s, want 0: the collector has had them", got)
			}
			if l := log.take(); len(l) != 1 || !strings.Contains(l[0], "points_rejected=14") { // 7 of each of two messages
				t.Errorf("log %q", l)
			}
		})
	}
}

// TestClose pushes what has been recorded last, and says what is lost where
// that fails.
func TestClose(t *testing.T) {
	r := new(receiver)
	p, log := newTestPusher(t, config.OTel{}, r.listen(t, "grpc"), "grpc")
	p.store.Record(p.add("a"), reply(addrA))
	if err := p.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if got := count(t, r.lines(), "ping.replies", "a"); got != "1" || len(log.take()) > 0 {
		t.Errorf("replies %s, log %q", got, log.take())
	}

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	endpoint := l.Addr().String()
	if err := l.Close(); err != nil { // nobody listens there any more
		t.Fatal(err)
	}
	p, log = newTestPusher(t, config.OTel{}, endpoint, "grpc")
	p.store.Record(p.add("a"), reply(addrA))
	if err := p.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if got := log.take(); len(got) != 2 || !strings.Contains(got[0], "a push has failed") || !strings.Contains(got[1], "the counts that no push has delivered are lost") {
		t.Errorf("log %q", got)
	}
}

// TestCrowded: that a name has too many addresses is told where it costs
// counts, and once an hour.
func TestCrowded(t *testing.T) {
	for _, taken := range []bool{true, false} {
		r := new(receiver)
		r.answer = func(int) (*colpb.ExportMetricsServiceResponse, error) {
			if !taken {
				return nil, status.Error(codes.Unavailable, "away")
			}
			return new(colpb.ExportMetricsServiceResponse), nil
		}
		p, log := newTestPusher(t, config.OTel{}, r.listen(t, "grpc"), "grpc")
		a, told := p.add("a"), 0
		for i := range 3 * otel.MaxStreams {
			p.store.Record(a, reply(netip.AddrFrom4([4]byte{198, 18, 1, byte(i)})))
			p.Push(t.Context())
			for _, l := range log.take() {
				if strings.Contains(l, "more addresses") {
					told++
					if !strings.Contains(l, "host=a kept=16 series_lost=1") {
						t.Errorf("log %q", l)
					}
				}
			}
		}
		if want := map[bool]int{true: 0, false: 1}[taken]; told != want {
			t.Errorf("pushes succeed %t: told %d times, want %d", taken, told, want)
		}
		if !taken {
			p.ForgetCrowded()
			p.store.Record(a, reply(addrB))
			if p.Push(t.Context()); !strings.Contains(strings.Join(log.take(), ""), "more addresses") {
				t.Error("not told an hour later")
			}
		}
	}
}

// TestRecordDuringPush holds recording and pushing apart under the race
// detector, and every RTT in exactly one delta.
func TestRecordDuringPush(t *testing.T) {
	temporality := "delta"
	r := new(receiver)
	p, _ := newTestPusher(t, config.OTel{Temporality: &temporality}, r.listen(t, "grpc"), "grpc")
	var targets []*otel.Target
	for _, o := range manyTargets(50) {
		targets = append(targets, p.store.Add(o))
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 200 {
			for _, target := range targets {
				p.store.Record(target, reply(addrA))
			}
		}
	}()
	total := 0
	for ended := false; !ended; {
		select {
		case <-done:
			ended = true
		default:
		}
		p.Push(t.Context())
		r.mu.Lock()
		for _, m := range r.got {
			for _, metric := range m.ResourceMetrics[0].ScopeMetrics[0].Metrics {
				for _, point := range metric.GetHistogram().GetDataPoints() {
					total += int(point.Count)
				}
			}
		}
		r.got = nil
		r.mu.Unlock()
	}
	if total != 200*len(targets) {
		t.Errorf("%d RTTs arrived, want %d", total, 200*len(targets))
	}
}

// TestMessageBound sends targets of any size and holds the messages under the
// limit and under what they were reckoned with, and every target in exactly one
// of them.
func TestMessageBound(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, kind := range []string{"explicit", "exponential"} {
		for _, protocol := range protocols {
			const all = 300
			r := new(receiver)
			p, log := newTestPusher(t, config.OTel{Histogram: &kind}, r.listen(t, protocol), protocol)
			p.SetLimit(otel.LeastLimit)
			r.answer = func(int) (*colpb.ExportMetricsServiceResponse, error) {
				if r.size > otel.LeastLimit || r.size > p.Reckoned() { // Push waits for the answer
					t.Errorf("%s: %d bytes, reckoned with %d, limit %d", kind, r.size, p.Reckoned(), otel.LeastLimit)
				}
				return new(colpb.ExportMetricsServiceResponse), nil
			}
			for i := range all {
				res := &icmpcore.PingResult{Addr: addrA, Sent: 500, Received: rng.IntN(400), TTL: 60, Hops: 5, Start: time.Now()}
				for range res.Received {
					res.RTTs = append(res.RTTs, time.Duration(rng.Int64N(int64(time.Second))))
				}
				p.store.Record(p.store.Add(otel.TargetOptions{Host: strings.Repeat("ü", 1+rng.IntN(200)), DSCP: i % 64,
					Attributes: []attribute.KeyValue{attribute.Int("i", i), attribute.String("long", strings.Repeat("x", i%3*150))}}), res)
			}
			p.Push(t.Context())
			streams := 0
			for _, line := range r.lines() {
				if strings.HasPrefix(line, "ping.requests{") {
					streams++
				}
			}
			if l := log.take(); streams != all || r.asked < 6 || len(l) > 0 {
				t.Errorf("%s: %d of %d streams in %d messages, log %q", kind, streams, all, r.asked, l)
			}
		}
	}
}

// TestOneTime: all points of all messages of a push have one time, and later
// pushes a later one.
func TestOneTime(t *testing.T) {
	r := new(receiver)
	p, _ := newTestPusher(t, config.OTel{}, r.listen(t, "grpc"), "grpc")
	p.many(2000)
	last := uint64(0)
	for range 3 {
		p.Push(t.Context())
		times := map[string]bool{}
		for _, m := range r.got {
			for _, line := range requestLines(m) {
				times[strings.TrimSuffix(line[strings.LastIndexByte(line, ' ')+1:], "]")] = true
			}
		}
		if len(times) != 1 || len(r.got) < 5 {
			t.Fatalf("%d times in %d messages", len(times), len(r.got))
		}
		for at := range times {
			n, err := strconv.ParseUint(at, 10, 64)
			if err != nil || n <= last {
				t.Errorf("%d behind %d: %v", n, last, err)
			}
			last = n
		}
		r.got = nil
	}
}

// TestEarlyRefusal lets a proxy refuse a large message when it sees its length,
// before it has read it, as nginx does.
func TestEarlyRefusal(t *testing.T) {
	for _, compression := range []string{"none", "gzip"} {
		r := new(receiver)
		limit := map[string]int64{"none": 200_000, "gzip": 10_000}[compression]
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if req.ContentLength > limit {
				w.Header().Set("Connection", "close")
				w.WriteHeader(http.StatusRequestEntityTooLarge)
				return
			}
			r.ServeHTTP(w, req)
		}))
		defer s.Close()
		p, log := newTestPusher(t, config.OTel{Compression: &compression}, s.URL, "http/protobuf")
		p.many(1500)
		for range 3 {
			p.SetLimit(otel.MessageLimit)
			p.Push(t.Context())
		}
		if l := log.take(); len(l) != 3 || !strings.Contains(l[0], "smaller") {
			t.Errorf("log %q", l)
		}
		if n := len(r.lines()); n != 3*1500*len(linesOfOne) {
			t.Errorf("%s: %d points arrived, want %d", compression, n, 3*1500*len(linesOfOne))
		}
	}
}

// linesOfOne are the instruments that a target with one reply has a point of.
var linesOfOne = []string{"ping.rtt", "ping.requests", "ping.replies", "timeout", "destination_unreachable",
	"ping.duplicates", "ping.reordered", "ping.corrupt", "ping.loss", "ping.up"}
