package otel

import (
	"context"
	"errors"
	"math"
	"slices"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/pingtel/pingtel/icmpcore"
)

// Recorder records results with the instruments of a Meter. It is for a program
// that has its own MeterProvider and pings up to about three hundred targets. The
// documentation of the package tells its limits, and when a [Store] is the better
// choice. Make one with [NewRecorder]; the zero value does not work.
type Recorder struct {
	rtt    metric.Float64Histogram
	counts [targetMetrics]metric.Int64Counter
	ints   [targetMetrics]metric.Int64Gauge
	floats [targetMetrics]metric.Float64Gauge
}

// NewRecorder creates the instruments of targets on m. ping.rtt has
// [DefaultBounds], unless a view of the MeterProvider sets others. The error is
// that of m.
func NewRecorder(m metric.Meter) (*Recorder, error) {
	r := new(Recorder)
	var errs []error
	made := func(err error) { errs = append(errs, err) }
	for i, in := range targetInstruments[:pathHopsMetric] { // a Recorder takes no paths
		var err error
		switch i {
		case rttMetric:
			r.rtt, err = m.Float64Histogram(in.name, metric.WithUnit(in.unit), metric.WithDescription(in.description),
				metric.WithExplicitBucketBoundaries(DefaultBounds()...))
		case lossMetric, jitterMetric, ipdvMetric:
			r.floats[i], err = m.Float64Gauge(in.name, metric.WithUnit(in.unit), metric.WithDescription(in.description))
		case ttlMetric, hopsMetric, upMetric:
			r.ints[i], err = m.Int64Gauge(in.name, metric.WithUnit(in.unit), metric.WithDescription(in.description))
		default:
			r.counts[i], err = m.Int64Counter(in.name, metric.WithUnit(in.unit), metric.WithDescription(in.description))
		}
		made(err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return r, nil
}

// Record records the result of one series, with the attributes server.address,
// network.peer.address and network.type, and with attrs. If a key of attrs is one
// of these three, attrs loses. A series that was cancelled before its first request
// is not recorded. Record is safe for concurrent use. It does not keep res, and it
// does not change attrs.
func (r *Recorder) Record(ctx context.Context, res *icmpcore.PingResult, attrs ...attribute.KeyValue) {
	if ended(res) {
		return
	}
	kvs := append(make([]attribute.KeyValue, 0, len(attrs)+4), attrs...)
	kvs = append(kvs, hostKey.String(res.Host))
	if res.Addr.IsValid() {
		kvs = append(kvs, addressKey.String(res.Addr.String()))
	}
	if family := networkType(res.Family(), res.Addr); family != "" {
		kvs = append(kvs, typeKey.String(family))
	}
	kvs = slices.Clip(kvs) // NewSet below sorts what it gets: an append must copy kvs
	with := metric.WithAttributeSet(attribute.NewSet(kvs...))
	var t totals
	t.count(res)
	for _, rtt := range res.RTTs {
		r.rtt.Record(ctx, rtt.Seconds(), with)
	}
	for i, n := range map[int]uint64{requestsMetric: t.requests, repliesMetric: t.replies,
		duplicatesMetric: t.duplicates, reorderedMetric: t.reordered, corruptMetric: t.corrupt} {
		r.counts[i].Add(ctx, int64(n), with)
	}
	for f, n := range t.failed {
		if n > 0 || res.Addr.IsValid() && outage[f] {
			failed := attribute.NewSet(append(kvs, errorKey.String(failureNames[f]))...)
			r.counts[errorsMetric].Add(ctx, int64(n), metric.WithAttributeSet(failed))
		}
	}
	l := latestOf(res)
	for i, v := range map[int]float64{lossMetric: l.loss, jitterMetric: l.jitter, ipdvMetric: l.ipdv} {
		if !math.IsNaN(v) {
			r.floats[i].Record(ctx, v, with)
		}
	}
	if l.ttl > 0 {
		r.ints[ttlMetric].Record(ctx, int64(l.ttl), with)
		r.ints[hopsMetric].Record(ctx, int64(l.hops), with)
	}
	up := int64(0)
	if l.up {
		up = 1
	}
	r.ints[upMetric].Record(ctx, up, with)
}
