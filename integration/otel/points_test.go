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

// series is what the collector has of one series of points, by its last one.
type series struct {
	unit        string
	temporality metricspb.AggregationTemporality // 0: a gauge
	monotonic   bool
	points      int
	value       float64 // of a number; of a histogram its count
	sum         float64 // of a histogram
	buckets     []uint64
	start, time uint64
	times       []uint64 // of all points, where it has no attributes
}

// collected is what the collector has written, by metric and attributes:
// ping.up{network.type=ipv4,...}, attributes sorted.
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
		s.temporality, s.monotonic = sum.GetAggregationTemporality(), sum.GetIsMonotonic()
		value := p.GetAsDouble()
		if v, ok := p.Value.(*metricspb.NumberDataPoint_AsInt); ok {
			value = float64(v.AsInt)
		}
		if s.monotonic && s.start == p.StartTimeUnixNano && value < s.value {
			t.Errorf("%s falls from %v to %v", m.Name, s.value, value)
		}
		if sum != nil && s.time == p.TimeUnixNano {
			t.Errorf("%s{%s} has two points in a push", m.Name, p.Attributes)
		}
		s.value, s.start, s.time = value, p.StartTimeUnixNano, p.TimeUnixNano
		if len(p.Attributes) == 0 {
			s.times = append(s.times, s.time)
		}
	}
	for _, p := range m.GetHistogram().GetDataPoints() {
		s := c.at(m, p.Attributes)
		s.temporality = m.GetHistogram().AggregationTemporality
		s.value, s.sum, s.buckets, s.start, s.time = float64(p.Count), p.GetSum(), p.BucketCounts, p.StartTimeUnixNano, p.TimeUnixNano
		var n uint64
		for _, b := range p.BucketCounts {
			n += b
		}
		if n != p.Count || len(p.BucketCounts) != len(p.ExplicitBounds)+1 {
			t.Errorf("%s: %d in buckets, count %d", m.Name, n, p.Count)
		}
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

// sum adds up the values of a metric over all its series with these parts in
// their attributes.
func (c collected) sum(metric string, parts ...string) float64 {
	total := 0.
	for key, s := range c {
		if strings.HasPrefix(key, metric+"{") && !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(key, p) }) {
			total += s.value
		}
	}
	return total
}
