package page

import (
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/history"
)

// figure is a number with four digits; NaN is null.
type figure float64

// MarshalJSON implements [json.Marshaler].
func (f figure) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(f)) {
		return []byte("null"), nil
	}
	return strconv.AppendFloat(nil, float64(f), 'g', 4, 64), nil
}

// figureOf is the value, or null if there is none.
func figureOf(v float64, ok bool) figure {
	if !ok {
		return figure(math.NaN())
	}
	return figure(v)
}

// target is a target in JSON.
type target struct {
	Key    string            `json:"key"`
	Host   string            `json:"host"`
	Family string            `json:"family,omitempty"`
	DSCP   int               `json:"dscp,omitempty"`
	Tags   map[string]string `json:"tags"`
}

func targetOf(k history.Key, id *history.ID) target {
	t := target{Key: k.String(), Host: id.Host, DSCP: id.DSCP, Tags: make(map[string]string, len(id.Tags))}
	if id.Family != icmpcore.FamilyAuto {
		t.Family = id.Family.String()
	}
	for _, tag := range id.Tags {
		t.Tags[tag.Key] = tag.Value
	}
	return t
}

// targetState is how a target is now.
type targetState struct {
	target
	State    string `json:"state"`
	Last     int64  `json:"last"`     // Unix seconds of the newest round, 0 if there is none
	Sent     int    `json:"sent"`     // in the last rounds
	Received int    `json:"received"` // of these
	RTT      figure `json:"rtt"`      // seconds: the median of the newest round with replies
	Usual    figure `json:"usual"`    // seconds: the usual median
}

// apiTargets answers with all targets and how they are now.
func (p *Page) apiTargets(w http.ResponseWriter, _ *http.Request) {
	now := time.Now().Unix()
	states := p.history.States()
	answer := struct {
		Now     int64         `json:"now"`
		Targets []targetState `json:"targets"`
	}{now, make([]targetState, len(states))}
	for i := range states {
		s := &states[i]
		t := targetState{
			target: targetOf(s.Key(), &s.ID), State: measured, Last: s.Last, Sent: s.Sent, Received: s.Received,
			RTT: figureOf(s.RTT, s.RTT > 0), Usual: figureOf(s.Usual, s.Usual > 0),
		}
		switch {
		case s.Last == 0, float64(now-s.Last) > 3*p.intervalOf(s.Key())+5:
			t.State = noData
		case s.Cause == history.Unresolved:
			t.State = noName
		case s.Cause == history.LookupFailed:
			t.State = noLookup
		case s.Cause == history.Unsent:
			t.State = notSent
		case s.Lost:
			t.State = down
		}
		answer.Targets[i] = t
	}
	sendJSON(w, &answer)
}

// smoke are the percentiles of each column: of each two, the same distance from the
// middle, the graph has a shade between.
var smoke = []float64{0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100}

// totals are the percentiles of the whole window.
var totals = []float64{0, 5, 25, 50, 75, 90, 95, 99, 100}

// historyAnswer is the history of a target in JSON: an entry of each list for each
// column.
type historyAnswer struct {
	target
	From     int64   `json:"from"` // Unix seconds at which the first column begins
	To       int64   `json:"to"`   // at which the window ends; the last column may end before
	Step     int64   `json:"step"` // seconds of a column
	Now      int64   `json:"now"`
	Interval float64 `json:"interval"` // seconds from round to round

	State       []string            `json:"state"`
	Rounds      []uint64            `json:"rounds"`
	Counts      map[string][]uint64 `json:"counts"` // those that are not all zero, except sent and received
	Percentiles []float64           `json:"percentiles"`
	RTT         [][]figure          `json:"rtt"` // seconds by percentile, null if there is no reply
	Jitter      []figure            `json:"jitter"`

	PathChanges []pathChange `json:"path_changes"`
	OlderPaths  int          `json:"path_changes_left_off,omitempty"` // changes before the first of these

	Total totalAnswer `json:"total"`
}

// pathChange is a change of the path in JSON.
type pathChange struct {
	Time    int64  `json:"time"`  // Unix seconds of the trace that took the new path
	Since   int64  `json:"since"` // of the trace that last took the old one: the change came between them
	Before  string `json:"before"`
	After   string `json:"after"`
	Verdict string `json:"verdict"`
}

// totalAnswer is the sum of all columns.
type totalAnswer struct {
	Rounds uint64            `json:"rounds"`
	Counts map[string]uint64 `json:"counts"`
	Loss   figure            `json:"loss"` // 0 to 1
	RTT    map[string]figure `json:"rtt"`  // by percentile
	Jitter figure            `json:"jitter"`
}

func (v *view) json(interval float64) *historyAnswer {
	a := &historyAnswer{
		target: targetOf(v.key, &v.id), From: v.from, To: v.to, Step: v.step, Now: v.now, Interval: interval,
		State: v.states, Rounds: make([]uint64, len(v.columns)), Counts: make(map[string][]uint64), Percentiles: smoke,
		RTT: make([][]figure, len(v.columns)), Jitter: make([]figure, len(v.columns)),
		PathChanges: make([]pathChange, len(v.changes)), OlderPaths: v.older,
		Total: totalAnswer{Rounds: v.total.Rounds, Counts: make(map[string]uint64), RTT: make(map[string]figure)},
	}
	for i, c := range v.changes {
		a.PathChanges[i] = pathChange{c.At, c.Since, c.Before, c.After, c.Text}
	}
	for i, name := range history.CountNames {
		a.Total.Counts[name] = v.total.Counts[i]
		if v.total.Counts[i] > 0 || i == history.Sent || i == history.Received {
			list := make([]uint64, len(v.columns))
			for c := range v.columns {
				list[c] = v.columns[c].Counts[i]
			}
			a.Counts[name] = list
		}
	}
	for i := range v.columns {
		c := &v.columns[i]
		a.Rounds[i] = c.Rounds
		a.Jitter[i] = figureOf(c.Jitter())
		for _, x := range c.RTTs.Percentiles(smoke...) {
			a.RTT[i] = append(a.RTT[i], figure(x))
		}
	}
	a.Total.Loss, a.Total.Jitter = figureOf(v.total.Loss()), figureOf(v.total.Jitter())
	for i, x := range v.total.RTTs.Percentiles(totals...) {
		a.Total.RTT["p"+strconv.FormatFloat(totals[i], 'g', -1, 64)] = figure(x)
	}
	return a
}

// apiHistory answers with the history of one target.
func (p *Page) apiHistory(w http.ResponseWriter, r *http.Request) {
	v, status, err := p.requested(r, r.PathValue("key"))
	if err != nil {
		http.Error(w, err.Error(), status)
		return
	}
	sendJSON(w, v.json(p.intervalOf(v.key)))
}

// requested returns what a request asks for, or the status of the refusal.
func (p *Page) requested(r *http.Request, key string) (*view, int, error) {
	k, err := history.ParseKey(key)
	if err != nil {
		return nil, http.StatusNotFound, err
	}
	win, err := windowOf(r.URL.Query(), time.Now(), p.intervalOf(k))
	if err != nil {
		return nil, http.StatusBadRequest, err
	}
	v, err := p.view(k, win)
	if errors.Is(err, errUnknown) {
		return nil, http.StatusNotFound, err
	}
	return v, http.StatusInternalServerError, err
}

// sendJSON sends an answer. A client that has left gets less of it.
func sendJSON(w http.ResponseWriter, v any) {
	b, err := json.Marshal(v)
	if err != nil { // no type here can fail
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Write(b) //nolint:errcheck // the client has left
}
