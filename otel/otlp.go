package otel

import (
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// Field numbers of OTLP's messages (opentelemetry-proto 1.11, metrics.proto,
// common.proto, resource.proto), by message.
const (
	requestResourceMetrics protowire.Number = 1

	resourceMetricsResource protowire.Number = 1
	resourceMetricsScope    protowire.Number = 2
	resourceAttributes      protowire.Number = 1

	scopeMetricsScope   protowire.Number = 1
	scopeMetricsMetrics protowire.Number = 2
	scopeNameField      protowire.Number = 1
	scopeVersionField   protowire.Number = 2

	metricName        protowire.Number = 1
	metricDescription protowire.Number = 2
	metricUnit        protowire.Number = 3
	metricGauge       protowire.Number = 5
	metricSum         protowire.Number = 7
	metricHistogram   protowire.Number = 9
	metricExponential protowire.Number = 10

	dataPoints      protowire.Number = 1
	dataTemporality protowire.Number = 2
	sumMonotonic    protowire.Number = 3

	pointStart protowire.Number = 2 // of every kind of point
	pointTime  protowire.Number = 3

	numberAttributes protowire.Number = 7
	numberDouble     protowire.Number = 4
	numberInt        protowire.Number = 6

	histogramCount protowire.Number = 4 // of both kinds of histogram
	histogramSum   protowire.Number = 5

	explicitAttributes protowire.Number = 9
	explicitCounts     protowire.Number = 6
	explicitBounds     protowire.Number = 7

	exponentialAttributes protowire.Number = 1
	exponentialScale      protowire.Number = 6
	exponentialZero       protowire.Number = 7
	exponentialPositive   protowire.Number = 8
	bucketsOffset         protowire.Number = 1
	bucketsCounts         protowire.Number = 2

	keyValueKey   protowire.Number = 1
	keyValueValue protowire.Number = 2
	anyValueText  protowire.Number = 1
	anyValueInt   protowire.Number = 3
)

// The values of AggregationTemporality.
const (
	temporalityDelta      = 1
	temporalityCumulative = 2
)

// appendLength begins a field that is a message, text or packed list of n
// bytes, which have to follow.
func appendLength(b []byte, field protowire.Number, n int) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.BytesType), uint64(n))
}

// sizeLength is how many bytes a field of n bytes has in all.
func sizeLength(field protowire.Number, n int) int {
	return protowire.SizeTag(field) + protowire.SizeBytes(n)
}

func appendString(b []byte, field protowire.Number, s string) []byte {
	return append(appendLength(b, field, len(s)), s...)
}

func appendBytes(b []byte, field protowire.Number, v []byte) []byte {
	return append(appendLength(b, field, len(v)), v...)
}

func appendVarint(b []byte, field protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), v)
}

func appendFixed(b []byte, field protowire.Number, v uint64) []byte {
	return protowire.AppendFixed64(protowire.AppendTag(b, field, protowire.Fixed64Type), v)
}

func appendDouble(b []byte, field protowire.Number, v float64) []byte {
	return appendFixed(b, field, math.Float64bits(v))
}

// appendTextAttribute appends an attribute, a KeyValue, as field.
func appendTextAttribute(b []byte, field protowire.Number, key, value string) []byte {
	any := sizeLength(anyValueText, len(value))
	b = appendLength(b, field, sizeLength(keyValueKey, len(key))+sizeLength(keyValueValue, any))
	b = appendString(b, keyValueKey, key)
	b = appendLength(b, keyValueValue, any)
	return appendString(b, anyValueText, value)
}

// appendIntAttribute is appendTextAttribute for a small number.
func appendIntAttribute(b []byte, field protowire.Number, key string, value uint64) []byte {
	any := protowire.SizeTag(anyValueInt) + protowire.SizeVarint(value)
	b = appendLength(b, field, sizeLength(keyValueKey, len(key))+sizeLength(keyValueValue, any))
	b = appendString(b, keyValueKey, key)
	b = appendLength(b, keyValueValue, any)
	return appendVarint(b, anyValueInt, value)
}
