package otel_test

import (
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	colpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/otel"
)

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
			if l := log.Take(); len(l) != 1 || !strings.Contains(l[0], "not that") || len(r.got) < 3 {
				t.Errorf("log %q, %d messages taken", l, len(r.got))
			}
			p.Push(t.Context())
			if l := log.Take(); len(l) != 1 || !strings.Contains(l[0], "succeed again") {
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
			if l := log.Take(); len(l) != 1 || !strings.Contains(l[0], "has rejected 7 points: out of order") || strings.Contains(l[0], "kept") {
				t.Errorf("log %q", l)
			}
			p.End()
			if l := log.Take(); len(l) != 1 || !strings.Contains(l[0], "the last push was taken in part") || strings.Contains(l[0], "failed:") {
				t.Errorf("log at the end %q", l)
			}
			r.answer = func(int) (*colpb.ExportMetricsServiceResponse, error) {
				return nil, status.Error(codes.Unavailable, "gone")
			}
			for range 2 {
				p.Push(t.Context())
			}
			if l := log.Take(); len(l) != 1 || !strings.Contains(l[0], "the next push carries the counts") {
				t.Errorf("log of an outage behind that %q", l)
			}
			r.answer = nil
			r.lines()
			p.Push(t.Context())
			if got := count(t, r.lines(), "ping.replies", "a"); got != "0" {
				t.Errorf("replies %s, want 0: the collector has had them", got)
			}
			if l := log.Take(); len(l) != 1 || !strings.Contains(l[0], "points_rejected=14") { // 7 of each of two messages
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
	if got := count(t, r.lines(), "ping.replies", "a"); got != "1" || len(log.Take()) > 0 {
		t.Errorf("replies %s, log %q", got, log.Take())
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
	if got := log.Take(); len(got) != 2 || !strings.Contains(got[0], "a push has failed") || !strings.Contains(got[1], "the counts that no push has delivered are lost") {
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
			for _, l := range log.Take() {
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
			if p.Push(t.Context()); !strings.Contains(strings.Join(log.Take(), ""), "more addresses") {
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
			if l := log.Take(); streams != all || r.asked < 6 || len(l) > 0 {
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
	p.many(800)
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
		limit := map[string]int64{"none": 200_000, "gzip": 8_000}[compression]
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
		p.many(400)
		for range 3 {
			p.SetLimit(otel.MessageLimit)
			p.Push(t.Context())
		}
		if l := log.Take(); len(l) != 3 || !strings.Contains(l[0], "smaller") {
			t.Errorf("log %q", l)
		}
		if n := len(r.lines()); n != 3*400*len(linesOfOne) {
			t.Errorf("%s: %d points arrived, want %d", compression, n, 3*400*len(linesOfOne))
		}
	}
}

// linesOfOne are the instruments that a target with one reply has a point of.
var linesOfOne = []string{"ping.rtt", "ping.requests", "ping.replies", "timeout", "destination_unreachable",
	"ping.duplicates", "ping.reordered", "ping.corrupt", "ping.loss", "ping.up"}
