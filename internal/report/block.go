package report

import (
	"net/netip"
	"strconv"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/dscp"
)

// AppendBlock appends everything there is to say of one host: a headline and
// a line for each group of figures that exists.
func AppendBlock(b []byte, r *icmpcore.PingResult, s Style) []byte {
	b = append(b, hostName(r)...)
	b = append(b, ": "...)
	if r.Sent == 0 {
		reason := Reason(r)
		if r.Err == nil {
			reason = "ended before the first outcome"
		}
		return append(s.paint(b, red, reason), '\n')
	}
	b = s.paint(b, verdictColour(r), headline(r))
	b = append(b, '\n')
	b = appendPackets(b, r)
	if r.Received > 0 {
		b = appendTimes(b, r)
		b = appendReply(b, r)
	} else {
		b = append(b, "  No replies received."...)
		if reason := Reason(r); reason != silence {
			b = append(append(b, " Reason: "...), reason...)
		}
		b = append(b, '\n')
	}
	return appendErrors(b, r)
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

// appendName begins a line of a block.
func appendName(b []byte, name string) []byte {
	const width = 13
	b = append(append(b, "  "...), name...)
	for range width - len(name) {
		b = append(b, ' ')
	}
	return b
}

func appendPackets(b []byte, r *icmpcore.PingResult) []byte {
	b = appendName(b, "packets")
	b = append(strconv.AppendInt(b, int64(r.Sent), 10), " sent, "...)
	b = append(strconv.AppendInt(b, int64(r.Received), 10), " received"...)
	for _, c := range []struct {
		n    int
		what string
	}{
		{r.Sent - r.Received, " lost"}, {len(r.Errors), " errors"}, {r.Duplicates, " duplicates"},
		{r.Late, " late"}, {r.Reordered, " reordered"}, {r.Corrupt, " corrupt"},
	} {
		if c.n > 0 {
			b = append(b, ", "...)
			b = append(strconv.AppendInt(b, int64(c.n), 10), c.what...)
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

// appendReply appends what the first reply tells of the way and the host.
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

// cause is what makes two errors the same to a reader.
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
