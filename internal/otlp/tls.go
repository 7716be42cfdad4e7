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

// asked records that the collector asked for a certificate that we do not have. In
// TLS 1.3 the only consequence is often a broken connection. A collector that does
// not insist on one answers, and its first answer clears the record.
type asked struct {
	mu    sync.Mutex // guards what follows
	noted bool
	said  string // the error that explain explained last, as wordsOf returns it
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

// explain returns the cause of a connection's error. gRPC returns the error of one
// connection to several calls, and a connection can end with many texts (a TLS
// alert, a broken pipe). All get the same text here: the log would otherwise take
// them for different causes.
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

// certificateError is the end of a connection to a collector that asked for a
// certificate.
type certificateError struct{ err error }

func (*certificateError) Error() string {
	return "the collector asks for a certificate of ours: set otel.cert_file and otel.key_file"
}

func (e *certificateError) Unwrap() error { return e.err }

// wordsOf returns the text of err without its digits, such as those of ports.
func wordsOf(err error) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return -1
		}
		return r
	}, err.Error())
}

// newTLS returns the TLS settings that s asks for. All files are read again for each
// connection, because certificates, also those of authorities, are replaced while
// pingtel runs.
func newTLS(s *config.OTelSettings, wanted *asked) *tls.Config {
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if s.CAFile != "" {
		// A pool in RootCAs could not be read again. So the check of crypto/tls is
		// off, and verify makes the same check.
		t.InsecureSkipVerify = true
		t.VerifyConnection = func(c tls.ConnectionState) error { return verify(c, s.CAFile, hostOf(s.Endpoint)) }
	}
	t.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		if s.CertFile == "" {
			wanted.note() // the collector may not insist on one
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

// verify checks the certificates of a connection against the authorities in caFile.
// host is the host that we call: the connection does not know it if it is an address.
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
		host = c.ServerName // also if it is a proxy's
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
