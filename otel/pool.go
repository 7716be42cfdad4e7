package otel

import (
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
)

// pool hands out objects, and the same ones again after each reset.
type pool[T any] struct {
	all  []*T
	used int
}

func (p *pool[T]) take() *T {
	if p.used == len(p.all) {
		p.all = append(p.all, new(T))
	}
	p.used++
	return p.all[p.used-1]
}

func (p *pool[T]) reset() { p.used = 0 }

// What the generated types spread over several objects, in one piece.
type (
	attribute struct {
		pb    commonpb.KeyValue
		value commonpb.AnyValue
		text  commonpb.AnyValue_StringValue
		int   commonpb.AnyValue_IntValue
	}
	attributeList struct{ list []*commonpb.KeyValue }
	number        struct {
		pb     metricspb.NumberDataPoint
		int    metricspb.NumberDataPoint_AsInt
		double metricspb.NumberDataPoint_AsDouble
	}
	explicitPoint struct {
		pb  metricspb.HistogramDataPoint
		sum float64
	}
	exponentialPoint struct {
		pb       metricspb.ExponentialHistogramDataPoint
		positive metricspb.ExponentialHistogramDataPoint_Buckets
		sum      float64
	}
)

// Bytes that parts of a message take at most in the encoding of Protocol
// Buffers, besides the texts and buckets in them: one for each field's tag, up
// to five for each length, eight for each fixed-width number.
const (
	attributeBytes   = 4*6 + 9 // KeyValue, key, AnyValue, and a text's length or an int
	numberBytes      = 6 + 3*9
	explicitBytes    = 6 + 4*9 + 2*6
	exponentialBytes = 6 + 4*9 + 6 + 9 + 2*6 + 6
)

// bytesOf returns how much of a message a stream's points take at most, each
// with attributes of that many bytes.
func (e *encoder) bytesOf(s *stream, attributes int) int {
	total := (targetMetrics - 2) * (numberBytes + attributes) // all but histogram and errors
	for f := range failures {
		if s.total.failed[f] > 0 || s.taken != nil && s.taken.failed[f] > 0 {
			total += numberBytes + attributes + len(errorKey) + len(failureNames[f]) + attributeBytes
		}
	}
	switch h := s.total.rtts.(type) {
	case *explicit:
		total += explicitBytes + 8*(2*len(h.bounds.seconds)+1)
	case *exponential:
		const varint = 10
		total += exponentialBytes + varint*maxBuckets
	}
	return total + attributes
}
