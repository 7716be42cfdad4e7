package otel

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"sync/atomic"

	"github.com/pingtel/pingtel/internal/config"
)

// asked notes that the collector wants a certificate that we do not have. In
// TLS 1.3 all that comes of it is often a broken connection. One that only
// would like to have one goes on, and the note is forgotten with its first
// answer.
type asked struct{ atomic.Bool }

func (a *asked) forget() { a.Store(false) }

// explain adds to the error of a connection what may be behind it.
func (a *asked) explain(err error) error {
	if a.Swap(false) {
		return fmt.Errorf("%w (the collector asks for a certificate of ours: see otel.cert_file and otel.key_file)", err)
	}
	return err
}

// newTLS returns the TLS settings that s asks for. Our own certificate is read
// again for each connection: short-lived ones are replaced while we run.
func newTLS(s *config.OTelSettings, wanted *asked) (*tls.Config, error) {
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if s.CAFile != "" {
		pem, err := os.ReadFile(s.CAFile)
		if err != nil {
			return nil, fmt.Errorf("otel.ca_file: %w", err)
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("otel.ca_file: %s holds no certificate", s.CAFile)
		}
	}
	t.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		wanted.Store(true) // it may do without
		return new(tls.Certificate), nil
	}
	if s.CertFile != "" {
		t.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(s.CertFile, s.KeyFile)
			if err != nil {
				return nil, fmt.Errorf("otel.cert_file: %w", err)
			}
			return &pair, nil
		}
	}
	return t, nil
}

// unwrapURL takes method and URL off an error of package net/http: the
// endpoint is told already.
func unwrapURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
