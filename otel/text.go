package otel

import (
	"bytes"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/otlptranslator"
	"go.opentelemetry.io/otel/attribute"
)

// WriteText writes the points of all targets to w, cumulative since their start,
// in Prometheus' text format 0.0.4, or with openMetrics in that of OpenMetrics
// 1.0, without the line "# EOF" that ends it. Names and labels are those that
// Prometheus makes of the same points when it receives them over OTLP.
//
// The points of one series are from one moment: its requests are the sum of its
// replies and errors. An exponential histogram, which the text formats do not
// have, gives its count and its sum alone. ping.export.failed is there only if a
// [Pusher] pushes this store.
//
// It fails where w does, and where a [Pusher] takes deltas from the same store.
func (s *Store) WriteText(w io.Writer, openMetrics bool) error {
	if s.delta.Load() {
		return errDelta
	}
	self, now := s.self(), s.stamp()
	series, refs := s.snapshot()
	t := text{w: w, open: openMetrics, series: series}
	s.settle(refs, now)
	for i, in := range targetInstruments {
		if s.targets[i] {
			t.family(in)
			t.points(i, s.textBounds())
		}
	}
	if s.targets[upMetric] {
		t.family(resolvedInstrument)
		for i := range t.series.list {
			if e := &t.series.list[i]; e.current {
				t.sample("", e.own, oneIf(e.resolved))
			}
		}
	}
	for i, in := range selfInstruments {
		if s.selves[i] && self[i] != none && (i != failedMetric || s.pushed.Load()) {
			t.family(in)
			t.sample("", span{}, float64(self[i]))
		}
	}
	t.flush()
	return t.err
}

// textBounds returns the bounds of the buckets in the text formats. An
// exponential histogram has no counts for any.
func (s *Store) textBounds() []float64 {
	if s.options.Exponential {
		return nil
	}
	return s.bounds.seconds
}

// resolvedInstrument is in the text formats alone: OTLP has the error type
// resolve for what it says.
var resolvedInstrument = instrument{"ping.resolved", "{target}", "1 if the latest series had an address to probe, else 0.", gauge}

// span is a part of a snapshot's labels.
type span struct{ from, to int }

// snapshot is what a store holds: each series of one moment.
type snapshot struct {
	list   []point
	labels []byte   // of all series, as they stand between the braces
	counts []uint64 // of all histograms
}

// point is a series in a snapshot.
type point struct {
	own, full span // labels without and with the address
	totals    totals
	latest    latest
	resolved  bool
	current   bool // it is the one recorded last of its target

	offset, first, buckets int // of its histogram: of the first count among the bounds, its place in counts, and how many
	values, sum            uint64
}

// snapshot copies what the store holds, and returns which series that are.
func (s *Store) snapshot() (snapshot, []ref) {
	refs := s.table.kept()
	slices.SortFunc(refs, func(a, b ref) int {
		if c := strings.Compare(a.target.options.Host, b.target.options.Host); c != 0 {
			return c
		}
		return a.stream.addr.Compare(b.stream.addr)
	})
	n := snapshot{list: make([]point, len(refs)), labels: make([]byte, 0, 128*len(refs)), counts: make([]uint64, 0, 4*len(refs))}
	namer := labels{names: make(map[attribute.Key]string)}
	for i, r := range refs {
		e := &n.list[i]
		namer.of(&r.target.options, r.stream.addr, r.stream.text)
		e.own.from = len(n.labels)
		n.labels = namer.append(n.labels, false)
		e.own.to = len(n.labels)
		e.full = e.own
		if r.stream.addr.IsValid() {
			e.full.from = len(n.labels)
			n.labels = namer.append(n.labels, true)
			e.full.to = len(n.labels)
		}
		s.table.mu.Lock()
		refs[i].recorded = r.stream.recorded
		n.copy(e, r)
		s.table.mu.Unlock()
	}
	return n, refs
}

// copy takes over the counts of a stream. The table is locked.
func (n *snapshot) copy(e *point, r ref) {
	e.totals, e.latest = r.stream.total, r.stream.latest
	e.totals.rtts = nil // it goes on counting
	e.resolved, e.current = r.stream.addr.IsValid(), r.current()
	e.first = len(n.counts)
	switch h := r.stream.total.rtts.(type) {
	case *explicit:
		e.offset, e.buckets, e.values, e.sum = h.offset, len(h.counts), h.count(), h.sum
		n.counts = append(n.counts, h.counts...)
	case *exponential:
		e.values, e.sum = h.n, h.sum
	}
}

// text writes families of metrics.
type text struct {
	w      io.Writer
	open   bool
	series snapshot

	b    []byte // not written yet
	name string // of the family
	err  error  // of w
}

// flushBytes is how much text is written at once.
const flushBytes = 64 << 10

// flush writes what there is.
func (t *text) flush() {
	if t.err == nil && len(t.b) > 0 {
		_, t.err = t.w.Write(t.b)
	}
	t.b = t.b[:0]
}

// metricNamer names metrics as Prometheus' OTLP receiver does by default.
var metricNamer = otlptranslator.MetricNamer{WithMetricSuffixes: true}

// typeOf is what an instrument is for Prometheus and for its namer.
func typeOf(in instrument) (string, otlptranslator.MetricType) {
	switch in.kind {
	case counter:
		return "counter", otlptranslator.MetricTypeMonotonicCounter
	case distribution:
		return "histogram", otlptranslator.MetricTypeHistogram
	case updown:
		return "gauge", otlptranslator.MetricTypeNonMonotonicCounter
	}
	return "gauge", otlptranslator.MetricTypeGauge
}

// family begins a family of metrics.
func (t *text) family(in instrument) {
	kind, kindOfNamer := typeOf(in)
	name, err := metricNamer.Build(otlptranslator.Metric{Name: in.name, Unit: in.unit, Type: kindOfNamer})
	if err != nil { // our names are constants
		panic(err)
	}
	t.name = name
	if t.open { // a counter's suffix is no part of the family's name
		name = strings.TrimSuffix(name, "_total")
	}
	line := func(key, value string) {
		t.b = append(append(append(append(append(append(t.b, "# "...), key...), ' '), name...), ' '), value...)
		t.b = append(t.b, '\n')
	}
	line("HELP", in.description)
	line("TYPE", kind)
	if unit := map[string]string{"s": "seconds", "1": "ratio"}[in.unit]; unit != "" && t.open {
		line("UNIT", unit)
	}
}

// head appends the beginning of a line up to the labels' end.
func (t *text) head(suffix string, at span, more ...string) {
	if len(t.b) > flushBytes {
		t.flush()
	}
	t.b = append(append(t.b, t.name...), suffix...)
	if at.from == at.to && len(more) == 0 {
		return
	}
	t.b = append(append(t.b, '{'), t.series.labels[at.from:at.to]...)
	for _, s := range more {
		if last := t.b[len(t.b)-1]; last != '{' {
			t.b = append(t.b, ',')
		}
		t.b = append(t.b, s...)
	}
	t.b = append(t.b, '}')
}

// sample writes a line of a float, unless it is NaN: then there is no value.
func (t *text) sample(suffix string, at span, v float64, more ...string) {
	if math.IsNaN(v) {
		return
	}
	t.head(suffix, at, more...)
	t.b = append(strconv.AppendFloat(append(t.b, ' '), v, 'g', -1, 64), '\n')
}

// count writes a line of a count.
func (t *text) count(suffix string, at span, n uint64, more ...string) {
	t.head(suffix, at, more...)
	t.b = append(strconv.AppendUint(append(t.b, ' '), n, 10), '\n')
}

func oneIf(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// points writes the points of an instrument.
func (t *text) points(metric int, bounds []float64) {
	switch metric {
	case rttMetric:
		t.histograms(bounds)
		return
	case errorsMetric:
		t.errors()
		return
	}
	for i := range t.series.list {
		e := &t.series.list[i]
		if metric < lossMetric {
			n := [...]uint64{
				requestsMetric: e.totals.requests, repliesMetric: e.totals.replies, duplicatesMetric: e.totals.duplicates,
				reorderedMetric: e.totals.reordered, corruptMetric: e.totals.corrupt,
			}[metric]
			t.count("", e.full, n)
			continue
		}
		if !e.current {
			continue
		}
		switch l := &e.latest; metric {
		case lossMetric:
			t.sample("", e.full, l.loss)
		case jitterMetric:
			t.sample("", e.full, l.jitter)
		case ipdvMetric:
			t.sample("", e.full, l.ipdv)
		case ttlMetric:
			if l.ttl > 0 {
				t.count("", e.full, uint64(l.ttl))
			}
		case hopsMetric:
			if l.ttl > 0 {
				t.count("", e.full, uint64(l.hops))
			}
		case upMetric:
			t.sample("", e.full, oneIf(l.up))
		}
	}
}

// errors writes the counts of requests without a reply, by their reason.
func (t *text) errors() {
	var kinds [failures]string
	for f, name := range failureNames {
		kinds[f] = `error_type="` + name + `"`
	}
	for i := range t.series.list {
		e := &t.series.list[i]
		for f, n := range e.totals.failed {
			if n > 0 || e.resolved && outage[f] {
				t.count("", e.full, n, kinds[f])
			}
		}
	}
}

// histograms writes the buckets, the count and the sum of round-trip times.
func (t *text) histograms(bounds []float64) {
	ends := make([][]byte, len(bounds)) // a bucket's line, behind the labels
	for i, b := range bounds {
		ends[i] = append(strconv.AppendFloat([]byte(`,le="`), b, 'f', -1, 64), `"} `...)
		if t.open && bytes.IndexByte(ends[i], '.') < 0 { // OpenMetrics has floats only
			ends[i] = append(ends[i][:len(ends[i])-3], `.0"} `...)
		}
	}
	var head []byte // of the series, up to the labels' end
	for i := range t.series.list {
		e := &t.series.list[i]
		head = append(append(append(head[:0], t.name...), "_bucket{"...), t.series.labels[e.full.from:e.full.to]...)
		var sum uint64
		for at, end := range ends {
			if at -= e.offset; at >= 0 && at < e.buckets {
				sum += t.series.counts[e.first+at]
			}
			t.b = strconv.AppendUint(append(append(t.b, head...), end...), sum, 10)
			t.b = append(t.b, '\n')
		}
		t.count("_bucket", e.full, e.values, `le="+Inf"`)
		t.sample("_sum", e.full, seconds(e.sum))
		t.count("_count", e.full, e.values)
	}
}
