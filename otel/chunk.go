package otel

import (
	"maps"
	"math"
	"math/bits"
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// temporalities say which sums are deltas. The zero value is all cumulative.
type temporalities struct {
	counters bool // counters and histograms of targets
	self     bool // counters of pingtel itself
}

func temporality(delta bool) metricdata.Temporality {
	if delta {
		return metricdata.DeltaTemporality
	}
	return metricdata.CumulativeTemporality
}

// chunk is a part of a push, built as metricdata: the points of some targets, or
// those on the program itself. The next chunk reuses its slices. It estimates how
// large its OTLP message will be, because messages have a limit.
type chunk struct {
	store *Store
	delta temporalities

	now    time.Time
	size   int // bytes of the OTLP message so far, at most
	points int

	ints        [targetMetrics + selfMetrics][]metricdata.DataPoint[int64]
	floats      [targetMetrics][]metricdata.DataPoint[float64]
	explicit    []metricdata.HistogramDataPoint[float64]
	exponential []metricdata.ExponentialHistogramDataPoint[float64]
	buckets     []uint64 // shared by the histograms' points
	list        []metricdata.Metrics

	// The attributes of the stream that is being added, and the bytes that they take
	// in each point, at most.
	keyValues, scratch []attribute.KeyValue
	set                attribute.Set
	width              int
}

// mark is how much a chunk holds at one moment.
type mark struct {
	size, points, explicit, exponential, buckets int

	ints   [targetMetrics + selfMetrics]int
	floats [targetMetrics]int
}

func newChunk(s *Store, d temporalities) *chunk { return &chunk{store: s, delta: d} }

// begin starts a new chunk of the push made at now. What scopes returned for the
// last one must not be used any more.
func (c *chunk) begin(now time.Time) {
	c.back(mark{})
	c.now = now
	c.size = headBytes
	for _, in := range targetInstruments {
		c.size += metricBytes(in)
	}
	for _, in := range selfInstruments {
		c.size += metricBytes(in)
	}
}

func (c *chunk) mark() mark {
	m := mark{size: c.size, points: c.points, explicit: len(c.explicit), exponential: len(c.exponential), buckets: len(c.buckets)}
	for i := range c.ints {
		m.ints[i] = len(c.ints[i])
	}
	for i := range c.floats {
		m.floats[i] = len(c.floats[i])
	}
	return m
}

// back removes what was added since m.
func (c *chunk) back(m mark) {
	c.size, c.points = m.size, m.points
	c.explicit, c.exponential, c.buckets = c.explicit[:m.explicit], c.exponential[:m.exponential], c.buckets[:m.buckets]
	for i := range c.ints {
		c.ints[i] = c.ints[i][:m.ints[i]]
	}
	for i := range c.floats {
		c.floats[i] = c.floats[i][:m.floats[i]]
	}
}

// add adds a stream. The table is locked.
func (c *chunk) add(r ref) {
	s := r.stream
	c.describe(&r.target.options, s)
	s.start = min(s.start, c.now.UnixNano()) // if the wall clock was set back, no point may end before it began
	start, totals := time.Unix(0, s.start), s.take(c.delta.counters)
	c.addTotals(start, totals, s.addr.IsValid())
	if s.latest.traced {
		c.addInt(pathChangesMetric, start, totals.changes)
	}
	if r.current() {
		c.addLatest(&s.latest)
	}
}

// addWithin is add, unless that makes the message larger than limit. It reports
// whether the stream was added. The first one always is.
func (c *chunk) addWithin(limit int, r ref) bool {
	before := c.mark()
	c.add(r)
	if before.points == 0 || c.size <= limit {
		return true
	}
	c.back(before)
	return false
}

// describe makes the attributes of a stream. It merges them in the order of their
// keys: attribute.NewSet sorts them, and any other order takes it long.
func (c *chunk) describe(o *TargetOptions, s *stream) {
	own := [4]attribute.KeyValue{}
	n := 0
	add := func(kv attribute.KeyValue) { own[n], n = kv, n+1 }
	if s.addr.IsValid() {
		add(addressKey.String(s.text))
	}
	if family := networkType(o.Family, s.addr); family != "" {
		add(typeKey.String(family))
	}
	if o.DSCP > 0 {
		add(dscpKey.Int(o.DSCP))
	}
	add(hostKey.String(o.Host))
	kvs, rest := c.keyValues[:0], o.Attributes
	for _, kv := range own[:n] {
		for len(rest) > 0 && rest[0].Key <= kv.Key { // ours after an equal key: NewSet keeps the last
			kvs, rest = append(kvs, rest[0]), rest[1:]
		}
		kvs = append(kvs, kv)
	}
	c.keyValues = append(kvs, rest...)
	c.width = 0
	for i := range c.keyValues {
		c.width += attributeBytes(&c.keyValues[i])
	}
	c.set = attribute.NewSet(c.keyValues...)
}

// withFailure returns the attributes of the stream with error.type.
func (c *chunk) withFailure(f failure) (attribute.Set, int) {
	kv := errorKey.String(failureNames[f])
	i := len(c.keyValues)
	for i > 0 && c.keyValues[i-1].Key > errorKey {
		i--
	}
	c.scratch = append(append(append(c.scratch[:0], c.keyValues[:i]...), kv), c.keyValues[i:]...)
	return attribute.NewSet(c.scratch...), c.width + attributeBytes(&kv)
}

func (c *chunk) addTotals(start time.Time, t *totals, reachable bool) {
	if c.store.targets[rttMetric] {
		c.addHistogram(start, t.rtts)
	}
	c.addInt(requestsMetric, start, t.requests)
	c.addInt(repliesMetric, start, t.replies)
	c.addInt(duplicatesMetric, start, t.duplicates)
	c.addInt(reorderedMetric, start, t.reordered)
	c.addInt(corruptMetric, start, t.corrupt)
	if !c.store.targets[errorsMetric] {
		return
	}
	for f, n := range t.failed {
		if n > 0 || reachable && outage[f] {
			set, width := c.withFailure(failure(f))
			c.addNumber(errorsMetric, start, int64(n), set, width)
		}
	}
}

func (c *chunk) addLatest(l *latest) {
	c.addFloat(lossMetric, l.loss)
	c.addFloat(jitterMetric, l.jitter)
	c.addFloat(ipdvMetric, l.ipdv)
	if l.ttl > 0 {
		c.addInt(ttlMetric, time.Time{}, uint64(l.ttl))
		c.addInt(hopsMetric, time.Time{}, uint64(l.hops))
	}
	up := uint64(0)
	if l.up {
		up = 1
	}
	c.addInt(upMetric, time.Time{}, up)
	if l.pathHops > 0 {
		c.addInt(pathHopsMetric, time.Time{}, uint64(l.pathHops))
	}
}

// addSelf adds the figures on the program itself, counted since start. With delta
// it adds by how much the counters exceed delivered, counted since then.
func (c *chunk) addSelf(n, delivered selfCounts, start, then time.Time) {
	c.set, c.width = attribute.Set{}, 0
	for i, v := range n {
		if !c.store.selves[i] || v == none || i == breaksMetric {
			continue
		}
		since := start
		switch kind := selfInstruments[i].kind; {
		case kind == gauge:
			since = time.Time{}
		case kind == counter && c.delta.self:
			v, since = v-max(0, delivered[i]), then
		}
		c.addNumber(targetMetrics+i, since, v, c.set, 0)
	}
}

// addBreaks adds what paths break at, as addSelf does.
func (c *chunk) addBreaks(n, delivered breaks, start, then time.Time) {
	if !c.store.selves[breaksMetric] {
		return
	}
	for _, last := range slices.Sorted(maps.Keys(n)) {
		v, since := n[last], start
		if c.delta.self {
			v, since = v-delivered[last], then
		}
		kv := lastKey.String(last)
		c.addNumber(targetMetrics+breaksMetric, since, int64(v), attribute.NewSet(kv), attributeBytes(&kv))
	}
}

// addInt adds a point of the stream, if its instrument is wanted.
func (c *chunk) addInt(metric int, start time.Time, n uint64) {
	if c.store.targets[metric] {
		c.addNumber(metric, start, int64(n), c.set, c.width)
	}
}

func (c *chunk) addNumber(metric int, start time.Time, n int64, set attribute.Set, width int) {
	c.ints[metric] = append(c.ints[metric], metricdata.DataPoint[int64]{Attributes: set, StartTime: start, Time: c.now, Value: n})
	c.count(numberBytes + width)
}

// addFloat is addInt for a gauge, unless v is NaN.
func (c *chunk) addFloat(metric int, v float64) {
	if !c.store.targets[metric] || math.IsNaN(v) {
		return
	}
	c.floats[metric] = append(c.floats[metric], metricdata.DataPoint[float64]{Attributes: c.set, Time: c.now, Value: v})
	c.count(numberBytes + c.width)
}

func (c *chunk) addHistogram(start time.Time, h histogram) {
	switch h := h.(type) {
	case *both:
		c.addHistogram(start, &h.explicit)
	case *explicit:
		c.explicit = append(c.explicit, metricdata.HistogramDataPoint[float64]{
			Attributes: c.set, StartTime: start, Time: c.now, Count: h.count(), Sum: seconds(h.sum),
			Bounds: h.bounds.seconds, BucketCounts: c.spread(h.counts, h.offset, len(h.bounds.seconds)+1),
		})
		c.count(histogramBytes + 16*(len(h.bounds.seconds)+1) + c.width)
	case *exponential:
		c.exponential = append(c.exponential, metricdata.ExponentialHistogramDataPoint[float64]{
			Attributes: c.set, StartTime: start, Time: c.now, Count: h.n, Sum: seconds(h.sum), Scale: h.scale, ZeroCount: h.zero,
			PositiveBucket: metricdata.ExponentialBucket{Offset: h.offset, Counts: c.spread(h.counts, 0, len(h.counts))},
		})
		n := histogramBytes + c.width
		for _, v := range h.counts {
			n += 1 + bits.Len64(v)/7
		}
		c.count(n)
	}
}

// spread returns n buckets with a copy of counts from offset on. It copies because
// counts may change as soon as the table is unlocked.
func (c *chunk) spread(counts []uint64, offset, n int) []uint64 {
	if len(c.buckets)+n > cap(c.buckets) { // buckets that were returned stay where they are
		c.buckets = make([]uint64, 0, max(2*cap(c.buckets), 64*n))
	}
	at := len(c.buckets)
	c.buckets = c.buckets[:at+n]
	b := c.buckets[at:]
	clear(b)
	copy(b[offset:], counts)
	return b[:n:n]
}

// seconds converts nanoseconds.
func seconds(ns uint64) float64 { return float64(ns) / 1e9 }

// count counts a point of this many bytes.
func (c *chunk) count(bytes int) {
	c.size += bytes
	c.points++
}

// scopes returns the chunk in the form that exporters and readers take. It is nil
// if the chunk is empty.
func (c *chunk) scopes() []metricdata.ScopeMetrics {
	c.list = c.list[:0]
	add := func(in instrument, data metricdata.Aggregation) {
		c.list = append(c.list, metricdata.Metrics{Name: in.name, Description: in.description, Unit: in.unit, Data: data})
	}
	for i, in := range targetInstruments {
		switch {
		case i == rttMetric && len(c.explicit) > 0:
			add(in, metricdata.Histogram[float64]{DataPoints: c.explicit, Temporality: temporality(c.delta.counters)})
		case i == rttMetric && len(c.exponential) > 0:
			add(in, metricdata.ExponentialHistogram[float64]{DataPoints: c.exponential, Temporality: temporality(c.delta.counters)})
		case len(c.floats[i]) > 0:
			add(in, metricdata.Gauge[float64]{DataPoints: c.floats[i]})
		case len(c.ints[i]) > 0 && in.kind == gauge:
			add(in, metricdata.Gauge[int64]{DataPoints: c.ints[i]})
		case len(c.ints[i]) > 0:
			add(in, metricdata.Sum[int64]{DataPoints: c.ints[i], Temporality: temporality(c.delta.counters), IsMonotonic: true})
		}
	}
	for i, in := range selfInstruments {
		switch points, monotonic := c.ints[targetMetrics+i], in.kind == counter; {
		case len(points) > 0 && in.kind == gauge:
			add(in, metricdata.Gauge[int64]{DataPoints: points})
		case len(points) > 0:
			add(in, metricdata.Sum[int64]{DataPoints: points, Temporality: temporality(c.delta.self && monotonic), IsMonotonic: monotonic})
		}
	}
	if len(c.list) == 0 {
		return nil
	}
	return []metricdata.ScopeMetrics{{Scope: c.store.scope(), Metrics: c.list}}
}

// Bytes that parts of an OTLP message take at most (opentelemetry-proto,
// metrics.proto): a tag is one byte, a length up to five.
const (
	headBytes      = 256                                 // request, scope and all else that is there once, except for the resource
	numberBytes    = 6 + 3*9                             // a NumberDataPoint: start, time and value
	histogramBytes = 6 + 4*9 + 2*6 + 6 + 6 + 9 + 2*(6+6) // a point of either kind, without its buckets
)

// metricBytes is what a Metric takes besides its points.
func metricBytes(in instrument) int { return len(in.name) + len(in.description) + len(in.unit) + 6*6 }

// attributeBytes is what a KeyValue takes in a point.
func attributeBytes(kv *attribute.KeyValue) int {
	const short = 4 * 2 // tags and lengths of one byte each: of the KeyValue, its key, its value, and what is in that
	n := len(kv.Key) + len(kv.Value.String())
	if n < 100 {
		return n + short + 2
	}
	return n + short + 4*4
}
