package otlp

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	colpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/otel"
)

// maxAnswer is how many bytes of an answer are read. An answer is a few lines long.
const maxAnswer = 64 << 10

const contentType = "application/x-protobuf"

// newHTTP returns otlpmetrichttp's exporter with a RoundTripper of ours.
func newHTTP(s *config.OTelSettings, agent string, log *slog.Logger) (sdkmetric.Exporter, error) {
	t := &transport{endpoint: s.Endpoint, log: log, agent: agent, gzip: s.Compression == "gzip"}
	t.http = &http.Transport{Proxy: http.ProxyFromEnvironment, MaxIdleConns: 1}
	if !s.Insecure {
		t.http.TLSClientConfig = newTLS(s, &t.asked)
	}
	options := append(httpOptions(s, s.Endpoint), otlpmetrichttp.WithHTTPClient(&http.Client{Transport: t}))
	if s.Insecure {
		options = append(options, otlpmetrichttp.WithInsecure())
	}
	e, err := otlpmetrichttp.New(context.Background(), options...)
	if err != nil {
		return nil, fmt.Errorf("endpoint %s: %w", s.Endpoint, err)
	}
	return &httpExporter{e, t.http}, nil
}

// httpOptions sets everything that the exporter would otherwise take from the
// OTEL_* variables. The transport compresses, because it can choose the level.
func httpOptions(s *config.OTelSettings, endpoint string) []otlpmetrichttp.Option {
	headers := s.Headers
	if headers == nil {
		headers = map[string]string{}
	}
	return []otlpmetrichttp.Option{
		otlpmetrichttp.WithEndpointURL(endpoint),
		otlpmetrichttp.WithHeaders(headers),
		otlpmetrichttp.WithTLSClientConfig(nil),
		otlpmetrichttp.WithCompression(otlpmetrichttp.NoCompression),
		otlpmetrichttp.WithRetry(otlpmetrichttp.RetryConfig{}), // the next push carries what this one did not
		otlpmetrichttp.WithTimeout(0),                          // the push has one
		otlpmetrichttp.WithMaxRequestSize(0),                   // the pusher bounds messages
		otlpmetrichttp.WithTemporalitySelector(temporality(s)),
	}
}

// httpExporter is otlpmetrichttp's exporter, whose Shutdown leaves connections open.
type httpExporter struct {
	*otlpmetrichttp.Exporter

	http *http.Transport
}

// Shutdown ends the exporter and idle connections.
func (e *httpExporter) Shutdown(ctx context.Context) error {
	e.http.CloseIdleConnections()
	return e.Exporter.Shutdown(ctx)
}

// transport is a RoundTripper that compresses, and turns every answer other than a
// plain success into an error that says what it means. It follows no redirects,
// because headers can hold secrets, and another host must not see them.
type transport struct {
	endpoint string
	agent    string
	gzip     bool
	log      *slog.Logger
	http     *http.Transport
	asked    asked
}

// RoundTrip implements [http.RoundTripper].
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	if strings.HasPrefix(r.Header.Get("User-Agent"), "OTel Go OTLP") { // the exporter's: the user has set none
		r.Header.Set("User-Agent", t.agent)
	}
	if host := r.Header.Get("Host"); host != "" {
		r.Host = host
	}
	if t.gzip {
		if err := compress(r); err != nil {
			return nil, failed(t.endpoint, otel.Refused, err)
		}
	}
	res, err := t.http.RoundTrip(r)
	if err != nil {
		return nil, failed(t.endpoint, otel.Unavailable, t.asked.explain(err))
	}
	t.asked.forget()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	res.Body.Close() // we have read as much of it as we want
	if err != nil {
		return nil, failed(t.endpoint, otel.Unavailable, fmt.Errorf("read the answer: %w", err))
	}
	if err := t.judge(res, answer); err != nil {
		return nil, err
	}
	res.Body, res.ContentLength = http.NoBody, 0 // the exporter has nothing to read in it
	return res, nil
}

// judge returns what an answer means, nil if the message was taken.
func (t *transport) judge(res *http.Response, answer []byte) error {
	if res.StatusCode/100 != 2 {
		e := failed(t.endpoint, outcomeOfHTTP(res.StatusCode), refusal(res, answer))
		e.RetryAfter = retryAfter(res.Header.Get("Retry-After"), time.Now())
		return e
	}
	if len(answer) == 0 {
		return nil // taken: some collectors send an empty answer
	}
	var got colpb.ExportMetricsServiceResponse
	unmarshal := proto.Unmarshal
	switch kind := mediaType(res); kind {
	case contentType:
	case "application/json":
		unmarshal = protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal
	default:
		return failed(t.endpoint, otel.Unavailable, fmt.Errorf("HTTP status %s, with an answer of type %q: no OTLP is spoken there", res.Status, kind))
	}
	if len(answer) == maxAnswer {
		return unread(t.endpoint)
	}
	if err := unmarshal(answer, &got); err != nil {
		return failed(t.endpoint, otel.Unavailable, fmt.Errorf("the answer is no OTLP: %w", err))
	}
	p := got.GetPartialSuccess()
	return partly(t.endpoint, p.GetRejectedDataPoints(), p.GetErrorMessage(), t.log)
}

// mediaType returns the type of an answer, "" if it has none.
func mediaType(res *http.Response) string {
	kind, _, _ := strings.Cut(res.Header.Get("Content-Type"), ";")
	return strings.ToLower(strings.TrimSpace(kind))
}

// retryAfter reads the header Retry-After: seconds, or a date.
func retryAfter(s string, now time.Time) time.Duration {
	if n, err := strconv.ParseUint(s, 10, 31); err == nil {
		return time.Duration(n) * time.Second
	}
	if at, err := http.ParseTime(s); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}

// outcomeOfHTTP judges by the OTLP specification: a status that is retryable there,
// or that concerns all messages alike, is an outage.
func outcomeOfHTTP(code int) otel.Outcome {
	switch code {
	case http.StatusRequestEntityTooLarge:
		return otel.TooLarge
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		return otel.Refused
	}
	return otel.Unavailable
}

// refusal describes an answer other than success.
func refusal(res *http.Response, answer []byte) error {
	text := ""
	var s rpcstatus.Status
	to, err := res.Location() // absolute, if there is one
	switch kind := mediaType(res); {
	case err == nil:
		text = "moved to " + to.String() + ": set the endpoint to that"
	case kind == contentType && proto.Unmarshal(answer, &s) == nil:
		text = s.GetMessage()
	case kind == "text/plain":
		text = string(answer)
	}
	if text = strings.TrimSpace(text); text == "" {
		return fmt.Errorf("HTTP status %s", res.Status)
	}
	return fmt.Errorf("HTTP status %s: %s", res.Status, text)
}
