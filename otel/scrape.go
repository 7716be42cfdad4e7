package otel

import (
	"encoding/binary"
	"math"
	"strings"
	"time"

	"github.com/prometheus/otlptranslator"
	"go.opentelemetry.io/otel/attribute"
)

// exposition is a format in which Prometheus reads metrics.
type exposition interface {
	// label appends a label to those of a series.
	label(b []byte, name, value string) []byte
	// start appends what the format has of the time at which a series began, in Unix
	// nanoseconds.
	start(b []byte, unixNano int64) []byte
	// native reports whether the format has native histograms.
	native() bool
	// measure returns the sizes of the metrics' families, in bytes, if family needs
	// them.
	measure(n *snapshot, metrics []int) (sizes [scrapedMetrics]int)
	// family writes a family, whose size is 0 if it was not measured. samples calls
	// sample and histogram for each of its points. If it is called twice, it does the
	// same twice.
	family(in instrument, size int, samples func())
	sample(sample)
	histogram(*point)
	flush() error
}

// sample is a value of a series.
type sample struct {
	labels, more []byte // by label of the format; more are further ones
	count        uint64
	value        float64 // unless it is counted
	counted      bool
	start        []byte // when a counter began, as the format has it
}

// point is a series in a snapshot.
type point struct {
	labels   []byte // with the address, which is from where to where
	from, to int32
	own      []byte // labels without the address; nil: what is outside of from and to

	totals   totals
	latest   latest
	start    []byte // as the format has it
	resolved bool
	current  bool // it is the one recorded last of its target

	values, sum uint64 // of its histogram
	offset      int    // of the first of buckets among the bounds
	buckets     []byte // counts, as varints
	nativeBytes []byte // fields of a Histogram of Prometheus
	size        int    // of a Histogram of Prometheus, once it was measured
}

// snapshot is what a store holds: each series of one moment.
type snapshot struct {
	list  []point
	arena arena
	kinds [failures][]byte // labels of ping.errors
	own   []byte           // room for the labels of a point
}

// snapshot copies what the store holds, and returns which series that are.
func (s *Store) snapshot(x exposition, now time.Time) (*snapshot, []ref) {
	refs := s.table.kept()
	n := &snapshot{list: make([]point, len(refs))}
	for f, name := range failureNames {
		n.kinds[f] = x.label(nil, "error_type", name)
	}
	namer := labels{names: make(map[attribute.Key]string)}
	var scratch []byte
	for i := range refs {
		e, r := &n.list[i], &refs[i]
		namer.of(&r.target.options, r.stream.addr, r.stream.text)
		b, from, to, joined := namer.append(scratch[:0], x)
		e.labels, e.from, e.to = n.arena.keep(b), int32(from), int32(to)
		if joined {
			e.own = n.arena.keep(namer.appendOwn(b[:0], x))
		}
		s.table.mu.Lock()
		r.recorded = r.stream.recorded
		e.copy(*r)
		start := min(r.stream.start, now.UnixNano()) // the wall clock may have been set back
		b = appendBuckets(b[:0], e, r.stream.total.rtts)
		at := len(b)
		if x.native() {
			b = appendNative(b, r.stream.total.rtts)
		}
		s.table.mu.Unlock()
		kept := n.arena.keep(b)
		e.buckets, e.nativeBytes = kept[:at], kept[at:]
		b = x.start(b[:0], start)
		e.start = n.arena.keep(b)
		scratch = b
	}
	return n, refs
}

// copy takes over the figures of a stream. The table is locked.
func (e *point) copy(r ref) {
	e.totals, e.latest = r.stream.total, r.stream.latest
	e.totals.rtts = nil // it goes on counting
	e.resolved, e.current = r.stream.addr.IsValid(), r.current()
}

// appendBuckets appends the counts of a histogram with bounds, and notes in e what
// belongs to them.
func appendBuckets(b []byte, e *point, h histogram) []byte {
	switch h := h.(type) {
	case *exponential:
		e.values, e.sum = h.n, h.sum
		return b
	case *both:
		return appendBuckets(b, e, &h.explicit)
	case *explicit:
		e.offset, e.sum = h.offset, h.sum
		for _, n := range h.counts {
			e.values += n
			b = binary.AppendUvarint(b, n)
		}
	}
	return b
}

// runs calls run for each run of bounds whose buckets have the same cumulative count.
func (e *point) runs(bounds int, run func(from, to int, count uint64)) {
	from, at, sum := 0, e.offset, uint64(0)
	for counts := e.buckets; len(counts) > 0 && at < bounds; at++ {
		n, size := binary.Uvarint(counts)
		if counts = counts[size:]; n == 0 {
			continue
		}
		if from < at {
			run(from, at, sum)
		}
		from, sum = at, sum+n
	}
	run(from, bounds, sum)
}

// appendOwn appends the labels without the address.
func (e *point) appendOwn(b []byte) []byte {
	if e.own != nil {
		return append(b, e.own...)
	}
	return append(append(b, e.labels[:e.from]...), e.labels[e.to:]...)
}

// buckets returns the bounds of the buckets that are counted.
func (s *Store) buckets() []float64 {
	if s.options.Exponential {
		return nil
	}
	return s.bounds.seconds
}

// scrape writes all families.
func (s *Store) scrape(x exposition) error {
	if s.delta.Load() {
		return errDelta
	}
	self, now := s.self(), s.stamp()
	series, refs := s.snapshot(x, now)
	s.settle(refs, now)
	metrics := s.scraped()
	sizes := x.measure(series, metrics)
	for _, metric := range metrics {
		x.family(scrapedInstrument(metric), sizes[metric], func() {
			for i := range series.list {
				series.samples(x, &series.list[i], metric)
			}
		})
	}
	started := x.start(nil, s.started.UnixNano())
	for i, in := range selfInstruments {
		if s.selves[i] && i == breaksMetric {
			s.scrapeBreaks(x, started)
			continue
		}
		if s.selves[i] && self[i] != none && (i != failedMetric || s.pushed.Load()) {
			x.family(in, 0, func() {
				x.sample(sample{counted: true, count: uint64(max(0, self[i])), start: started})
			})
		}
	}
	return x.flush()
}

// The metrics of a target in a scrape: those of targetInstruments, and ping.resolved.
const (
	resolvedMetric = targetMetrics + iota
	scrapedMetrics // how many there are
)

// resolvedInstrument is for Prometheus alone: OTLP has the error type resolve for
// what it says.
var resolvedInstrument = instrument{"ping.resolved", "{target}", "1 if the latest series had an address to probe, else 0.", gauge}

func scrapedInstrument(metric int) instrument {
	if metric == resolvedMetric {
		return resolvedInstrument
	}
	return targetInstruments[metric]
}

// scraped returns the metrics of targets that are wanted.
func (s *Store) scraped() (metrics []int) {
	for i := range targetMetrics {
		if path := i >= pathHopsMetric; s.targets[i] && (!path || s.table.anyTraced()) {
			metrics = append(metrics, i)
		}
	}
	if s.targets[upMetric] {
		metrics = append(metrics, resolvedMetric)
	}
	return metrics
}

// samples calls sample or histogram of x for what a point has of a metric.
func (n *snapshot) samples(x exposition, e *point, metric int) {
	t := &e.totals
	counter := func(count uint64) {
		x.sample(sample{labels: e.labels, counted: true, count: count, start: e.start})
	}
	switch metric {
	case rttMetric:
		x.histogram(e)
	case requestsMetric:
		counter(t.requests)
	case repliesMetric:
		counter(t.replies)
	case duplicatesMetric:
		counter(t.duplicates)
	case reorderedMetric:
		counter(t.reordered)
	case corruptMetric:
		counter(t.corrupt)
	case errorsMetric:
		for f, count := range t.failed {
			if count > 0 || e.resolved && outage[f] {
				x.sample(sample{labels: e.labels, more: n.kinds[f], counted: true, count: count, start: e.start})
			}
		}
	case pathChangesMetric:
		if e.latest.traced {
			counter(t.changes)
		}
	case resolvedMetric:
		if e.current {
			n.own = e.appendOwn(n.own[:0])
			x.sample(sample{labels: n.own, counted: true, count: oneIf(e.resolved)})
		}
	default:
		if v, ok := e.latest.sample(metric); ok && e.current {
			v.labels = e.labels
			x.sample(v)
		}
	}
}

// sample returns the value of a gauge, and whether it exists.
func (l *latest) sample(metric int) (sample, bool) {
	float := func(v float64) (sample, bool) { return sample{value: v}, !math.IsNaN(v) }
	switch metric {
	case lossMetric:
		return float(l.loss)
	case jitterMetric:
		return float(l.jitter)
	case ipdvMetric:
		return float(l.ipdv)
	case ttlMetric:
		return sample{counted: true, count: uint64(l.ttl)}, l.ttl > 0
	case hopsMetric:
		return sample{counted: true, count: uint64(l.hops)}, l.ttl > 0
	case pathHopsMetric:
		return sample{counted: true, count: uint64(l.pathHops)}, l.pathHops > 0
	}
	return sample{counted: true, count: oneIf(l.up)}, true
}

func oneIf(yes bool) uint64 {
	if yes {
		return 1
	}
	return 0
}

// metricNamer names metrics as Prometheus' OTLP receiver does by default.
var metricNamer = otlptranslator.MetricNamer{WithMetricSuffixes: true}

// metricName returns the name of an instrument in Prometheus.
func metricName(in instrument) string {
	kind := map[kind]otlptranslator.MetricType{
		counter: otlptranslator.MetricTypeMonotonicCounter, distribution: otlptranslator.MetricTypeHistogram,
		updown: otlptranslator.MetricTypeNonMonotonicCounter, gauge: otlptranslator.MetricTypeGauge,
	}[in.kind]
	name, err := metricNamer.Build(otlptranslator.Metric{Name: in.name, Unit: in.unit, Type: kind})
	if err != nil { // our names are constants
		panic(err)
	}
	return name
}

// typeOf returns the type of an instrument in Prometheus. The suffix _count is for
// histograms there, and for metrics without a type.
func typeOf(in instrument) string {
	switch {
	case in.kind == counter:
		return "counter"
	case in.kind == distribution:
		return "histogram"
	case strings.HasSuffix(in.name, ".count"):
		return "untyped"
	}
	return "gauge"
}

// unitOf returns the unit of an instrument in Prometheus, or "".
func unitOf(in instrument) string { return map[string]string{"s": "seconds", "1": "ratio"}[in.unit] }
