package nagios

import (
	"errors"
	"strings"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
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
}

// Judge judges a result. The loss is judged in whole echoes, so that 3 of 5
// lost is 60 % exactly; RTT and jitter are judged where they exist, so that a
// host which never replied is judged by its loss alone. Where nothing was
// sent, or a series that found nothing amiss was cut short (unfinished), the
// status is Unknown.
func Judge(r icmpcore.PingResult, t Thresholds, unfinished bool) Verdict {
	v := Verdict{Result: r, Thresholds: t}
	if r.Sent == 0 {
		v.Status, v.Reason = Unknown, "nothing was measured in time"
		var resolve *icmpcore.ResolveError // it is the DNS that took the time
		if r.Err != nil && (!unfinished || errors.As(r.Err, &resolve)) {
			v.Reason = r.Err.Error()
		}
		return v
	}
	var reasons []string
	raise := func(s Status, reason string) {
		if s != OK {
			reasons = append(reasons, reason)
		}
		if s.worse(v.Status) {
			v.Status = s
		}
	}
	raise(judgeLoss(&r, t))
	if r.Received > 0 {
		raise(judgeTime("rta", r.Mean, t.Warn.RTT, t.Crit.RTT))
	}
	if r.Received > 1 {
		raise(judgeTime("jitter", r.Jitter, t.Warn.Jitter, t.Crit.Jitter))
	}
	if unfinished {
		reasons = append(reasons, "not finished in time")
		if v.Status == OK {
			v.Status = Unknown
		}
	}
	v.Reason = strings.Join(reasons, ", ")
	return v
}

// judgeLoss compares lost/sent with the thresholds without dividing: a
// quotient such as 29/100 would come out a hair below 29 %.
func judgeLoss(r *icmpcore.PingResult, t Thresholds) (Status, string) {
	lost, sent := float64(r.Sent-r.Received)*100, float64(r.Sent)
	status, limit := OK, 0.0
	switch {
	case t.Crit.Loss > 0 && lost >= t.Crit.Loss*sent:
		status, limit = Critical, t.Crit.Loss
	case t.Warn.Loss > 0 && lost >= t.Warn.Loss*sent:
		status, limit = Warning, t.Warn.Loss
	}
	reason := "loss " + number(r.Loss) + "% >= " + number(limit) + "%"
	if err := r.Failure(); err != nil && !errors.Is(err, icmpcore.ErrTimeout) {
		reason += " (" + err.Error() + ")"
	}
	return status, reason
}

// judgeTime compares one duration with its two thresholds.
func judgeTime(name string, d, warn, crit time.Duration) (Status, string) {
	reason := func(limit time.Duration) string {
		return name + " " + milliseconds(d) + " ms >= " + number(toMS(limit)) + " ms"
	}
	switch {
	case crit > 0 && d >= crit:
		return Critical, reason(crit)
	case warn > 0 && d >= warn:
		return Warning, reason(warn)
	}
	return OK, ""
}
