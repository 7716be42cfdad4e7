package watch

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"
)

// How wide the labels beside the distribution, and those of the lines around it,
// are.
const (
	axisWidth = 9
	listWidth = 13
)

// detail appends one target: its figures, the distribution of its RTTs over
// time, its errors and addresses.
func (s *Screen) detail(f *frame, t *target) {
	if t == nil {
		f.put(faint, "no target")
		f.end()
		return
	}
	var x figures
	x, s.scratch = t.figures(s.scratch)
	s.detailHead(f, t)
	s.detailFigures(f, t, &x)
	below := s.lists(t)
	room := s.height - 1 - f.lines
	rows := max(room-len(below)-3, min(5, room-3)) // the loss, the axis of time and a line between
	if x.n == 0 {
		rows = min(rows, 1) // nothing is distributed
	}
	if rows > 0 {
		s.distribution(f, t, rows)
	}
	f.list(below)
}

// list appends lines with their titles, as far as there is room.
func (f *frame) list(lines []listLine) {
	for _, line := range lines {
		if f.lines == f.most {
			return
		}
		f.cell(faint, line.title, listWidth, false)
		f.put(line.look, line.text)
		f.end()
	}
}

func (s *Screen) detailHead(f *frame, t *target) {
	f.put(strong, t.host)
	if t.addr.IsValid() && !t.literal {
		f.put(plain, " ("+t.addr.String()+")")
	}
	switch {
	case t.failure != "":
		f.put(bad, "  cannot be pinged: "+t.failure)
	case t.down():
		f.put(bad, "  down: the last "+strconv.Itoa(t.streak)+" echoes are lost")
	case t.missed > 0:
		f.put(warning, "  answers, with loss")
	case t.total.received > 0:
		f.put(good, "  answers")
	}
	if t.tags != "" {
		f.put(faint, "  "+t.tags)
	}
	f.end()
}

// detailFigures appends the figures of the window and those since the start.
func (s *Screen) detailFigures(f *frame, t *target, x *figures) {
	parts, reach := []string{"nothing sent"}, "in view"
	if part, ok := t.loss(); ok {
		reach = "last " + short(time.Duration(min(t.head, int64(t.limit)))*s.store.pace(t))
		parts = []string{fmt.Sprintf("%d sent, %d lost (%s)", t.decided, t.missed, percent(part))}
	}
	if x.n > 0 {
		parts = append(parts, times("min", x.min, "median", x.median, "p90", x.p90, "p95", x.p95, "p99", x.p99, "max", x.max)...)
		if x.n > 1 {
			parts = append(parts, times("jitter", x.jitter)...)
		}
		parts[len(parts)-1] += " ms"
	}
	f.list(s.wrapped(reach, plain, parts...))

	o := &t.total
	counts := []string{fmt.Sprintf("%d sent, %d received", o.sent(), o.received)}
	for _, c := range []struct {
		n    int
		what string
	}{{o.timeouts, "timed out"}, {o.errors, "ended in an error"}, {o.duplicates, "duplicate"}, {o.late, "late"}, {o.corrupt, "corrupt"}} {
		if c.n > 0 {
			counts = append(counts, strconv.Itoa(c.n)+" "+c.what)
		}
	}
	parts = []string{strings.Join(counts, ", ")}
	if o.received > 0 {
		parts = append(parts, times("min", o.min, "mean", o.mean, "max", o.max)...)
		parts[len(parts)-1] += " ms"
	}
	f.list(s.wrapped("in all", plain, parts...))
}

// times writes names and times, which come in turn.
func times(pairs ...any) []string {
	var parts []string
	for i := 0; i < len(pairs); i += 2 {
		parts = append(parts, pairs[i].(string)+" "+milliseconds(pairs[i+1].(float64)))
	}
	return parts
}

// lists returns the lines below the distribution: errors, the last first, who
// replied, and what the last reply tells.
func (s *Screen) lists(t *target) []listLine {
	var lines []listLine
	now := s.now()
	if s.frozen != nil {
		now = s.frozenAt
	}
	for i := len(t.problems) - 1; i >= 0; i-- {
		p := t.problems[i]
		text := fmt.Sprintf("%d x %s, last %s ago", p.count, p.text, short(max(now.Sub(p.last), 0)))
		lines = append(lines, s.wrapped("error", bad, text)...)
	}
	var parts []string
	for _, x := range t.sources {
		parts = append(parts, x.addr.String()+" ("+strconv.Itoa(x.count)+")")
	}
	if len(parts) > 0 {
		lines = append(lines, s.wrapped("replies from", plain, parts...)...)
	}
	if t.ttl > 0 {
		text := fmt.Sprintf("ttl %d, %s", t.ttl, plural(hops(int(t.ttl)), "hop"))
		if t.dscp > 0 {
			text += fmt.Sprintf(", dscp %d", t.dscp)
		}
		lines = append(lines, s.wrapped("last reply", plain, text)...)
	}
	return lines
}

// listLine is a line below the distribution.
type listLine struct {
	title string
	look  look
	text  string
}

// wrapped returns the parts of a text as lines that fit behind the title of the
// first one. A part is broken only where it does not fit in a line of its own.
func (s *Screen) wrapped(title string, l look, parts ...string) []listLine {
	room := max(s.width-listWidth, 1)
	var texts []string
	for i, part := range parts {
		last := len(texts) - 1
		if i > 0 && textWidth(texts[last])+2+textWidth(part) <= room {
			texts[last] += "  " + part
			continue
		}
		texts = append(texts, strings.Split(ansi.Wrap(part, room, ""), "\n")...)
	}
	var lines []listLine
	for _, text := range texts {
		lines = append(lines, listLine{title, l, text})
		title = ""
	}
	return lines
}

// distribution appends a picture of the RTTs over time: how many of the echoes
// of a column were on each level, and below it how many were lost.
func (s *Screen) distribution(f *frame, t *target, rows int) {
	count := f.width - axisWidth - 1
	per := t.perColumn(count)
	low, high := t.extremes()
	sc := newScale(max(low, 1), high)
	levels := make([]int, rows*count) // by row from below, then column
	s.columns = t.columns(s.columns[:0], count, per)
	first := (t.head-1)/per - int64(count) + 1
	for p := max(first*per, 0); p < t.head; p++ {
		if x := t.at(p); x > 0 {
			levels[sc.level(float64(x), rows)*count+int(p/per-first)]++
		}
	}
	for row := rows - 1; row >= 0; row-- {
		label := ""
		if (rows-1-row)%3 == 0 && high > 0 {
			label = milliseconds(sc.at(row, rows)) + " ms"
		}
		f.cell(faint, label, axisWidth, true)
		f.blank(1)
		for c := range count {
			n := levels[row*count+c]
			if n == 0 {
				f.blank(1)
				continue
			}
			f.glyph(good, s.glyphs.shades[min((4*n+s.columns[c].replies-1)/s.columns[c].replies, 4)])
		}
		f.end()
	}
	f.cell(faint, "lost", axisWidth, true)
	f.blank(1)
	for _, c := range s.columns {
		f.glyph(s.lostMark(c))
	}
	f.end()
	f.cell(faint, "", axisWidth+1, false)
	ago := "-" + short(time.Duration(per*int64(count))*s.store.pace(t))
	f.cell(faint, ago, count-3, false)
	f.put(faint, "now")
	f.end()
}

// lostMark says how many echoes of a column were lost.
func (s *Screen) lostMark(c column) (look, string) {
	switch {
	case c.lost+c.failed == 0:
		return plain, " "
	case c.lost == 0:
		return mark, s.glyphs.failed
	case c.replies == 0:
		return mark, s.glyphs.lost
	case c.lost > 9:
		return mark, "+"
	}
	return mark, strconv.Itoa(c.lost)
}

// extremes returns the lowest and the highest RTT in the window.
func (t *target) extremes() (low, high float64) {
	for _, x := range t.ring {
		if x > 0 {
			if low == 0 || float64(x) < low {
				low = float64(x)
			}
			high = max(high, float64(x))
		}
	}
	return low, high
}

// hops estimates how many hops away a target is, from the TTL of its reply:
// 64, 128 and 255 are taken for its start.
func hops(ttl int) int {
	switch {
	case ttl <= 64:
		return 65 - ttl
	case ttl <= 128:
		return 129 - ttl
	}
	return 256 - ttl
}
