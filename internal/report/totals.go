package report

import (
	"strconv"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
)

// Totals sums results up over hosts. The zero value is ready to use.
type Totals struct {
	Hosts    int // results added
	Answered int // hosts of which at least one reply came in time
	Failed   int // hosts that could not be pinged at all
	Open     int // further hosts, not among Hosts, that had no outcome when the run ended
	Sent     int
	Received int
}

// Add counts one result.
func (t *Totals) Add(r *icmpcore.PingResult) {
	t.Hosts++
	t.Sent += r.Sent
	t.Received += r.Received
	switch {
	case r.Received > 0:
		t.Answered++
	case r.Sent == 0 && r.Err != nil:
		t.Failed++
	}
}

// addFigures counts a series that goes on.
func (t *Totals) addFigures(f *Figures) {
	t.Hosts++
	t.Sent += f.Sent
	t.Received += f.Received
	switch {
	case f.Received > 0:
		t.Answered++
	case f.Failed != "":
		t.Failed++
	}
}

// Trouble reports whether a result needs attention: an echo was lost, there was
// an error, or replies came that should not.
func Trouble(r *icmpcore.PingResult) bool {
	return r.Err != nil || r.Received < r.Sent || r.Received == 0 || len(r.Errors) > 0 || r.Duplicates > 0 || r.Corrupt > 0
}

// Append appends the totals in one line. elapsed is how long the run took.
func (t *Totals) Append(b []byte, elapsed time.Duration, s Style) []byte {
	from := len(b)
	colour := green
	switch {
	case t.Answered == 0:
		colour = red
	case t.Answered < t.Hosts+t.Open:
		colour = yellow
	}
	line := strconv.AppendInt(nil, int64(t.Hosts+t.Open), 10)
	line = append(line, plural(t.Hosts+t.Open, " host: ", " hosts: ")...)
	line = append(strconv.AppendInt(line, int64(t.Answered), 10), " answered"...)
	if n := t.Hosts - t.Answered - t.Failed; n > 0 {
		line = append(strconv.AppendInt(append(line, ", "...), int64(n), 10), " did not"...)
	}
	if t.Failed > 0 {
		line = append(strconv.AppendInt(append(line, ", "...), int64(t.Failed), 10), " could not be pinged"...)
	}
	if t.Open > 0 {
		line = append(strconv.AppendInt(append(line, ", "...), int64(t.Open), 10), " had no outcome yet"...)
	}
	b = s.paint(b, colour, string(line))
	b = append(b, "; "...)
	b = append(strconv.AppendInt(b, int64(t.Received), 10), " of "...)
	b = append(strconv.AppendInt(b, int64(t.Sent), 10), plural(t.Sent, " echo", " echoes")...)
	if t.Sent > 0 {
		b = append(b, ", "...)
		b = appendPercent(b, float64(t.Sent-t.Received)/float64(t.Sent)*100)
		b = append(b, " loss"...)
	}
	b = append(b, ", "...)
	b = strconv.AppendFloat(b, elapsed.Seconds(), 'f', 1, 64)
	return s.fold(append(b, " s\n"...), from, 2, 1)
}
