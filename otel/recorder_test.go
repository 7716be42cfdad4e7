package otel

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/pingtel/pingtel/icmpcore"
)

// TestRecorder holds what comes of a Meter's instruments against a store's
// points for the same results.
func TestRecorder(t *testing.T) {
	results := []*icmpcore.PingResult{
		{Host: "a", Addr: addrA, Sent: 5, Received: 2, Loss: 60, RTTs: []time.Duration{1e6, 3e6}, TTL: 60, Hops: 5, Jitter: 7, IPDV: 8, Late: 1,
			Duplicates: 1, Reordered: 2, Corrupt: 3, Errors: []icmpcore.EchoError{{Kind: icmpcore.PacketTooBig}}, Start: time.Unix(1, 0)},
		{Host: "a", Addr: addrA, Sent: 1, Received: 1, RTTs: []time.Duration{1e6}, TTL: 60, Hops: 5, Start: time.Unix(1, 0)},
		{Host: "b", Err: &icmpcore.ResolveError{Host: "b"}, Start: time.Unix(1, 0)},
		{Host: "c", Err: context.Canceled, Start: time.Unix(1, 0)},
	}
	tag := attribute.String("site", "lab")
	reader := sdkmetric.NewManualReader()
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	defer provider.Shutdown(context.Background())
	rec, err := NewRecorder(provider.Meter("test"))
	if err != nil {
		t.Fatal(err)
	}
	st, targets := testStore(t, StoreOptions{}), map[string]*Target{}
	for _, r := range results {
		rec.Record(t.Context(), r, tag, attribute.String("server.address", "fake"))
		if targets[r.Host] == nil {
			targets[r.Host] = st.Add(TargetOptions{Host: r.Host, Attributes: []attribute.KeyValue{tag}})
		}
		st.Record(targets[r.Host], r)
	}
	var rm metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &rm); err != nil {
		t.Fatal(err)
	}
	produced, err := st.Produce(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	values := func(scopes []metricdata.ScopeMetrics, drop ...string) []string {
		var lines []string
		for _, l := range pointLines(scopes) {
			l = l[:strings.LastIndex(l, " [")]
			if !slices.ContainsFunc(drop, func(p string) bool { return strings.HasPrefix(l, p) }) {
				lines = append(lines, l)
			}
		}
		slices.Sort(lines)
		return lines
	}
	// The SDK has no histogram without a value, and keeps the gauges of a target's
	// series before the last.
	want := values(produced, "ping.export", "ping.rtt{server.address=b")
	got := values(rm.ScopeMetrics, "ping.jitter", "ping.ipdv")
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("points (-store +recorder):\n%s", d)
	}
	for _, m := range rm.ScopeMetrics[0].Metrics {
		if in := find(t, m.Name); m.Unit != in.unit || m.Description != in.description {
			t.Errorf("%s: unit %q, description %q", m.Name, m.Unit, m.Description)
		}
	}
}

// TestRecorderConcurrent records from many goroutines with tags of one slice.
func TestRecorderConcurrent(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	defer provider.Shutdown(context.Background())
	rec, err := NewRecorder(provider.Meter("test"))
	if err != nil {
		t.Fatal(err)
	}
	tags := append(make([]attribute.KeyValue, 0, 10), attribute.String("z", "1"), attribute.String("a", "2"))
	done := make(chan error)
	for range 4 {
		go func() {
			for range 100 {
				rec.Record(t.Context(), &icmpcore.PingResult{Host: "a", Addr: addrA, Sent: 2, Errors: []icmpcore.EchoError{{Kind: icmpcore.SendFailed}}}, tags...)
			}
			done <- nil
		}()
	}
	for range 4 {
		err = errors.Join(err, <-done)
	}
	var rm metricdata.ResourceMetrics
	if err := errors.Join(err, reader.Collect(t.Context(), &rm)); err != nil {
		t.Fatal(err)
	}
	lines := pointLines(rm.ScopeMetrics)
	for _, want := range []string{
		"ping.requests{a=2,network.peer.address=198.18.0.1,network.type=ipv4,server.address=a,z=1} 800 ",
		"ping.errors{a=2,error.type=send,network.peer.address=198.18.0.1,network.type=ipv4,server.address=a,z=1} 400 ",
		"ping.errors{a=2,error.type=timeout,network.peer.address=198.18.0.1,network.type=ipv4,server.address=a,z=1} 400 ",
	} {
		if !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, want) }) {
			t.Errorf("no %s in\n%s", want, strings.Join(lines, "\n"))
		}
	}
}
