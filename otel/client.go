package otel

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	colpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"

	"github.com/pingtel/pingtel/internal/config"
)

// client hands messages to a collector. One message is under way at a time.
type client interface {
	// export returns nil where the collector has taken the message, or a
	// *pushError, or a *partialError where it has taken it in part.
	export(ctx context.Context, message []byte) error
	close() error
}

// newClient returns the client that s asks for. It connects when it has
// something to send.
func newClient(s *config.OTelSettings, agent string) (client, error) {
	if s.Protocol == "grpc" {
		return newGRPCClient(s, agent)
	}
	return newHTTPClient(s, agent)
}

// verdict is what a failure means for the rest of a push.
type verdict uint8

const (
	// outage: the collector cannot be reached, or takes nothing.
	outage verdict = iota
	// refused: it does not take this message; others it may.
	refused
	// tooLarge: it may take the same in smaller messages.
	tooLarge
	// partly: it has taken the message but for some points, which must not be
	// sent again.
	partly
	// broken: nothing can be sent any more, whatever comes.
	broken
)

// pushError is a message that the collector has not taken.
type pushError struct {
	endpoint string
	verdict  verdict
	wait     time.Duration // for which the collector asks to be left alone
	err      error
}

func (e *pushError) Error() string { return fmt.Sprintf("push to %s: %v", e.endpoint, e.err) }

func (e *pushError) Unwrap() error { return e.err }

// maxText is how many bytes are told of what a collector or a proxy has to say.
// It goes into logs, and gRPC would hand on megabytes of it.
const maxText = 500

// bounded is an error that tells no more than maxText bytes.
type bounded struct{ error }

func (e bounded) Error() string { return cut(e.error.Error()) }

func (e bounded) Unwrap() error { return e.error }

func cut(s string) string {
	if len(s) <= maxText {
		return s
	}
	return strings.ToValidUTF8(s[:maxText], "") + "…"
}

// verdictOf returns what err, from a client, means.
func verdictOf(err error) verdict {
	var push *pushError
	var partial *partialError
	switch {
	case errors.As(err, &push):
		return push.verdict
	case errors.As(err, &partial):
		return partly
	}
	return outage
}

// taken reports whether the collector has a message for which a client gave
// err, and must not get it again.
func taken(err error) bool { return err == nil || verdictOf(err) == partly }

// worse returns what of two errors of a push tells more of it: the first one,
// unless only the other means that something has not been taken, or that all is
// over.
func worse(first, second error) error {
	if first == nil || taken(first) && !taken(second) || verdictOf(second) == broken {
		return second
	}
	return first
}

// partialError is a message of which the collector has rejected some points,
// for good: it has taken the others. Without points it is one that was answered
// at a length that is not read.
type partialError struct {
	endpoint string
	points   int64
	reason   string
}

func (e *partialError) Error() string {
	if e.points == 0 {
		return fmt.Sprintf("%s has taken a message, and says so much of it that the answer is not read: it may have rejected points", e.endpoint)
	}
	return fmt.Sprintf("%s has rejected %d points: %s", e.endpoint, e.points, e.reason)
}

// partial returns what a collector's answer says of points it did not take:
// nil where there are none. A reason without points is a warning, and nothing
// is lost by it.
func partial(endpoint string, r *colpb.ExportMetricsServiceResponse) error {
	p := r.GetPartialSuccess()
	if p.GetRejectedDataPoints() == 0 {
		return nil
	}
	return &partialError{endpoint: endpoint, points: p.GetRejectedDataPoints(), reason: cut(p.GetErrorMessage())}
}
