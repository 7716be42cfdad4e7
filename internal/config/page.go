package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Defaults of what the page remembers.
const (
	DefaultKeep    = 30 * 24 * time.Hour
	DefaultMaxSize = 2 << 30
)

// readPage reads the keys of [web] about the page.
func (r *reader) readPage(t *table, w *Web) {
	w.Page, w.Keep, w.MaxSize = true, DefaultKeep, DefaultMaxSize
	read(t, "page", boolean, &w.Page)
	read(t, "keep", r.days(time.Hour, 10*365*24*time.Hour), &w.Keep)
	read(t, "max_size", r.bytes(1<<20, 1<<50), &w.MaxSize)
}

// days converts a duration as [reader.duration] does, and also days, "30d".
func (r *reader) days(low, high time.Duration) func(any) (time.Duration, error) {
	return func(v any) (time.Duration, error) {
		if s, ok := v.(string); ok {
			s, err := r.expand(s)
			if err != nil {
				return 0, err
			}
			v = s
			if number, isDays := strings.CutSuffix(s, "d"); isDays {
				n, err := strconv.ParseFloat(number, 64)
				if err != nil || math.IsNaN(n) {
					return 0, fmt.Errorf("%q: want a duration, \"30d\" or \"12h\"", s)
				}
				v = n * 24 * 3600
			}
		}
		d, err := r.duration(low, high)(v)
		if err != nil {
			return 0, fmt.Errorf("%w; days have the unit d, \"30d\"", err)
		}
		return d, nil
	}
}

var byteUnits = []struct {
	name  string
	bytes float64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40}, {"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}}

// bytes converts a size with a unit, or a number of bytes.
func (r *reader) bytes(low, high int64) func(any) (int64, error) {
	return func(v any) (int64, error) {
		size := 0.0
		switch v := v.(type) {
		case int64:
			size = float64(v)
		case string:
			s, err := r.expand(v)
			if err != nil {
				return 0, err
			}
			number, unit := s, 1.0
			for _, u := range byteUnits {
				if n, ok := strings.CutSuffix(s, u.name); ok {
					number, unit = strings.TrimSpace(n), u.bytes
					break
				}
			}
			n, err := strconv.ParseFloat(number, 64)
			if err != nil {
				return 0, fmt.Errorf("%q: want a size, \"2GiB\" or \"500MB\"", s)
			}
			size = n * unit
		default:
			return 0, fmt.Errorf("is %s: want a size, \"2GiB\" or \"500MB\"", kindOf(v))
		}
		if !(size >= float64(low) && size <= float64(high)) {
			return 0, fmt.Errorf("%v: want 1MiB to 1024TiB", v)
		}
		return int64(size), nil
	}
}
