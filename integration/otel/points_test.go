package otel

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/protobuf/encoding/protojson"
)

// The temporalities, by short names.
const (
	delta      = metricspb.AggregationTemporality_AGGREGATION_TEMPORALITY_DELTA
	cumulative = metricspb.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE
)

// series is one series of points at the collector: its last point, or the sum of all
// if they are deltas.
type series struct {
	unit        string
	temporality metricspb.AggregationTemporality // 0: a gauge
	monotonic   bool
	points      int
	value       float64 // of a number; of a histogram its count
	sum         float64 // of a histogram
	buckets     []uint64
	exponential bool
	start, time uint64
	times       []uint64 // of all points, where it has no attributes
}

// collected is the collector's series, by metric and sorted attributes:
// ping.up{network.type=ipv4,...}.
type collected map[string]*series

// readCollected reads the collector's file: whole lines of OTLP in JSON.
func readCollected(t *testing.T, path string) (got collected, resources map[string]string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	got, resources = collected{}, map[string]string{}
	for line := range bytes.Lines(text[:bytes.LastIndexByte(text, '\n')+1]) {
		var m metricspb.MetricsData
		if err := protojson.Unmarshal(line, &m); err != nil {
			t.Fatalf("%v in %.200s", err, line)
		}
		for _, r := range m.ResourceMetrics {
			for _, a := range r.Resource.Attributes {
				resources[a.Key] = text1(a.Value)
			}
			for _, s := range r.ScopeMetrics {
				for _, metric := range s.Metrics {
					got.add(t, metric)
				}
			}
		}
	}
	return got, resources
}

func (c collected) add(t *testing.T, m *metricspb.Metric) {
	t.Helper()
	sum := m.GetSum()
	for _, p := range append(sum.GetDataPoints(), m.GetGauge().GetDataPoints()...) {
		s := c.at(m, p.Attributes)
		s.monotonic = sum.GetIsMonotonic()
		value := p.GetAsDouble()
		if v, ok := p.Value.(*metricspb.NumberDataPoint_AsInt); ok {
			value = float64(v.AsInt)
		}
		if s.monotonic && sum.AggregationTemporality == cumulative && value < s.value {
			t.Errorf("%s falls from %v to %v", m.Name, s.value, value)
		}
		s.follow(t, m.Name, sum.GetAggregationTemporality(), p.StartTimeUnixNano, p.TimeUnixNano)
		s.value += value
		if len(p.Attributes) == 0 {
			s.times = append(s.times, s.time)
		}
	}
	for _, p := range m.GetHistogram().GetDataPoints() {
		s := c.at(m, p.Attributes)
		s.follow(t, m.Name, m.GetHistogram().AggregationTemporality, p.StartTimeUnixNano, p.TimeUnixNano)
		s.value, s.sum, s.buckets = s.value+float64(p.Count), s.sum+p.GetSum(), p.BucketCounts
		if n := total(p.BucketCounts); n != p.Count || len(p.BucketCounts) != len(p.ExplicitBounds)+1 {
			t.Errorf("%s: %d in buckets, count %d", m.Name, n, p.Count)
		}
	}
	for _, p := range m.GetExponentialHistogram().GetDataPoints() {
		s := c.at(m, p.Attributes)
		s.follow(t, m.Name, m.GetExponentialHistogram().AggregationTemporality, p.StartTimeUnixNano, p.TimeUnixNano)
		s.value, s.sum, s.exponential = s.value+float64(p.Count), s.sum+p.GetSum(), true
		if n := total(p.GetPositive().GetBucketCounts()) + p.ZeroCount; n != p.Count {
			t.Errorf("%s: %d in buckets, count %d", m.Name, n, p.Count)
		}
	}
}

func total(buckets []uint64) (n uint64) {
	for _, b := range buckets {
		n += b
	}
	return n
}

// follow makes a point with these times the last one. It resets the series to zero
// unless the point adds to it. Deltas must follow one another, sums must have one
// start, and neither may have two points in a push.
func (s *series) follow(t *testing.T, name string, temporality metricspb.AggregationTemporality, start, at uint64) {
	t.Helper()
	switch {
	case s.points == 1 || temporality == 0: // a gauge shows the last series of echoes, possibly the same one again
	case at <= s.time:
		t.Errorf("%s has a point at %d behind one at %d", name, at, s.time)
	case temporality == delta && start < s.time:
		t.Errorf("%s has a delta that begins at %d, before the last one's end at %d", name, start, s.time)
	case temporality == cumulative && start != s.start:
		t.Errorf("%s begins anew: at %d, then at %d", name, s.start, start)
	}
	s.temporality, s.start, s.time = temporality, start, at
	if temporality != delta {
		s.value, s.sum = 0, 0
	}
}

// at returns the series of a metric and attributes, with one point more.
func (c collected) at(m *metricspb.Metric, attributes []*commonpb.KeyValue) *series {
	var parts []string
	for _, a := range attributes {
		parts = append(parts, a.Key+"="+text1(a.Value))
	}
	slices.Sort(parts)
	key := m.Name + "{" + strings.Join(parts, ",") + "}"
	if c[key] == nil {
		c[key] = &series{unit: m.Unit}
	}
	c[key].points++
	return c[key]
}

func text1(v *commonpb.AnyValue) string {
	if n, ok := v.Value.(*commonpb.AnyValue_IntValue); ok {
		return fmt.Sprint(n.IntValue)
	}
	return v.GetStringValue()
}

// sum adds up the values of a metric over all its series whose attributes contain
// these parts.
func (c collected) sum(metric string, parts ...string) float64 {
	total := 0.
	for key, s := range c {
		if strings.HasPrefix(key, metric+"{") && !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(key, p) }) {
			total += s.value
		}
	}
	return total
}
