package otel

import (
	"compress/gzip"
	"context"
	"fmt"
	"maps"
	"slices"
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
	conn, err := grpc.NewClient(s.Endpoint,
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
	c.options = append(c.options, grpc.ForceCodecV2(codec{encoding.GetCodecV2(protocodec.Name)}))
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
	err := c.conn.Invoke(metadata.NewOutgoingContext(ctx, c.headers), exportMethod, encoded(message), answer, c.options...)
	if err != nil {
		return &pushError{endpoint: c.endpoint, verdict: verdictOfStatus(status.Convert(err)), err: c.asked.explain(bounded{err})}
	}
	return partial(c.endpoint, answer)
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

// verdictOfStatus judges by the codes of the OTLP specification. A message
// over a limit and a collector that asks for patience have the same code; only
// the latter says how much.
func verdictOfStatus(s *status.Status) verdict {
	switch s.Code() {
	case codes.ResourceExhausted:
		for _, d := range s.Details() {
			if _, ok := d.(*errdetails.RetryInfo); ok {
				return outage
			}
		}
		return tooLarge
	case codes.InvalidArgument, codes.Internal, codes.OutOfRange, codes.DataLoss, codes.FailedPrecondition:
		return refused
	}
	return outage
}

func (c *grpcClient) close() error { return c.conn.Close() }
