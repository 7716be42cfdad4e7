package report

import (
	"strconv"
	"unicode/utf8"

	"github.com/pingtel/pingtel/icmpcore"
)

// defaultHostWidth holds every IPv4 address and most names.
const defaultHostWidth = 24

// columns are the titles of a table and their widths, behind the host's.
var columns = [...]struct {
	title string
	width int
}{
	{"sent", 6}, {"recv", 6}, {"loss", 7}, {"min ms", 10}, {"avg ms", 10}, {"max ms", 10}, {"p95 ms", 10}, {"jitter ms", 10}, {"ttl", 5}, {"hops", 5},
}

// AppendHeader appends the titles of a table of hosts.
func AppendHeader(b []byte, s Style) []byte {
	b = appendLeft(b, "host", s.hostWidth())
	for _, c := range columns {
		b = appendRight(b, c.title, c.width)
	}
	return append(b, '\n')
}

// AppendRow appends the row of one host: figures, a dash for each that does
// not exist, and at the end what was out of the ordinary.
func AppendRow(b []byte, r *icmpcore.PingResult, s Style) []byte {
	b = appendLeft(b, hostName(r), s.hostWidth())
	start := len(b)
	if s.Colour {
		b = append(b, verdictColour(r)...)
	}
	var buf [32]byte
	cell := func(i int, text []byte, present bool) {
		if !present {
			text = append(buf[:0], '-')
		}
		b = appendRight(b, string(text), columns[i].width)
	}
	sent, some := r.Sent > 0, r.Received > 0
	cell(0, strconv.AppendInt(buf[:0], int64(r.Sent), 10), sent)
	cell(1, strconv.AppendInt(buf[:0], int64(r.Received), 10), sent)
	cell(2, appendPercent(buf[:0], r.Loss), sent)
	cell(3, appendMS(buf[:0], r.Min), some)
	cell(4, appendMS(buf[:0], r.Mean), some)
	cell(5, appendMS(buf[:0], r.Max), some)
	cell(6, appendMS(buf[:0], r.P95), some)
	cell(7, appendMS(buf[:0], r.Jitter), r.Received > 1)
	cell(8, strconv.AppendInt(buf[:0], int64(r.TTL), 10), some && r.TTL > 0)
	cell(9, strconv.AppendInt(buf[:0], int64(r.Hops), 10), some && r.TTL > 0)
	if s.Colour && len(b) > start {
		b = append(b, plain...)
	}
	return append(appendNotes(b, r), '\n')
}

// appendNotes appends what the columns do not show.
func appendNotes(b []byte, r *icmpcore.PingResult) []byte {
	separator := "  "
	note := func(text string) {
		b = append(append(b, separator...), text...)
		separator = ", "
	}
	if r.Received == 0 {
		switch {
		case r.Err != nil, len(r.Errors) > 0:
			note(Reason(r))
		case r.Sent > 0:
			note("no replies")
		default:
			note("ended before the first outcome")
		}
	}
	count := func(n int, what string) {
		if n > 0 {
			note(strconv.Itoa(n) + what)
		}
	}
	if r.Received > 0 {
		count(len(r.Errors), plural(len(r.Errors), " error", " errors"))
	}
	count(r.Duplicates, plural(r.Duplicates, " duplicate", " duplicates"))
	count(r.Late, " late")
	count(r.Reordered, " reordered")
	count(r.Corrupt, " corrupt")
	return b
}

func (s Style) hostWidth() int {
	if s.HostWidth == 0 {
		return defaultHostWidth
	}
	return s.HostWidth
}

// appendLeft appends text and blanks up to width.
func appendLeft(b []byte, text string, width int) []byte {
	b = append(b, text...)
	for range width - utf8.RuneCountInString(text) {
		b = append(b, ' ')
	}
	return b
}

// appendRight appends blanks, one at least, and text, width in all.
func appendRight(b []byte, text string, width int) []byte {
	b = append(b, ' ')
	for range width - 1 - len(text) {
		b = append(b, ' ')
	}
	return append(b, text...)
}
