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
	Jitter time.Duration // sample standard deviation of the round-trip times
}

// Thresholds are the two levels a result is judged by.
type Thresholds struct {
	Warn, Crit Level
}

// errPair is what every refusal of ParsePair ends in.
var errPair = errors.New("want a mean RTT, a loss or both, as 100ms,20%")

// ParsePair reads a threshold of the form RTT,LOSS%: "100ms,20%". Either part
// may stand alone; the other one is then zero and judges nothing. A plain number
// is an RTT in milliseconds, as in check_ping and check_icmp: "100.0,20%". A
// threshold of zero is refused, since it would alert always.
func ParsePair(text string) (rtt time.Duration, loss float64, err error) {
	for i, part := range strings.Split(text, ",") {
		percent, isLoss := strings.CutSuffix(part, "%")
		switch {
		case i > 1, isLoss && loss != 0, !isLoss && i > 0:
			return 0, 0, errPair
		case isLoss:
			loss, err = parsePercent(percent)
		default:
			rtt, err = parseRTT(part)
		}
		if err != nil {
			return 0, 0, err
		}
	}
	return rtt, loss, nil
}

// parseRTT reads milliseconds as a plain decimal, or a duration with its unit.
func parseRTT(text string) (time.Duration, error) {
	rtt, err := time.ParseDuration(text)
	if err != nil {
		if strings.Trim(text, "0123456789.") != "" {
			return 0, errPair
		}
		rtt, err = time.ParseDuration(text + "ms")
	}
	switch {
	case err != nil:
		return 0, errPair
	case rtt <= 0:
		return 0, fmt.Errorf("an RTT of %s alerts always: %w", text, errPair)
	}
	return rtt, nil
}

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
		return 0, fmt.Errorf("a loss of %s%% alerts always: %w", text, errPair)
	}
	return v, nil
}

// Validate reports every warning level that lies above its critical one, for
// such a warning would never be given.
func (t Thresholds) Validate() error {
	var errs []error
	above := func(what, warn, crit string) {
		errs = append(errs, fmt.Errorf("warning %s %s is above critical %s: want it at or below", what, warn, crit))
	}
	if w, c := t.Warn.RTT, t.Crit.RTT; w > c && c > 0 {
		above("RTT", w.String(), c.String())
	}
	if w, c := t.Warn.Loss, t.Crit.Loss; w > c && c > 0 {
		above("loss", number(w)+"%", number(c)+"%")
	}
	if w, c := t.Warn.Jitter, t.Crit.Jitter; w > c && c > 0 {
		above("jitter", w.String(), c.String())
	}
	return errors.Join(errs...)
}
