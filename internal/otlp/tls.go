package otlp

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/url"
	"os"
	"sync/atomic"

	"github.com/pingtel/pingtel/internal/config"
)

// asked notes that the collector wants a certificate that we do not have. In
// TLS 1.3 all that comes of it is often a broken connection. A collector that
// does without one goes on, and its first answer makes us forget the note.
type asked struct{ atomic.Bool }

func (a *asked) forget() { a.Store(false) }

// explain adds to the error of a connection what may be behind it.
func (a *asked) explain(err error) error {
	if a.Swap(false) {
		return fmt.Errorf("%w (the collector asks for a certificate of ours: see otel.cert_file and otel.key_file)", err)
	}
	return err
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
			wanted.Store(true) // it may do without
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
