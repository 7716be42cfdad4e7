package report

import (
	"errors"
	"strconv"

	"github.com/pingtel/pingtel/icmpcore"
)

// timeFormat is RFC 3339 with microseconds, of a fixed width.
const timeFormat = "2006-01-02T15:04:05.000000Z07:00"

// AppendEcho appends one line for one thing that happened to an echo.
func AppendEcho(b []byte, e *icmpcore.Echo, s Style) []byte {
	from := len(b)
	if s.Times {
		b = append(e.Time.AppendFormat(b, timeFormat), ' ')
	}
	b = append(b, Clean(e.Host)...)
	b = append(b, ": seq="...)
	b = append(strconv.AppendInt(b, int64(e.Seq), 10), ' ')
	switch e.Outcome {
	case icmpcore.OutcomeReply:
		b = appendEchoReply(s.paint(b, green, "reply"), e)
	case icmpcore.OutcomeDuplicate, icmpcore.OutcomeLate:
		b = appendEchoReply(s.paint(b, yellow, e.Outcome.String()), e)
	case icmpcore.OutcomeCorrupt:
		b = appendSender(s.paint(b, yellow, "corrupt"), e)
	case icmpcore.OutcomeError:
		b = append(s.paint(b, red, "error"), ' ')
		b = append(b, errorText(e.Err)...)
	default:
		b = s.paint(b, red, e.Outcome.String())
	}
	return s.fold(append(b, '\n'), from, 2, 1)
}

// errorText is the text of an echo's error. That of a SendError repeats the
// host, which stands before it already.
func errorText(err error) string {
	if send := (*icmpcore.SendError)(nil); errors.As(err, &send) {
		return Clean("not sent: " + send.Err.Error())
	}
	return Clean(err.Error())
}

// appendSender appends who replied, unless that is the host as it is written.
func appendSender(b []byte, e *icmpcore.Echo) []byte {
	if !e.From.IsValid() || sameText(e.From, e.Host) {
		return b
	}
	return append(append(b, " from "...), Clean(e.From.String())...)
}

// appendEchoReply appends what a reply says, whether or not it counts.
func appendEchoReply(b []byte, e *icmpcore.Echo) []byte {
	b = appendSender(b, e)
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
