package otel

import (
	"errors"
	"strings"
	"time"
)

// Outcome is what a failed export means for the rest of a push.
type Outcome uint8

const (
	// Unavailable means that the receiver took nothing and would take nothing else
	// now. The push stops, and the next one carries the counts.
	Unavailable Outcome = iota
	// Refused means that the receiver did not take this message. It may take others.
	Refused
	// TooLarge means that the receiver may take the same points in smaller messages.
	TooLarge
	// Partial means that the receiver took the message, except for some points,
	// which must not be sent again.
	Partial
	// Broken means that nothing can be exported any more. [Pusher.Run] ends.
	Broken
)

// ExportError is how an exporter tells a [Pusher] what happened to a message. The
// pusher finds it with [errors.As]. Any other error counts as Unavailable, except
// for the OTLP exporters' own error on partial success, which the pusher recognizes
// by its text.
type ExportError struct {
	Outcome    Outcome
	Rejected   int64         // with Partial: rejected data points, 0 if the number is not known
	RetryAfter time.Duration // how long the receiver asks the pusher to wait; 5 minutes at most count
	Err        error         // what went wrong
}

// Error returns the text of Err.
func (e *ExportError) Error() string {
	if e.Err == nil {
		return "otel: the export failed"
	}
	return e.Err.Error()
}

// Unwrap returns Err.
func (e *ExportError) Unwrap() error { return e.Err }

// The texts by which the OTLP exporters report partial success. The type of
// their error is not exported.
const (
	partialText = "OTLP partial success: "
	warningText = " (0 metric data points rejected)"
)

// judge returns the error of an exporter as an *ExportError. It is nil if the
// receiver took the message, also with a warning.
func judge(err error) *ExportError {
	var known *ExportError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known):
		return known
	case !strings.Contains(err.Error(), partialText):
		return &ExportError{Err: err}
	case strings.Contains(err.Error(), warningText):
		return nil
	}
	return &ExportError{Outcome: Partial, Err: err}
}

// taken reports whether the receiver has the message for which the exporter
// returned e, and must not get it again.
func taken(e *ExportError) bool { return e == nil || e.Outcome == Partial }

// worse returns the one of two errors of a push that says more about it. That is
// the first one, unless only the second means that something was not taken, or the
// second is Broken.
func worse(first, second *ExportError) *ExportError {
	if first == nil || taken(first) && !taken(second) || second != nil && second.Outcome == Broken {
		return second
	}
	return first
}
