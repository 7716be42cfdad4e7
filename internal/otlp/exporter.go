package otlp

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/go-logr/logr"
	gotel "go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/otel"
)

// Exporter is the exporter that the pusher pushes into.
type Exporter = sdkmetric.Exporter

// NewExporter returns the exporter that s asks for. It connects when it has
// something to send, makes one call for each message, and reports what happened to
// the message as an [otel.ExportError].
func NewExporter(s *config.OTelSettings, version string, log *slog.Logger) (Exporter, error) {
	setLog(log)
	agent := "pingtel/" + version
	if s.Protocol == "grpc" {
		return newGRPC(s, agent, log)
	}
	return newHTTP(s, agent, log)
}

// NewPrinter returns an exporter that writes to w what the settings s would send:
// OTLP in JSON, one message a line.
func NewPrinter(s *config.OTelSettings, w io.Writer, log *slog.Logger) (Exporter, error) {
	setLog(log)
	return otlpmetrichttp.New(context.Background(), append(httpOptions(s, "http://stdout/"),
		otlpmetrichttp.WithInsecure(), otlpmetrichttp.WithCompression(otlpmetrichttp.NoCompression),
		otlpmetrichttp.WithHTTPClient(newPrinter(w).client()))...)
}

// setLog makes the OpenTelemetry packages log to log, without their messages about
// the environment: the exporters read it too, but pingtel overrides what they find,
// and package config reports what is wrong with it.
func setLog(log *slog.Logger) {
	gotel.SetLogger(logr.Discard())
	gotel.SetErrorHandler(gotel.ErrorHandlerFunc(func(err error) {
		log.Warn("OpenTelemetry", "error", err)
	}))
}

// temporality returns what s asks for, by the rules of the specification: with
// lowmemory only synchronous counters are deltas.
func temporality(s *config.OTelSettings) sdkmetric.TemporalitySelector {
	return func(k sdkmetric.InstrumentKind) metricdata.Temporality {
		switch k {
		case sdkmetric.InstrumentKindCounter, sdkmetric.InstrumentKindHistogram:
			if s.Temporality != "cumulative" {
				return metricdata.DeltaTemporality
			}
		case sdkmetric.InstrumentKindObservableCounter:
			if s.Temporality == "delta" {
				return metricdata.DeltaTemporality
			}
		}
		return metricdata.CumulativeTemporality
	}
}

// failed returns an error of the exporter to endpoint.
func failed(endpoint string, o otel.Outcome, err error) *otel.ExportError {
	return &otel.ExportError{Outcome: o, Err: fmt.Errorf("push to %s: %w", endpoint, bounded{err})}
}

// partly returns an error for the points that a partial success reports as
// rejected, nil if there are none. A reason without rejected points is a warning:
// nothing is lost.
func partly(endpoint string, rejected int64, reason string, log *slog.Logger) error {
	if rejected == 0 {
		if reason != "" {
			log.Debug("the collector took a message with a warning", "endpoint", endpoint, "warning", cut(reason))
		}
		return nil
	}
	return &otel.ExportError{Outcome: otel.Partial, Rejected: rejected,
		Err: fmt.Errorf("%s has rejected %d points: %s", endpoint, rejected, cut(reason))}
}

// unread returns the error for a message that was taken, but whose answer is longer
// than what we read.
func unread(endpoint string) error {
	return &otel.ExportError{Outcome: otel.Partial,
		Err: fmt.Errorf("%s has taken a message, and its answer is too long to be read: it may have rejected points", endpoint)}
}

// maxText is how many bytes of a text from a collector or proxy are logged.
const maxText = 500

// bounded is an error with a text of at most maxText bytes.
type bounded struct{ error }

func (e bounded) Error() string { return cut(e.error.Error()) }

func (e bounded) Unwrap() error { return e.error }

func cut(s string) string {
	if len(s) <= maxText {
		return s
	}
	return strings.ToValidUTF8(s[:maxText], "") + "…"
}
