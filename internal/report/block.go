package report

import (
	"net/netip"
	"strconv"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/dscp"
)

// AppendBlock appends everything that is known of one host: a headline, and a
// line for each group of figures that exists.
func AppendBlock(b []byte, r *icmpcore.PingResult, s Style) []byte {
	from := len(b)
	b = append(append(b, Label(r)...), ": "...)
	if r.Sent == 0 {
		reason := Reason(r)
		if r.Err == nil {
			reason = "ended before the first outcome"
		}
		b = append(s.paint(b, red, reason), '\n')
		return s.fold(b, from, 2, 1)
	}
	b = append(s.paint(b, verdictColour(r), headline(r)), '\n')
	b = s.fold(b, from, 2, 1)
	from = len(b)
	b = s.fold(appendPackets(b, r), from, nameWidth+2, 1)
	if r.Received > 0 {
		from = len(b)
		b = s.fold(appendTimes(b, r), from, nameWidth+2, 2) // a figure's name stays with it
		from = len(b)
		b = s.fold(appendReply(b, r), from, nameWidth+2, 1)
	} else {
		from = len(b)
		b = append(b, "  No replies received."...)
		if reason := Reason(r); reason != silence {
			b = append(append(b, " Reason: "...), reason...)
		}
		b = s.fold(append(b, '\n'), from, 2, 1)
	}
	from = len(b)
	return s.fold(appendErrors(b, r), from, nameWidth+2, 1)
}

// headline is the verdict in words: "4 of 4 answered, 0% loss".
func headline(r *icmpcore.PingResult) string {
	b := strconv.AppendInt(nil, int64(r.Received), 10)
	b = append(b, " of "...)
	b = strconv.AppendInt(b, int64(r.Sent), 10)
	b = append(b, " answered, "...)
	b = appendPercent(b, r.Loss)
	return string(append(b, " loss"...))
}

// nameWidth is the width of what begins a line of a block, after its two blanks.
const nameWidth = 13

// appendName begins a line of a block.
func appendName(b []byte, name string) []byte {
	b = append(append(b, "  "...), name...)
	for range nameWidth - len(name) {
		b = append(b, ' ')
	}
	return b
}

func appendPackets(b []byte, r *icmpcore.PingResult) []byte {
	b = appendName(b, "packets")
	b = append(strconv.AppendInt(b, int64(r.Sent), 10), " sent, "...)
	b = append(strconv.AppendInt(b, int64(r.Received), 10), " received"...)
	for _, c := range []struct {
		n         int
		one, many string
	}{
		{r.Sent - r.Received, " lost", " lost"}, {len(r.Errors), " error", " errors"}, {r.Duplicates, " duplicate", " duplicates"},
		{r.Late, " late", " late"}, {r.Reordered, " reordered", " reordered"}, {r.Corrupt, " corrupt", " corrupt"},
	} {
		if c.n > 0 {
			b = append(b, ", "...)
			b = append(strconv.AppendInt(b, int64(c.n), 10), plural(c.n, c.one, c.many)...)
		}
	}
	return append(b, '\n')
}

// figure is a time and its name.
type figure struct {
	name string
	d    time.Duration
}

// appendFigures appends one line of times.
func appendFigures(b []byte, name string, figures ...figure) []byte {
	b = appendName(b, name)
	for i, f := range figures {
		if i > 0 {
			b = append(b, "  "...)
		}
		if f.name != "" {
			b = append(append(b, f.name...), ' ')
		}
		b = appendMS(b, f.d)
	}
	return append(b, " ms\n"...)
}

func appendTimes(b []byte, r *icmpcore.PingResult) []byte {
	rtt := []figure{{"min", r.Min}, {"avg", r.Mean}, {"max", r.Max}, {"median", r.Median}}
	if r.Received < 2 { // one time does not vary
		return appendFigures(b, "rtt", rtt...)
	}
	b = appendFigures(b, "rtt", append(rtt, figure{"jitter", r.Jitter})...)
	b = appendFigures(b, "percentiles", figure{"p50", r.P50}, figure{"p90", r.P90}, figure{"p95", r.P95}, figure{"p99", r.P99})
	if r.IPDVPairs == 0 {
		return b
	}
	return appendFigures(b, "ipdv", figure{"", r.IPDV})
}

// appendReply appends what the first reply says about the path and the host.
func appendReply(b []byte, r *icmpcore.PingResult) []byte {
	if r.TTL > 0 {
		b = appendName(b, "ttl")
		b = append(strconv.AppendInt(b, int64(r.TTL), 10), ", "...)
		b = strconv.AppendInt(b, int64(r.Hops), 10)
		b = append(b, plural(r.Hops, " hop", " hops")...)
		b = append(append(b, ", probably "...), r.OSGuess...)
		b = append(b, '\n')
	}
	if r.ReplyDSCP > 0 {
		b = appendName(b, "reply dscp")
		b = append(appendDSCP(b, r.ReplyDSCP), '\n')
	}
	b = appendName(b, "timestamps")
	b = append(b, r.Timestamps.String()...)
	b = append(append(b, ", "...), r.Socket.String()...)
	return append(b, " socket\n"...)
}

// appendDSCP appends a code point and its name.
func appendDSCP(b []byte, codePoint int) []byte {
	b = strconv.AppendInt(b, int64(codePoint), 10)
	if name := dscp.Name(codePoint); name != "" {
		b = append(append(append(b, " ("...), name...), ')')
	}
	return b
}

// cause is what two errors have in common that a reader takes for the same.
type cause struct {
	kind    icmpcore.ErrorKind
	message string
	code    int
	from    netip.Addr
}

func causeOf(e icmpcore.EchoError) cause { return cause{e.Kind, e.Message, e.Code, e.From} }

// String returns the message and who reported it.
func (c cause) String() string {
	if !c.from.IsValid() {
		return Clean(c.message)
	}
	return Clean(c.message + ", reported by " + c.from.String())
}

// appendErrors appends a line for each different error, in the order in which
// they first came.
func appendErrors(b []byte, r *icmpcore.PingResult) []byte {
	counts := make(map[cause]int)
	var order []cause
	for _, e := range r.Errors {
		c := causeOf(e)
		if counts[c] == 0 {
			order = append(order, c)
		}
		counts[c]++
	}
	for _, c := range order {
		b = appendName(b, "error")
		b = append(strconv.AppendInt(b, int64(counts[c]), 10), " x "...)
		b = append(append(b, c.String()...), '\n')
	}
	return b
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}
