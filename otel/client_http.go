package otel

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	colpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/pingtel/pingtel/internal/config"
)

// maxAnswer is how many bytes of an answer are read: a few lines are expected.
const maxAnswer = 64 << 10

const contentType = "application/x-protobuf"

// httpClient speaks OTLP over HTTP, in the encoding of Protocol Buffers.
type httpClient struct {
	endpoint string
	header   http.Header
	http     *http.Client
	asked    asked
	zip      *gzip.Writer  // nil without compression
	packed   *bytes.Buffer // what zip has written
}

func newHTTPClient(s *config.OTelSettings, agent string) (*httpClient, error) {
	c := &httpClient{endpoint: s.Endpoint, header: make(http.Header)}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, MaxIdleConns: 1}
	if !s.Insecure {
		t, err := newTLS(s, &c.asked)
		if err != nil {
			return nil, err
		}
		transport.TLSClientConfig = t
	}
	c.http = &http.Client{
		Transport: transport,
		// headers can hold secrets of this endpoint, which are no other's business
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	c.header.Set("User-Agent", agent)
	for k, v := range s.Headers {
		c.header.Set(k, v)
	}
	c.header.Set("Content-Type", contentType)
	if s.Compression == "gzip" {
		c.header.Set("Content-Encoding", "gzip")
		c.packed = new(bytes.Buffer)
		zip, err := gzip.NewWriterLevel(c.packed, gzip.BestSpeed) // as over gRPC
		if err != nil {
			return nil, err
		}
		c.zip = zip
	}
	return c, nil
}

func (c *httpClient) export(ctx context.Context, message []byte) error {
	body, err := c.pack(message)
	if err != nil {
		return c.fail(refused, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.endpoint, bytes.NewReader(body))
	if err != nil {
		return c.fail(outage, err)
	}
	req.Header = c.header.Clone()
	if host := c.header.Get("Host"); host != "" {
		req.Host = host
	}
	res, err := c.http.Do(req)
	if err != nil {
		return &pushError{endpoint: c.endpoint, err: c.asked.explain(bounded{unwrapURL(err)})}
	}
	defer res.Body.Close()
	c.asked.forget()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return c.fail(outage, fmt.Errorf("read the answer: %w", err))
	}
	if res.StatusCode/100 != 2 {
		wait := retryAfter(res.Header.Get("Retry-After"), time.Now())
		return &pushError{endpoint: c.endpoint, verdict: verdictOfHTTP(res.StatusCode), wait: wait, err: bounded{refusal(res, answer)}}
	}
	if len(answer) == 0 {
		return nil // taken: some answer nothing more
	}
	var got colpb.ExportMetricsServiceResponse
	unmarshal := proto.Unmarshal
	switch kind := mediaType(res); kind {
	case contentType:
	case "application/json":
		unmarshal = protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal
	default:
		return c.fail(outage, fmt.Errorf("HTTP status %s, with an answer of type %q: no OTLP is spoken there", res.Status, kind))
	}
	if len(answer) == maxAnswer {
		return &partialError{endpoint: c.endpoint}
	}
	if err := unmarshal(answer, &got); err != nil {
		return c.fail(outage, fmt.Errorf("the answer is no OTLP: %w", err))
	}
	return partial(c.endpoint, &got)
}

// mediaType returns the type of an answer, "" where it has none.
func mediaType(res *http.Response) string {
	kind, _, _ := strings.Cut(res.Header.Get("Content-Type"), ";")
	return strings.ToLower(strings.TrimSpace(kind))
}

// retryAfter reads the header of that name: seconds, or a date.
func retryAfter(s string, now time.Time) time.Duration {
	if n, err := strconv.ParseUint(s, 10, 31); err == nil {
		return time.Duration(n) * time.Second
	}
	if at, err := http.ParseTime(s); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}

// pack returns the body, which is good until the next call.
func (c *httpClient) pack(message []byte) ([]byte, error) {
	if c.zip == nil {
		return message, nil
	}
	c.packed.Reset()
	c.zip.Reset(c.packed)
	if _, err := c.zip.Write(message); err != nil {
		return nil, err
	}
	if err := c.zip.Close(); err != nil {
		return nil, err
	}
	return c.packed.Bytes(), nil
}

func (c *httpClient) fail(v verdict, err error) error {
	return &pushError{endpoint: c.endpoint, verdict: v, err: bounded{err}}
}

// verdictOfHTTP judges by the OTLP specification: what it calls retryable, and
// what concerns all messages alike, is an outage.
func verdictOfHTTP(code int) verdict {
	switch code {
	case http.StatusRequestEntityTooLarge:
		return tooLarge
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		return refused
	}
	return outage
}

// refusal describes an answer that is no success.
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

func (c *httpClient) close() error {
	c.http.CloseIdleConnections()
	return nil
}
