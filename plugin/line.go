package plugin

import (
	"fmt"
	"time"

	"github.com/influxdata/line-protocol/v2/lineprotocol"

	"github.com/pingtel/pingtel/icmpcore"
)

// Encoder writes results as lines of line protocol. The zero value has the default
// [Format]. Only one goroutine at a time may use an Encoder.
type Encoder struct {
	format *format // nil: the default
	lines  lineprotocol.Encoder
	tags   []Tag           // reused
	rtts   []time.Duration // reused
}

// NewEncoder returns an encoder of lines in format f.
func NewEncoder(f Format) *Encoder {
	format := newFormat(f)
	return &Encoder{format: &format}
}

// Append appends the line of one series, with its newline, to dst and returns the
// longer slice. The tags are url, which is host as the user wrote it, address, if
// the name resolved, and those of the target. A target's tag named "url" or
// "address" is left out, and of two tags with one key the first counts. The time
// of the line is r.Start. Append does not keep tags or r.
//
// An error means that the line cannot be written: the measurement is nothing but
// backslashes, or line protocol cannot hold r.Start. dst is then returned as it was.
func (e *Encoder) Append(dst []byte, host string, tags []Tag, r *icmpcore.PingResult) ([]byte, error) {
	if e.format == nil {
		*e = *NewEncoder(Format{})
	}
	e.lines.SetBuffer(dst)
	e.lines.StartLine(e.format.measurement)
	e.tags = appendTags(e.tags[:0], host, tags, r)
	for _, t := range e.tags {
		e.lines.AddTag(t.Key, t.Value)
	}
	e.rtts = addFields(lineFields{&e.lines}, e.format.percentiles, e.rtts, r)
	e.lines.EndLine(r.Start)
	if err := e.lines.Err(); err != nil {
		return e.lines.Bytes(), fmt.Errorf("line of %q: %w", host, err)
	}
	return e.lines.Bytes(), nil
}

// lineFields adds fields to a line.
type lineFields struct{ line *lineprotocol.Encoder }

func (l lineFields) int(field string, v int64) { l.line.AddField(field, lineprotocol.IntValue(v)) }

func (l lineFields) float(field string, v float64) {
	if value, ok := lineprotocol.FloatValue(v); ok {
		l.line.AddField(field, value)
	}
}

func (l lineFields) text(field, s string) {
	if value, ok := lineprotocol.StringValue(printable(s)); ok {
		l.line.AddField(field, value)
	}
}
