package otel

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	colpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	_ "google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/internal/monitor"
)

// receiver takes what a pusher sends, over gRPC or HTTP, and answers as it is
// told.
type receiver struct {
	colpb.UnimplementedMetricsServiceServer

	mu      sync.Mutex
	answer  func(points int) (*colpb.ExportMetricsServiceResponse, error)
	got     []*colpb.ExportMetricsServiceRequest // accepted
	asked   int
	headers []string // the values of x-token
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

// take returns the lines since the last call, without time and level.
func (l *logged) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.b.Reset()
	return slices.Collect(strings.Lines(l.b.String()))
}

// newTestPusher returns a pusher to endpoint, and its log.
func newTestPusher(t *testing.T, table config.OTel, endpoint, protocol string) (*Pusher, *logged) {
	t.Helper()
	table.Endpoint, table.Protocol = &endpoint, &protocol
	s, err := table.Settings(10*time.Second, func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	log := new(logged)
	p, err := New(Config{
		Settings: s, Version: "v1", Log: slog.New(slog.NewTextHandler(log, nil)),
		Self: func() (icmpcore.Stats, monitor.Stats) { return icmpcore.Stats{Foreign: 5}, monitor.Stats{Targets: 2} },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.client.close() }) // fails where the test has called Close
	return p, log
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
				a, b := newTarget("a"), newTarget("b")
				p.Record(a, reply(addrA))
				p.Record(b, reply(addrB))
				p.Record(b, reply(addrB))
				p.push(t.Context())
				lines := r.lines()
				if got := count(t, lines, "ping.replies", "a") + count(t, lines, "ping.replies", "b") + count(t, lines, "ping.rtt", "b"); got != "122" {
					t.Errorf("replies and RTTs %s, want 1, 2, 2", got)
				}
				p.push(t.Context()) // cumulative: the same again
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
					a := newTarget("a")
					p.Record(a, reply(addrA))
					p.push(t.Context())
					r.answer = func(int) (*colpb.ExportMetricsServiceResponse, error) { return nil, status.Error(code, "closed") }
					r.lines()
					for range 3 {
						p.Record(a, reply(addrA))
						asked := r.asked
						p.push(t.Context())
						if r.asked != asked+1 {
							t.Errorf("asked %d times in an outage, want once", r.asked-asked)
						}
					}
					if l := log.take(); len(l) != 1 || !strings.Contains(l[0], "level=WARN") || !strings.Contains(l[0], "closed") || !strings.Contains(l[0], p.settings.Endpoint) {
						t.Errorf("when it begins: %q", l)
					}
					r.answer = nil
					p.push(t.Context())
					want := map[string]string{"cumulative": "4", "delta": "3", "lowmemory": "3"}[temporality]
					lines := r.lines()
					if got := count(t, lines, "ping.replies", "a"); got != want || count(t, lines, "ping.rtt", "a") != want {
						t.Errorf("replies %s after the outage, want %s", got, want)
					}
					if l := log.take(); len(l) != 1 || !strings.Contains(l[0], "level=INFO") || !strings.Contains(l[0], "failed_pushes=3") || strings.Contains(l[0], "lost") {
						t.Errorf("when it ends: %q", l)
					}
					p.push(t.Context())
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
			targets := manyTargets(1000)
			for _, target := range targets {
				p.Record(target, reply(addrA))
			}
			p.push(t.Context())
			times := make(map[string]int)
			for _, line := range r.lines() {
				if strings.HasPrefix(line, "ping.replies{") {
					times[strings.Split(line, `"`)[1]]++
				}
			}
			for _, target := range targets {
				if times[target.Host] != 1 {
					t.Fatalf("%s was delivered %d times, want once", target.Host, times[target.Host])
				}
			}
			for _, l := range log.take() {
				if !strings.Contains(l, "smaller") {
					t.Errorf("log: %s", l)
				}
			}
			asked := r.asked
			p.push(t.Context())
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
	for _, target := range manyTargets(400) {
		p.Record(target, reply(addrA))
	}
	p.push(t.Context())
	low := p.encoder.limit
	if l := log.take(); low == messageLimit || len(l) != 1 || !strings.Contains(l[0], "smaller ones") {
		t.Fatalf("limit %d, log %q", low, l)
	}
	for range 2 {
		p.calm = recoverPushes // so many pushes later
		p.push(t.Context())
		if p.encoder.limit != low {
			t.Errorf("limit %d, want %d: the collector has not changed", p.encoder.limit, low)
		}
	}
	most = 1 << 20
	p.push(t.Context())
	if p.encoder.limit != low {
		t.Errorf("limit %d, want %d: it has just been tried", p.encoder.limit, low)
	}
	for range 6 {
		p.calm = recoverPushes
		p.push(t.Context())
	}
	if l := log.take(); p.encoder.limit != messageLimit || len(l) > 0 {
		t.Errorf("limit %d, log %q", p.encoder.limit, l)
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
				p.encoder.limit, p.smallest = leastLimit, leastLimit
				for _, target := range manyTargets(200) {
					p.Record(target, reply(addrA))
				}
				p.push(t.Context())
				if l := log.take(); r.asked != tt.after+1 || len(l) != 1 || !strings.Contains(l[0], "counts are kept") {
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
			p.encoder.limit, p.smallest = leastLimit, leastLimit
			for _, target := range manyTargets(100) {
				p.Record(target, reply(addrA))
			}
			p.push(t.Context())
			if l := log.take(); len(l) != 1 || !strings.Contains(l[0], "not that") || len(r.got) < 3 {
				t.Errorf("log %q, %d messages taken", l, len(r.got))
			}
			p.push(t.Context())
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
			a := newTarget("a")
			p.Record(a, reply(addrA))
			p.push(t.Context())
			if l := log.take(); len(l) != 1 || !strings.Contains(l[0], "has rejected 7 points: out of order") || strings.Contains(l[0], "kept") {
				t.Errorf("log %q", l)
			}
			p.health.end()
			if l := log.take(); len(l) != 1 || !strings.Contains(l[0], "the last push was taken in part") || strings.Contains(l[0], "failed:") {
				t.Errorf("log at the end %q", l)
			}
			r.answer = func(int) (*colpb.ExportMetricsServiceResponse, error) {
				return nil, status.Error(codes.Unavailable, "gone")
			}
			for range 2 {
				p.push(t.Context())
			}
			if l := log.take(); len(l) != 1 || !strings.Contains(l[0], "counts are kept") {
				t.Errorf("log of an outage behind that %q", l)
			}
			r.answer = nil
			r.lines()
			p.push(t.Context())
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
	p.Record(newTarget("a"), reply(addrA))
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
	p.Record(newTarget("a"), reply(addrA))
	if err := p.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if got := log.take(); len(got) != 2 || !strings.Contains(got[0], "a push has failed") || !strings.Contains(got[1], "what no push before it has delivered is lost") {
		t.Errorf("log %q", got)
	}
}

// TestOwnClockSetBack sets the wall clock back behind pingtel's own start.
func TestOwnClockSetBack(t *testing.T) {
	r := new(receiver)
	p, _ := newTestPusher(t, config.OTel{}, r.listen(t, "grpc"), "grpc")
	now := time.Now().Add(-time.Hour)
	for i := range 2 {
		if err := p.pushSelf(t.Context(), now.Add(time.Duration(i)*time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	for i, m := range r.got {
		for _, line := range requestLines(m) {
			if want := fmt.Sprintf("[%d %d]", now.UnixNano(), now.UnixNano()+int64(i)*1e9); !strings.HasSuffix(line, want) {
				t.Errorf("%s, want %s", line, want)
			}
		}
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
		a, told := newTarget("a"), 0
		for i := range 3 * maxStreams {
			p.Record(a, reply(netip.AddrFrom4([4]byte{198, 18, 1, byte(i)})))
			p.push(t.Context())
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
			p.toldCrowded = p.toldCrowded.Add(-time.Hour)
			p.Record(a, reply(addrB))
			if p.push(t.Context()); !strings.Contains(strings.Join(log.take(), ""), "more addresses") {
				t.Error("not told an hour later")
			}
		}
	}
}

// TestSelf pushes pingtel's own counts: with delta each of them once, though a
// push fails; else from the start on.
func TestSelf(t *testing.T) {
	for temporality, want := range map[string][]string{"cumulative": {"5", "15", "20"}, "lowmemory": {"5", "15", "20"}, "delta": {"5", "10", "5"}} {
		r := new(receiver)
		p, _ := newTestPusher(t, config.OTel{Temporality: &temporality}, r.listen(t, "grpc"), "grpc")
		foreign := uint64(0)
		p.self = func() (icmpcore.Stats, monitor.Stats) {
			foreign += 5
			return icmpcore.Stats{Foreign: foreign}, monitor.Stats{Targets: 2}
		}
		start := time.Unix(0, p.started)
		var got []string
		for i := range 4 {
			r.answer = nil
			if i == 1 {
				r.answer = func(int) (*colpb.ExportMetricsServiceResponse, error) {
					return nil, status.Error(codes.Unavailable, "")
				}
			}
			now := start.Add(time.Duration(i+1) * time.Second)
			if err := p.pushSelf(t.Context(), now); (err != nil) != (i == 1) {
				t.Fatal(err)
			}
		}
		ends := []int64{0, 1, 3, 4} // of what the points cover, in seconds
		for i, m := range r.got {
			for _, line := range requestLines(m) {
				from := start.UnixNano()
				if temporality == "delta" && !strings.HasPrefix(line, "ping.target.count") {
					from += ends[i] * 1e9
				}
				if at := fmt.Sprintf("[%d %d]", from, start.UnixNano()+ends[i+1]*1e9); !strings.HasSuffix(line, at) {
					t.Errorf("%s: %s, want %s", temporality, line, at)
				}
				if value, ok := strings.CutPrefix(line, "ping.foreign{} "); ok {
					got = append(got, strings.Fields(value)[0])
				}
				if strings.HasPrefix(line, "ping.target.count") && !strings.HasPrefix(line, "ping.target.count{} 2 ") {
					t.Errorf("%s: %s", temporality, line)
				}
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", temporality, got, want)
		}
	}
}

// TestReload takes over the interval and says what takes a restart.
func TestReload(t *testing.T) {
	p, log := newTestPusher(t, config.OTel{}, "localhost:4317", "grpc")
	next := *p.settings
	next.Interval = time.Minute
	p.Reload(&next)
	if l := log.take(); len(l) > 0 || p.interval.Load() != int64(time.Minute) {
		t.Errorf("log %q, interval %v", l, p.interval.Load())
	}
	next.Endpoint, next.CAFile, next.Headers = "localhost:1", "x", map[string]string{"a": "b"}
	p.Reload(&next)
	if l := log.take(); len(l) != 1 || !strings.Contains(l[0], "restart pingtel to change otel.ca_file, otel.endpoint, otel.headers") {
		t.Errorf("log %q", l)
	}
}

// TestRecordDuringPush holds recording and pushing apart under the race
// detector, and every RTT in exactly one delta.
func TestRecordDuringPush(t *testing.T) {
	temporality := "delta"
	r := new(receiver)
	p, _ := newTestPusher(t, config.OTel{Temporality: &temporality}, r.listen(t, "grpc"), "grpc")
	targets := manyTargets(50)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 200 {
			for _, target := range targets {
				p.Record(target, reply(addrA))
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
		p.push(t.Context())
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
