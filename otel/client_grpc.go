package otel

import (
	"compress/gzip"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	colpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	grpcgzip "google.golang.org/grpc/encoding/gzip"
	protocodec "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/pingtel/pingtel/internal/config"
)

const (
	// connectPause is the longest time between two attempts to connect. With
	// gRPC's own two minutes a collector that comes back is noticed late.
	connectPause   = 5 * time.Second
	connectTimeout = 5 * time.Second

	// deadTime is how long sent data may stay unacknowledged before the
	// connection counts as dead. Without, one that has silently vanished fails
	// every push for a quarter of an hour.
	deadTime = 10 * time.Second
)

// maxAnswerGRPC is how long an answer may be. Whatever is longer our own side
// refuses, in the words of a collector that finds our message too large; but
// one that sends an answer has taken the message, and none of ours is as long.
const maxAnswerGRPC = 4 << 20

// init makes gRPC compress at gzip's fastest level: at the default one gzip
// takes more time than all the rest of a push, and saves little more. gRPC has
// no other way to choose it.
func init() {
	if err := grpcgzip.SetLevel(gzip.BestSpeed); err != nil {
		panic("otel: internal error: " + err.Error())
	}
}

// grpcClient speaks OTLP over gRPC.
type grpcClient struct {
	endpoint string
	conn     *grpc.ClientConn
	headers  metadata.MD
	asked    asked
	options  []grpc.CallOption
}

func newGRPCClient(s *config.OTelSettings, agent string) (*grpcClient, error) {
	c := &grpcClient{endpoint: s.Endpoint, headers: metadata.MD{}}
	transport := insecure.NewCredentials()
	if !s.Insecure {
		t, err := newTLS(s, &c.asked)
		if err != nil {
			return nil, err
		}
		transport = credentials.NewTLS(t)
	}
	pause := backoff.DefaultConfig
	pause.MaxDelay = connectPause
	// A host may have the name of one of gRPC's ways to resolve names, as unix
	// or dns: which it is to take has to be said.
	conn, err := grpc.NewClient("dns:///"+s.Endpoint,
		grpc.WithTransportCredentials(transport),
		grpc.WithUserAgent(agent),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: pause, MinConnectTimeout: connectTimeout}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: time.Minute, Timeout: deadTime}),
		grpc.WithDisableRetry(),         // the next push carries all that this one did not
		grpc.WithDisableServiceConfig(), // which whoever answers for the name could send
	)
	if err != nil {
		return nil, fmt.Errorf("endpoint %s: %w", s.Endpoint, err)
	}
	c.conn = conn
	c.options = append(c.options, grpc.ForceCodecV2(codec{encoding.GetCodecV2(protocodec.Name)}), grpc.MaxCallRecvMsgSize(maxAnswerGRPC))
	for _, k := range slices.Sorted(maps.Keys(s.Headers)) {
		c.headers.Append(k, s.Headers[k])
	}
	if s.Compression == grpcgzip.Name {
		c.options = append(c.options, grpc.UseCompressor(grpcgzip.Name))
	}
	return c, nil
}

func (c *grpcClient) export(ctx context.Context, message []byte) error {
	answer := new(colpb.ExportMetricsServiceResponse)
	var header metadata.MD // of the answer; a call that fails has none
	options := append(slices.Clip(c.options), grpc.Header(&header))
	err := c.conn.Invoke(metadata.NewOutgoingContext(ctx, c.headers), exportMethod, encoded(message), answer, options...)
	if err == nil {
		c.asked.forget()
		return partial(c.endpoint, answer)
	}
	s := status.Convert(err)
	v, wait := verdictOfStatus(s)
	if v == tooLarge && header != nil && strings.Contains(s.Message(), strconv.Itoa(maxAnswerGRPC)) {
		return &partialError{endpoint: c.endpoint}
	}
	err = bounded{err}
	if s.Code() == codes.Unavailable { // as all that comes of a connection
		err = c.asked.explain(err)
	}
	if strings.Contains(s.Message(), "HTTP/1.1 header") {
		err = fmt.Errorf("%w (what answers there speaks HTTP/1.1: see otel.protocol)", err)
	}
	return &pushError{endpoint: c.endpoint, verdict: v, wait: wait, err: err}
}

// exportMethod is the one call of the service.
const exportMethod = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"

// encoded is a message that needs no encoding any more.
type encoded []byte

// codec is gRPC's own for Protocol Buffers, but for messages that are encoded.
type codec struct{ encoding.CodecV2 }

// Marshal copies the bytes: gRPC may read them after a call that was given up.
func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	if b, ok := v.(encoded); ok {
		return mem.BufferSlice{mem.Copy(b, mem.DefaultBufferPool())}, nil
	}
	return c.CodecV2.Marshal(v)
}

// tooLargeTexts are what implementations of gRPC say of a message over their
// limit: those in Go and C, in .NET, in Java, in Rust.
var tooLargeTexts = []string{"larger than max", "exceeds the maximum configured message size", "exceeds maximum size", "message length too large"}

// verdictOfStatus judges by the codes of the OTLP specification, and returns
// for how long the collector wants to be left alone. A message over a limit has
// a code that a used-up quota has too, and only the text to tell them apart.
func verdictOfStatus(s *status.Status) (verdict, time.Duration) {
	for _, d := range s.Details() {
		if retry, ok := d.(*errdetails.RetryInfo); ok {
			return outage, retry.GetRetryDelay().AsDuration()
		}
	}
	says := func(text string) bool { return strings.Contains(s.Message(), text) }
	switch s.Code() {
	case codes.ResourceExhausted, codes.OutOfRange:
		if slices.ContainsFunc(tooLargeTexts, says) {
			return tooLarge, 0
		}
	case codes.InvalidArgument, codes.DataLoss, codes.FailedPrecondition:
		return refused, 0
	}
	return outage, 0
}

func (c *grpcClient) close() error { return c.conn.Close() }
