package otel

import (
	"errors"
	"strings"
	"time"
)

// Outcome is what a failed export means for the rest of a push.
type Outcome uint8

const (
	// Unavailable means that nothing was taken, and that nothing else would be
	// now. The push stops, and the next one carries the counts.
	Unavailable Outcome = iota
	// Refused means that this message was not taken. Others may be.
	Refused
	// TooLarge means that the same points may be taken in smaller messages.
	TooLarge
	// Partial means that the message was taken, except for some points. They
	// must not be sent again.
	Partial
	// Broken means that nothing can be exported any more. [Pusher.Run] ends.
	Broken
)

// ExportError is how an exporter tells a [Pusher] what became of a message. The
// pusher finds it by [errors.As]. It takes any other error for Unavailable,
// except the OTLP exporters' own error on partial success, which it knows by
// its text.
type ExportError struct {
	Outcome    Outcome
	Rejected   int64         // data points, with Partial; 0 where the number is not known
	RetryAfter time.Duration // how long the receiver asks to be left alone
	Err        error
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

// judge returns the error of an exporter as an *ExportError. It is nil where
// the message was taken, also with a warning.
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

// taken reports whether the receiver has a message for which an exporter gave
// e, and must not get it again.
func taken(e *ExportError) bool { return e == nil || e.Outcome == Partial }

// worse returns the one of two errors of a push that says more about it: the
// first one, unless only the other means that something was not taken, or that
// all is over.
func worse(first, second *ExportError) *ExportError {
	if first == nil || taken(first) && !taken(second) || second != nil && second.Outcome == Broken {
		return second
	}
	return first
}
