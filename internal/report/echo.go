package report

import (
	"strconv"

	"github.com/pingtel/pingtel/icmpcore"
)

// AppendEcho appends one line for one thing that happened to an echo.
func AppendEcho(b []byte, e *icmpcore.Echo, s Style) []byte {
	b = append(b, Clean(e.Host)...)
	b = append(b, ": seq="...)
	b = append(strconv.AppendInt(b, int64(e.Seq), 10), ' ')
	switch e.Outcome {
	case icmpcore.OutcomeReply:
		b = appendEchoReply(s.paint(b, green, "reply"), e)
	case icmpcore.OutcomeDuplicate, icmpcore.OutcomeLate:
		b = appendEchoReply(s.paint(b, yellow, e.Outcome.String()), e)
	case icmpcore.OutcomeCorrupt:
		b = s.paint(b, yellow, "corrupt")
		if e.From.IsValid() {
			b = append(b, " from "...)
			b = append(b, Clean(e.From.String())...)
		}
	case icmpcore.OutcomeError:
		b = append(s.paint(b, red, "error"), ' ')
		b = append(b, Clean(e.Err.Error())...)
	default:
		b = s.paint(b, red, e.Outcome.String())
	}
	return append(b, '\n')
}

// appendEchoReply appends what a reply says, whether or not it counts.
func appendEchoReply(b []byte, e *icmpcore.Echo) []byte {
	b = append(b, " from "...)
	b = append(b, Clean(e.From.String())...)
	if e.TTL > 0 {
		b = append(b, " ttl="...)
		b = strconv.AppendInt(b, int64(e.TTL), 10)
	}
	b = append(b, " time="...)
	b = append(appendMS(b, e.RTT), " ms"...)
	if e.DSCP > 0 {
		b = append(b, " dscp="...)
		b = appendDSCP(b, e.DSCP)
	}
	return b
}
