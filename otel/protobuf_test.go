package otel

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"google.golang.org/protobuf/encoding/protodelim"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/pingtel/pingtel/icmpcore"
)

// writtenFamilies returns the families of WriteProtobuf.
func writtenFamilies(t testing.TB, st *Store) map[string]*dto.MetricFamily {
	t.Helper()
	var b bytes.Buffer
	if err := st.WriteProtobuf(&b); err != nil {
		t.Fatal(err)
	}
	families := make(map[string]*dto.MetricFamily)
	for r := bufio.NewReader(&b); ; {
		f := new(dto.MetricFamily)
		switch err := protodelim.UnmarshalFrom(r, f); {
		case errors.Is(err, io.EOF):
			return families
		case err != nil:
			t.Fatal(err)
		}
		if families[f.GetName()] != nil {
			t.Errorf("%s is there twice", f.GetName())
		}
		if len(f.ProtoReflect().GetUnknown()) > 0 {
			t.Errorf("%s has unknown fields", f.GetName())
		}
		families[f.GetName()] = f
	}
}

// TestWriteProtobuf holds the messages against the text of the same store.
func TestWriteProtobuf(t *testing.T) {
	st := textStore(t)
	parser := expfmt.NewTextParser(model.LegacyValidation)
	want, err := parser.TextToMetricFamilies(strings.NewReader(writtenText(t, st, false)))
	if err != nil {
		t.Fatal(err)
	}
	got := writtenFamilies(t, st)
	began := map[string]int{}
	for name, f := range got {
		if unit := map[string]string{"ping_rtt_seconds": "seconds", "ping_loss_ratio": "ratio", "ping_jitter_seconds": "seconds", "ping_ipdv_seconds": "seconds"}[name]; f.GetUnit() != unit {
			t.Errorf("unit %q of %s", f.GetUnit(), name)
		}
		f.Unit = nil // which the text has not
		for _, m := range f.Metric {
			if start := m.GetHistogram().GetCreatedTimestamp(); start != nil && start.IsValid() {
				m.Histogram.CreatedTimestamp = nil
				began[name]++
			}
			if start := m.GetCounter().GetCreatedTimestamp(); start != nil && start.IsValid() {
				m.Counter.CreatedTimestamp = nil
				began[name]++
			}
		}
	}
	for _, m := range want["ping_rtt_seconds"].Metric {
		m.Histogram.Bucket = m.Histogram.Bucket[:len(m.Histogram.Bucket)-1] // +Inf goes without saying
	}
	if d := cmp.Diff(want, got, protocmp.Transform()); d != "" {
		t.Errorf("-text +protobuf:\n%s", d)
	}
	wantBegan := map[string]int{"ping_rounds_skipped_total": 1, "ping_foreign_total": 1, "ping_kernel_drops_total": 1} // results without a start have none
	if d := cmp.Diff(wantBegan, began); d != "" {
		t.Errorf("series with a start (-want +got):\n%s", d)
	}
}

// TestProtobufStart: a counter's start is that of the first series, and never in
// the future.
func TestProtobufStart(t *testing.T) {
	st, err := NewStore(StoreOptions{Metrics: []string{"ping.requests", "ping.rtt"}})
	if err != nil {
		t.Fatal(err)
	}
	start := time.Date(2026, 1, 2, 3, 4, 5, 6789, time.UTC)
	st.Record(st.Add(TargetOptions{Host: "a"}), &icmpcore.PingResult{Addr: addrA, Sent: 1, Start: start})
	st.Record(st.Add(TargetOptions{Host: "b"}), &icmpcore.PingResult{Addr: addrA, Sent: 1, Start: time.Now().Add(time.Hour)})
	families := writtenFamilies(t, st)
	if got := families["ping_rtt_seconds"].Metric[0].Histogram.CreatedTimestamp.AsTime(); !got.Equal(start) {
		t.Errorf("start of the histogram %v, want %v", got, start)
	}
	m := families["ping_requests_total"].Metric
	if got := m[0].Counter.CreatedTimestamp.AsTime(); !got.Equal(start) {
		t.Errorf("start %v, want %v", got, start)
	}
	if got := m[1].Counter.CreatedTimestamp.AsTime(); got.After(time.Now()) {
		t.Errorf("start %v is in the future", got)
	}
}

// TestProtobufCounts: the counts of buckets take more bytes the larger they are, and
// each comes out as it went in.
func TestProtobufCounts(t *testing.T) {
	for _, ms := range [][]int{{}, {1}, {126, 1, 1}, {0, 127, 1}, {0, 16_383, 0, 1}, {1, 126, 1, 16_255, 1}, {0, 0, 0, 0, 200}, {300, 0, 0, 0, 1}} {
		st, err := NewStore(StoreOptions{Bounds: []float64{.001, .002, .003, .004}})
		if err != nil {
			t.Fatal(err)
		}
		target, sum := st.Add(TargetOptions{Host: "h"}), uint64(0)
		want := []uint64{0, 0, 0, 0, 0} // cumulative
		for i := range want {
			if i < len(ms) {
				sum += uint64(ms[i])
				r := &icmpcore.PingResult{Addr: addrA, Sent: ms[i], Received: ms[i]}
				for range ms[i] {
					r.RTTs = append(r.RTTs, time.Duration(i+1)*time.Millisecond)
				}
				st.Record(target, r)
			}
			want[i] = sum
		}
		if len(ms) == 0 {
			st.Record(target, &icmpcore.PingResult{Addr: addrA, Sent: 1})
		}
		h := writtenFamilies(t, st)["ping_rtt_seconds"].Metric[0].Histogram
		var got []uint64
		for _, b := range h.Bucket {
			got = append(got, b.GetCumulativeCount())
		}
		if got = append(got, h.GetSampleCount()); !slices.Equal(got, want) {
			t.Errorf("%v in buckets: counts %v, want %v", ms, got, want)
		}
	}
}

// bucketsOf returns the counts of a native histogram by the exponents of their
// upper bounds.
func bucketsOf(h *dto.Histogram) map[int32]int64 {
	counts := make(map[int32]int64)
	deltas, at, n := h.PositiveDelta, int32(0), int64(0)
	for _, s := range h.PositiveSpan {
		at += s.GetOffset()
		for range s.GetLength() {
			n += deltas[0]
			deltas = deltas[1:]
			if n != 0 {
				counts[at] = n
			}
			at++
		}
	}
	if len(deltas) > 0 {
		counts[math.MaxInt32] = int64(len(deltas))
	}
	return counts
}

// TestNative holds native histograms against the values that went in: each is in
// the bucket that Prometheus has for it.
func TestNative(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for name, rtts := range map[string]func(i int) time.Duration{
		"none":           nil,
		"equal":          func(int) time.Duration { return 5 * time.Millisecond },
		"close together": func(i int) time.Duration { return time.Duration(1e6 + i) },
		"two ways":       func(i int) time.Duration { return time.Duration(1e6 + i%2*60e6 + random.IntN(1e4)) },
		"far apart":      func(int) time.Duration { return time.Duration(math.Exp(random.Float64() * 43)) },
		"powers of two":  func(i int) time.Duration { return time.Second << (i % 8) },
		"zeros":          func(i int) time.Duration { return time.Duration(i % 3 * 1e6) },
		"extremes":       func(i int) time.Duration { return []time.Duration{0, 1, math.MaxInt64}[i%3] },
	} {
		for _, options := range []StoreOptions{{Native: true}, {Exponential: true}} {
			t.Run(name, func(t *testing.T) {
				st, err := NewStore(options)
				if err != nil {
					t.Fatal(err)
				}
				r := &icmpcore.PingResult{Addr: addrA, Sent: 1000}
				var zeros, sum uint64
				for i := 0; rtts != nil && i < r.Sent; i++ {
					rtt := rtts(i)
					r.RTTs = append(r.RTTs, rtt)
					sum += uint64(rtt)
					if rtt == 0 {
						zeros++
					}
				}
				r.Received = len(r.RTTs)
				st.Record(st.Add(TargetOptions{Host: "h"}), r)
				h := writtenFamilies(t, st)["ping_rtt_seconds"].Metric[0].Histogram
				if h.GetSampleCount() != uint64(r.Received) || h.GetSampleSum() != seconds(sum) || h.GetZeroCount() != zeros || h.GetZeroThreshold() != 1e-128 {
					t.Errorf("histogram %v", h)
				}
				if h.GetSchema() < 1 || h.GetSchema() > 8 {
					t.Errorf("schema %d", h.GetSchema())
				}
				if classic := len(h.Bucket); classic != map[bool]int{true: 0, false: len(DefaultBounds())}[options.Exponential] {
					t.Errorf("%d buckets with bounds", classic)
				}
				got, want := bucketsOf(h), make(map[int32]int64)
				for _, rtt := range r.RTTs {
					if rtt > 0 {
						want[int32(math.Ceil(math.Log2(rtt.Seconds())*math.Exp2(float64(h.GetSchema()))))]++
					}
				}
				if len(got) > maxBuckets || !maps.Equal(got, want) {
					t.Errorf("schema %d, buckets (-want +got):\n%s", h.GetSchema(), cmp.Diff(want, got))
				}
			})
		}
	}
}

// TestNativeAlike: a store that keeps both kinds pushes the explicit one and has the
// same text as without the other.
func TestNativeAlike(t *testing.T) {
	written := func(o StoreOptions) (string, any) {
		st, err := NewStore(o)
		if err != nil {
			t.Fatal(err)
		}
		target := st.Add(TargetOptions{Host: "h"})
		for i := range 3 {
			st.Record(target, &icmpcore.PingResult{Addr: addrA, Sent: 1, Received: 1, RTTs: []time.Duration{time.Duration(i) * time.Millisecond}})
		}
		scopes, err := st.Produce(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return writtenText(t, st, false), scopes[0].Metrics[0].Data
	}
	plain, _ := written(StoreOptions{})
	native, data := written(StoreOptions{Native: true})
	if d := cmp.Diff(plain, native); d != "" {
		t.Errorf("-plain +native:\n%s", d)
	}
	if h, ok := data.(metricdata.Histogram[float64]); !ok || h.DataPoints[0].Count != 3 {
		t.Errorf("pushed %v", data)
	}
}

func TestWriteProtobufFails(t *testing.T) {
	if err := textStore(t).WriteProtobuf(new(failing)); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("WriteProtobuf = %v", err)
	}
}

// FuzzWriteProtobuf: whatever hosts and tags are, the messages have the families
// and labels of the text.
func FuzzWriteProtobuf(f *testing.F) {
	f.Add("h\n", "k\"", "v\\", int64(1))
	f.Add("\xff", "", "", int64(0))
	f.Add("h", "server_address", "other", int64(math.MaxInt64))
	f.Add("h", "network.peer.address", "\xc3", int64(-1))
	f.Fuzz(func(t *testing.T, host, key, value string, rtt int64) {
		st, err := NewStore(StoreOptions{Bounds: []float64{1}, Native: true})
		if err != nil {
			t.Fatal(err)
		}
		rtt &= math.MaxInt64
		st.Record(st.Add(TargetOptions{Host: host, Attributes: []attribute.KeyValue{attribute.String(key, value)}}),
			&icmpcore.PingResult{Addr: addrA, Sent: 2, Received: 1, RTTs: []time.Duration{time.Duration(rtt)}, TTL: 60})
		parser := expfmt.NewTextParser(model.LegacyValidation)
		want, err := parser.TextToMetricFamilies(strings.NewReader(writtenText(t, st, false)))
		if err != nil {
			t.Fatal(err)
		}
		got := writtenFamilies(t, st)
		if len(got) != len(want) {
			t.Errorf("%d families, the text has %d", len(got), len(want))
		}
		for name, f := range want {
			for i, m := range f.Metric {
				if d := cmp.Diff(m.Label, got[name].GetMetric()[i].Label, protocmp.Transform()); d != "" {
					t.Fatalf("%s: labels (-text +protobuf):\n%s", name, d)
				}
			}
		}
		h := got["ping_rtt_seconds"].Metric[0].Histogram
		n := int64(h.GetZeroCount())
		for _, c := range bucketsOf(h) {
			n += c
		}
		if n != 1 || h.GetSampleCount() != 1 {
			t.Errorf("histogram %v", h)
		}
	})
}
