package nagios

import (
	"errors"
	"strconv"
	"strings"
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

	// Marks tell the target from others of the same host. They are its
	// options and tags, the same from run to run.
	Marks []Mark

	named struct{ rta, loss, jitter bool } // by Reason
}

// Judge judges a result. The loss is judged in whole echoes, so that 3 of 5
// lost is 60 % exactly; RTT and jitter are judged where they exist, so that a
// host which never replied is judged by its loss alone. Where nothing was
// sent, or a series that found nothing amiss was cut short (unfinished) or could
// not send all its echoes, the status is Unknown.
func Judge(r icmpcore.PingResult, t Thresholds, unfinished bool) Verdict {
	v := Verdict{Result: r, Thresholds: t}
	if r.Sent == 0 {
		v.Status, v.Reason = Unknown, "nothing was measured in time"
		var resolve *icmpcore.ResolveError // it is the DNS that took the time
		if r.Err != nil && (!unfinished || errors.As(r.Err, &resolve)) {
			v.Reason = report.Reason(&r)
		}
		return v
	}
	var reasons []string
	raise := func(named *bool, s Status, reason string) {
		if *named = s != OK; *named {
			reasons = append(reasons, reason)
		}
		if s.worse(v.Status) {
			v.Status = s
		}
	}
	status, reason := judgeLoss(&r, t)
	raise(&v.named.loss, status, reason)
	if r.Received > 0 {
		status, reason = judgeTime("rta", r.Mean, t.Warn.RTT, t.Crit.RTT)
		raise(&v.named.rta, status, reason)
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

// judgeLoss compares lost/sent with the thresholds without dividing: a
// quotient such as 29/100 would come out a hair below 29 %.
func judgeLoss(r *icmpcore.PingResult, t Thresholds) (Status, string) {
	lost, sent := float64(r.Sent-r.Received)*100, float64(r.Sent)
	status, level := OK, 0.0
	switch {
	case t.Crit.Loss > 0 && lost >= t.Crit.Loss*sent:
		status, level = Critical, t.Crit.Loss
	case t.Warn.Loss > 0 && lost >= t.Warn.Loss*sent:
		status, level = Warning, t.Warn.Loss
	}
	return status, lossText(r, " >= "+limit(level)+"%")
}

// lossText is the loss, what it is compared with, and what is known of why.
func lossText(r *icmpcore.PingResult, compared string) string {
	text := "loss " + number(r.Loss) + "%" + compared
	if why := report.Lost(r); why != "" && r.Received < r.Sent {
		text += " (" + why + ")"
	}
	return text
}

// brokenOff says why a series that had begun has ended early, "" where it has
// not. Requests that the system refused do not end it: see refusals.
func brokenOff(r *icmpcore.PingResult) string {
	var send *icmpcore.SendError
	if r.Err == nil || errors.As(r.Err, &send) {
		return ""
	}
	return r.Err.Error()
}

// refusals says how many echoes the system refused to send, and why the first of
// them, "" where it refused none. They are no loss, but what is known of the host
// is less than was asked for.
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

// judgeTime compares one duration with its two thresholds.
func judgeTime(name string, d, warn, crit time.Duration) (Status, string) {
	reason := func(level time.Duration) string {
		return name + " " + milliseconds(d) + " ms >= " + limitMS(level) + " ms"
	}
	switch {
	case crit > 0 && d >= crit:
		return Critical, reason(crit)
	case warn > 0 && d >= warn:
		return Warning, reason(warn)
	}
	return OK, ""
}
