package otel

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	colpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/protobuf/proto"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/config"
)

// decode reads a message by the generated types and returns its points, one
// line each: name{attributes} value.
func decode(t *testing.T, message []byte) []string {
	t.Helper()
	var m colpb.ExportMetricsServiceRequest
	if err := proto.Unmarshal(message, &m); err != nil {
		t.Fatal(err)
	}
	if n := len(m.ProtoReflect().GetUnknown()); n > 0 {
		t.Errorf("%d bytes that the protocol does not know", n)
	}
	var lines []string
	for _, metric := range m.ResourceMetrics[0].ScopeMetrics[0].Metrics {
		lines = append(lines, metricLines(metric)...)
	}
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

func testEncoder(temporality, histogram string) *encoder {
	e := newEncoder(map[string]string{"service.name": "pingtel", "a": "b"}, "v1", temporality, histogram, messageLimit)
	e.begin(time.Unix(0, 99))
	return e
}

func TestEncode(t *testing.T) {
	target := &config.Target{Host: "a.example", Probe: &config.Probe{
		Options: icmpcore.Options{DSCP: 46}, Tags: []config.Tag{{Key: "site", Value: "lab ü"}},
	}}
	s := newStream(netip.MustParseAddr("2001:db8::1"), time.Unix(0, 7), newExplicit(newBounds([]float64{0.001, 0.002})))
	s.record(&icmpcore.PingResult{
		Sent: 6, Received: 2, Loss: 400. / 6, RTTs: []time.Duration{time.Millisecond, 3 * time.Millisecond}, Late: 1, Duplicates: 4, Corrupt: 5,
		Reordered: 6, TTL: 60, Hops: 5, Jitter: time.Millisecond, IPDV: 2 * time.Millisecond, IPDVPairs: 1, Start: time.Unix(0, 10), Duration: 5,
		Errors: []icmpcore.EchoError{{Kind: icmpcore.ErrorTimeExceeded}, {Kind: icmpcore.ErrorSend}},
	})
	e := testEncoder("cumulative", "explicit")
	if !e.add(target, s, true) {
		t.Fatal("a stream does not fit into an empty message")
	}
	const at = `server.address="a.example",network.peer.address="2001:db8::1",network.type="ipv6",ping.dscp=46,site="lab ü"`
	want := []string{
		"ping.rtt{" + at + "} 2 0.004 [1 0 1] [0.001 0.002] [7 99]",
		"ping.requests{" + at + "} 6 [7 99]",
		"ping.replies{" + at + "} 2 [7 99]",
		"ping.errors{" + at + `,error.type="timeout"} 1 [7 99]`,
		"ping.errors{" + at + `,error.type="late"} 1 [7 99]`,
		"ping.errors{" + at + `,error.type="send"} 1 [7 99]`,
		"ping.errors{" + at + `,error.type="time_exceeded"} 1 [7 99]`,
		"ping.duplicates{" + at + "} 4 [7 99]",
		"ping.reordered{" + at + "} 6 [7 99]",
		"ping.corrupt{" + at + "} 5 [7 99]",
		"ping.loss{" + at + "} 0.6666666666666667 [0 15]",
		"ping.jitter{" + at + "} 0.001 [0 15]",
		"ping.ipdv{" + at + "} 0.002 [0 15]",
		"ping.ttl{" + at + "} 60 [0 15]",
		"ping.hops{" + at + "} 5 [0 15]",
		"ping.up{" + at + "} 1 [0 15]",
	}
	if d := cmp.Diff(want, decode(t, e.message())); d != "" {
		t.Errorf("points (-want +got):\n%s", d)
	}
}

// TestHostName: a name that is no text must not make a message that nobody takes.
func TestHostName(t *testing.T) {
	e := newEncoder(map[string]string{"host.name": "K\xf6ln"}, "v1", "cumulative", "explicit", messageLimit)
	e.begin(time.Unix(0, 99))
	e.addSelf(selfCounts{}, selfCounts{}, 1, 1)
	if n := len(decode(t, e.message())); n != selfMetrics {
		t.Errorf("%d points, want %d", n, selfMetrics)
	}
}

// TestEncodeAbsent looks at targets without an answer: what does not exist has
// no point.
func TestEncodeAbsent(t *testing.T) {
	target := &config.Target{Host: "h", Probe: &config.Probe{Options: icmpcore.Options{Family: icmpcore.FamilyIPv6}}}
	for name, tt := range map[string]struct {
		result icmpcore.PingResult
		want   []string
	}{
		"no name":   {icmpcore.PingResult{Err: &icmpcore.ResolveError{Host: "h"}}, []string{"ping.errors+resolve 1", "ping.requests 0", "ping.up 0"}},
		"no socket": {icmpcore.PingResult{Err: os.ErrPermission}, []string{"ping.errors+send 1", "ping.requests 0", "ping.up 0"}},
		"no reply":  {icmpcore.PingResult{Sent: 2, Loss: 100}, []string{"ping.errors+timeout 2", "ping.loss 1", "ping.requests 2", "ping.up 0"}},
		"one reply, no TTL": {icmpcore.PingResult{Sent: 1, Received: 1, RTTs: []time.Duration{1}},
			[]string{"ping.jitter 0", "ping.loss 0", "ping.requests 1", "ping.up 1"}},
	} {
		t.Run(name, func(t *testing.T) {
			tt.result.Start = time.Unix(1, 0)
			s := newStream(tt.result.Addr, tt.result.Start, newExponential())
			s.record(&tt.result)
			e := testEncoder("cumulative", "exponential")
			e.add(target, s, true)
			var got []string
			for _, line := range decode(t, e.message()) {
				metric, rest, _ := strings.Cut(line, "{")
				attributes, value, _ := strings.Cut(rest, "} ")
				if !strings.HasPrefix(attributes, `server.address="h",network.type="ipv6"`) {
					t.Errorf("attributes %s", attributes)
				}
				if _, kind, found := strings.Cut(attributes, `error.type="`); found {
					metric += "+" + strings.TrimSuffix(kind, `"`)
				}
				switch metric {
				case "ping.rtt", "ping.replies", "ping.duplicates", "ping.reordered", "ping.corrupt": // always there
				default:
					got = append(got, metric+" "+strings.Fields(value)[0])
				}
			}
			slices.Sort(got)
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("points (-want +got):\n%s", d)
			}
		})
	}
}

// TestClockSetBack sets the wall clock back behind the start: no counter ends
// before it begins, and its start stays where it came to be.
func TestClockSetBack(t *testing.T) {
	target := &config.Target{Host: "h", Probe: &config.Probe{}}
	s := newStream(addrA, time.Unix(0, 1000), newExplicit(newBounds([]float64{1})))
	s.record(reply(addrA))
	e := testEncoder("cumulative", "explicit")
	for _, now := range []int64{500, 700} {
		e.begin(time.Unix(0, now))
		e.add(target, s, false)
		lines := decode(t, e.message())
		for _, line := range lines {
			if want := fmt.Sprintf("[500 %d]", now); !strings.HasSuffix(line, want) {
				t.Errorf("%s, want %s", line, want)
			}
		}
		if len(lines) != 6 {
			t.Errorf("%d points, want 6", len(lines))
		}
	}
}

// TestTemporality checks what each setting makes of counters, histograms,
// gauges and what pingtel tells of itself.
func TestTemporality(t *testing.T) {
	const unset, delta, cumulative = 0, 1, 2
	for setting, want := range map[string]metricspb.AggregationTemporality{"cumulative": cumulative, "delta": delta, "lowmemory": delta} {
		for _, kind := range []string{"explicit", "exponential"} {
			e := testEncoder(setting, kind)
			s := newStream(netip.Addr{}, time.Unix(1, 0), newExponential())
			if kind == "explicit" {
				s = newStream(netip.Addr{}, time.Unix(1, 0), newExplicit(newBounds(nil)))
			}
			s.record(&icmpcore.PingResult{Sent: 1, Received: 1, RTTs: []time.Duration{5}, Errors: nil})
			e.add(&config.Target{Host: "h", Probe: &config.Probe{}}, s, true)
			e.addSelf(selfCounts{5, 6, 7, 8, 9}, selfCounts{}, 1e9, 1e9)
			var m colpb.ExportMetricsServiceRequest
			if err := proto.Unmarshal(e.message(), &m); err != nil {
				t.Fatal(err)
			}
			for _, metric := range m.ResourceMetrics[0].ScopeMetrics[0].Metrics {
				got, sum := metric.GetSum().GetAggregationTemporality(), metric.GetSum()
				switch i := find(t, metric); {
				case i.kind == distribution:
					got = max(metric.GetHistogram().GetAggregationTemporality(), metric.GetExponentialHistogram().GetAggregationTemporality())
					fallthrough
				case slices.Contains(targetInstruments[:], i) && i.kind == counter:
					if got != want {
						t.Errorf("%s, %s: %s has %v", setting, kind, metric.Name, got)
					}
				case i.kind == gauge:
					if metric.GetGauge() == nil {
						t.Errorf("%s is no gauge", metric.Name)
					}
				default:
					want := metricspb.AggregationTemporality(cumulative)
					if setting == "delta" && i.kind == counter {
						want = delta
					}
					if got != want || sum.IsMonotonic != (i.kind == counter) {
						t.Errorf("%s: %v, monotonic %v", metric.Name, got, sum.IsMonotonic)
					}
				}
				if metric.Unit != find(t, metric).unit || metric.Description == "" {
					t.Errorf("%s: unit %q, description %q", metric.Name, metric.Unit, metric.Description)
				}
			}
		}
	}
}

func find(t *testing.T, m *metricspb.Metric) instrument {
	t.Helper()
	for _, i := range append(targetInstruments[:], selfInstruments[:]...) {
		if i.name == m.Name {
			return i
		}
	}
	t.Fatalf("unknown metric %s", m.Name)
	return instrument{}
}

// TestMessageBound fills messages at random and holds their size under the
// limit, and every point in exactly one of them.
func TestMessageBound(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, kind := range []string{"explicit", "exponential"} {
		const limit = 20_000
		e := newEncoder(map[string]string{"service.name": strings.Repeat("x", 300)}, "v1", "delta", kind, limit)
		now := time.Unix(1_700_000_000, 0)
		e.begin(now)
		streams, messages := 0, 0
		check := func() {
			m := e.message()
			messages++
			if len(m) > limit || len(m) > e.size {
				t.Fatalf("%d bytes, reckoned with %d, limit %d", len(m), e.size, limit)
			}
			for _, line := range decode(t, m) {
				if strings.HasPrefix(line, "ping.requests{") {
					streams++
				}
			}
		}
		const all = 300
		for i := range all {
			target := &config.Target{Host: strings.Repeat("h", 1+rng.IntN(200)), Probe: &config.Probe{}}
			var h histogram = newExponential()
			if kind == "explicit" {
				h = newExplicit(newBounds(config.DefaultOTelBounds()))
			}
			s := newStream(netip.MustParseAddr("198.18.0.1"), now, h)
			r := &icmpcore.PingResult{Sent: 500, Received: rng.IntN(400), TTL: 60, Hops: 5, Start: now}
			for range r.Received {
				r.RTTs = append(r.RTTs, time.Duration(rng.Int64N(int64(time.Second))))
			}
			s.record(r)
			if !e.add(target, s, true) {
				check()
				e.begin(now)
				if !e.add(target, s, true) {
					t.Fatalf("stream %d does not fit into an empty message", i)
				}
			}
		}
		check()
		if streams != all || messages < 5 {
			t.Errorf("%s: %d of %d streams in %d messages", kind, streams, all, messages)
		}
	}
}

// TestDocumented holds the package's documentation equal to the instruments.
func TestDocumented(t *testing.T) {
	text, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	doc := string(text)
	for _, i := range targetInstruments {
		kind := map[kind]string{counter: "counter", gauge: "gauge", distribution: "histogram"}[i.kind]
		if !slices.ContainsFunc(strings.Split(doc, "\n"), func(line string) bool {
			f := strings.Fields(line)
			return len(f) > 4 && f[1] == i.name && f[2] == kind && f[3] == i.unit
		}) {
			t.Errorf("doc.go has no line for %s, %s, %s", i.name, kind, i.unit)
		}
	}
	for _, name := range append(failureNames[:], hostKey, addressKey, typeKey, dscpKey, errorKey) {
		if !strings.Contains(doc, name) {
			t.Errorf("doc.go does not mention %s", name)
		}
	}
	for _, i := range selfInstruments {
		if !strings.Contains(doc, i.name) {
			t.Errorf("doc.go does not mention %s", i.name)
		}
	}
}
