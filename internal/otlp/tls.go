package otlp

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"sync"

	"github.com/pingtel/pingtel/internal/config"
)

// asked notes that the collector wants a certificate that we do not have. In
// TLS 1.3 all that comes of it is often a broken connection. A collector that
// does without one goes on, and its first answer makes us forget the note.
type asked struct {
	mu    sync.Mutex // guards what follows
	noted bool
	said  string // the error that explain explained last, as wordsOf has it
}

func (a *asked) note() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.noted = true
}

func (a *asked) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.noted, a.said = false, ""
}

// explain returns what is behind the error of a connection. gRPC gives the error
// of one connection to several calls, and the end of a connection has many texts
// (an alert of TLS, a broken pipe): each gets the same words, or the log would
// take them for different causes.
func (a *asked) explain(err error) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	words := wordsOf(err)
	if !a.noted && words != a.said {
		return err
	}
	a.noted, a.said = false, words
	return &certificateError{err}
}

// certificateError is what a collector that wants a certificate has made of a
// connection.
type certificateError struct{ err error }

func (*certificateError) Error() string {
	return "the collector asks for a certificate of ours: set otel.cert_file and otel.key_file"
}

func (e *certificateError) Unwrap() error { return e.err }

// wordsOf is the text of err without its numbers, such as ports.
func wordsOf(err error) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return -1
		}
		return r
	}, err.Error())
}

// newTLS returns the TLS settings that s asks for. All files are read again for
// each connection: certificates are replaced while we run, those of authorities
// too.
func newTLS(s *config.OTelSettings, wanted *asked) *tls.Config {
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if s.CAFile != "" {
		// A pool in RootCAs would stay as it is. So the package's own check is
		// off, and verify makes the same one.
		t.InsecureSkipVerify = true
		t.VerifyConnection = func(c tls.ConnectionState) error { return verify(c, s.CAFile, hostOf(s.Endpoint)) }
	}
	t.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		if s.CertFile == "" {
			wanted.note() // it may do without
			return new(tls.Certificate), nil
		}
		pair, err := tls.LoadX509KeyPair(s.CertFile, s.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("otel.cert_file: %w", err)
		}
		return &pair, nil
	}
	return t
}

// verify checks the certificates of a connection against the authorities in
// caFile. host is whom we call: the connection does not know it where it is an
// address.
func verify(c tls.ConnectionState, caFile, host string) error {
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return fmt.Errorf("otel.ca_file: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return fmt.Errorf("otel.ca_file: %s holds no certificate", caFile)
	}
	if c.ServerName != "" {
		host = c.ServerName // also where it is a proxy's
	}
	o := x509.VerifyOptions{Roots: roots, DNSName: host, Intermediates: x509.NewCertPool()}
	for _, cert := range c.PeerCertificates[1:] {
		o.Intermediates.AddCert(cert)
	}
	if _, err := c.PeerCertificates[0].Verify(o); err != nil {
		return &tls.CertificateVerificationError{UnverifiedCertificates: c.PeerCertificates, Err: err}
	}
	return nil
}

// hostOf returns the host of an endpoint: host:port, or a URL.
func hostOf(endpoint string) string {
	if u, err := url.Parse(endpoint); err == nil && u.Host != "" {
		return u.Hostname()
	}
	host, _, err := net.SplitHostPort(endpoint)
	if err != nil {
		return endpoint
	}
	return host
}
