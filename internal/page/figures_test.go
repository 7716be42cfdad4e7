package page

import (
	"encoding/json"
	"image"
	"image/color"
	"math"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
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
		{43201, 86400, "2 Jan"}, {86401, 2 * 86400, "2 Jan"}, {2.1 * 86400, 5 * 86400, "2 Jan"}, {6 * 86400, 10 * 86400, "2 Jan"}, {30 * 86400, 30 * 86400, "2 Jan"}, {31 * 86400, 100 * 86400, "2 Jan 2006"},
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
				RTT, Usual     *float64
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
		if (x.Usual == nil) != tt.lost {
			t.Errorf("%s: usual round-trip time %v", tt.name, x.Usual)
		}
	}
}

// The history of a target has a list for each count that is not zero, and for sent and
// received always; the percentiles of the whole window have their names.
func TestHistoryAnswer(t *testing.T) {
	r := newRig(t, host("a.example"), host("b.example"))
	r.targets[1].Options.Family, r.targets[1].Options.DSCP, r.targets[1].Interval = icmpcore.FamilyIPv6, 46, time.Minute
	at := time.Now().Add(-100 * time.Second)
	for i, rtts := range [][]time.Duration{{1e6, 2e6, 3e6, 4e6}, nil} {
		round := result(at, 5, rtts...)
		round.Late = 1 - i
		r.Record(r.targets[i], round)
	}
	type answer struct {
		Family string
		DSCP   int
		Step   int64
		Rounds []uint64
		Counts map[string][]uint64
		Total  struct {
			Rounds uint64
			Counts map[string]uint64
			Loss   float64
			RTT    map[string]float64
		}
	}
	get := func(i int) (a answer) {
		if err := json.Unmarshal(r.get("/api/history/"+r.key(i)+"?range=1000").Body.Bytes(), &a); err != nil {
			t.Fatal(err)
		}
		return a
	}
	a, b := get(0), get(1)
	if a.Family != "" || a.DSCP != 0 || a.Step != 20 || b.Family != "ipv6" || b.DSCP != 46 || b.Step != 120 {
		t.Errorf("%+v, %+v", a, b)
	}
	if n := len(a.Counts); n != 3 || len(a.Counts["sent"]) != len(a.Rounds) || len(a.Counts["late"]) != len(a.Rounds) {
		t.Errorf("counts %v", a.Counts)
	}
	if n := len(b.Counts); n != 2 || len(b.Counts["received"]) != len(b.Rounds) {
		t.Errorf("counts %v", b.Counts)
	}
	if a.Total.Rounds != 1 || a.Total.Counts["received"] != 4 || math.Abs(a.Total.Loss-0.2) > 1e-9 || b.Total.Loss != 1 || len(b.Total.RTT) != 0 {
		t.Errorf("%+v, %+v", a.Total, b.Total)
	}
	for name, want := range map[string]float64{"p0": 1, "p5": 1.15, "p25": 1.75, "p50": 2.5, "p75": 3.25, "p90": 3.7, "p95": 3.85, "p99": 3.97, "p100": 4} {
		if x, ok := a.Total.RTT[name]; !ok || math.Abs(x*1e3/want-1) > 0.02 { // a bucket is as wide
			t.Errorf("%s is %v s, want %v ms", name, x, want)
		}
	}
	if list := strings.Join(labels(&history.ID{Host: "b", Family: icmpcore.FamilyIPv6, DSCP: 46}), " "); list != "ipv6 DSCP 46" {
		t.Errorf("labels %q", list)
	}
}

// A colour is mixed into what is below it, in its rectangle and nowhere else.
func TestFill(t *testing.T) {
	c := &picture{RGBA: image.NewRGBA(image.Rect(0, 0, 10, 10))}
	c.fill(c.Bounds(), color.RGBA{255, 255, 255, 255}, 1)
	c.fill(image.Rect(2, 3, 4, 20), color.RGBA{100, 150, 200, 255}, .25)
	c.fill(image.Rect(-5, 0, 1, 1), color.RGBA{1, 2, 3, 255}, 1)
	near := func(got uint8, want int) bool { return int(got) >= want-1 && int(got) <= want+1 }
	for y := range 10 {
		for x := range 10 {
			want := [3]int{255, 255, 255}
			if x >= 2 && x < 4 && y >= 3 {
				want = [3]int{216, 228, 241}
			}
			if x == 0 && y == 0 {
				want = [3]int{1, 2, 3}
			}
			if p := c.RGBAAt(x, y); !near(p.R, want[0]) || !near(p.G, want[1]) || !near(p.B, want[2]) || p.A != 255 {
				t.Errorf("%d, %d: %v, want %v", x, y, p, want)
			}
		}
	}
}
