package otel

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/pingtel/pingtel/icmpcore"
)

// pointLines returns points, one a line: name{attributes} value [start time].
func pointLines(scopes []metricdata.ScopeMetrics) []string {
	var lines []string
	for _, scope := range scopes {
		for _, m := range scope.Metrics {
			line := func(set attribute.Set, start, at time.Time, format string, args ...any) {
				from := int64(0)
				if !start.IsZero() {
					from = start.UnixNano()
				}
				lines = append(lines, fmt.Sprintf("%s{%s} %s [%d %d]", m.Name, set.Encoded(attribute.DefaultEncoder()), fmt.Sprintf(format, args...), from, at.UnixNano()))
			}
			ints := func(points []metricdata.DataPoint[int64]) {
				for _, p := range points {
					line(p.Attributes, p.StartTime, p.Time, "%d", p.Value)
				}
			}
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				ints(data.DataPoints)
			case metricdata.Gauge[int64]:
				ints(data.DataPoints)
			case metricdata.Gauge[float64]:
				for _, p := range data.DataPoints {
					line(p.Attributes, p.StartTime, p.Time, "%v", p.Value)
				}
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					line(p.Attributes, p.StartTime, p.Time, "%d %v %v %v", p.Count, p.Sum, p.BucketCounts, p.Bounds)
				}
			case metricdata.ExponentialHistogram[float64]:
				for _, p := range data.DataPoints {
					line(p.Attributes, p.StartTime, p.Time, "%d %v scale %d zero %d at %d %v", p.Count, p.Sum, p.Scale, p.ZeroCount, p.PositiveBucket.Offset, p.PositiveBucket.Counts)
				}
			default:
				panic(fmt.Sprintf("%T", data))
			}
		}
	}
	return lines
}

func testStore(t *testing.T, o StoreOptions) *Store {
	t.Helper()
	st, err := NewStore(o)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// produced returns the points of one target with one stream, pushed at 99 ns.
func produced(st *Store, d temporalities, o TargetOptions, s *stream) []metricdata.ScopeMetrics {
	c := newChunk(st, d)
	c.begin(time.Unix(0, 99))
	target := st.Add(o)
	target.streams = []*stream{s}
	c.add(ref{target: target, stream: s})
	return c.scopes()
}

func TestChunk(t *testing.T) {
	o := TargetOptions{Host: "a.example", DSCP: 46, Attributes: []attribute.KeyValue{
		attribute.String("site", "lab ü"), attribute.String("server.address", "fake"), attribute.String("ping.dscp", "fake"),
	}}
	result := &icmpcore.PingResult{
		Sent: 6, Received: 2, Loss: 400. / 6, RTTs: []time.Duration{time.Millisecond, 3 * time.Millisecond}, Late: 1, Duplicates: 4, Corrupt: 5,
		Reordered: 6, TTL: 60, Hops: 5, Jitter: time.Millisecond, IPDV: 2 * time.Millisecond, IPDVPairs: 1, Start: time.Unix(0, 10), Duration: 5,
		Errors: []icmpcore.EchoError{{Kind: icmpcore.TimeExceeded}, {Kind: icmpcore.SendFailed}},
	}
	newStreamOf := func(st *Store) *stream {
		s := newStream(netip.MustParseAddr("2001:db8::1"), time.Unix(0, 7), st.table.newHistogram())
		s.record(result)
		return s
	}
	st := testStore(t, StoreOptions{Bounds: []float64{0.001, 0.002}, Version: "v1"})
	scopes := produced(st, temporalities{}, o, newStreamOf(st))
	const at = `network.peer.address=2001:db8::1,network.type=ipv6,ping.dscp=46,server.address=a.example,site=lab ü`
	const failed = "ping.errors{error.type=%s," + at + "} %d [7 99]"
	want := []string{
		"ping.rtt{" + at + "} 2 0.004 [1 0 1] [0.001 0.002] [7 99]",
		"ping.requests{" + at + "} 6 [7 99]",
		"ping.replies{" + at + "} 2 [7 99]",
		fmt.Sprintf(failed, "timeout", 1),
		fmt.Sprintf(failed, "late", 1),
		fmt.Sprintf(failed, "send", 1),
		fmt.Sprintf(failed, "destination_unreachable", 0),
		fmt.Sprintf(failed, "time_exceeded", 1),
		"ping.duplicates{" + at + "} 4 [7 99]",
		"ping.reordered{" + at + "} 6 [7 99]",
		"ping.corrupt{" + at + "} 5 [7 99]",
		"ping.loss{" + at + "} 0.6666666666666667 [0 99]",
		"ping.jitter{" + at + "} 0.001 [0 99]",
		"ping.ipdv{" + at + "} 0.002 [0 99]",
		"ping.ttl{" + at + "} 60 [0 99]",
		"ping.hops{" + at + "} 5 [0 99]",
		"ping.up{" + at + "} 1 [0 99]",
	}
	if d := cmp.Diff(want, pointLines(scopes)); d != "" {
		t.Errorf("points (-want +got):\n%s", d)
	}
	if s := scopes[0].Scope; s.Name != scopeName || s.Version != "v1" {
		t.Errorf("scope %+v", s)
	}
	st = testStore(t, StoreOptions{Bounds: []float64{0.001, 0.002}, Metrics: []string{"ping.loss", "ping.rtt"}})
	if d := cmp.Diff([]string{want[0], want[11]}, pointLines(produced(st, temporalities{}, o, newStreamOf(st)))); d != "" {
		t.Errorf("two instruments chosen (-want +got):\n%s", d)
	}
}

// TestAbsent looks at targets without an answer: what does not exist has no
// point. Outages have one of 0 as soon as there is an address.
func TestAbsent(t *testing.T) {
	o := TargetOptions{Host: "h", Family: icmpcore.FamilyIPv6}
	addr := netip.MustParseAddr("2001:db8::1")
	zeros := []string{"ping.errors+destination_unreachable 0", "ping.errors+timeout 0"}
	for name, tt := range map[string]struct {
		result icmpcore.PingResult
		want   []string
	}{
		"no name":     {icmpcore.PingResult{Err: &icmpcore.ResolveError{Host: "h"}}, []string{"ping.errors+resolve 1", "ping.requests 0", "ping.up 0"}},
		"no socket":   {icmpcore.PingResult{Err: os.ErrPermission}, []string{"ping.errors+send 1", "ping.requests 0", "ping.up 0"}},
		"no reply":    {icmpcore.PingResult{Addr: addr, Sent: 2, Loss: 100}, append(slices.Clone(zeros[:1]), "ping.errors+timeout 2", "ping.loss 1", "ping.requests 2", "ping.up 0")},
		"one reply":   {icmpcore.PingResult{Addr: addr, Sent: 1, Received: 1, RTTs: []time.Duration{1}}, append(slices.Clone(zeros), "ping.loss 0", "ping.requests 1", "ping.up 1")},
		"two replies": {icmpcore.PingResult{Addr: addr, Sent: 2, Received: 2, RTTs: []time.Duration{1, 1}, IPDVPairs: 1}, append(slices.Clone(zeros), "ping.ipdv 0", "ping.jitter 0", "ping.loss 0", "ping.requests 2", "ping.up 1")},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStream(tt.result.Addr, time.Unix(0, 1), newExponential())
			s.record(&tt.result)
			var got []string
			for _, line := range pointLines(produced(testStore(t, StoreOptions{Exponential: true}), temporalities{}, o, s)) {
				metric, rest, _ := strings.Cut(line, "{")
				attributes, value, _ := strings.Cut(rest, "} ")
				if !strings.Contains(attributes, "network.type=ipv6,server.address=h") {
					t.Errorf("attributes %s", attributes)
				}
				if kind, found := strings.CutPrefix(attributes, "error.type="); found {
					kind, _, _ = strings.Cut(kind, ",")
					metric += "+" + kind
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
	s := newStream(addrA, time.Unix(0, 1000), newExplicit(newBounds([]float64{1})))
	s.record(reply(addrA))
	c := newChunk(testStore(t, StoreOptions{Metrics: []string{"ping.rtt", "ping.requests"}}), temporalities{})
	for _, now := range []int64{500, 700} {
		c.begin(time.Unix(0, now))
		c.add(ref{target: &Target{streams: []*stream{s}}, stream: s})
		lines := pointLines(c.scopes())
		for _, line := range lines {
			if want := fmt.Sprintf("[500 %d]", now); !strings.HasSuffix(line, want) {
				t.Errorf("%s, want %s", line, want)
			}
		}
		if len(lines) != 2 {
			t.Errorf("%d points, want 2", len(lines))
		}
	}
}

// TestStamp: points' times do not go back where the wall clock is set back a
// little, catch up with it, and follow it where it was wrong.
func TestStamp(t *testing.T) {
	at := func(s float64) time.Time { return time.Unix(1_000_000, 0).Add(time.Duration(s * 1e9)) }
	for name, tt := range map[string]struct {
		last    time.Time
		elapsed time.Duration
		now     time.Time
		want    time.Time
	}{
		"the first":       {time.Time{}, 0, at(5), at(5)},
		"goes on":         {at(0), 10 * time.Second, at(10), at(10)},
		"set forward":     {at(0), 10 * time.Second, at(3610), at(3610)},
		"set back":        {at(0), 10 * time.Second, at(-1), at(5)},
		"slowed down":     {at(0), 10 * time.Second, at(9), at(9)},
		"set back by 5 m": {at(0), 10 * time.Second, at(-295), at(5)},
		"set back by 1 h": {at(0), 10 * time.Second, at(-3590), at(-3590)},
	} {
		if got := later(tt.last, tt.elapsed, tt.now); !got.Equal(tt.want) {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
	st := testStore(t, StoreOptions{})
	last := st.stamp()
	for range 1000 {
		if next := st.stamp(); next.Before(last) {
			t.Fatalf("%v behind %v", next, last)
		} else {
			last = next
		}
	}
}

// TestTemporality checks what each temporality makes of counters, histograms,
// gauges and what pingtel tells of itself.
func TestTemporality(t *testing.T) {
	for _, d := range []temporalities{{}, {counters: true}, {counters: true, self: true}} {
		for _, exponential := range []bool{false, true} {
			st := testStore(t, StoreOptions{Exponential: exponential, Self: func() Self { return Self{} }})
			s := newStream(addrA, time.Unix(1, 0), st.table.newHistogram())
			s.record(reply(addrA))
			c := newChunk(st, d)
			c.begin(time.Unix(2, 0))
			c.add(ref{target: &Target{streams: []*stream{s}}, stream: s})
			c.addSelf(selfCounts{5, 6, 7, 8, 9, 10, 11, 12, 13}, selfCounts{}, time.Unix(1, 0), time.Unix(1, 0))
			for _, m := range c.scopes()[0].Metrics {
				in := find(t, m.Name)
				if m.Unit != in.unit || m.Description == "" {
					t.Errorf("%s: unit %q, description %q", m.Name, m.Unit, m.Description)
				}
				ofTarget := slices.Contains(targetInstruments[:], in)
				want := temporality(ofTarget && d.counters || !ofTarget && d.self && in.kind == counter)
				switch data := m.Data.(type) {
				case metricdata.Sum[int64]:
					if data.Temporality != want || data.IsMonotonic != (in.kind == counter) || in.kind == gauge {
						t.Errorf("%+v: %s: %v, monotonic %t", d, m.Name, data.Temporality, data.IsMonotonic)
					}
				case metricdata.Histogram[float64]:
					if data.Temporality != want || exponential {
						t.Errorf("%+v: %s: %v", d, m.Name, data.Temporality)
					}
				case metricdata.ExponentialHistogram[float64]:
					if data.Temporality != want || !exponential {
						t.Errorf("%+v: %s: %v", d, m.Name, data.Temporality)
					}
				default:
					if in.kind != gauge {
						t.Errorf("%s is a %T", m.Name, m.Data)
					}
				}
			}
		}
	}
}

func find(t *testing.T, name string) instrument {
	t.Helper()
	for _, in := range append(targetInstruments[:], selfInstruments[:]...) {
		if in.name == name {
			return in
		}
	}
	t.Fatalf("unknown metric %s", name)
	return instrument{}
}

// TestDocumented holds the package's documentation equal to the instruments.
func TestDocumented(t *testing.T) {
	text, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	doc := string(text)
	for _, in := range targetInstruments {
		kind := map[kind]string{counter: "counter", gauge: "gauge", distribution: "histogram"}[in.kind]
		if !slices.ContainsFunc(strings.Split(doc, "\n"), func(line string) bool {
			f := strings.Fields(line)
			return len(f) > 4 && f[1] == in.name && f[2] == kind && f[3] == in.unit
		}) {
			t.Errorf("doc.go has no line for %s, %s, %s", in.name, kind, in.unit)
		}
	}
	for _, name := range append(failureNames[:], string(hostKey), string(addressKey), string(typeKey), string(dscpKey), string(errorKey)) {
		if !strings.Contains(doc, name) {
			t.Errorf("doc.go does not mention %s", name)
		}
	}
	for _, in := range selfInstruments {
		if !strings.Contains(doc, in.name) {
			t.Errorf("doc.go does not mention %s", in.name)
		}
	}
}
