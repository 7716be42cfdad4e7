package otel

import (
	"bytes"
	"io"
	"strconv"
	"strings"
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
	t := &text{blocks: blocks{w: w}, open: openMetrics}
	t.setBounds(s.buckets())
	return s.scrape(t)
}

// text writes families of metrics as text.
type text struct {
	blocks
	open bool     // OpenMetrics
	ends [][]byte // of the lines of a histogram's buckets, behind the labels

	name      string // of the family
	head, end []byte // parts of the lines of a histogram
}

// setBounds prepares the lines of buckets.
func (t *text) setBounds(bounds []float64) {
	t.ends = make([][]byte, len(bounds))
	for i, b := range bounds {
		end := append(strconv.AppendFloat([]byte(`,le="`), b, 'f', -1, 64), `"} `...)
		if t.open && bytes.IndexByte(end, '.') < 0 { // OpenMetrics has floats only
			end = append(end[:len(end)-3], `.0"} `...)
		}
		t.ends[i] = end
	}
}

func (t *text) native() bool { return false }

func (t *text) start(b []byte, _ int64) []byte { return b }

// label appends a label with a comma in front.
func (t *text) label(b []byte, name, value string) []byte {
	b = append(append(append(b, ','), name...), '=', '"')
	return append(appendEscaped(b, value), '"')
}

func (t *text) measure(*snapshot, []int) (sizes [scrapedMetrics]int) { return sizes }

func (t *text) family(in instrument, _ int, samples func()) {
	t.name = metricName(in)
	name, kind := t.name, typeOf(in)
	if t.open { // a counter's suffix is no part of the family's name
		name = strings.TrimSuffix(name, "_total")
		if kind == "untyped" {
			kind = "unknown"
		}
	}
	line := func(key, value string) {
		t.b = append(append(append(append(append(append(t.b, "# "...), key...), ' '), name...), ' '), value...)
		t.b = append(t.b, '\n')
	}
	line("HELP", in.description)
	line("TYPE", kind)
	if unit := unitOf(in); unit != "" && t.open {
		line("UNIT", unit)
	}
	samples()
}

func (t *text) sample(v sample) {
	t.flushFull()
	t.b = append(t.b, t.name...)
	if open := len(t.b); len(v.labels) > 0 {
		t.b = append(append(t.b, v.labels...), v.more...)
		t.b[open] = '{' // in place of the comma
		t.b = append(t.b, '}')
	}
	t.b = append(t.b, ' ')
	if v.counted {
		t.b = strconv.AppendUint(t.b, v.count, 10)
	} else {
		t.b = strconv.AppendFloat(t.b, v.value, 'g', -1, 64)
	}
	t.b = append(t.b, '\n')
}

// histogram writes the buckets, the count and the sum of round-trip times.
func (t *text) histogram(e *point) {
	t.flushFull()
	t.head = append(append(append(t.head[:0], t.name...), "_bucket"...), e.labels...)
	t.head[len(t.name)+len("_bucket")] = '{' // in place of the comma
	e.runs(len(t.ends), func(from, to int, count uint64) {
		t.end = append(strconv.AppendUint(t.end[:0], count, 10), '\n')
		for _, end := range t.ends[from:to] {
			t.b = append(append(append(t.b, t.head...), end...), t.end...)
		}
	})
	t.end = append(strconv.AppendUint(t.end[:0], e.values, 10), '\n')
	t.b = append(append(append(t.b, t.head...), `,le="+Inf"} `...), t.end...)
	line := func(suffix string) {
		t.b = append(append(t.b, t.name...), suffix...)
		open := len(t.b)
		t.b = append(append(t.b, e.labels...), "} "...)
		t.b[open] = '{'
	}
	line("_sum")
	t.b = append(strconv.AppendFloat(t.b, seconds(e.sum), 'g', -1, 64), '\n')
	line("_count")
	t.b = append(t.b, t.end...)
}

// appendEscaped appends a label's value as the text formats want it.
func appendEscaped(b []byte, s string) []byte {
	if plainASCII(s) {
		return append(b, s...)
	}
	for _, c := range s { // what is no UTF-8 becomes U+FFFD
		switch c {
		case '\\', '"':
			b = append(b, '\\', byte(c))
		case '\n':
			b = append(b, '\\', 'n')
		default:
			b = append(b, string(c)...)
		}
	}
	return b
}

// plainASCII reports whether a text needs no escaping.
func plainASCII(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}
