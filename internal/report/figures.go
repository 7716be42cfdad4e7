package report

import (
	"errors"
	"math"
	"net/netip"
	"strconv"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
)

// Figures are what is known so far of a series that goes on. Make them with
// [NewFigures], and give them all events of the series' OnEcho.
type Figures struct {
	Host           string
	Addr           netip.Addr // what is probed; invalid until the first event
	Sent, Received int        // of echoes whose outcome is known
	Last, Min, Max time.Duration
	LastLost       bool   // the latest outcome was no reply
	Failed         string // why the host cannot be pinged at all; "" where it can

	duplicates, late, corrupt, errors int
	lastError                         error
	mean, squares                     float64      // in ns; squares: the sum of squared differences from the mean
	erred                             map[int]bool // echoes with an error; true: the system had sent it
}

// mostInFlight is how many echoes of a series may be undecided at once, by what
// [icmpcore.Options] allows.
const mostInFlight = 32768

// NewFigures returns the figures of a host before its first event.
func NewFigures(host string) *Figures { return &Figures{Host: host} }

// Add counts one thing that happened to an echo.
func (f *Figures) Add(e *icmpcore.Echo) {
	f.Addr = e.Addr
	switch e.Outcome {
	case icmpcore.OutcomeReply:
		f.reply(e)
	case icmpcore.OutcomeTimeout:
		f.Sent++
		f.LastLost = true
	case icmpcore.OutcomeError:
		f.fail(e)
	case icmpcore.OutcomeDuplicate:
		f.duplicates++
	case icmpcore.OutcomeLate:
		f.late++
	case icmpcore.OutcomeCorrupt:
		f.corrupt++
	}
}

func (f *Figures) reply(e *icmpcore.Echo) {
	if sent, ok := f.erred[e.Seq]; ok { // a reply in time disproves the error
		delete(f.erred, e.Seq)
		f.errors--
		if sent {
			f.Sent--
		}
	}
	f.Sent++
	f.Received++
	f.Last, f.LastLost = e.RTT, false
	if f.Received == 1 || e.RTT < f.Min {
		f.Min = e.RTT
	}
	f.Max = max(f.Max, e.RTT)
	difference := float64(e.RTT) - f.mean // Welford's way to a variance
	f.mean += difference / float64(f.Received)
	f.squares += difference * (float64(e.RTT) - f.mean)
}

// fail counts an error. A request that the system refused was not sent.
func (f *Figures) fail(e *icmpcore.Echo) {
	var send *icmpcore.SendError
	sent := !errors.As(e.Err, &send)
	if sent {
		f.Sent++
	}
	f.errors++
	f.lastError, f.LastLost = e.Err, true
	if f.erred == nil {
		f.erred = make(map[int]bool)
	}
	f.erred[e.Seq] = sent
	if len(f.erred) > 2*mostInFlight {
		for seq := range f.erred {
			if seq < e.Seq-mostInFlight {
				delete(f.erred, seq)
			}
		}
	}
}

// Mean is the mean round-trip time, 0 without a reply.
func (f *Figures) Mean() time.Duration { return time.Duration(math.Round(f.mean)) }

// Jitter is the sample standard deviation of the round-trip times, 0 under two
// replies.
func (f *Figures) Jitter() time.Duration {
	if f.Received < 2 {
		return 0
	}
	return time.Duration(math.Round(math.Sqrt(f.squares / float64(f.Received-1))))
}

// Loss is the percentage of Sent that got no reply, 0 where Sent is 0.
func (f *Figures) Loss() float64 {
	if f.Sent == 0 {
		return 0
	}
	return float64(f.Sent-f.Received) / float64(f.Sent) * 100
}

func (f *Figures) label() string { return label(f.Host, f.Addr) }

// LabelWidth is how many columns the host's label takes. While the address of a
// name is not known there is room for one of IPv4.
func (f *Figures) LabelWidth() int {
	width := LabelWidth(f.Host, f.Addr)
	if _, err := netip.ParseAddr(f.Host); err != nil && !f.Addr.IsValid() {
		width += len(" (255.255.255.255)")
	}
	return width
}

func (f *Figures) colour() string {
	switch {
	case f.Received == 0 && f.Sent+f.errors > 0, f.Failed != "":
		return red
	case f.Received < f.Sent || f.errors > 0:
		return yellow
	case f.Sent == 0:
		return plain
	}
	return green
}

// notes says what else happened, the last error with its text.
func (f *Figures) notes() string {
	var b []byte
	count := func(n int, one, many string) {
		if n == 0 {
			return
		}
		if len(b) > 0 {
			b = append(b, ", "...)
		}
		b = append(strconv.AppendInt(b, int64(n), 10), plural(n, one, many)...)
	}
	count(f.duplicates, " duplicate", " duplicates")
	count(f.late, " late", " late")
	count(f.corrupt, " corrupt", " corrupt")
	count(f.errors, " error", " errors")
	if f.errors > 0 {
		b = append(append(b, ": "...), errorText(f.lastError)...)
	}
	return string(b)
}

// AppendLine appends the figures so far in one line, with now before it where
// the style has times.
func (f *Figures) AppendLine(b []byte, now time.Time, s Style) []byte {
	from := len(b)
	if s.Times {
		b = append(now.AppendFormat(b, timeFormat), ' ')
	}
	b = append(append(b, f.label()...), ": "...)
	if f.Failed != "" {
		return s.fold(append(s.paint(b, red, f.Failed), '\n'), from, 2, 1)
	}
	line := append(strconv.AppendInt(nil, int64(f.Sent), 10), " sent, "...)
	line = append(strconv.AppendInt(line, int64(f.Received), 10), " received"...)
	if f.Sent > 0 {
		line = append(appendPercent(append(line, ", "...), f.Loss()), " loss"...)
	}
	b = s.paint(b, f.colour(), string(line))
	if f.Received > 0 {
		for _, d := range []figure{{", min ", f.Min}, {" avg ", f.Mean()}, {" max ", f.Max}} {
			b = appendMS(append(b, d.name...), d.d)
		}
		if !f.LastLost {
			b = appendMS(append(b, " last "...), f.Last)
		}
		b = append(b, " ms"...)
	}
	if f.Sent > 0 && f.LastLost {
		b = append(b, ", last one lost"...)
	}
	if notes := f.notes(); notes != "" {
		b = append(append(b, ", "...), notes...)
	}
	return s.fold(append(b, '\n'), from, 2, 1)
}
