package dashboards

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
)

// series is one series that a query returned.
type series struct {
	ref        string // of the query in its panel
	name       string // of InfluxDB: the column
	labels     map[string]string
	values     []float64 // without those that do not exist
	texts      []string  // of InfluxDB: the values that are no numbers
	histograms int       // native histograms with a count
}

func (s series) last() float64 {
	if len(s.values) == 0 {
		return math.NaN()
	}
	return s.values[len(s.values)-1]
}

func (s series) max() float64 {
	if len(s.values) == 0 {
		return math.NaN()
	}
	return slices.Max(s.values)
}

// result is what the queries of a panel returned.
type result []series

func (r result) String() string {
	var b strings.Builder
	for _, s := range r {
		fmt.Fprintf(&b, "  %s %s %v: %d values %v %v, %d histograms\n", s.ref, s.name, s.labels, len(s.values), s.values[max(0, len(s.values)-5):], s.texts, s.histograms)
	}
	return b.String()
}

// check is what is expected of a result.
type check func(result) error

// both expects all of some checks.
func both(checks ...check) check {
	return func(r result) error {
		for _, c := range checks {
			if err := c(r); err != nil {
				return err
			}
		}
		return nil
	}
}

// interval is a range of values.
type interval struct{ low, high float64 }

func (i interval) has(v float64) bool { return v >= i.low && v <= i.high }

func exactly(v float64) interval { return interval{v, v} }

// one expects one series whose last value is in i.
func one(i interval) check { return last(map[string]interval{"": i}) }

// last expects a series of each of these, by a label or the query, and no other. The
// last value of each is in the interval. One that begins with a question mark need not
// be there: a busy machine loses echoes.
func last(want map[string]interval, by ...string) check {
	return each(series.last, want, by...)
}

// peak is last for the largest value.
func peak(want map[string]interval, by ...string) check {
	return each(series.max, want, by...)
}

func each(value func(series) float64, want map[string]interval, by ...string) check {
	return func(r result) error {
		seen := map[string]bool{}
		for _, s := range r {
			key := s.key(by...)
			i, ok := want[key]
			if !ok {
				i, ok = want["?"+key]
			}
			if !ok || seen[key] {
				return fmt.Errorf("a series %q that should not be there, or twice", key)
			}
			seen[key] = true
			if v := value(s); !i.has(v) {
				return fmt.Errorf("%q is %v, want %v", key, v, i)
			}
		}
		for key := range want {
			if !seen[key] && !strings.HasPrefix(key, "?") {
				return fmt.Errorf("no series %q", key)
			}
		}
		return nil
	}
}

// key is the value of the first of these labels that the series has; "ref" is the
// query, "name" the column.
func (s series) key(by ...string) string {
	for _, b := range by {
		switch b {
		case "ref":
			return s.ref
		case "name":
			return s.name
		}
		if v := s.labels[b]; v != "" {
			return v
		}
	}
	return ""
}

// hosts expects series of just these hosts, in any number, with values in i.
func hosts(i interval, want ...string) check {
	return func(r result) error {
		var got []string
		for _, s := range r {
			h := s.key("server_address", "url")
			if !slices.Contains(got, h) {
				got = append(got, h)
			}
			if v := s.max(); !i.has(v) {
				return fmt.Errorf("%s has %v, want %v", h, v, i)
			}
		}
		slices.Sort(got)
		want := slices.Sorted(slices.Values(want))
		if !slices.Equal(got, want) {
			return fmt.Errorf("hosts %v, want %v", got, want)
		}
		return nil
	}
}

// distribution expects buckets or native histograms, with replies in them.
func distribution(r result) error {
	total, buckets, native := 0., 0, 0
	for _, s := range r {
		native += s.histograms
		if s.labels["le"] != "" {
			buckets++
			total = max(total, s.max())
		}
	}
	if native == 0 && (buckets < 20 || !(total > 0)) {
		return fmt.Errorf("%d buckets with at most %v, no native histogram", buckets, total)
	}
	return nil
}

// losses are what the targets lose, times a factor.
func losses(factor float64) map[string]interval {
	want := map[string]interval{losesAll: exactly(factor), unreachable: exactly(factor),
		losesFew: {0.01 * factor, 0.5 * factor}, losesSome: {0.14 * factor, 0.6 * factor}, messy: {0.3 * factor, 0.8 * factor}}
	for _, host := range []string{answers, answers6, moves} {
		want["?"+host] = interval{0, 0.5 * factor}
	}
	return want
}

// anything stands for a value that a busy machine decides.
var anything = interval{0, math.Inf(1)}

// some is a value that must not be zero.
var some = interval{math.SmallestNonzeroFloat64, math.Inf(1)}

// checkPanels checks each panel of a dashboard against what is expected of its title.
// It returns the titles of those whose expectation an empty result does not meet.
func checkPanels(t *testing.T, b board, want map[string]check, run func(panel) (result, error)) map[string]bool {
	t.Helper()
	known, proved := map[string]bool{}, map[string]bool{}
	for _, p := range b.Panels {
		if p.Type == "row" {
			continue
		}
		known[p.Title] = true
		c, ok := want[p.Title]
		if !ok {
			t.Errorf("%s: nothing is expected of the panel %q", b.file, p.Title)
			continue
		}
		if c(nil) != nil {
			proved[p.Title] = true
		}
		r, err := run(p)
		if err == nil {
			err = c(r)
		}
		if err != nil {
			t.Errorf("%s, panel %q: %v\n%v", b.file, p.Title, err, r)
		}
	}
	for title := range want {
		if !known[title] {
			t.Errorf("%s has no panel %q", b.file, title)
		}
	}
	return proved
}

// mustProve checks that each panel's expectation is one that a query with a wrong
// name or label does not meet.
func mustProve(t *testing.T, b board, proved map[string]bool) {
	t.Helper()
	for _, p := range b.Panels {
		if p.Type != "row" && !proved[p.Title] {
			t.Errorf("%s: nobody would notice if the panel %q were empty", b.file, p.Title)
		}
	}
}
