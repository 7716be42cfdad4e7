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
	return s.scrape(&protobuf{blocks: blocks{w: w}, bounds: s.buckets()})
}

// protobuf writes families of metrics as messages. A family is one message, however
// many series it has, and begins with its length. So each is gone through twice: the
// first time, when sizing is set, only counts bytes.
type protobuf struct {
	blocks
	bounds  []float64                         // of the buckets of a histogram
	buckets [binary.MaxVarintLen64 + 1][]byte // one of each bound, by the size of the count

	kind   metricType // of the family
	sizing bool
	size   int // of the family's metrics
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

// metricType is a value of MetricType, and the field of a Metric for it.
type metricType struct {
	number uint64
	field  protowire.Number
}

var metricTypes = map[string]metricType{
	"counter": {0, metricCounter}, "gauge": {1, metricGauge}, "untyped": {3, metricUntyped}, "histogram": {4, metricHistogram},
}

// tag is the tag of a field below 16, which takes one byte.
func tag(field protowire.Number, t protowire.Type) byte { return byte(protowire.EncodeTag(field, t)) }

func appendVarint(b []byte, field protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(append(b, tag(field, protowire.VarintType)), v)
}

func appendDouble(b []byte, field protowire.Number, v float64) []byte {
	return protowire.AppendFixed64(append(b, tag(field, protowire.Fixed64Type)), math.Float64bits(v))
}

func appendString(b []byte, field protowire.Number, s string) []byte {
	return protowire.AppendString(append(b, tag(field, protowire.BytesType)), s)
}

// start appends a google.protobuf.Timestamp with its length in front, if the time is
// known.
func (p *protobuf) start(b []byte, unixNano int64) []byte {
	if unixNano <= 0 {
		return b
	}
	seconds, nanos := uint64(unixNano/1e9), uint64(unixNano%1e9)
	b = protowire.AppendVarint(b, uint64(2+protowire.SizeVarint(seconds)+protowire.SizeVarint(nanos)))
	return appendVarint(appendVarint(b, timestampSeconds, seconds), timestampNanos, nanos)
}

// startSize returns the size of the field that appendStart appends.
func startSize(start []byte) int {
	if len(start) == 0 {
		return 0
	}
	return 1 + len(start)
}

// appendStart appends a field with what protobuf.start has made.
func appendStart(b []byte, field protowire.Number, start []byte) []byte {
	if len(start) == 0 {
		return b
	}
	return append(append(b, tag(field, protowire.BytesType)), start...)
}

func (p *protobuf) native() bool { return true }

// label appends a field of a Metric with a LabelPair.
func (p *protobuf) label(b []byte, name, value string) []byte {
	value = valid(value)
	b = append(b, tag(metricLabel, protowire.BytesType))
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

// measure goes through all metrics of a point before it goes to the next point: the
// processor's cache does not hold the points of many targets.
func (p *protobuf) measure(n *snapshot, metrics []int) (sizes [scrapedMetrics]int) {
	var kinds [scrapedMetrics]metricType
	for _, metric := range metrics {
		kinds[metric] = metricTypes[typeOf(scrapedInstrument(metric))]
	}
	p.sizing = true
	for i := range n.list {
		for _, metric := range metrics {
			p.size, p.kind = 0, kinds[metric]
			n.samples(p, &n.list[i], metric)
			sizes[metric] += p.size
		}
	}
	p.sizing = false
	return sizes
}

func (p *protobuf) family(in instrument, size int, samples func()) {
	p.kind = metricTypes[typeOf(in)]
	head := appendString(nil, familyName, metricName(in))
	head = appendString(head, familyHelp, in.description)
	head = appendVarint(head, familyType, p.kind.number)
	if unit := unitOf(in); unit != "" {
		head = appendString(head, familyUnit, unit)
	}
	if size == 0 { // not measured, or no metrics
		p.size, p.sizing = 0, true
		samples()
		p.sizing, size = false, p.size
	}
	if size == 0 {
		return
	}
	p.b = append(protowire.AppendVarint(p.b, uint64(len(head)+size)), head...)
	samples()
}

// begin writes the part of a metric that is in front of the fields of its value,
// whose size is given, and reports whether these are to follow.
func (p *protobuf) begin(labels, more []byte, size int) bool {
	n := len(labels) + len(more) + 1 + protowire.SizeBytes(size)
	if p.sizing {
		p.size += 1 + protowire.SizeBytes(n)
		return false
	}
	p.flushFull()
	p.b = protowire.AppendVarint(append(p.b, tag(familyMetric, protowire.BytesType)), uint64(n))
	p.b = append(append(p.b, labels...), more...)
	p.b = protowire.AppendVarint(append(p.b, tag(p.kind.field, protowire.BytesType)), uint64(size))
	return true
}

func (p *protobuf) sample(v sample) {
	if v.counted {
		v.value = float64(v.count)
	}
	if p.kind.field != metricCounter {
		v.start = nil
	}
	if p.begin(v.labels, v.more, doubleSize+startSize(v.start)) {
		p.b = appendStart(appendDouble(p.b, simpleValue, v.value), counterStart, v.start)
	}
}

func (p *protobuf) histogram(e *point) {
	if p.sizing {
		e.size = 1 + protowire.SizeVarint(e.values) + doubleSize + p.bucketsSize(e) + len(e.nativeBytes) + startSize(e.start)
	}
	if !p.begin(e.labels, nil, e.size) {
		return
	}
	p.b = appendVarint(p.b, histogramCount, e.values)
	p.b = appendDouble(p.b, histogramSum, seconds(e.sum))
	e.runs(len(p.bounds), p.appendBuckets)
	p.b = append(p.b, e.nativeBytes...)
	p.b = appendStart(p.b, histogramStart, e.start)
}

// doubleSize is the size of a field with a floating-point number, and bucketSize
// that of one with a Bucket, without its count.
const (
	doubleSize = 1 + 8
	bucketSize = 1 + 1 + 1 + doubleSize
)

// bucketsSize returns the size of the buckets of a histogram.
func (p *protobuf) bucketsSize(e *point) int {
	n := 0
	e.runs(len(p.bounds), func(from, to int, count uint64) {
		n += (to - from) * (bucketSize + protowire.SizeVarint(count))
	})
	return n
}

// appendBuckets appends buckets that have the same count. It copies them from those
// of all bounds and fills in the count.
func (p *protobuf) appendBuckets(from, to int, count uint64) {
	const before = 1 + 1 + 1 // bytes of a bucket in front of its count
	var varint [binary.MaxVarintLen64]byte
	size := binary.PutUvarint(varint[:], count)
	if p.buckets[size] == nil {
		p.buckets[size] = boundedBuckets(p.bounds, varint[:size])
	}
	at, width := len(p.b), bucketSize+size
	p.b = append(p.b, p.buckets[size][from*width:to*width]...)
	for at += before; at < len(p.b); at += width {
		for i, v := range varint[:size] { // one byte or two: cheaper than a copy
			p.b[at+i] = v
		}
	}
}

// boundedBuckets returns a bucket of each bound with the count.
func boundedBuckets(bounds []float64, count []byte) (b []byte) {
	for _, bound := range bounds {
		b = append(b, tag(histogramBucket, protowire.BytesType))
		b = protowire.AppendVarint(b, uint64(1+len(count)+doubleSize))
		b = append(append(b, tag(bucketCount, protowire.VarintType)), count...)
		b = appendDouble(b, bucketBound, bound)
	}
	return b
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
	var room [2 * maxBuckets]byte
	deltas := room[:0]
	offset, counts := e.offset, e.counts
	var merged [maxBuckets]uint64
	if shift > 0 && len(counts) > 0 {
		offset >>= shift
		for i, n := range counts {
			merged[(e.offset+int32(i))>>shift-offset] += n
		}
		counts = merged[:(e.offset+int32(len(counts))-1)>>shift-offset+1]
	}
	var last uint64
	add := func(n uint64) {
		deltas = appendZigZag(deltas, int64(n-last))
		last = n
	}
	var from, length int32 // of the span; from the end of the one before, or from bucket 0
	gap := offset + 1      // empty buckets behind the span
	for _, n := range counts {
		if n == 0 {
			gap++
			continue
		}
		if length == 0 || gap > maxGap {
			b = appendSpan(b, from, length)
			from, length, gap = gap, 0, 0
		}
		length += gap + 1
		for ; gap > 0; gap-- {
			add(0)
		}
		add(n)
	}
	b = appendSpan(b, from, length)
	if len(deltas) > 0 {
		b = protowire.AppendBytes(append(b, tag(nativeDelta, protowire.BytesType)), deltas)
	}
	return b
}

// appendZigZag appends a signed number, most often a small one.
func appendZigZag(b []byte, v int64) []byte {
	z := protowire.EncodeZigZag(v)
	if z < 1<<7 {
		return append(b, byte(z))
	}
	return protowire.AppendVarint(b, z)
}

// appendSpan appends a BucketSpan, unless it is empty.
func appendSpan(b []byte, offset, length int32) []byte {
	if length == 0 {
		return b
	}
	from, n := protowire.EncodeZigZag(int64(offset)), uint64(length)
	b = append(b, tag(nativeSpan, protowire.BytesType))
	b = protowire.AppendVarint(b, uint64(2+protowire.SizeVarint(from)+protowire.SizeVarint(n)))
	return appendVarint(appendVarint(b, spanOffset, from), spanLength, n)
}
