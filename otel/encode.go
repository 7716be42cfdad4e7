package otel

import (
	"math"
	"time"

	colpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	"google.golang.org/protobuf/proto"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/internal/monitor"
)

// encoder builds messages of a bounded size out of streams. Messages and all
// that is in them are used again for the next one: a push of many targets would
// else leave hundreds of megabytes behind. Attributes are built once for a
// stream and shared by its points.
type encoder struct {
	delta    bool // of counters and histograms
	limit    int  // bytes of a message, before compression
	resource *resourcepb.Resource
	scope    *commonpb.InstrumentationScope
	metrics  []metric // of targets, then of pingtel itself
	overhead int      // bytes of a message without points, at most

	now    uint64 // of the push, Unix ns
	size   int    // bytes of the message so far, at most
	points int

	attributes pool[attribute]
	lists      pool[attributeList]
	numbers    pool[number]
	explicits  pool[explicitPoint]
	exponents  pool[exponentialPoint]
}

// metric is an instrument and its points in the message.
type metric struct {
	pb        *metricspb.Metric
	numbers   *[]*metricspb.NumberDataPoint               // nil for a histogram
	explicits *[]*metricspb.HistogramDataPoint            // nil for all else
	exponents *[]*metricspb.ExponentialHistogramDataPoint // nil for all else
}

func newEncoder(resource *resourcepb.Resource, version, temporality, histogram string, limit int) *encoder {
	e := &encoder{
		delta: temporality != "cumulative", limit: limit, resource: resource,
		scope: &commonpb.InstrumentationScope{Name: scopeName, Version: version},
	}
	for _, i := range targetInstruments {
		t := metricspb.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE
		if e.delta {
			t = metricspb.AggregationTemporality_AGGREGATION_TEMPORALITY_DELTA
		}
		e.metrics = append(e.metrics, newMetric(i, t, histogram == "exponential"))
	}
	for _, i := range selfInstruments { // from the start on in any case: they have nobody who could forget them
		e.metrics = append(e.metrics, newMetric(i, metricspb.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE, false))
	}
	e.begin(time.Time{})
	whole := e.message()
	for i := range e.metrics {
		scope := whole.ResourceMetrics[0].ScopeMetrics[0]
		scope.Metrics = append(scope.Metrics, e.metrics[i].pb)
	}
	const lengths = 16 // of the parts, in a message of any size
	e.overhead = proto.Size(whole) + lengths*(len(e.metrics)+3)
	return e
}

func newMetric(i instrument, t metricspb.AggregationTemporality, exponential bool) metric {
	m := metric{pb: &metricspb.Metric{Name: i.name, Unit: i.unit, Description: i.description}}
	switch {
	case i.kind == gauge:
		data := &metricspb.Gauge{}
		m.pb.Data, m.numbers = &metricspb.Metric_Gauge{Gauge: data}, &data.DataPoints
	case i.kind != distribution:
		data := &metricspb.Sum{AggregationTemporality: t, IsMonotonic: i.kind == counter}
		m.pb.Data, m.numbers = &metricspb.Metric_Sum{Sum: data}, &data.DataPoints
	case exponential:
		data := &metricspb.ExponentialHistogram{AggregationTemporality: t}
		m.pb.Data, m.exponents = &metricspb.Metric_ExponentialHistogram{ExponentialHistogram: data}, &data.DataPoints
	default:
		data := &metricspb.Histogram{AggregationTemporality: t}
		m.pb.Data, m.explicits = &metricspb.Metric_Histogram{Histogram: data}, &data.DataPoints
	}
	return m
}

func (m *metric) empty() bool {
	return (m.numbers == nil || len(*m.numbers) == 0) && (m.explicits == nil || len(*m.explicits) == 0) &&
		(m.exponents == nil || len(*m.exponents) == 0)
}

// begin starts a new message of the push made at now.
func (e *encoder) begin(now time.Time) {
	e.now, e.size, e.points = uint64(now.UnixNano()), e.overhead, 0
	for i := range e.metrics {
		switch m := &e.metrics[i]; {
		case m.numbers != nil:
			*m.numbers = (*m.numbers)[:0]
		case m.explicits != nil:
			*m.explicits = (*m.explicits)[:0]
		default:
			*m.exponents = (*m.exponents)[:0]
		}
	}
	e.attributes.reset()
	e.lists.reset()
	e.numbers.reset()
	e.explicits.reset()
	e.exponents.reset()
}

// message returns what has been added since begin. It is good until the next
// begin.
func (e *encoder) message() *colpb.ExportMetricsServiceRequest {
	var metrics []*metricspb.Metric
	for i := range e.metrics {
		if !e.metrics[i].empty() {
			metrics = append(metrics, e.metrics[i].pb)
		}
	}
	return &colpb.ExportMetricsServiceRequest{ResourceMetrics: []*metricspb.ResourceMetrics{{
		Resource:     e.resource,
		ScopeMetrics: []*metricspb.ScopeMetrics{{Scope: e.scope, Metrics: metrics}},
	}}}
}

// add adds a stream, unless the message would become too large by it. One
// stream fits into an empty message in any case. The table of the stream is
// locked.
func (e *encoder) add(t *config.Target, s *stream, current bool) bool {
	list, bytes := e.describe(t, s)
	most := e.bytesOf(s, bytes)
	if e.points > 0 && e.size+most > e.limit {
		return false
	}
	e.size += most
	total := s.take(e.delta)
	e.addTotals(s, total, list)
	if current {
		e.addLatest(&s.latest, list)
	}
	return true
}

func (e *encoder) addTotals(s *stream, t *totals, list []*commonpb.KeyValue) {
	start := uint64(s.start)
	e.addHistogram(t.rtts, start, list)
	e.addCount(requestsMetric, t.requests, start, list)
	e.addCount(repliesMetric, t.replies, start, list)
	e.addCount(duplicatesMetric, t.duplicates, start, list)
	e.addCount(reorderedMetric, t.reordered, start, list)
	e.addCount(corruptMetric, t.corrupt, start, list)
	for f, n := range t.failed {
		if n > 0 {
			with := e.lists.take()
			with.list = append(append(with.list[:0], list...), e.attribute(errorKey, failureNames[f]))
			e.addCount(errorsMetric, n, start, with.list)
		}
	}
}

func (e *encoder) addLatest(l *latest, list []*commonpb.KeyValue) {
	value := func(metric int, v float64) {
		if !math.IsNaN(v) {
			p := e.number(metric, 0, uint64(l.end), list)
			p.double.AsDouble = v
			p.pb.Value = &p.double
		}
	}
	count := func(metric int, n int64) {
		p := e.number(metric, 0, uint64(l.end), list)
		p.int.AsInt = n
		p.pb.Value = &p.int
	}
	value(lossMetric, l.loss)
	value(jitterMetric, l.jitter)
	value(ipdvMetric, l.ipdv)
	if l.ttl > 0 {
		count(ttlMetric, int64(l.ttl))
		count(hopsMetric, int64(l.hops))
	}
	up := int64(0)
	if l.up {
		up = 1
	}
	count(upMetric, up)
}

// addSelf adds the figures of pingtel itself, counted since start. failed is
// the number of pushes that failed.
func (e *encoder) addSelf(p icmpcore.Stats, m monitor.Stats, failed uint64, start time.Time) {
	for i, n := range [selfMetrics]uint64{
		targetsMetric: uint64(m.Targets),
		skippedMetric: m.Skipped + m.Missed,
		foreignMetric: p.Foreign,
		dropsMetric:   p.KernelDrops,
		failedMetric:  failed,
	} {
		e.addCount(targetMetrics+i, n, uint64(start.UnixNano()), nil)
	}
}

func (e *encoder) addCount(metric int, n, start uint64, list []*commonpb.KeyValue) {
	p := e.number(metric, start, e.now, list)
	p.int.AsInt = int64(n)
	p.pb.Value = &p.int
}

// number adds a point that has no value yet.
func (e *encoder) number(metric int, start, at uint64, list []*commonpb.KeyValue) *number {
	p := e.numbers.take()
	p.pb.Attributes, p.pb.StartTimeUnixNano, p.pb.TimeUnixNano = list, start, at
	points := e.metrics[metric].numbers
	*points = append(*points, &p.pb)
	e.points++
	return p
}

func (e *encoder) addHistogram(h histogram, start uint64, list []*commonpb.KeyValue) {
	e.points++
	switch h := h.(type) {
	case *explicit:
		p := e.explicits.take()
		p.sum = float64(h.sum) / 1e9
		p.pb.Attributes, p.pb.StartTimeUnixNano, p.pb.TimeUnixNano = list, start, e.now
		p.pb.Count, p.pb.Sum, p.pb.ExplicitBounds = h.count(), &p.sum, h.bounds.seconds
		p.pb.BucketCounts = append(p.pb.BucketCounts[:0], h.counts...)
		points := e.metrics[rttMetric].explicits
		*points = append(*points, &p.pb)
	case *exponential:
		p := e.exponents.take()
		p.sum = float64(h.sum) / 1e9
		p.pb.Attributes, p.pb.StartTimeUnixNano, p.pb.TimeUnixNano = list, start, e.now
		p.pb.Count, p.pb.Sum, p.pb.Scale, p.pb.ZeroCount = h.n, &p.sum, h.scale, h.zero
		p.positive.Offset, p.pb.Positive = h.offset, &p.positive
		p.positive.BucketCounts = append(p.positive.BucketCounts[:0], h.counts...)
		points := e.metrics[rttMetric].exponents
		*points = append(*points, &p.pb)
	}
}

// describe returns the attributes of a stream and their bytes in a point, at
// most.
func (e *encoder) describe(t *config.Target, s *stream) ([]*commonpb.KeyValue, int) {
	l := e.lists.take()
	l.list = l.list[:0]
	bytes := 0
	text := func(key, value string) {
		if value != "" {
			l.list = append(l.list, e.attribute(key, value))
			bytes += len(key) + len(value) + attributeBytes
		}
	}
	text(hostKey, t.Host)
	if s.addr.IsValid() {
		text(addressKey, s.addr.String())
	}
	text(typeKey, networkType(t, s.addr))
	if d := t.Options.DSCP; d > 0 {
		a := e.attributes.take()
		a.int.IntValue = int64(d)
		a.value.Value = &a.int
		a.pb.Key, a.pb.Value = dscpKey, &a.value
		l.list = append(l.list, &a.pb)
		bytes += len(dscpKey) + attributeBytes
	}
	for _, tag := range t.Tags {
		text(tag.Key, tag.Value)
	}
	return l.list, bytes
}

// attribute returns an attribute with a text.
func (e *encoder) attribute(key, value string) *commonpb.KeyValue {
	a := e.attributes.take()
	a.text.StringValue = value
	a.value.Value = &a.text
	a.pb.Key, a.pb.Value = key, &a.value
	return &a.pb
}
