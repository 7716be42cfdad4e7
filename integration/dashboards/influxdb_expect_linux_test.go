package dashboards

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// influxFleet is what each panel of the fleet shows.
func influxFleet() map[string]check {
	worst := losses(100) // in the worst series
	for host, i := range worst {
		worst[host] = interval{max(i.low, 20), 100}
	}
	return map[string]check{
		"Targets":                               one(exactly(9)),
		"Up":                                    one(exactly(6)),
		"Down":                                  one(exactly(3)),
		"Not measured":                          one(exactly(1)),
		"Losing packets":                        one(interval{3, 6}),
		"Loss":                                  one(interval{30, 60}),
		"Series without a reply":                peak(map[string]interval{"A": {20, 100}}, "ref"),
		"Series with loss":                      peak(map[string]interval{"A": some, "B": some, "C": some}, "ref"),
		"Down now":                              last(map[string]interval{losesAll: exactly(1), unreachable: exactly(1), unknown: exactly(2)}, "url"),
		"Most loss":                             last(losses(100), "url"),
		"Longest round-trip times":              hosts(interval{4, 1000}, upHosts...),
		"Most jitter":                           hosts(interval{1e-6, 1000}, upHosts...),
		"Loss of the targets that lose packets": peak(worst, "url"),
		"Round-trip times of all targets":       someOf("C", "D"),
		"Medians of all targets":                peak(map[string]interval{"p50": {4, 1000}, "p90": {4, 1000}, "p99": {30, 1000}}, "name"),
		"Echoes per second":                     peak(map[string]interval{"sent": {10, 100}, "received": {5, 100}}, "name"),
		"Errors per second by kind":             peak(map[string]interval{"timeouts": some, "late": some, "ICMP errors": some, "send errors": exactly(0), "failed look-ups": some}, "name"),
		"Targets in the file":                   last(map[string]interval{"probe1": exactly(9)}, "host"),
		"What the probers miss":                 peak(map[string]interval{"replies dropped by the kernel": exactly(0), "series missed": anything, "series skipped": anything, "lines dropped": exactly(0)}, "name"),
		"Foreign packets":                       peak(map[string]interval{"foreign": some}, "name"),
	}
}

// influxTarget is what each panel of a target shows.
func influxTarget(host string) map[string]check {
	none := func(r result) error {
		if len(r) > 0 {
			return errors.New("it should be empty")
		}
		return nil
	}
	texts := func(column, text string) check {
		return func(r result) error {
			for _, s := range r {
				if s.name == column && slices.ContainsFunc(s.texts, func(v string) bool { return strings.Contains(v, text) }) {
					return nil
				}
			}
			return fmt.Errorf("no %s says %q", column, text)
		}
	}
	rtts := func(low, median, high float64) check {
		return last(map[string]interval{"p0": {low, 1000}, "p10": {low, 1000}, "p25": {low, 1000}, "median": {median, 1000}, "p75": {median, 1000}, "p90": {median, 1000}, "p100": {high, 1000}}, "name")
	}
	zero := exactly(0)
	switch host {
	case moves:
		return map[string]check{
			"State": one(zero), "Loss": one(interval{0, 50}), "Median": one(interval{4, 1000}), "Longest": one(interval{40, 1000}), "Hops": one(exactly(13)), "TTL changes": one(exactly(1)),
			"Round-trip times": rtts(39, 39, 40), "Loss over time": last(map[string]interval{"": anything}), "Up and down": last(map[string]interval{host: zero}, "address"),
			"Jitter": last(map[string]interval{"jitter": some, "ipdv": some}, "name"), "Hops and TTL": last(map[string]interval{"TTL": exactly(52), "hops": exactly(13), "count": exactly(1)}, "name"),
			"Errors by kind": someOf("A"), "Duplicates, late, reordered and corrupt": peak(map[string]interval{"duplicates": zero, "late": anything, "reordered": anything, "corrupt": zero}, "name"),
			"Latest errors": none,
		}
	case messy:
		return map[string]check{
			"State": one(zero), "Loss": one(interval{30, 80}), "Median": one(interval{4, 1000}), "Longest": one(interval{60, 1000}), "Hops": one(exactly(5)), "TTL changes": none,
			"Round-trip times": rtts(4, 4, 60), "Loss over time": last(map[string]interval{"": {20, 100}}), "Up and down": last(map[string]interval{host: zero}, "address"),
			"Jitter": last(map[string]interval{"jitter": some, "ipdv": some}, "name"), "Hops and TTL": last(map[string]interval{"TTL": exactly(60), "hops": exactly(5)}, "name"),
			"Errors by kind": both(someOf("A"), peak(map[string]interval{"A": some}, "ref")), "Duplicates, late, reordered and corrupt": peak(map[string]interval{"duplicates": some, "late": some, "reordered": some, "corrupt": some}, "name"),
			"Latest errors": none,
		}
	case unreachable:
		return map[string]check{
			"State": one(exactly(1)), "Loss": one(exactly(100)), "Median": none, "Longest": none, "Hops": none, "TTL changes": none,
			"Round-trip times": none, "Loss over time": last(map[string]interval{"": exactly(100)}), "Up and down": last(map[string]interval{host: exactly(1)}, "address"),
			"Jitter": none, "Hops and TTL": none,
			"Errors by kind": peak(map[string]interval{"A": some, "B": some}, "ref"), "Duplicates, late, reordered and corrupt": peak(map[string]interval{"duplicates": zero, "late": zero, "reordered": zero, "corrupt": zero}, "name"),
			"Latest errors": texts("icmp_error", "unreachable"),
		}
	}
	return map[string]check{ // unknown
		"State": one(exactly(2)), "Loss": none, "Median": none, "Longest": none, "Hops": none, "TTL changes": none,
		"Round-trip times": none, "Loss over time": none, "Up and down": last(map[string]interval{"": exactly(2)}),
		"Jitter": none, "Hops and TTL": none,
		"Errors by kind": peak(map[string]interval{"D": some}, "ref"),
		"Duplicates, late, reordered and corrupt": none,
		"Latest errors": texts("error", unknown),
	}
}

// someOf expects series of these queries; of the others there may be some. InfluxDB
// returns nothing where no point fits.
func someOf(refs ...string) check {
	return func(r result) error {
		for _, ref := range refs {
			if !slices.ContainsFunc(r, func(s series) bool { return s.ref == ref }) {
				return fmt.Errorf("nothing of the query %s", ref)
			}
		}
		return nil
	}
}

// influxAlerts is what the queries in docs/dashboards.md find, in their order.
var influxAlerts = []check{
	last(map[string]interval{answers: exactly(0), answers6: exactly(0), moves: exactly(0), losesFew: exactly(0), losesSome: exactly(0), messy: exactly(0),
		losesAll: exactly(1), unreachable: exactly(1), unknown: exactly(2)}, "url"),
	last(losses(100), "url"),
	last(losses(100), "url"),
	hosts(interval{4, 1000}, upHosts...),
	hosts(anything), // a week ago there was nothing
	last(map[string]interval{"probe1": exactly(0)}, "host"),
	last(map[string]interval{"probe1": anything}, "host"),
	last(map[string]interval{"probe1": {33, 34}}, "host"),
	last(map[string]interval{"probe1": exactly(9)}, "host"),
}

// checkInfluxAlerts runs the queries of docs/dashboards.md.
func checkInfluxAlerts(t *testing.T) {
	t.Helper()
	text, err := os.ReadFile("../../docs/dashboards.md")
	if err != nil {
		t.Fatal(err)
	}
	queries := regexp.MustCompile(`(?m)^    (SELECT .*)$`).FindAllStringSubmatch(string(text), -1)
	if len(queries) != len(influxAlerts) {
		t.Fatalf("%d queries in docs/dashboards.md, expectations of %d", len(queries), len(influxAlerts))
	}
	for i, q := range queries {
		r, err := influx(q[1], "")
		if err == nil {
			err = influxAlerts[i](r)
		}
		if err != nil {
			t.Errorf("%s: %v\n%v", q[1], err, r)
		}
	}
}
