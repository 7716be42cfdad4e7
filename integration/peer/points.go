//go:build unix

package peer

import (
	"fmt"
	"testing"
	"time"

	"github.com/influxdata/line-protocol/v2/lineprotocol"
)

// Point is one line of line protocol.
type Point struct {
	Measurement string
	Tags        map[string]string
	Fields      map[string]any
	At          time.Time
}

// Int returns an integer field, 0 if there is none.
func (p Point) Int(field string) int64 {
	v, _ := p.Fields[field].(int64)
	return v
}

// ParsePoints reads lines.
func ParsePoints(text []byte) ([]Point, error) {
	var points []Point
	d := lineprotocol.NewDecoderWithBytes(text)
	for d.Next() {
		p, err := parsePoint(d)
		if err != nil {
			return points, fmt.Errorf("line behind %v: %w", points[max(0, len(points)-1):], err)
		}
		points = append(points, p)
	}
	return points, nil
}

func parsePoint(d *lineprotocol.Decoder) (Point, error) {
	p := Point{Tags: make(map[string]string), Fields: make(map[string]any)}
	m, err := d.Measurement()
	if err != nil {
		return p, err
	}
	p.Measurement = string(m)
	for {
		k, v, err := d.NextTag()
		if err != nil {
			return p, err
		}
		if k == nil {
			break
		}
		p.Tags[string(k)] = string(v)
	}
	for {
		k, v, err := d.NextField()
		if err != nil {
			return p, err
		}
		if k == nil {
			break
		}
		p.Fields[string(k)] = v.Interface()
	}
	p.At, err = d.Time(lineprotocol.Nanosecond, time.Time{})
	return p, err
}

// CheckSteady checks that the points of one host have a series for each interval
// between the first and the last. At most as many may be missing as the process
// itself counts as missed or skipped in all. A series that a busy machine started
// late is not a fault.
func CheckSteady(t *testing.T, points []Point, interval time.Duration, all []Point) {
	t.Helper()
	if len(points) < 2 {
		t.Errorf("%d points, want some", len(points))
		return
	}
	var lost int
	for _, p := range all {
		if p.Measurement == "pingtel_internal" {
			lost = int(p.Int("series_missed") + p.Int("series_skipped")) // since the start
		}
	}
	first, last := points[0], points[len(points)-1]
	const late = 1 // intervals that the first or the last one may be late
	rounds := int(last.At.Sub(first.At).Round(interval) / interval)
	if n := len(points) - 1; n < rounds-lost-late || n > rounds+late {
		t.Errorf("%s: %d series after the first in %v, want one in each %v; %d were missed or skipped",
			first.Tags["url"], n, last.At.Sub(first.At), interval, lost)
	}
}
