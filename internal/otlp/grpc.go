package otlp

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	colpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	grpcgzip "google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/otel"
)

const (
	// connectPause is the longest time between two attempts to connect. With gRPC's
	// own two minutes pingtel would notice late that a collector has come back.
	connectPause   = 5 * time.Second
	connectTimeout = 5 * time.Second

	// deadTime is how long sent data may stay unacknowledged before the connection
	// counts as dead. By default every push over a connection that is silently gone
	// fails for a quarter of an hour.
	deadTime = 10 * time.Second
)

// maxAnswerGRPC is how long an answer may be. gRPC reports a longer one with the
// same text as a collector that refuses a message. But a collector that sends an
// answer has taken the message, and none of our messages is that long.
const maxAnswerGRPC = 4 << 20

// init makes gRPC compress at gzip's fastest level. The default level takes three
// times as long and saves little more. gRPC has no other way to choose the level.
func init() {
	if err := grpcgzip.SetLevel(gzip.BestSpeed); err != nil {
		panic("otlp: internal error: " + err.Error())
	}
}

// grpcExporter is otlpmetricgrpc's exporter with a connection of ours.
type grpcExporter struct {
	*otlpmetricgrpc.Exporter

	conn *grpc.ClientConn
}

func newGRPC(s *config.OTelSettings, agent string, log *slog.Logger) (*grpcExporter, error) {
	a := &answers{endpoint: s.Endpoint, log: log}
	conn, err := dial(s, agent, a)
	if err != nil {
		return nil, err
	}
	// The exporter reads the OTEL_* variables too. With a connection of ours only
	// those for headers, timeout and retry would have an effect.
	headers := s.Headers
	if headers == nil {
		headers = map[string]string{}
	}
	e, err := otlpmetricgrpc.New(context.Background(), otlpmetricgrpc.WithGRPCConn(conn), otlpmetricgrpc.WithHeaders(headers),
		otlpmetricgrpc.WithRetry(otlpmetricgrpc.RetryConfig{}), // the next push carries what this one did not
		otlpmetricgrpc.WithTimeout(0),                          // the push has one
		otlpmetricgrpc.WithMaxRequestSize(0),                   // the pusher bounds messages
		otlpmetricgrpc.WithTemporalitySelector(temporality(s)))
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return &grpcExporter{e, conn}, nil
}

// dial prepares the connection. gRPC connects when it has something to send.
func dial(s *config.OTelSettings, agent string, a *answers) (*grpc.ClientConn, error) {
	transport := insecure.NewCredentials()
	if !s.Insecure {
		transport = credentials.NewTLS(newTLS(s, &a.asked))
	}
	pause := backoff.DefaultConfig
	pause.MaxDelay = connectPause
	calls := []grpc.CallOption{grpc.MaxCallRecvMsgSize(maxAnswerGRPC)}
	if s.Compression == grpcgzip.Name {
		calls = append(calls, grpc.UseCompressor(grpcgzip.Name))
	}
	// A host's name can be that of one of gRPC's resolvers, such as unix or dns. So
	// the target says which resolver to use.
	conn, err := grpc.NewClient("dns:///"+s.Endpoint,
		grpc.WithTransportCredentials(transport),
		grpc.WithUserAgent(agent),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: pause, MinConnectTimeout: connectTimeout}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: time.Minute, Timeout: deadTime}),
		grpc.WithDefaultCallOptions(calls...),
		grpc.WithChainUnaryInterceptor(a.intercept),
		grpc.WithDisableRetry(),
		grpc.WithDisableServiceConfig(), // a name server could send one
	)
	if err != nil {
		return nil, fmt.Errorf("endpoint %s: %w", s.Endpoint, err)
	}
	return conn, nil
}

// Shutdown ends the exporter and the connection.
func (e *grpcExporter) Shutdown(ctx context.Context) error {
	return errors.Join(e.Exporter.Shutdown(ctx), e.conn.Close())
}

// answers turns the results of calls into errors that say what they mean.
type answers struct {
	endpoint string
	log      *slog.Logger
	asked    asked
}

// intercept is a unary client interceptor.
func (a *answers) intercept(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	var header metadata.MD // of the answer; a call that fails has none
	err := invoke(ctx, method, req, reply, cc, append(slices.Clip(opts), grpc.Header(&header))...)
	if err != nil {
		return a.judge(err, header != nil)
	}
	a.asked.forget()
	response, ok := reply.(*colpb.ExportMetricsServiceResponse)
	if !ok {
		return nil
	}
	p := response.GetPartialSuccess()
	response.PartialSuccess = nil // the exporter would make an error of a warning
	return partly(a.endpoint, p.GetRejectedDataPoints(), p.GetErrorMessage(), a.log)
}

// judge returns the error of a call. answered says whether an answer has begun.
func (a *answers) judge(err error, answered bool) error {
	s := status.Convert(err)
	outcome, wait := outcomeOf(s)
	if outcome == otel.TooLarge && answered && strings.Contains(s.Message(), strconv.Itoa(maxAnswerGRPC)) {
		return unread(a.endpoint)
	}
	if s.Code() == codes.Unavailable { // the code of every error of a connection
		err = a.asked.explain(err)
	}
	if strings.Contains(s.Message(), "HTTP/1.1 header") {
		err = fmt.Errorf("%w (what answers there speaks HTTP/1.1: see otel.protocol)", err)
	}
	e := failed(a.endpoint, outcome, err)
	e.RetryAfter = wait
	return e
}

// tooLargeTexts are the texts that implementations of gRPC have for a message over
// their limit: those in Go and C, in .NET, in Java, in Rust.
var tooLargeTexts = []string{"larger than max", "exceeds the maximum configured message size", "exceeds maximum size", "message length too large"}

// outcomeOf judges by the codes of the OTLP specification, and returns how long the
// collector asks the pusher to wait. A message over a limit and a used-up quota have
// the same code: only the text tells them apart.
func outcomeOf(s *status.Status) (otel.Outcome, time.Duration) {
	for _, d := range s.Details() {
		if retry, ok := d.(*errdetails.RetryInfo); ok {
			return otel.Unavailable, retry.GetRetryDelay().AsDuration()
		}
	}
	says := func(text string) bool { return strings.Contains(s.Message(), text) }
	switch s.Code() {
	case codes.ResourceExhausted, codes.OutOfRange:
		if slices.ContainsFunc(tooLargeTexts, says) {
			return otel.TooLarge, 0
		}
	case codes.InvalidArgument, codes.DataLoss, codes.FailedPrecondition:
		return otel.Refused, 0
	}
	return otel.Unavailable, 0
}

var _ sdkmetric.Exporter = (*grpcExporter)(nil)
