package page

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/pingtel/pingtel/internal/history"
)

const (
	// maxColumns is how many columns a graph has at most. It is about as many as
	// a screen shows.
	maxColumns = 720

	// longest is the longest time of a graph, in seconds.
	longest = 400 * 24 * 3600

	defaultRange = 3 * 3600
)

// steps are the lengths of a column, in seconds.
var steps = []int64{
	1, 2, 5, 10, 20, 30, 60, 120, 180, 300, 600, 900, 1200, 1800, 3600, 7200, 10800, 14400, 21600, 43200, 86400,
}

// window is the time of a graph.
type window struct {
	from, to int64 // Unix seconds; multiples of step
	step     int64
	now      int64
}

// windowOf reads the time that a request asks for: from and to in Unix seconds, or
// range in seconds up to now. A column is at least two intervals long, so that each
// has a round.
func windowOf(q url.Values, now time.Time, interval float64) (w window, err error) {
	w.now = now.Unix()
	number := func(name string, otherwise int64) int64 {
		s := q.Get(name)
		if s == "" {
			return otherwise
		}
		n, e := strconv.ParseInt(s, 10, 64)
		if e != nil || n < 0 || n > 1<<40 {
			err = fmt.Errorf("%s: want seconds, a whole number", name)
		}
		return n
	}
	long := number("range", defaultRange)
	w.to = number("to", w.now)
	w.from = number("from", max(0, w.to-long))
	if err == nil && (w.to <= w.from || w.to-w.from > longest) {
		err = fmt.Errorf("want from before to, and %d days at most", longest/24/3600)
	}
	if err != nil {
		return w, err
	}
	for _, w.step = range steps {
		if float64(w.step) >= 2*interval && (w.to-w.from)/w.step <= maxColumns {
			break
		}
	}
	if float64(w.step) < 2*interval { // an interval of a day
		w.step = int64(2 * interval)
	}
	w.from -= w.from % w.step
	w.to += (w.step - w.to%w.step) % w.step
	return w, nil
}

// The states of a column.
const (
	measured = "measured"      // there are replies
	down     = "down"          // 100 % loss
	noName   = "no_such_name"  // the name has no address
	noLookup = "lookup_failed" // the DNS gave no answer
	notSent  = "not_sent"      // nothing could be sent: no route, for example
	noData   = "no_data"       // the prober ran, and has no round of the target
	away     = "away"          // the prober did not run
)

// view is the history of a target in a window.
type view struct {
	window
	key     history.Key
	id      history.ID
	columns []history.Sum // those at the end that have no round yet are left out
	states  []string
	total   history.Sum
	changes []history.PathChange // the newest of the window
	older   int                  // changes that are left out
}

// maxChanges is how many path changes a graph shows at most.
const maxChanges = 500

var errUnknown = errors.New("no target has this key, now or in the history")

// view reads the history of a target.
func (p *Page) view(k history.Key, w window) (*view, error) {
	id, ok := p.history.Lookup(k)
	if !ok {
		return nil, errUnknown
	}
	v := &view{window: w, key: k, id: id}
	var err error
	if v.columns, err = p.history.Columns(k, w.from, w.to, w.step); err != nil {
		return nil, err
	}
	running, err := p.history.Running(w.from, w.to)
	if err != nil {
		return nil, err
	}
	if v.changes, err = p.history.PathChanges(k, w.from, w.to); err != nil {
		return nil, err
	}
	v.older = max(0, len(v.changes)-maxChanges)
	v.changes = v.changes[v.older:]
	interval := p.intervalOf(k)
	fresh := w.now - int64(2*interval) - 5 // a round may be under way since then
	for n := len(v.columns); n > 0 && v.columns[n-1].Rounds == 0 && w.from+int64(n)*w.step > fresh; n = len(v.columns) {
		v.columns = v.columns[:n-1]
	}
	v.states = make([]string, len(v.columns))
	for i := range v.columns {
		begin := w.from + int64(i)*w.step
		v.states[i] = stateOf(&v.columns[i], func() bool {
			return covered(running, begin, begin+w.step) > int64(interval)
		})
		v.total.Add(&v.columns[i])
	}
	return v, nil
}

// stateOf returns the state of a column. ran reports whether the prober ran.
func stateOf(s *history.Sum, ran func() bool) string {
	switch {
	case s.Counts[history.Received] > 0:
		return measured
	case s.Counts[history.Sent] > 0:
		return down
	case s.Counts[history.Unresolved] > 0:
		return noName
	case s.Counts[history.LookupFailed] > 0:
		return noLookup
	case s.Rounds > 0:
		return notSent
	case ran():
		return noData
	}
	return away
}

// covered returns how many seconds of a time the spans cover.
func covered(spans []history.Span, from, to int64) (n int64) {
	for _, s := range spans {
		n += max(0, min(s.End, to)-max(s.Start, from))
	}
	return n
}
