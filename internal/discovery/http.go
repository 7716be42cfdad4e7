package discovery

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

// maxRedirects is how often an answer may be elsewhere.
const maxRedirects = 5

// maxSecret is the largest file with a token or with certificates, in bytes.
const maxSecret = 1 << 20

// client asks HTTP servers. Its files are read again for each request, because tokens
// and certificates are replaced while the process runs.
type client struct {
	agent, tokenFile, caFile string

	authorities string // in transport
	transport   *http.Transport
}

func newClient(agent, tokenFile, caFile string) *client {
	return &client{agent: agent, tokenFile: tokenFile, caFile: caFile}
}

// get asks for a URL. The caller closes the body of the answer.
func (c *client) get(ctx context.Context, u *url.URL, header http.Header) (*http.Response, error) {
	if err := c.connect(); err != nil {
		return nil, err
	}
	token := ""
	if c.tokenFile != "" {
		text, err := readSecret(c.tokenFile)
		if err != nil {
			return nil, err
		}
		if token, err = authorization(text); err != nil {
			return nil, fmt.Errorf("%s: %w", c.tokenFile, err)
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header = header
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", c.agent)
	h := http.Client{
		Transport: &bearer{c.transport, token, u.Scheme, u.Host},
		CheckRedirect: func(_ *http.Request, via []*http.Request) error {
			if len(via) > maxRedirects {
				return fmt.Errorf("redirects more than %d times", maxRedirects)
			}
			return nil
		},
	}
	return h.Do(req)
}

// bearer sends a token to one server only, and only in the way in which it is asked
// itself: a redirect does not take the token elsewhere, or out of TLS.
type bearer struct {
	next                *http.Transport
	token, scheme, host string
}

func (b *bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	if b.token == "" {
		return b.next.RoundTrip(r)
	}
	r = r.Clone(r.Context())
	r.Header.Del("Authorization")
	if r.URL.Scheme == b.scheme && r.URL.Host == b.host {
		r.Header.Set("Authorization", b.token)
	}
	return b.next.RoundTrip(r)
}

// authorization makes the value of the header of a file's text: a token, or the name
// of a scheme and a token.
func authorization(text string) (string, error) {
	words := strings.Fields(text)
	for _, w := range words {
		if strings.ContainsFunc(w, func(c rune) bool { return c < 0x21 || c > 0x7e }) {
			return "", errors.New("has characters that no token has")
		}
	}
	switch len(words) {
	case 1:
		return "Bearer " + words[0], nil
	case 2:
		return words[0] + " " + words[1], nil
	}
	return "", fmt.Errorf("has %d words: want a token, or a scheme and a token (Token 0123...)", len(words))
}

// connect makes the transport, and makes it again if the authorities have changed.
func (c *client) connect() error {
	authorities := ""
	if c.caFile != "" {
		var err error
		if authorities, err = readSecret(c.caFile); err != nil {
			return err
		}
	}
	if c.transport != nil && authorities == c.authorities {
		return nil
	}
	t := &http.Transport{
		Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, MaxIdleConns: 2, IdleConnTimeout: 90 * time.Second,
		TLSHandshakeTimeout: 10 * time.Second, MaxResponseHeaderBytes: 256 << 10,
	}
	if c.caFile != "" {
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM([]byte(authorities)) {
			return fmt.Errorf("%s: has no certificate: want PEM", c.caFile)
		}
		t.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	c.close()
	c.transport, c.authorities = t, authorities
	return nil
}

func (c *client) close() {
	if c.transport != nil {
		c.transport.CloseIdleConnections()
	}
}

// readSecret reads a small file.
func readSecret(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close() // it was only read
	b, err := io.ReadAll(bounded(f, maxSecret))
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	return string(b), nil
}

// statusError says what an answer is that is none.
func statusError(r *http.Response) error {
	what := "the server answers " + r.Status
	switch r.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		what += ": want a token that may read it"
	case http.StatusNotFound:
		what += ": want the address of the list"
	}
	return errors.New(what)
}

// body returns the body of an answer, up to a limit.
func body(r *http.Response, limit int) (io.Reader, error) {
	if r.ContentLength > int64(limit) {
		return nil, &tooLargeError{limit}
	}
	return bounded(r.Body, limit), nil
}

// httpLooker reads a list in the form of Prometheus' http_sd.
type httpLooker struct {
	client  *client
	url     string
	refresh time.Duration
	time    time.Duration // for a look
	limit   int           // of an answer, in bytes
}

func (h *httpLooker) close() { h.client.close() }

// etag is the stamp of a list that came with one.
type etag string

func (h *httpLooker) look(ctx context.Context, l *look) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, h.time)
	defer cancel()
	u, err := url.Parse(h.url)
	if err != nil {
		return 0, err
	}
	header := http.Header{"X-Prometheus-Refresh-Interval-Seconds": {strconv.FormatFloat(h.refresh.Seconds(), 'f', -1, 64)}}
	before := l.part("")
	if before != nil && before.list != nil {
		if tag, ok := before.stamp.(etag); ok && tag != "" {
			header.Set("If-None-Match", string(tag))
		}
	}
	r, err := h.client.get(ctx, u, header)
	if err != nil {
		return 0, timely(ctx, h.time, err)
	}
	defer r.Body.Close() // it was only read
	switch {
	case r.StatusCode == http.StatusNotModified && header.Get("If-None-Match") != "":
		l.same(before, before.stamp)
		return 0, nil
	case r.StatusCode != http.StatusOK:
		return 0, statusError(r)
	}
	l.take("", func(b *builder) (any, error) {
		in, err := body(r, h.limit)
		if err == nil {
			err = decodeJSON(in, b)
		}
		return etag(r.Header.Get("ETag")), timely(ctx, h.time, err)
	})
	return 0, nil
}

// timely says that the time of a look is over, if that is the error.
func timely(ctx context.Context, within time.Duration, err error) error {
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("no complete answer within %v", within)
	}
	return err
}
