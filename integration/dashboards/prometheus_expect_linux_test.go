package dashboards

import (
	"errors"
	"fmt"
	"math"
	"net/url"
	"slices"
	"testing"

	"github.com/pingtel/pingtel/integration/peer"
)

// prometheusFleet is what each panel of the fleet shows of one prober.
func prometheusFleet(prober string) map[string]check {
	const lossOfAll = (0.2 + 0.4 + 0.05 + 1 + 1) / 8                             // the ninth target has no request
	missed := map[string]interval{"A": anything, "B": anything, "C": exactly(0)} // what is scraped pushes, too
	return map[string]check{
		"Targets":                         one(exactly(9)),
		"Up":                              one(exactly(6)),
		"Down":                            one(exactly(3)),
		"No address":                      one(exactly(1)),
		"Losing packets":                  one(interval{3, 6}),
		"Loss":                            one(interval{0.8 * lossOfAll, 1.5 * lossOfAll}),
		"Targets down":                    last(map[string]interval{"A": exactly(3)}, "ref"),
		"Targets that lose packets":       last(map[string]interval{"A": {0, 3}, "B": {1, 4}, "C": {2, 5}, "D": exactly(2)}, "ref"),
		"Down now":                        hosts(exactly(0), downHosts...),
		"Most loss":                       last(losses(1), "server_address"),
		"Longest round-trip times":        hosts(interval{0.004, 1}, upHosts...),
		"Most jitter":                     hosts(interval{1e-9, 1}, upHosts...),
		"Loss of the worst targets":       last(losses(1), "server_address"),
		"Round-trip times of all targets": distribution,
		"Percentiles of all targets":      last(map[string]interval{"A": {0.004, 0.5}, "B": {0.004, 1}, "C": {0.03, 1}}, "ref"),
		"Echo requests per second":        last(map[string]interval{prober: some}, "instance"),
		"Errors per second by kind": last(map[string]interval{
			"timeout": some, "destination_unreachable": some, "late": some, "resolve": some}, "error_type"),
		"Targets in the file":   last(map[string]interval{prober: exactly(9)}, "instance"),
		"What the probers miss": last(missed, "ref"),
		"Foreign packets":       last(map[string]interval{prober: some}, "instance"),
	}
}

// prometheusTarget is what each panel of a target shows: of the host that moves, or
// of the messy one.
func prometheusTarget(host string) map[string]check {
	rtt := func(low, high float64) interval { return interval{low, high} }
	zero := exactly(0)
	want := map[string]check{
		"State":            one(exactly(1)),
		"Loss":             one(interval{0, 0.5}),
		"Median":           one(rtt(0.004, 1)),
		"p95":              one(rtt(0.004, 1)),
		"Hops":             one(exactly(64 - 52 + 1)),
		"TTL changes":      one(exactly(1)),
		"Round-trip times": last(map[string]interval{"A": rtt(0.03, 0.1), "B": rtt(0.03, 1), "C": rtt(0.03, 1), "D": rtt(0.03, 1), "E": rtt(0.03, 1), "F": rtt(0.03, 1), "G": rtt(0.04, 1)}, "ref"),
		"Loss over time":   one(interval{0, 0.5}),
		"Distribution":     distribution,
		"Up and down":      last(map[string]interval{host: exactly(1)}, "server_address"),
		"Jitter":           last(map[string]interval{"A": some, "B": some}, "ref"),
		"Hops and TTL":     both(peak(map[string]interval{"A": {52, 60}, "B": {5, 13}, "C": {0, 1}}, "ref"), last(map[string]interval{"A": exactly(52), "B": exactly(13), "C": anything}, "ref")),
		"Errors by kind":   last(map[string]interval{"timeout": anything, "destination_unreachable": zero, "?late": anything}, "error_type"),
		"Duplicates, late, reordered and corrupt": last(map[string]interval{"A": zero, "B": anything, "C": anything, "D": zero}, "ref"),
	}
	if host != messy {
		return want
	}
	for title, c := range map[string]check{
		"Loss":             one(interval{0.3, 0.8}),
		"Hops":             one(exactly(64 - 60 + 1)),
		"TTL changes":      one(zero),
		"Round-trip times": last(map[string]interval{"A": rtt(0.004, 0.1), "B": rtt(0.004, 1), "C": rtt(0.004, 1), "D": rtt(0.004, 1), "E": rtt(0.004, 1), "F": rtt(0.004, 1), "G": rtt(0.06, 1)}, "ref"),
		"Loss over time":   one(interval{0.3, 0.8}),
		"Hops and TTL":     last(map[string]interval{"A": exactly(60), "B": exactly(5), "C": zero}, "ref"),
		"Errors by kind":   last(map[string]interval{"timeout": {7, 50}, "late": {1, 50}, "destination_unreachable": zero}, "error_type"), // in 10 seconds
		"Duplicates, late, reordered and corrupt": last(map[string]interval{"A": {3, 13}, "B": {1, 50}, "C": {3, 50}, "D": {3, 13}}, "ref"),
	} {
		want[title] = c
	}
	return want
}

// recorded is what each recording rule makes of the three probers.
var recorded = map[string]check{
	"target:ping_loss:ratio_rate5m":        hosts(interval{0, 1}, without(everyHost, unknown)...),
	"target:ping_loss:usual1w":             func(result) error { return nil }, // it looks at each half of an hour: testdata/rules.yaml has its cases
	"target:ping_rtt_seconds:mean5m":       hosts(interval{0.004, 1}, upHosts...),
	"fleet:ping_rtt_seconds_bucket:rate5m": distribution,
	"fleet:ping_rtt_seconds:rate5m":        distribution,
	"fleet:ping_requests:rate5m":           sites,
	"fleet:ping_replies:rate5m":            sites,
	"fleet:ping_down:count":                withoutHost(exactly(1), exactly(2)),
	"fleet:ping_loss:count":                withoutHost(interval{1, 4}),
	"fleet:ping_errors:rate5m":             sites,

	"smokeping_requests_total":                   hosts(interval{0, 1e6}, everyHost...),
	"smokeping_response_duration_seconds_bucket": distribution,
	"smokeping_response_duration_seconds_count":  hosts(interval{0, 1e6}, everyHost...),
	"smokeping_response_duration_seconds_sum":    hosts(interval{0, 1e6}, everyHost...),
	"smokeping_response_duplicates_total":        hosts(interval{0, 1e6}, everyHost...),
	"smokeping_response_ttl":                     hosts(interval{52, 60}, upHosts...),
	"smokeping_send_errors_total":                hosts(anything), // there are none
	"probe_success":                              hosts(interval{0, 1}, everyHost...),
	"probe_duration_seconds":                     hosts(interval{0.004, 1}, upHosts...),
	"probe_icmp_duration_seconds":                hosts(interval{0.004, 1}, upHosts...),
	"probe_icmp_reply_hop_limit":                 hosts(interval{52, 60}, upHosts...),
	"probe_ip_protocol":                          hosts(interval{4, 6}, without(everyHost, unknown)...),
}

func without(all []string, one string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(s string) bool { return s == one })
}

// withoutHost expects series of no host, each with a value in one of the intervals.
func withoutHost(in ...interval) check {
	return func(r result) error {
		if len(r) == 0 {
			return errors.New("nothing")
		}
		for _, s := range r {
			if !slices.ContainsFunc(in, func(i interval) bool { return i.has(s.last()) }) || s.labels["server_address"]+s.labels["network_peer_address"] != "" {
				return fmt.Errorf("%v is %v, want %v", s.labels, s.last(), in)
			}
		}
		return nil
	}
}

// sites expects series of no host, and some of either site.
func sites(r result) error {
	seen := map[string]bool{}
	for _, s := range r {
		seen[s.labels["site"]] = true
	}
	if !seen["fra"] || !seen["lab"] {
		return fmt.Errorf("sites %v", seen)
	}
	return withoutHost(anything)(r)
}

// checkRules checks that Prometheus evaluates each rule, and what came out.
func checkRules(t *testing.T) {
	t.Helper()
	var groups struct {
		Groups []struct {
			Rules []struct {
				Name, Type, State, Health, LastError string
				Alerts                               []struct{ Labels map[string]string }
			}
		}
	}
	read := func() {
		if err := get("/api/v1/rules", url.Values{}, &groups); err != nil {
			t.Fatal(err)
		}
	}
	peer.Await(t, "all rules are evaluated", func() bool {
		read()
		for _, g := range groups.Groups {
			for _, r := range g.Rules {
				if r.Health == "unknown" {
					return false
				}
			}
		}
		return len(groups.Groups) > 0
	})
	known, down := map[string]bool{}, []string{}
	for _, g := range groups.Groups {
		for _, r := range g.Rules {
			known[r.Name] = true
			if r.Health != "ok" {
				t.Errorf("the rule %s: %s", r.Name, r.LastError)
			}
			switch {
			case r.Type == "recording":
				checkRecorded(t, r.Name)
			case r.Name == "PingTargetDown":
				for _, a := range r.Alerts {
					down = append(down, a.Labels["server_address"]+" "+a.Labels["instance"])
				}
			case r.Name == "PingtelMissesSeries": // a busy machine decides
			case r.State != "inactive":
				t.Errorf("the alert %s is %s", r.Name, r.State)
			}
		}
	}
	var want []string
	for _, h := range downHosts {
		for _, prober := range []string{scraped, "native", "pushed"} {
			want = append(want, h+" "+prober)
		}
	}
	slices.Sort(want)
	slices.Sort(down)
	if !slices.Equal(down, want) {
		t.Errorf("PingTargetDown is pending for %q, want %q", down, want)
	}
	for name := range recorded {
		if !known[name] {
			t.Errorf("there is no rule %s", name)
		}
	}
}

func checkRecorded(t *testing.T, name string) {
	t.Helper()
	c, ok := recorded[name]
	if !ok {
		t.Errorf("nothing is expected of the rule %s", name)
		return
	}
	r, err := instant(name, "")
	for _, s := range r {
		if math.IsNaN(s.last()) && s.histograms == 0 {
			t.Errorf("%s %v is NaN", name, s.labels)
		}
	}
	if err == nil {
		err = c(r)
	}
	if err != nil {
		t.Errorf("the rule %s: %v\n%v", name, err, r)
	}
}
