package nagios

import (
	"errors"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/report"
)

// Status is the state of a check; its value is the exit status.
type Status int

// The states.
const (
	OK Status = iota
	Warning
	Critical
	Unknown
)

// String returns "OK", "WARNING", "CRITICAL" or "UNKNOWN".
func (s Status) String() string {
	switch s {
	case OK:
		return "OK"
	case Warning:
		return "WARNING"
	case Critical:
		return "CRITICAL"
	}
	return "UNKNOWN"
}

// worse reports whether s goes before t: critical, warning, unknown, OK.
func (s Status) worse(t Status) bool { return s.rank() > t.rank() }

// orWorse returns the worse of two states.
func (s Status) orWorse(t Status) Status {
	if t.worse(s) {
		return t
	}
	return s
}

func (s Status) rank() int {
	switch s {
	case OK:
		return 0
	case Warning:
		return 2
	case Critical:
		return 3
	}
	return 1
}

// Verdict is what one host's result comes to.
type Verdict struct {
	Result     icmpcore.PingResult
	Thresholds Thresholds
	Status     Status
	Reason     string // why Status is not OK, "" where it is

	// Asked is how many echoes the series should have had, where it was ended
	// early because its state was certain. Else it is 0.
	Asked int
	// Skipped says that the check had its state without this host, whose own
	// state is therefore not known.
	Skipped bool
	// Marks distinguish the target from others of the same host. They are its
	// options and tags, the same in every run.
	Marks []Mark
	// Path is what a trace of the path to the host shows, "" if there is none.
	Path string

	named struct{ rta, rtmax, loss, jitter bool } // by Reason
}

// Lossy reports whether the host is not OK because of its loss.
func (v *Verdict) Lossy() bool { return v.named.loss && !v.Skipped }

// Skip returns the verdict on a host that the check did not wait for.
func Skip(r icmpcore.PingResult, t Thresholds) Verdict {
	return Verdict{Result: r, Thresholds: t, Status: Unknown, Reason: "not waited for", Skipped: true}
}

// Judge judges a result. The loss is judged in whole echoes, so that 3 of 5
// lost is 60 % exactly. Times are judged only where they exist: a host that never
// replied is judged by its loss alone. The status is Unknown where nothing was
// sent, unless there is no route to the host. It is also Unknown where nothing is
// wrong so far, but the series was cut short (unfinished) or the system refused
// to send some of its echoes.
func Judge(r icmpcore.PingResult, t Thresholds, unfinished bool) Verdict {
	v := Verdict{Result: r, Thresholds: t}
	if r.Sent == 0 {
		v.Status, v.Reason = judgeUnsent(&r, t, unfinished)
		return v
	}
	var reasons []string
	raise := func(named *bool, s Status, reason string) {
		if *named = s != OK; *named {
			reasons = append(reasons, reason)
		}
		v.Status = v.Status.orWorse(s)
	}
	status, reason := judgeLoss(&r, t)
	raise(&v.named.loss, status, reason)
	if r.Received > 0 {
		status, reason = judgeTime("rta", r.Mean, t.Warn.RTT, t.Crit.RTT)
		raise(&v.named.rta, status, reason)
		status, reason = judgeTime("rtmax", r.Max, t.Warn.Max, t.Crit.Max)
		raise(&v.named.rtmax, status, reason)
	}
	if r.Received > 1 {
		status, reason = judgeTime("jitter", r.Jitter, t.Warn.Jitter, t.Crit.Jitter)
		raise(&v.named.jitter, status, reason)
	}
	switch broken := brokenOff(&r); {
	case unfinished:
		reasons = append(reasons, "not finished in time")
	case broken != "":
		reasons = append(reasons, broken)
	}
	if refused := refusals(&r); refused != "" {
		reasons = append(reasons, refused)
	}
	if len(reasons) > 0 && v.Status == OK {
		v.Status = Unknown
	}
	v.Reason = strings.Join(reasons, ", ")
	return v
}

// judgeUnsent judges a result without any echo sent. A host to which there is no
// route cannot be reached: that is the loss of every echo for check_ping and
// check_icmp, and for anyone who waits for the host.
func judgeUnsent(r *icmpcore.PingResult, t Thresholds, unfinished bool) (Status, string) {
	var resolve *icmpcore.ResolveError
	if r.Err == nil || unfinished && !errors.As(r.Err, &resolve) { // a name may be what took the time
		return Unknown, "nothing was measured in time"
	}
	status := Unknown
	if errors.Is(r.Err, syscall.ENETUNREACH) || errors.Is(r.Err, syscall.EHOSTUNREACH) {
		if s := gradeLoss(1, 1, t); s != OK {
			status = s
		}
	}
	return status, report.Reason(r)
}

// judgeLoss compares the loss with its thresholds.
func judgeLoss(r *icmpcore.PingResult, t Thresholds) (Status, string) {
	status := gradeLoss(r.Sent-r.Received, r.Sent, t)
	level := t.Crit.Loss
	if status == Warning {
		level = t.Warn.Loss
	}
	return status, lossText(r, " >= "+limit(level)+"%")
}

// lossText is the loss, the level it is compared with, and the reason if it is known.
func lossText(r *icmpcore.PingResult, compared string) string {
	text := "loss " + number(r.Loss) + "%" + compared
	if why := report.Lost(r); why != "" && r.Received < r.Sent {
		text += " (" + why + ")"
	}
	return text
}

// brokenOff says why a series ended early, "" if it did not. Requests that the
// system refused do not end a series: see refusals.
func brokenOff(r *icmpcore.PingResult) string {
	var send *icmpcore.SendError
	if r.Err == nil || errors.As(r.Err, &send) {
		return ""
	}
	return r.Err.Error()
}

// refusals says how many echoes the system refused to send, and why it refused the
// first, "" if it refused none. They are not lost, but the figures are of fewer
// echoes than you asked for.
func refusals(r *icmpcore.PingResult) string {
	n, first := 0, ""
	for _, e := range r.Errors {
		if e.Kind != icmpcore.SendFailed {
			continue
		}
		if n++; n == 1 {
			first = e.Message
		}
	}
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n) + " of " + strconv.Itoa(r.Sent+n) + " echoes not sent: " + first
}

// judgeTime compares one time with its two thresholds.
func judgeTime(name string, d, warn, crit time.Duration) (Status, string) {
	status := gradeTime(d, warn, crit)
	level := crit
	if status == Warning {
		level = warn
	}
	return status, name + " " + milliseconds(d) + " ms >= " + limitMS(level) + " ms"
}
