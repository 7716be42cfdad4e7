// Package report writes results for people: a block for one host, a row in a
// table for one of many, a line for an echo, the figures of a run that goes on.
// It appends to a byte slice, and replaces whatever a terminal would act on in
// text from outside.
package report

import (
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/pingtel/pingtel/icmpcore"
)

// Style says how results are written. The zero value is plain text.
type Style struct {
	// Colour marks how well a host does in green, yellow and red.
	Colour bool

	// Width is how many columns the terminal has: no line is wider. Zero means
	// that there is no limit.
	Width int

	// Times puts the time of an echo's event before its line.
	Times bool
}

// The escapes of ECMA-48 used for Style.Colour.
const (
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	red    = "\x1b[31m"
	plain  = "\x1b[0m"
)

// paint appends text in a colour, or plainly where the style has none.
func (s Style) paint(b []byte, colour, text string) []byte {
	if !s.Colour {
		return append(b, text...)
	}
	b = append(b, colour...)
	b = append(b, text...)
	return append(b, plain...)
}

// verdictColour is green where every echo was answered, red where none was.
func verdictColour(r *icmpcore.PingResult) string {
	switch {
	case r.Received == 0:
		return red
	case r.Received < r.Sent:
		return yellow
	}
	return green
}

// Clean returns s with everything that is not printable written as a Go escape.
// Names and messages from elsewhere can then neither control a terminal nor look
// like lines of their own.
func Clean(s string) string {
	clean := strings.IndexFunc(s, func(c rune) bool { return c == unicode.ReplacementChar || !strconv.IsPrint(c) }) < 0
	if clean {
		return s
	}
	quoted := strconv.Quote(s)
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}

// Label is the host of a result, with its address where it is a name.
func Label(r *icmpcore.PingResult) string { return label(r.Host, r.Addr) }

func label(host string, addr netip.Addr) string {
	if !addr.IsValid() || sameText(addr, host) {
		return Clean(host)
	}
	return Clean(host + " (" + addr.String() + ")")
}

// LabelWidth is how many columns the label of a host takes.
func LabelWidth(host string, addr netip.Addr) int { return cells(label(host, addr)) }

func sameText(a netip.Addr, host string) bool {
	var buf [64]byte
	return string(a.AppendTo(buf[:0])) == host
}

// silence is the reason of a host that sent nothing at all.
const silence = "no reply in time"

// Reason says in a few words why a host did not answer, "" where it did.
func Reason(r *icmpcore.PingResult) string {
	err := r.Failure()
	var send *icmpcore.SendError
	var lookup *icmpcore.ResolveError
	switch {
	case err == nil:
		return ""
	case errors.Is(err, icmpcore.ErrTimeout):
		if lost := Lost(r); lost != "" {
			return lost
		}
		return strings.TrimPrefix(err.Error(), "icmpcore: ")
	case errors.As(err, &send): // its own text repeats the host
		return Clean("not sent: " + send.Err.Error())
	case errors.As(err, &lookup): // the host stands before it already
		text := strings.TrimPrefix(err.Error(), "lookup "+lookup.Host+": ")
		if dns := (*net.DNSError)(nil); errors.As(err, &dns) {
			text = "name not resolved: " + text
		}
		return Clean(text)
	}
	return Clean(err.Error())
}

// appendMS appends a time in milliseconds, exact to the microsecond.
func appendMS(b []byte, d time.Duration) []byte {
	return strconv.AppendFloat(b, float64(d)/float64(time.Millisecond), 'f', 3, 64)
}

// appendPercent appends a percentage with one decimal at most. It never writes 0
// or 100 for a value that only comes near.
func appendPercent(b []byte, v float64) []byte {
	switch {
	case v > 0 && v < 0.1:
		return append(b, "<0.1%"...)
	case v < 100 && v > 99.9:
		return append(b, ">99.9%"...)
	}
	text := strconv.FormatFloat(v, 'f', 1, 64)
	return append(append(b, strings.TrimSuffix(text, ".0")...), '%')
}
