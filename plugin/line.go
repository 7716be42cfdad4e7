package plugin

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/influxdata/line-protocol/v2/lineprotocol"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/config"
)

// The result_code of a line, as inputs.ping numbers them.
const (
	resultReplied  = 0 // at least one reply came
	resultNoReply  = 1 // none came
	resultUnpinged = 2 // not one request could be sent
)

// encoder writes results as lines. It belongs to one goroutine at a time.
type encoder struct {
	measurement string
	percentiles []percentile

	lines lineprotocol.Encoder
	tags  []config.Tag    // reused
	rtts  []time.Duration // reused
}

// percentile is one of the percentiles asked for.
type percentile struct {
	field string // "percentile99_ms"
	rank  float64
}

// setFormat says how lines are to look from now on.
func (e *encoder) setFormat(t config.Telegraf) {
	e.measurement = name(t.Measurement)
	e.percentiles = nil
	for _, p := range t.Percentiles {
		field := "percentile" + strconv.FormatFloat(p, 'f', -1, 64) + "_ms"
		e.percentiles = append(e.percentiles, percentile{field, p})
	}
}

// append appends the line of a result. Where it cannot be encoded it appends
// nothing and returns an error.
func (e *encoder) append(b []byte, host string, tags []config.Tag, r *icmpcore.PingResult) ([]byte, error) {
	e.lines.SetBuffer(b)
	e.lines.StartLine(e.measurement)
	e.addTags(host, tags, r)
	if unpinged(r) {
		e.int("result_code", resultUnpinged)
		e.text("error", r.Err.Error())
	} else {
		e.addSeries(r)
	}
	e.lines.EndLine(r.Start)
	if err := e.lines.Err(); err != nil {
		return e.lines.Bytes(), fmt.Errorf("line of %q: %w", host, err)
	}
	return e.lines.Bytes(), nil
}

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

// addTags adds the target's tags and ours, sorted, each key once. A key of ours
// is never the target's, whether ours has a value or not.
func (e *encoder) addTags(host string, tags []config.Tag, r *icmpcore.PingResult) {
	e.tags = append(e.tags[:0], config.Tag{Key: "url", Value: name(host)})
	if r.Addr.IsValid() {
		e.tags = append(e.tags, config.Tag{Key: "address", Value: name(r.Addr.String())})
	}
	for _, t := range tags {
		if key := name(t.Key); key != "url" && key != "address" {
			e.tags = append(e.tags, config.Tag{Key: key, Value: name(t.Value)})
		}
	}
	slices.SortStableFunc(e.tags, func(a, b config.Tag) int { return strings.Compare(a.Key, b.Key) })
	last := ""
	for _, t := range e.tags {
		if t.Key == last || t.Value == "" { // the empty key is caught too
			continue
		}
		last = t.Key
		e.lines.AddTag(t.Key, t.Value)
	}
}

// addSeries adds the fields of a series that ran, or began to.
func (e *encoder) addSeries(r *icmpcore.PingResult) {
	code := int64(resultReplied)
	if r.Received == 0 {
		code = resultNoReply
	}
	e.int("packets_transmitted", int64(r.Sent))
	e.int("packets_received", int64(r.Received))
	e.int("result_code", code)
	e.float("percent_packet_loss", r.Loss)
	if r.Received > 0 {
		e.addReplies(r)
	}
	e.int("duplicates", int64(r.Duplicates))
	e.int("late", int64(r.Late))
	e.int("reordered", int64(r.Reordered))
	e.int("corrupt", int64(r.Corrupt))
	e.addErrors(r)
}

// addReplies adds the fields that only a reply can give.
func (e *encoder) addReplies(r *icmpcore.PingResult) {
	e.milliseconds("minimum_response_ms", float64(r.Min))
	e.milliseconds("average_response_ms", float64(r.Mean))
	e.milliseconds("maximum_response_ms", float64(r.Max))
	e.milliseconds("standard_deviation_ms", deviation(r.RTTs))
	if len(e.percentiles) > 0 {
		e.rtts = append(e.rtts[:0], r.RTTs...)
		slices.Sort(e.rtts)
		for _, p := range e.percentiles {
			e.milliseconds(p.field, float64(icmpcore.Percentile(e.rtts, p.rank)))
		}
	}
	if r.Received > 1 { // one reply has none; standard_deviation_ms is 0 then, as inputs.ping has it
		e.milliseconds("jitter_ms", float64(r.Jitter))
	}
	if r.IPDVPairs > 0 {
		e.milliseconds("ipdv_ms", float64(r.IPDV))
	}
	if r.TTL > 0 {
		e.int("ttl", int64(r.TTL))
		e.int("hops", int64(r.Hops))
		e.text("os_guess", r.OSGuess)
	}
	if r.ReplyDSCP >= 0 {
		e.int("reply_dscp", int64(r.ReplyDSCP))
	}
}

// deviation is the standard deviation of the population, which inputs.ping
// gives, while [icmpcore.PingResult.Jitter] is that of a sample.
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
func (e *encoder) addErrors(r *icmpcore.PingResult) {
	reported, refused := worst(r.Errors)
	if reported != nil {
		e.text("icmp_error", reported.Error())
		e.int("icmp_type", int64(reported.Type))
		e.int("icmp_code", int64(reported.Code))
	}
	switch {
	case r.Err != nil:
		e.text("error", r.Err.Error())
	case refused != nil:
		e.text("error", refused.Error())
	case r.Received == 0 && r.Held > 0:
		e.text("error", strings.TrimPrefix(r.Failure().Error(), "icmpcore: "))
	}
}

// worst returns the ICMP error that came most, by type and code, the first of
// those that came as often, and the first refusal of the system. Either may be
// nil.
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

func (e *encoder) int(field string, v int64) {
	e.lines.AddField(field, lineprotocol.IntValue(v))
}

// milliseconds adds a duration, given in nanoseconds. One that is no number
// does not exist.
func (e *encoder) milliseconds(field string, ns float64) {
	e.float(field, ns/float64(time.Millisecond))
}

func (e *encoder) float(field string, v float64) {
	if value, ok := lineprotocol.FloatValue(v); ok {
		e.lines.AddField(field, value)
	}
}

// text adds a text, unless it is empty.
func (e *encoder) text(field, s string) {
	if s == "" {
		return
	}
	if value, ok := lineprotocol.StringValue(printable(s)); ok {
		e.lines.AddField(field, value)
	}
}
