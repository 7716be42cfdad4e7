package otel_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	colpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/otel"
)

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
				if l := log.Take(); len(l) > 0 {
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
					if l := log.Take(); len(l) != 1 || !strings.Contains(l[0], "level=WARN") || !strings.Contains(l[0], "closed") || !strings.Contains(l[0], p.settings.Endpoint) {
						t.Errorf("when it begins: %q", l)
					}
					r.answer = nil
					p.Push(t.Context())
					want := map[string]string{"cumulative": "4", "delta": "3", "lowmemory": "3"}[temporality]
					lines := r.lines()
					if got := count(t, lines, "ping.replies", "a"); got != want || count(t, lines, "ping.rtt", "a") != want {
						t.Errorf("replies %s after the outage, want %s", got, want)
					}
					if l := log.Take(); len(l) != 1 || !strings.Contains(l[0], "level=INFO") || !strings.Contains(l[0], "failed_pushes=3") || strings.Contains(l[0], "lost") {
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
			const most = 1000 // points
			r := &receiver{answer: func(points int) (*colpb.ExportMetricsServiceResponse, error) {
				if points > most {
					return nil, status.Errorf(codes.ResourceExhausted, "received message larger than max")
				}
				return &colpb.ExportMetricsServiceResponse{}, nil
			}}
			p, log := newTestPusher(t, config.OTel{}, r.listen(t, protocol), protocol)
			hosts := p.many(300)
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
			for _, l := range log.Take() {
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

// TestLimitRecovers: a limit that was lowered is tried again, and logged once.
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
	if l := log.Take(); low == otel.MessageLimit || len(l) != 1 || !strings.Contains(l[0], "smaller ones") {
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
	if l := log.Take(); p.Limit() != otel.MessageLimit || len(l) > 0 {
		t.Errorf("limit %d, log %q", p.Limit(), l)
	}
}

// TestStops: a push ends with the first message that is not taken, wherever in
// it that comes, except for one that the collector refuses for what it holds.
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
				if l := log.Take(); r.asked != tt.after+1 || len(l) != 1 || !strings.Contains(l[0], "the next push carries the counts") {
					t.Errorf("asked %d times, want %d; log %q", r.asked, tt.after+1, l)
				}
			})
		}
	}
}
