package nagios

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Level is where one kind of alert begins. A value at or above its field
// alerts; a zero field judges nothing.
type Level struct {
	RTT    time.Duration // mean round-trip time
	Loss   float64       // percent, up to 100
	Max    time.Duration // longest round-trip time
	Jitter time.Duration // sample standard deviation of the round-trip times
}

// Thresholds are the two levels a result is judged by.
type Thresholds struct {
	Warn, Crit Level
}

// errPair is the end of every error of ParsePair.
var errPair = errors.New("want a mean RTT, a loss or both, as 100ms,20%")

// ParsePair reads a threshold of the form RTT,LOSS%: "100ms,20%". Either part
// may stand alone; the other one is then zero and judges nothing. A plain number
// is an RTT in milliseconds, as in check_ping and check_icmp: "100.0,20%". After
// an RTT the percent sign may be missing, as in check_icmp. A threshold of zero is
// refused, since it would always alert.
func ParsePair(text string) (rtt time.Duration, loss float64, err error) {
	for i, part := range strings.Split(text, ",") {
		percent, isLoss := strings.CutSuffix(part, "%")
		switch {
		case i > 1, loss != 0:
			return 0, 0, errPair
		case isLoss || i > 0:
			loss, err = parsePercent(percent)
		default:
			if rtt, err = ParseTime(part); errors.Is(err, errTime) {
				err = errPair
			}
		}
		if err != nil {
			return 0, 0, err
		}
	}
	return rtt, loss, nil
}

// ParseTime reads a time above zero: milliseconds as a plain decimal number, or a
// duration with its unit. The unit m alone is refused: check_icmp means
// milliseconds by it, everything else minutes.
func ParseTime(text string) (time.Duration, error) {
	switch unit := strings.TrimLeft(text, "0123456789."); unit {
	case "":
		text += "ms"
	case "m", "u":
		return 0, fmt.Errorf("the unit %s is not clear: want %ss", unit, unit)
	}
	d, err := time.ParseDuration(text)
	switch {
	case err != nil:
		return 0, errTime
	case d <= 0:
		return 0, fmt.Errorf("a time of %s always alerts", text)
	}
	return d, nil
}

var errTime = errors.New("want milliseconds, as 100, or a number with a unit, as 100ms")

// parsePercent reads plain decimals above 0 and up to 100.
func parsePercent(text string) (float64, error) {
	if strings.Trim(text, "0123456789.") != "" {
		return 0, errPair
	}
	v, err := strconv.ParseFloat(text, 64)
	switch {
	case err != nil:
		return 0, errPair
	case v > 100:
		return 0, fmt.Errorf("a loss of %s%% cannot be: %w", text, errPair)
	case v <= 0:
		return 0, fmt.Errorf("a loss of %s%% always alerts: %w", text, errPair)
	}
	return v, nil
}

// Validate reports every warning level that is above its critical one: such a
// warning would never be given.
func (t Thresholds) Validate() error {
	var errs []error
	above := func(what, warn, crit string) {
		errs = append(errs, fmt.Errorf("warning %s %s is above critical %s: want it at or below", what, warn, crit))
	}
	times := func(what string, w, c time.Duration) {
		if w > c && c > 0 {
			above(what, w.String(), c.String())
		}
	}
	times("RTT", t.Warn.RTT, t.Crit.RTT)
	if w, c := t.Warn.Loss, t.Crit.Loss; w > c && c > 0 {
		above("loss", number(w)+"%", number(c)+"%")
	}
	times("longest RTT", t.Warn.Max, t.Crit.Max)
	times("jitter", t.Warn.Jitter, t.Crit.Jitter)
	return errors.Join(errs...)
}
