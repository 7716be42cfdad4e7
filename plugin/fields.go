package plugin

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
)

// Format says how results are written. The zero value is the default format.
type Format struct {
	// Measurement is the name of the measurement. If it is empty, the name is
	// "ping", as with Telegraf's inputs.ping.
	Measurement string

	// Percentiles are the percentiles of the round-trip times, 0 to 100. Each is a
	// field such as percentile95_ms. Nil means 50, 95 and 99; an empty list means
	// none. They must differ from each other.
	Percentiles []float64
}

// Tag is a tag of a target. One with an empty key or value is left out, because
// line protocol has none.
type Tag struct{ Key, Value string }

// Fields returns the fields of a result, with the names and values that
// [Encoder.Append] writes. Values are int64, float64 or string. A value that does
// not exist has no key. The caller owns the map.
func Fields(f Format, r *icmpcore.PingResult) map[string]any {
	m := make(fieldMap, 24)
	addFields(m, newFormat(f).percentiles, nil, r)
	return m
}

// Tags returns the tags of a result, as [Encoder.Append] writes them. The caller
// owns the map.
func Tags(host string, tags []Tag, r *icmpcore.PingResult) map[string]string {
	m := make(map[string]string, len(tags)+2)
	for _, t := range appendTags(nil, host, tags, r) {
		m[t.Key] = t.Value
	}
	return m
}

// fields takes the fields of a result.
type fields interface {
	int(field string, v int64)
	float(field string, v float64) // leaves v out if it is NaN or infinite
	text(field, s string)          // s is not empty
}

// fieldMap is the fields of a result as a map.
type fieldMap map[string]any

func (m fieldMap) int(field string, v int64) { m[field] = v }

func (m fieldMap) float(field string, v float64) {
	if !math.IsNaN(v) && !math.IsInf(v, 0) {
		m[field] = v
	}
}

func (m fieldMap) text(field, s string) { m[field] = printable(s) }

// format is a Format, prepared for writing.
type format struct {
	measurement string
	percentiles []percentile
}

// percentile is one of the percentiles asked for.
type percentile struct {
	field string // "percentile99_ms"
	rank  float64
}

func newFormat(f Format) format {
	if f.Measurement == "" {
		f.Measurement = "ping"
	}
	if f.Percentiles == nil {
		f.Percentiles = []float64{50, 95, 99}
	}
	to := format{measurement: name(f.Measurement)}
	for _, p := range f.Percentiles {
		field := "percentile" + strconv.FormatFloat(p, 'f', -1, 64) + "_ms"
		to.percentiles = append(to.percentiles, percentile{field, p})
	}
	return to
}

// The result_code of a result, as inputs.ping numbers them.
const (
	resultReplied  = 0 // at least one reply came
	resultNoReply  = 1 // none came
	resultUnpinged = 2 // not one request could be sent
)

// unpinged reports whether not one request could be sent.
func unpinged(r *icmpcore.PingResult) bool {
	return r.Err != nil && r.Received == 0 && (r.Sent == 0 || onlySendErrors(r))
}

// onlySendErrors reports whether the system refused every request.
func onlySendErrors(r *icmpcore.PingResult) bool {
	refused := 0
	for i := range r.Errors {
		if r.Errors[i].Kind == icmpcore.SendFailed {
			refused++
		}
	}
	return refused == r.Sent
}

// appendTags appends the target's tags and ours to b, sorted, each key once. The
// target cannot set a key of ours, even where ours has no value.
func appendTags(b []Tag, host string, tags []Tag, r *icmpcore.PingResult) []Tag {
	b = append(b, Tag{Key: "url", Value: name(host)})
	if r.Addr.IsValid() {
		b = append(b, Tag{Key: "address", Value: name(r.Addr.String())})
	}
	for _, t := range tags {
		if key := name(t.Key); key != "url" && key != "address" {
			b = append(b, Tag{Key: key, Value: name(t.Value)})
		}
	}
	slices.SortStableFunc(b, func(a, b Tag) int { return strings.Compare(a.Key, b.Key) })
	last, kept := "", b[:0]
	for _, t := range b {
		if t.Key == last || t.Value == "" { // at first last is "": no empty key either
			continue
		}
		last = t.Key
		kept = append(kept, t)
	}
	return kept
}

// addFields adds the fields of a result to f. It sorts the round-trip times in
// rtts, and returns that for the next call.
func addFields(f fields, percentiles []percentile, rtts []time.Duration, r *icmpcore.PingResult) []time.Duration {
	if unpinged(r) {
		f.int("result_code", resultUnpinged)
		text(f, "error", r.Err.Error())
		return rtts
	}
	code := int64(resultReplied)
	if r.Received == 0 {
		code = resultNoReply
	}
	f.int("packets_transmitted", int64(r.Sent))
	f.int("packets_received", int64(r.Received))
	f.int("result_code", code)
	f.float("percent_packet_loss", r.Loss)
	if r.Received > 0 {
		rtts = addReplies(f, percentiles, rtts, r)
	}
	f.int("duplicates", int64(r.Duplicates))
	f.int("late", int64(r.Late))
	f.int("reordered", int64(r.Reordered))
	f.int("corrupt", int64(r.Corrupt))
	addErrors(f, r)
	return rtts
}

// addReplies adds the fields that need a reply.
func addReplies(f fields, percentiles []percentile, rtts []time.Duration, r *icmpcore.PingResult) []time.Duration {
	milliseconds(f, "minimum_response_ms", float64(r.Min))
	milliseconds(f, "average_response_ms", float64(r.Mean))
	milliseconds(f, "maximum_response_ms", float64(r.Max))
	milliseconds(f, "standard_deviation_ms", deviation(r.RTTs))
	if len(percentiles) > 0 {
		rtts = append(rtts[:0], r.RTTs...)
		slices.Sort(rtts)
		for _, p := range percentiles {
			milliseconds(f, p.field, float64(icmpcore.Percentile(rtts, p.rank)))
		}
	}
	if r.Received > 1 { // one reply has no jitter; standard_deviation_ms is 0 then, as in inputs.ping
		milliseconds(f, "jitter_ms", float64(r.Jitter))
	}
	if r.IPDVPairs > 0 {
		milliseconds(f, "ipdv_ms", float64(r.IPDV))
	}
	if r.TTL > 0 {
		f.int("ttl", int64(r.TTL))
		f.int("hops", int64(r.Hops))
		text(f, "os_guess", r.OSGuess)
	}
	if r.ReplyDSCP >= 0 {
		f.int("reply_dscp", int64(r.ReplyDSCP))
	}
	return rtts
}

// deviation returns the population's standard deviation, as inputs.ping does.
// [icmpcore.PingResult.Jitter] is that of a sample.
func deviation(rtts []time.Duration) float64 {
	var mean, squares float64
	for i, rtt := range rtts { // Welford's method
		delta := float64(rtt) - mean
		mean += delta / float64(i+1)
		squares += delta * (float64(rtt) - mean)
	}
	if len(rtts) == 0 {
		return 0
	}
	return math.Sqrt(squares / float64(len(rtts)))
}

// addErrors adds the ICMP error that came most, if any, and what else went
// wrong: why the series was cut short, or why the system refused requests.
func addErrors(f fields, r *icmpcore.PingResult) {
	reported, refused := worst(r.Errors)
	if reported != nil {
		text(f, "icmp_error", reported.Error())
		f.int("icmp_type", int64(reported.Type))
		f.int("icmp_code", int64(reported.Code))
	}
	switch {
	case r.Err != nil:
		text(f, "error", r.Err.Error())
	case refused != nil:
		text(f, "error", refused.Error())
	case r.Received == 0 && r.Held > 0:
		text(f, "error", strings.TrimPrefix(r.Failure().Error(), "icmpcore: "))
	}
}

// worst returns the most frequent ICMP error by type and code, the first one on a
// tie, and the system's first refusal to send. Either may be nil.
func worst(errs []icmpcore.EchoError) (reported, refused *icmpcore.EchoError) {
	most := 0
	for i := range errs {
		e := &errs[i]
		if e.Kind == icmpcore.SendFailed {
			if refused == nil {
				refused = e
			}
			continue
		}
		if reported != nil && e.Type == reported.Type && e.Code == reported.Code {
			continue // counted already
		}
		count := 0
		for _, o := range errs[i:] {
			if o.Kind != icmpcore.SendFailed && o.Type == e.Type && o.Code == e.Code {
				count++
			}
		}
		if count > most {
			most, reported = count, e
		}
	}
	return reported, refused
}

// milliseconds adds a duration that is given in nanoseconds.
func milliseconds(f fields, field string, ns float64) { f.float(field, ns/float64(time.Millisecond)) }

// text adds a text, unless it is empty.
func text(f fields, field, s string) {
	if s != "" {
		f.text(field, s)
	}
}
