package report

import (
	"strconv"
	"time"
)

// Progress is how far a run has come.
type Progress struct {
	Hosts    int64 // that were begun
	Finished int64 // that have their result
	AllRead  bool  // no more hosts will come
	Count    int   // echoes to each host, 0 for no end

	Sent     int64 // echo requests that the system took
	Refused  int64 // those that it did not take
	Received int64 // replies in time
	Lost     int64 // echoes known to be lost

	Elapsed time.Duration
	Timeout time.Duration // of an echo
	Until   time.Duration // the time from the start to the deadline, 0: there is none
}

// Append appends the progress in one line without a line feed, cut to the
// terminal's width.
func (p *Progress) Append(b []byte, s Style) []byte {
	var line []byte
	part := func(text string) {
		if len(line) > 0 {
			line = append(line, ", "...)
		}
		line = append(line, text...)
	}
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	total := p.Hosts * int64(p.Count)
	switch {
	case p.Count == 0 || p.AllRead && p.Hosts == 1:
	case p.AllRead:
		part(number(p.Finished) + " of " + number(p.Hosts) + " hosts finished")
	default:
		part(number(p.Finished) + plural(int(p.Finished), " host", " hosts") + " finished, " + number(p.Hosts) + " read so far")
	}
	if p.Count > 0 && p.AllRead {
		part(number(p.Sent) + " of " + number(total) + plural(int(total), " echo", " echoes") + " sent")
	} else {
		part(number(p.Sent) + plural(int(p.Sent), " echo", " echoes") + " sent")
	}
	if p.Refused > 0 {
		part(number(p.Refused) + " refused by this system")
	}
	if decided := p.Received + p.Lost; decided > 0 {
		part(string(appendPercent(nil, float64(p.Lost)/float64(decided)*100)) + " loss so far")
	}
	if left, ok := p.left(total); ok {
		part("about " + number(max(1, int64((left+time.Second-1)/time.Second))) + " s left")
	}
	if s.Width > 0 {
		return append(b, shorten(string(line), s.Width-1)...) // the cursor stays on the line
	}
	return append(b, line...)
}

// left estimates the time that is left, by the pace so far and by the deadline.
// It knows none in the first second, and while more hosts may come.
func (p *Progress) left(total int64) (left time.Duration, ok bool) {
	done := p.Sent + p.Refused
	if p.Count > 0 && p.AllRead && done > 0 && p.Elapsed >= time.Second {
		left, ok = time.Duration(float64(p.Elapsed)*float64(max(total-done, 0))/float64(done)), true
		if p.Lost > 0 {
			left += p.Timeout // the last echo may be lost too
		}
	}
	if p.Until > 0 {
		deadline := max(p.Until-p.Elapsed, 0)
		if !ok || deadline < left {
			left, ok = deadline, true
		}
	}
	return left, ok
}
