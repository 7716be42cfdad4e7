package report

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/dscp"
	"github.com/pingtel/pingtel/internal/path"
)

// pathColumns are the columns of a path, by their titles. The address has the left edge,
// all others the right one.
var pathColumns = []string{"hop", "address", "answers", "min", "median", "max", "loss", "beyond", "dscp", "mpls"}

const addressColumn, dscpColumn, mplsColumn = 1, 8, 9

// AppendPath appends a path: a headline, a row for each hop, and the verdict. name returns
// the name of an address, "" if there is none.
func AppendPath(b []byte, t *path.Trace, v path.Verdict, name func(netip.Addr) string, s Style) []byte {
	from := len(b)
	b = append(append(b, label(t.Host, t.Addr)...), ": "...)
	if t.Sent == 0 && t.Err != nil {
		reason := Reason(&icmpcore.PingResult{Host: t.Host, Addr: t.Addr, Err: t.Err})
		return s.fold(append(s.paint(b, red, reason), '\n'), from, 2, 1)
	}
	colour := red
	if t.Reached {
		colour = green
		if v.Cause != path.None && v.Cause != path.RateLimited {
			colour = yellow
		}
	}
	b = s.fold(append(s.paint(b, colour, PathLength(t)), '\n'), from, 2, 1)
	b = s.AppendHops(b, t, name)
	from = len(b)
	b = append(append(b, Clean(v.Text)...), '\n')
	return s.fold(b, from, 2, 1)
}

// PathLength says how long a path is, and how many echoes told that.
func PathLength(t *path.Trace) string {
	text := "not reached"
	if t.Reached {
		text = strconv.Itoa(t.Length()) + plural(t.Length(), " hop", " hops")
	}
	text += ", " + strconv.Itoa(t.Sent) + plural(t.Sent, " echo", " echoes")
	if t.MTU != nil {
		text += ", MTU " + mtuText(t.MTU)
	}
	return text
}

func mtuText(m *path.MTU) string {
	switch {
	case m.Size == 0:
		return "not known"
	case !m.Exact:
		return "at least " + strconv.Itoa(m.Size)
	}
	return strconv.Itoa(m.Size)
}

// AppendHops appends the titles and the rows of the hops, and leaves out columns from the
// right that there is no room for. Without a hop it appends nothing.
func (s Style) AppendHops(b []byte, t *path.Trace, name func(netip.Addr) string) []byte {
	if len(t.Hops) == 0 {
		return b
	}
	rows := [][]string{pathColumns}
	used := make([]bool, len(pathColumns))
	for i := range t.Hops {
		for _, row := range s.hopRows(t, i, name) {
			rows = append(rows, row)
			used[dscpColumn] = used[dscpColumn] || row[dscpColumn] != "" && row[dscpColumn] != strconv.Itoa(t.DSCP)
			used[mplsColumn] = used[mplsColumn] || row[mplsColumn] != ""
		}
	}
	shown := len(pathColumns)
	for shown > addressColumn+1 && !used[shown-1] && shown > dscpColumn {
		shown--
	}
	widths := make([]int, len(pathColumns))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], cells(cell))
		}
	}
	total := func() int {
		sum := 2 * (shown - 1)
		for _, w := range widths[:shown] {
			sum += w
		}
		return sum
	}
	for s.Width > 0 && total() > s.Width {
		if shown == addressColumn+2 {
			widths[addressColumn] = max(widths[addressColumn]-(total()-s.Width), 1)
			break
		}
		shown--
	}
	for _, row := range rows {
		b = append(appendPathRow(b, row[:shown], widths), '\n')
	}
	return b
}

// appendPathRow appends the cells of a row, without blanks at its end.
func appendPathRow(b []byte, row []string, widths []int) []byte {
	var line strings.Builder
	for i, cell := range row {
		if i > 0 {
			line.WriteString("  ")
		}
		if cells(cell) > widths[i] {
			cell = shorten(cell, widths[i])
		}
		blanks := strings.Repeat(" ", widths[i]-cells(cell))
		if i == addressColumn || i == mplsColumn {
			line.WriteString(cell + blanks)
		} else {
			line.WriteString(blanks + cell)
		}
	}
	return append(b, strings.TrimRight(line.String(), " ")...)
}

// hopRows returns the rows of hop i+1: the first with its figures, and one for each
// further address.
func (s Style) hopRows(t *path.Trace, i int, name func(netip.Addr) string) [][]string {
	h := &t.Hops[i]
	row := make([]string, len(pathColumns))
	row[0], row[1] = strconv.Itoa(h.TTL), "*"
	row[2] = strconv.Itoa(h.Answers) + "/" + strconv.Itoa(h.Sent)
	if len(h.RTTs) > 0 {
		row[3] = string(appendMS(nil, h.Min()))
		row[4] = string(appendMS(nil, h.Median()))
		row[5] = string(appendMS(nil, h.Max()))
	}
	if h.Sent > 0 && h.Answers > 0 {
		row[6] = string(appendPercent(nil, 100*float64(h.Sent-h.Answers)/float64(h.Sent)))
		if h.Limited {
			row[6] += " (limits)"
		}
	}
	if loss, ok := t.Beyond(i); ok {
		row[7] = string(appendPercent(nil, loss))
	}
	if h.DSCP >= 0 {
		row[8] = strconv.Itoa(h.DSCP)
		if text := dscp.Name(h.DSCP); text != "" && h.DSCP != 0 {
			row[8] += " " + text
		}
	}
	for k, l := range h.MPLS {
		if k > 0 {
			row[9] += " "
		}
		row[9] += strconv.FormatUint(uint64(l.Label), 10)
	}
	rows := [][]string{row}
	for k, from := range h.From {
		if k > 0 {
			rows = append(rows, make([]string, len(pathColumns)))
		}
		rows[k][1] = s.addressText(from, name)
	}
	return rows
}

// addressText is an address with its name. A name that would take more than half of the
// terminal is cut: figures say more than its end.
func (s Style) addressText(from path.Address, name func(netip.Addr) string) string {
	text := from.Addr.String()
	if n := name(from.Addr); n != "" {
		text = " (" + text + ")"
		n = Clean(n)
		if most := max(s.Width/2-cells(text), leastName); s.Width > 0 && cells(n) > most {
			n = shorten(n, most)
		}
		text = n + text
	}
	if !from.Proven {
		text += " ?"
	}
	return text
}

// leastName is how much of a name is left on the narrowest terminal.
const leastName = 8
