//go:build unix

package peer

import (
	"fmt"
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

// Int returns an integer field, 0 where there is none.
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
