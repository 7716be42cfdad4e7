package page

import (
	"encoding/json"
	"math"
	"net/url"
	"testing"
	"time"

	"github.com/pingtel/pingtel/internal/history"
)

// The window of a request begins and ends with a column, and has the shortest columns
// that hold two rounds and of which a graph has room for all.
func TestWindow(t *testing.T) {
	now := time.Unix(1_000_000_010, 0)
	for _, tt := range []struct {
		query          string
		interval       float64
		from, to, step int64
	}{
		{"", 10, 999_989_200, 1_000_000_020, 20},
		{"range=7200", 1, 999_992_810, 1_000_000_010, 10},
		{"range=1440", 1, 999_998_570, 1_000_000_010, 2}, // 720 columns
		{"range=1442", 1, 999_998_565, 1_000_000_010, 5}, // one more would not fit
		{"range=100", 0.5, 999_999_910, 1_000_000_010, 1},
		{"range=100", 5.1, 999_999_900, 1_000_000_020, 20}, // 10 s hold less than two rounds
		{"range=2000000000", 10, 0, 0, 0},
		{"from=100&to=200", 10, 100, 200, 20},
		{"from=101&to=199", 10, 100, 200, 20},
		{"from=100&to=100", 10, 0, 0, 0},
		{"from=100&to=101", 0.5, 100, 101, 1},
		{"from=0&to=34560000", 10, 0, 34560000, 86400}, // 400 days
		{"from=0&to=34560001", 10, 0, 0, 0},
		{"from=0&to=1000000", 86400, 0, 1036800, 172800},
		{"to=100", 10, 0, 100, 20}, // three hours before is no time
		{"from=x&to=100", 10, 0, 0, 0},
		{"from=-1&to=100", 10, 0, 0, 0},
		{"from=1099511627777&to=1099511627778", 10, 0, 0, 0},
	} {
		q, err := url.ParseQuery(tt.query)
		if err != nil {
			t.Fatal(err)
		}
		w, err := windowOf(q, now, tt.interval)
		if (err != nil) != (tt.step == 0) {
			t.Errorf("%q every %v s: %+v, %v", tt.query, tt.interval, w, err)
			continue
		}
		if err == nil && (w.from != tt.from || w.to != tt.to || w.step != tt.step || w.now != now.Unix()) {
			t.Errorf("%q every %v s: %+v, want %d to %d by %d", tt.query, tt.interval, w, tt.from, tt.to, tt.step)
		}
	}
}

func TestCovered(t *testing.T) {
	spans := []history.Span{{Start: 10, End: 20}, {Start: 30, End: 40}}
	for _, tt := range []struct{ from, to, want int64 }{
		{0, 10, 0}, {0, 11, 1}, {0, 100, 20}, {12, 18, 6}, {15, 35, 10}, {20, 30, 0}, {39, 50, 1}, {40, 50, 0},
	} {
		if got := covered(spans, tt.from, tt.to); got != tt.want {
			t.Errorf("covered(%d, %d) = %d, want %d", tt.from, tt.to, got, tt.want)
		}
	}
}

// The colours of loss change where the caption of the picture says.
func TestLossColours(t *testing.T) {
	for loss, want := range map[float64]int{0: 0, 0.001: 1, 0.05: 1, 0.051: 2, 0.1: 2, 0.2: 3, 0.201: 4, 0.5: 4, 0.501: 5, 0.999: 5, 1: 6} {
		if got := lossStep(loss); got != want {
			t.Errorf("loss %v has colour %d, want %d", loss, got, want)
		}
	}
}

func TestSides(t *testing.T) {
	for text, want := range map[string]int{"": 960, "160": 160, "2400": 2400, "159": 0, "2401": 0, "x": 0, "-200": 0} {
		got, err := side(url.Values{"width": {text}}, "width", 960)
		if got != want || (err != nil) != (want == 0) {
			t.Errorf("width=%q: %d, %v, want %d", text, got, err, want)
		}
	}
}

// Rare peaks do not flatten a graph, and its axes have round numbers.
func TestAxes(t *testing.T) {
	near := func(a, b float64) bool { return math.Abs(a-b) < 1e-9 }
	hundred := make([]float64, 100)
	for i := range hundred {
		hundred[i] = 0.010
	}
	peaks := append([]float64{0.5}, hundred[1:]...)
	for _, tt := range []struct {
		tops       []float64
		most, want float64
	}{
		{nil, 0, 1e-3}, {[]float64{0.01}, 0.012, 0.012}, {[]float64{0.01}, 1, 0.016}, {hundred, 0.9, 0.016}, {peaks, 0.9, 0.016},
		{append([]float64{0.5, 0.5}, hundred[2:]...), 0.9, 0.8},
	} {
		if got := topOf(tt.tops, tt.most); !near(got, tt.want) {
			t.Errorf("topOf(%d columns, %v) = %v, want %v", len(tt.tops), tt.most, got, tt.want)
		}
	}
	for v, want := range map[float64]float64{1: 1, 1.1: 2, 2: 2, 2.1: 5, 5.5: 10, 10: 10, 0.03: 0.05, 300: 500} {
		if got := niceStep(v); !near(got, want) {
			t.Errorf("niceStep(%v) = %v, want %v", v, got, want)
		}
	}
	for _, tt := range []struct {
		v, want float64
		form    string
	}{
		{1, 1, "15:04:05"}, {29, 30, "15:04:05"}, {31, 60, "15:04"}, {10800, 10800, "15:04"}, {10801, 21600, "2 Jan 15:04"},
		{43201, 86400, "2 Jan"}, {30 * 86400, 30 * 86400, "2 Jan"}, {31 * 86400, 100 * 86400, "2 Jan 2006"},
	} {
		if got, form := timeStep(tt.v); float64(got) != tt.want || form != tt.form {
			t.Errorf("timeStep(%v) = %v, %q, want %v, %q", tt.v, got, form, tt.want, tt.form)
		}
	}
}

// The list of targets says of one without a new round that there is no data, whatever
// its last one was, and has no round-trip time where none was measured.
func TestTargetList(t *testing.T) {
	for _, tt := range []struct {
		name  string
		age   time.Duration
		lost  bool
		state string
	}{
		{"new", time.Second, false, measured},
		{"new and lost", time.Second, true, down},
		{"three intervals old", 30 * time.Second, false, measured},
		{"older", 40 * time.Second, false, noData},
		{"older and lost", 40 * time.Second, true, noData},
	} {
		r := newRig(t, host("a.example"))
		round := result(time.Now().Add(-tt.age), 4, 2e6, 3e6, 4e6)
		if tt.lost {
			round = result(round.Start, 4)
		}
		r.Record(r.targets[0], round)
		var list struct {
			Now     int64
			Targets []struct {
				State          string
				Last           int64
				Sent, Received int
				RTT            *float64
			}
		}
		if err := json.Unmarshal(r.get("/api/targets").Body.Bytes(), &list); err != nil || len(list.Targets) != 1 {
			t.Fatal(err, list)
		}
		x := list.Targets[0]
		if x.State != tt.state || x.Sent != 4 || x.Received != round.Received || x.Last != round.Start.Unix() || list.Now < x.Last {
			t.Errorf("%s: %+v, want %s", tt.name, x, tt.state)
		}
		if (x.RTT == nil) != tt.lost || x.RTT != nil && math.Abs(*x.RTT-0.003) > 0.0001 {
			t.Errorf("%s: round-trip time %v", tt.name, x.RTT)
		}
	}
}
