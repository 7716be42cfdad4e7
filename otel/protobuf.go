package otel

import (
	"encoding/binary"
	"io"
	"math"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// WriteProtobuf is [Store.WriteText] in Prometheus' protobuf format: messages
// io.prometheus.client.MetricFamily, each after its length. It has native
// histograms, of schema 1 to 8, if the store was made with Native or Exponential,
// and buckets with bounds unless it was made with Exponential. Counters and
// histograms have the time at which they began.
func (s *Store) WriteProtobuf(w io.Writer) error {
	p := &protobuf{blocks: blocks{w: w}}
	for _, bound := range s.buckets() {
		p.bounds = append(p.bounds, appendDouble(nil, bucketBound, bound))
	}
	return s.scrape(p)
}

// protobuf writes families of metrics as messages. A family is one message, however
// many series it has, and begins with its length. So each is gone through twice: the
// first time only counts bytes.
type protobuf struct {
	blocks
	bounds [][]byte // of the buckets of a histogram, as fields

	kind            string // of the family
	sizing          bool
	size            int    // of the family's metrics
	message, bucket []byte // parts of a metric
}

// Fields of the messages in client_model's io/prometheus/client/metrics.proto.
const (
	familyName, familyHelp, familyType, familyMetric, familyUnit = 1, 2, 3, 4, 5

	metricLabel, metricGauge, metricCounter, metricUntyped, metricHistogram = 1, 2, 3, 5, 7

	labelOfName, labelOfValue = 1, 2

	simpleValue, counterStart = 1, 3 // of a Gauge, an Untyped and a Counter

	histogramCount, histogramSum, histogramBucket, histogramStart = 1, 2, 3, 15

	bucketCount, bucketBound = 1, 2

	nativeSchema, nativeZeroThreshold, nativeZeroCount, nativeSpan, nativeDelta = 5, 6, 7, 12, 13

	spanOffset, spanLength = 1, 2

	timestampSeconds, timestampNanos = 1, 2
)

// types are the values of MetricType and the field of a Metric for each.
var types = map[string]struct {
	number uint64
	field  protowire.Number
}{
	"counter": {0, metricCounter}, "gauge": {1, metricGauge}, "untyped": {3, metricUntyped}, "histogram": {4, metricHistogram},
}

func appendVarint(b []byte, field protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), v)
}

func appendDouble(b []byte, field protowire.Number, v float64) []byte {
	return protowire.AppendFixed64(protowire.AppendTag(b, field, protowire.Fixed64Type), math.Float64bits(v))
}

func appendString(b []byte, field protowire.Number, s string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, field, protowire.BytesType), s)
}

// appendStart appends a google.protobuf.Timestamp, if the time is known.
func appendStart(b []byte, field protowire.Number, unixNano int64) []byte {
	if unixNano <= 0 {
		return b
	}
	seconds, nanos := uint64(unixNano/1e9), uint64(unixNano%1e9)
	b = protowire.AppendTag(b, field, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(2+protowire.SizeVarint(seconds)+protowire.SizeVarint(nanos)))
	return appendVarint(appendVarint(b, timestampSeconds, seconds), timestampNanos, nanos)
}

func (p *protobuf) native() bool { return true }

// label appends a field of a Metric with a LabelPair.
func (p *protobuf) label(b []byte, name, value string) []byte {
	value = valid(value)
	b = protowire.AppendTag(b, metricLabel, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(2+protowire.SizeBytes(len(name))+protowire.SizeBytes(len(value))))
	return appendString(appendString(b, labelOfName, name), labelOfValue, value)
}

// valid returns s with U+FFFD in place of each byte that is no UTF-8, as in text.
func valid(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return string([]rune(s))
}

func (p *protobuf) family(in instrument, samples func()) {
	p.kind = typeOf(in)
	head := appendString(nil, familyName, metricName(in))
	head = appendString(head, familyHelp, in.description)
	head = appendVarint(head, familyType, types[p.kind].number)
	if unit := unitOf(in); unit != "" {
		head = appendString(head, familyUnit, unit)
	}
	p.size, p.sizing = 0, true
	samples()
	p.sizing = false
	if p.size == 0 { // a family without metrics is none
		return
	}
	p.b = append(protowire.AppendVarint(p.b, uint64(len(head)+p.size)), head...)
	samples()
}

// metric writes a metric with what is in p.message.
func (p *protobuf) metric(labels, more []byte) {
	field := types[p.kind].field
	n := len(labels) + len(more) + protowire.SizeTag(field) + protowire.SizeBytes(len(p.message))
	if p.sizing {
		p.size += protowire.SizeTag(familyMetric) + protowire.SizeBytes(n)
		return
	}
	p.flushFull()
	p.b = protowire.AppendVarint(protowire.AppendTag(p.b, familyMetric, protowire.BytesType), uint64(n))
	p.b = append(append(p.b, labels...), more...)
	p.b = protowire.AppendBytes(protowire.AppendTag(p.b, field, protowire.BytesType), p.message)
}

func (p *protobuf) sample(v sample) {
	if v.counted {
		v.value = float64(v.count)
	}
	p.message = appendDouble(p.message[:0], simpleValue, v.value)
	if p.kind == "counter" {
		p.message = appendStart(p.message, counterStart, v.start)
	}
	p.metric(v.labels, v.more)
}

func (p *protobuf) histogram(e *point) {
	b := appendVarint(p.message[:0], histogramCount, e.values)
	b = appendDouble(b, histogramSum, seconds(e.sum))
	counts, sum := e.buckets, uint64(0)
	p.beginBucket(0)
	for at, bound := range p.bounds { // that of +Inf goes without saying
		if at >= e.offset && len(counts) > 0 {
			n, size := binary.Uvarint(counts)
			if counts = counts[size:]; n > 0 {
				sum += n
				p.beginBucket(sum)
			}
		}
		b = append(append(b, p.bucket...), bound...)
	}
	b = append(b, e.nativeBytes...)
	p.message = appendStart(b, histogramStart, e.start)
	p.metric(e.labels, nil)
}

// beginBucket makes the part of a Bucket that is in front of its bound.
func (p *protobuf) beginBucket(count uint64) {
	const boundBytes = 1 + 8
	b := protowire.AppendTag(p.bucket[:0], histogramBucket, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(1+protowire.SizeVarint(count)+boundBytes))
	p.bucket = appendVarint(b, bucketCount, count)
}

const (
	// maxSchema is the finest of Prometheus' schemas. The coarsest is -4, which takes
	// round-trip times that differ by more than a time.Duration can hold.
	maxSchema = 8

	// zeroThreshold is the upper bound of the zero bucket that Prometheus assumes of
	// histograms over OTLP. It is no round-trip time but zero.
	zeroThreshold = 1e-128

	// maxGap is how many empty buckets are cheaper to write than a span.
	maxGap = 2
)

// appendNative appends the fields of a native histogram, or nothing if h has no
// exponential buckets. A bucket of OpenTelemetry is called by the exponent of its
// lower bound, and one of Prometheus by that of its upper bound.
func appendNative(b []byte, h histogram) []byte {
	var e *exponential
	switch h := h.(type) {
	case *exponential:
		e = h
	case *both:
		e = &h.exponential
	default:
		return b
	}
	shift := max(0, e.scale-maxSchema)
	b = appendVarint(b, nativeSchema, protowire.EncodeZigZag(int64(e.scale-shift)))
	b = appendDouble(b, nativeZeroThreshold, zeroThreshold)
	if e.zero > 0 {
		b = appendVarint(b, nativeZeroCount, e.zero)
	}
	var room [512]byte
	deltas := room[:0]
	var span struct{ offset, length, end int32 } // end: the bucket behind it
	var last uint64
	add := func(n uint64) {
		deltas = protowire.AppendVarint(deltas, protowire.EncodeZigZag(int64(n-last)))
		last = n
		span.length, span.end = span.length+1, span.end+1
	}
	for i := 0; i < len(e.counts); {
		at, n := (e.offset+int32(i))>>shift, uint64(0)
		for ; i < len(e.counts) && (e.offset+int32(i))>>shift == at; i++ {
			n += e.counts[i]
		}
		if at++; n == 0 {
			continue
		}
		if gap := at - span.end; span.length == 0 || gap > maxGap {
			b = appendSpan(b, span.offset, span.length)
			span.offset, span.length, span.end = gap, 0, at
		}
		for span.end < at {
			add(0)
		}
		add(n)
	}
	b = appendSpan(b, span.offset, span.length)
	if len(deltas) > 0 {
		b = protowire.AppendBytes(protowire.AppendTag(b, nativeDelta, protowire.BytesType), deltas)
	}
	return b
}

// appendSpan appends a BucketSpan, unless it is empty.
func appendSpan(b []byte, offset, length int32) []byte {
	if length == 0 {
		return b
	}
	from, n := protowire.EncodeZigZag(int64(offset)), uint64(length)
	b = protowire.AppendTag(b, nativeSpan, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(2+protowire.SizeVarint(from)+protowire.SizeVarint(n)))
	return appendVarint(appendVarint(b, spanOffset, from), spanLength, n)
}
