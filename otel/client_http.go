package otel

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	colpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
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
		return c.fail(outage, unwrapURL(err))
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return c.fail(outage, fmt.Errorf("read the answer: %w", err))
	}
	if res.StatusCode/100 != 2 {
		return c.fail(verdictOfHTTP(res.StatusCode), refusal(res, answer))
	}
	var got colpb.ExportMetricsServiceResponse
	if !strings.HasPrefix(res.Header.Get("Content-Type"), contentType) {
		return nil // taken: the status alone decides, and some answer nothing more
	}
	if err := proto.Unmarshal(answer, &got); err != nil {
		return c.fail(outage, fmt.Errorf("the answer is no OTLP: %w", err))
	}
	return partial(c.endpoint, &got)
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
	return &pushError{endpoint: c.endpoint, verdict: v, err: c.asked.explain(bounded{err})}
}

// verdictOfHTTP judges by the OTLP specification: what it calls retryable, and
// what concerns all messages alike, is an outage.
func verdictOfHTTP(code int) verdict {
	switch code {
	case http.StatusRequestEntityTooLarge:
		return tooLarge
	case http.StatusBadRequest, http.StatusUnprocessableEntity, http.StatusInternalServerError:
		return refused
	}
	return outage
}

// refusal describes an answer that is no success.
func refusal(res *http.Response, answer []byte) error {
	text := ""
	var s rpcstatus.Status
	switch {
	case res.Header.Get("Location") != "":
		text = "moved to " + res.Header.Get("Location") + ": set the endpoint to that"
	case strings.HasPrefix(res.Header.Get("Content-Type"), contentType) && proto.Unmarshal(answer, &s) == nil:
		text = s.GetMessage()
	case strings.HasPrefix(res.Header.Get("Content-Type"), "text/plain"):
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
