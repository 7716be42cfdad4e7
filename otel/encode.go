package otel

import (
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/pingtel/pingtel/internal/config"
)

// encoder writes streams as OTLP messages of a bounded size: an
// ExportMetricsServiceRequest in the encoding of Protocol Buffers.
//
// It writes bytes, not the generated types: a message is mostly attributes,
// which are encoded once for a stream here and copied to each of its points.
// The generated types took twenty times as long, and read what is written here
// in the tests and for --stdout.
type encoder struct {
	delta      bool // of counters and histograms of targets
	deltaSelf  bool // of counters of pingtel itself
	limit      int  // bytes of a message, before compression
	attributes protowire.Number
	head       []byte // of a ResourceMetrics what stands before its metrics
	scope      []byte // the same of its ScopeMetrics
	fixed      int    // bytes of a message without points, at most
	parts      []part // of targets, then of pingtel itself

	now    uint64 // of the push, Unix ns
	size   int    // bytes of the message so far, at most
	points int

	numbers, failed, histograms []byte // attributes of the stream under way, by kind of point
	scratch, out                []byte
}

// part is an instrument in the message.
type part struct {
	before []byte // of the Metric what stands before its data
	field  protowire.Number
	after  []byte // of the data what follows the points
	points []byte
}

// lengths is how many bytes tag and length of a part take at most.
const lengths = 2 * 6

func newEncoder(resource map[string]string, version, temporality, histogram string, limit int) *encoder {
	e := &encoder{delta: temporality != "cumulative", deltaSelf: temporality == "delta", limit: limit, attributes: explicitAttributes}
	if histogram == "exponential" {
		e.attributes = exponentialAttributes
	}
	var r []byte
	for _, k := range slices.Sorted(maps.Keys(resource)) {
		v := strings.ToValidUTF8(resource[k], "\uFFFD") // a host's name can be any bytes
		r = appendTextAttribute(r, resourceAttributes, k, v)
	}
	e.head = appendBytes(nil, resourceMetricsResource, r)
	scope := appendString(appendString(nil, scopeNameField, scopeName), scopeVersionField, version)
	e.scope = appendBytes(nil, scopeMetricsScope, scope)
	e.fixed = len(e.head) + len(e.scope) + 2*lengths
	for _, i := range targetInstruments {
		e.parts = append(e.parts, newPart(i, e.delta, histogram == "exponential"))
	}
	for _, i := range selfInstruments { // asynchronous in the specification's terms: lowmemory leaves them cumulative
		e.parts = append(e.parts, newPart(i, e.deltaSelf && i.kind == counter, false))
	}
	for _, p := range e.parts {
		e.fixed += len(p.before) + len(p.after) + 2*lengths
	}
	return e
}

func newPart(i instrument, delta, exponential bool) part {
	p := part{field: metricGauge}
	p.before = appendString(p.before, metricName, i.name)
	p.before = appendString(p.before, metricDescription, i.description)
	p.before = appendString(p.before, metricUnit, i.unit)
	if i.kind == gauge {
		return p
	}
	temporality := uint64(temporalityCumulative)
	if delta {
		temporality = temporalityDelta
	}
	p.after = appendVarint(p.after, dataTemporality, temporality)
	switch {
	case i.kind == counter:
		p.field, p.after = metricSum, appendVarint(p.after, sumMonotonic, 1)
	case i.kind == updown:
		p.field = metricSum
	case exponential:
		p.field = metricExponential
	default:
		p.field = metricHistogram
	}
	return p
}

// begin starts a new message of the push made at now.
func (e *encoder) begin(now time.Time) {
	e.now, e.size, e.points = uint64(now.UnixNano()), e.fixed, 0
	for i := range e.parts {
		e.parts[i].points = e.parts[i].points[:0]
	}
}

// message returns what has been added since begin. It is good until the next
// call.
func (e *encoder) message() []byte {
	scope := len(e.scope)
	for i := range e.parts {
		if p := &e.parts[i]; len(p.points) > 0 {
			scope += sizeLength(scopeMetricsMetrics, p.size())
		}
	}
	b := appendLength(e.out[:0], requestResourceMetrics, len(e.head)+sizeLength(resourceMetricsScope, scope))
	b = append(b, e.head...)
	b = appendLength(b, resourceMetricsScope, scope)
	b = append(b, e.scope...)
	for i := range e.parts {
		p := &e.parts[i]
		if len(p.points) == 0 {
			continue
		}
		b = appendLength(b, scopeMetricsMetrics, p.size())
		b = append(b, p.before...)
		b = appendLength(b, p.field, len(p.points)+len(p.after))
		b = append(b, p.points...)
		b = append(b, p.after...)
	}
	e.out = b
	return b
}

// size is how many bytes the Metric has.
func (p *part) size() int { return len(p.before) + sizeLength(p.field, len(p.points)+len(p.after)) }

// add adds a stream and reports whether it did: not where the message would
// become too large by it. One stream fits into an empty message in any case.
// The table of the stream is locked.
func (e *encoder) add(t *config.Target, s *stream, current bool) bool {
	var before [targetMetrics]int
	for i := range before {
		before[i] = len(e.parts[i].points)
	}
	size, points := e.size, e.points
	e.describe(t, s)
	s.start = min(s.start, int64(e.now)) // once the wall clock was set back, nothing may end before it began
	e.addTotals(uint64(s.start), s.take(e.delta))
	if current {
		e.addLatest(&s.latest)
	}
	if points == 0 || e.size <= e.limit {
		return true
	}
	for i, n := range before {
		e.parts[i].points = e.parts[i].points[:n]
	}
	e.size, e.points = size, points
	return false
}

// describe encodes the attributes of a stream.
func (e *encoder) describe(t *config.Target, s *stream) {
	e.numbers = e.appendAttributes(e.numbers[:0], numberAttributes, t, s)
	e.histograms = e.appendAttributes(e.histograms[:0], e.attributes, t, s)
}

func (e *encoder) appendAttributes(b []byte, field protowire.Number, t *config.Target, s *stream) []byte {
	b = appendTextAttribute(b, field, hostKey, t.Host)
	if s.addr.IsValid() {
		b = appendTextAttribute(b, field, addressKey, s.text)
	}
	if family := networkType(t, s.addr); family != "" {
		b = appendTextAttribute(b, field, typeKey, family)
	}
	if d := t.Options.DSCP; d > 0 {
		b = appendIntAttribute(b, field, dscpKey, uint64(d))
	}
	for _, tag := range t.Tags {
		b = appendTextAttribute(b, field, tag.Key, tag.Value)
	}
	return b
}

func (e *encoder) addTotals(start uint64, t *totals) {
	e.addHistogram(start, t.rtts)
	e.addInt(requestsMetric, start, e.now, t.requests, e.numbers)
	e.addInt(repliesMetric, start, e.now, t.replies, e.numbers)
	e.addInt(duplicatesMetric, start, e.now, t.duplicates, e.numbers)
	e.addInt(reorderedMetric, start, e.now, t.reordered, e.numbers)
	e.addInt(corruptMetric, start, e.now, t.corrupt, e.numbers)
	for f, n := range t.failed {
		if n > 0 {
			e.failed = append(e.failed[:0], e.numbers...)
			e.failed = appendTextAttribute(e.failed, numberAttributes, errorKey, failureNames[f])
			e.addInt(errorsMetric, start, e.now, n, e.failed)
		}
	}
}

func (e *encoder) addLatest(l *latest) {
	e.addDouble(lossMetric, l.end, l.loss)
	e.addDouble(jitterMetric, l.end, l.jitter)
	e.addDouble(ipdvMetric, l.end, l.ipdv)
	if l.ttl > 0 {
		e.addInt(ttlMetric, 0, l.end, uint64(l.ttl), e.numbers)
		e.addInt(hopsMetric, 0, l.end, uint64(l.hops), e.numbers)
	}
	up := uint64(0)
	if l.up {
		up = 1
	}
	e.addInt(upMetric, 0, l.end, up, e.numbers)
}

// selfCounts are the figures of pingtel itself.
type selfCounts [selfMetrics]uint64

// addSelf adds the figures of pingtel itself, counted since start, Unix ns; with
// delta what the counters have beyond delivered, counted since then.
func (e *encoder) addSelf(n, delivered selfCounts, start, then int64) {
	for i, n := range n {
		since := start
		if e.deltaSelf && selfInstruments[i].kind == counter {
			n, since = n-delivered[i], then
		}
		e.addInt(targetMetrics+i, uint64(since), e.now, n, nil)
	}
}

// Bytes of a NumberDataPoint without its attributes: start, time and value, each
// with its tag. Gauges have no start.
const (
	numberBytes = 3 * 9
	startBytes  = 9
)

// beginNumber begins a point. Its value, of nine bytes, and its attributes have
// to follow. A start of 0 is none.
func (e *encoder) beginNumber(metric int, start, at uint64, attributes []byte) []byte {
	n := numberBytes + len(attributes)
	if start == 0 {
		n -= startBytes
	}
	b := appendLength(e.parts[metric].points, dataPoints, n)
	if start != 0 {
		b = appendFixed(b, pointStart, start)
	}
	return appendFixed(b, pointTime, at)
}

// end takes in the points of a metric, to which one has been added.
func (e *encoder) end(metric int, points []byte) {
	e.size += len(points) - len(e.parts[metric].points)
	e.parts[metric].points = points
	e.points++
}

func (e *encoder) addInt(metric int, start, at, n uint64, attributes []byte) {
	b := e.beginNumber(metric, start, at, attributes)
	b = appendFixed(b, numberInt, n)
	e.end(metric, append(b, attributes...))
}

// addDouble adds a point of the stream under way, unless v is NaN.
func (e *encoder) addDouble(metric int, at uint64, v float64) {
	if math.IsNaN(v) {
		return
	}
	b := e.beginNumber(metric, 0, at, e.numbers)
	b = appendDouble(b, numberDouble, v)
	e.end(metric, append(b, e.numbers...))
}

func (e *encoder) addHistogram(start uint64, h histogram) {
	p := appendFixed(e.scratch[:0], pointStart, start)
	p = appendFixed(p, pointTime, e.now)
	switch h := h.(type) {
	case *explicit:
		p = appendFixed(p, histogramCount, h.count())
		p = appendDouble(p, histogramSum, seconds(h.sum))
		p = appendLength(p, explicitCounts, 8*len(h.counts))
		for _, n := range h.counts {
			p = protowire.AppendFixed64(p, n)
		}
		p = appendBytes(p, explicitBounds, h.bounds.encoded)
	case *exponential:
		p = appendFixed(p, histogramCount, h.n)
		p = appendDouble(p, histogramSum, seconds(h.sum))
		p = appendVarint(p, exponentialScale, protowire.EncodeZigZag(int64(h.scale)))
		p = appendFixed(p, exponentialZero, h.zero)
		counts := 0
		for _, n := range h.counts {
			counts += protowire.SizeVarint(n)
		}
		offset := protowire.EncodeZigZag(int64(h.offset))
		p = appendLength(p, exponentialPositive,
			protowire.SizeTag(bucketsOffset)+protowire.SizeVarint(offset)+sizeLength(bucketsCounts, counts))
		p = appendVarint(p, bucketsOffset, offset)
		p = appendLength(p, bucketsCounts, counts)
		for _, n := range h.counts {
			p = protowire.AppendVarint(p, n)
		}
	}
	p = append(p, e.histograms...)
	e.scratch = p
	e.end(rttMetric, appendBytes(e.parts[rttMetric].points, dataPoints, p))
}

// seconds converts nanoseconds.
func seconds(ns uint64) float64 { return float64(ns) / 1e9 }
