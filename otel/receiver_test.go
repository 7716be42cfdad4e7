package otel_test

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
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
		response, err = r.answer(pointsOf(m))
	}
	if err == nil {
		r.got = append(r.got, m)
	}
	return response, err
}

// pointsOf counts the points of a message.
func pointsOf(m *colpb.ExportMetricsServiceRequest) int {
	n := 0
	for _, metric := range m.ResourceMetrics[0].ScopeMetrics[0].Metrics {
		n += len(metric.GetSum().GetDataPoints()) + len(metric.GetGauge().GetDataPoints()) +
			len(metric.GetHistogram().GetDataPoints()) + len(metric.GetExponentialHistogram().GetDataPoints())
	}
	return n
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
func newTestPusher(t testing.TB, table config.OTel, endpoint, protocol string) (*pusher, *otel.Logged) {
	t.Helper()
	table.Endpoint, table.Protocol = &endpoint, &protocol
	s, err := table.Settings(10*time.Second, func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	buffer := new(otel.Logged)
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
	p.Timeout, p.Log = time.Hour, log                      // a busy machine must not end a push
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
