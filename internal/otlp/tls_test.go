package otlp

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pingtel/pingtel/internal/config"
)

// secured starts a server that answers 503 over TLS, and returns its URL and a
// file with its certificate.
func secured(t *testing.T, c *tls.Config) (s *httptest.Server, ca string) {
	t.Helper()
	s = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }))
	s.TLS, s.Config.ErrorLog = c, log.New(io.Discard, "", 0)
	c.NextProtos = []string{"h2", "http/1.1"}
	s.StartTLS()
	t.Cleanup(s.Close)
	ca = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return s, ca
}

// TestAsked: that the collector asks for a certificate is told where a
// connection fails by it, and not where it does for something else.
func TestAsked(t *testing.T) {
	const hint = "asks for a certificate of ours"
	s, ca := secured(t, &tls.Config{ClientAuth: tls.RequestClientCert})
	e := exporting(t, config.OTel{CAFile: &ca}, s.URL, "http/protobuf")
	if got := export(t, e); got == nil || !strings.Contains(got.Error(), "503") || strings.Contains(got.Error(), hint) {
		t.Errorf("it only would like one: %v", got)
	}
	s.Close()
	if got := export(t, e); got == nil || strings.Contains(got.Error(), hint) {
		t.Errorf("it is away: %v", got)
	}
	s, ca = secured(t, &tls.Config{ClientAuth: tls.RequireAnyClientCert})
	for _, protocol := range protocols {
		e = exporting(t, config.OTel{CAFile: &ca}, s.URL, protocol)
		if got := export(t, e); got == nil || !strings.Contains(got.Error(), hint) {
			t.Errorf("%s: it wants one: %v", protocol, got)
		}
	}
	s.Close()
	if got := export(t, e); got == nil || !strings.Contains(got.Error(), "refused") || strings.Contains(got.Error(), hint) {
		t.Errorf("it wanted one and is away: %v", got)
	}
}

// TestAskedAgain: an error that comes again without a new connection has the same
// words, or it would look like another cause.
func TestAskedAgain(t *testing.T) {
	var a asked
	a.note()
	first := a.explain(errors.New("write 127.0.0.1:45390: broken pipe")).Error()
	again := a.explain(errors.New("write 127.0.0.1:45390: broken pipe")).Error()
	a.note()
	if other := a.explain(errors.New("remote error: tls: certificate required")).Error(); other != first {
		t.Errorf("%s, then %s", first, other)
	}
	if first != again || !strings.Contains(first, "asks for a certificate") {
		t.Errorf("%s, then %s", first, again)
	}
	if other := a.explain(errors.New("connection refused")).Error(); other != "connection refused" {
		t.Error(other)
	}
	a.forget()
	if got := a.explain(errors.New("write 127.0.0.1:1: broken pipe")).Error(); strings.Contains(got, "asks") {
		t.Error(got)
	}
}

// TestWrongName: a certificate for another host is none.
func TestWrongName(t *testing.T) {
	s, ca := secured(t, new(tls.Config))
	for _, protocol := range protocols {
		for host, want := range map[string]string{"localhost": "not localhost", "127.0.0.1": "503"} {
			e := exporting(t, config.OTel{CAFile: &ca}, strings.Replace(s.URL, "127.0.0.1", host, 1), protocol)
			if got := export(t, e); got == nil || !strings.Contains(got.Error(), want) {
				t.Errorf("%s %s: %v, want %q", protocol, host, got, want)
			}
		}
	}
}

// TestRotatedAuthority replaces the authority's file while the exporter runs: it
// is read again for the next connection, and what is wrong with it is told.
func TestRotatedAuthority(t *testing.T) {
	for _, protocol := range protocols {
		s, right := secured(t, new(tls.Config))
		theirs, err := os.ReadFile(right)
		if err != nil {
			t.Fatal(err)
		}
		other := authority(t) // httptest's servers all have one certificate
		ca := filepath.Join(t.TempDir(), "ca.pem")
		write := func(b []byte) {
			t.Helper()
			if err := os.WriteFile(ca, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		write(other)
		e := exporting(t, config.OTel{CAFile: &ca}, s.URL, protocol)
		for _, step := range []struct {
			file []byte
			want string
		}{{other, "certificate signed by unknown authority"}, {[]byte("x"), "holds no certificate"}, {theirs, "503"}} {
			write(step.file)
			s.CloseClientConnections()
			deadline, got := time.Now().Add(time.Minute), ""
			for !strings.Contains(got, step.want) && time.Now().Before(deadline) { // gRPC waits between its attempts to connect
				got = fmt.Sprint(export(t, e))
			}
			if !strings.Contains(got, step.want) {
				t.Errorf("%s: %s, want %q", protocol, got, step.want)
			}
		}
	}
}

// authority returns the certificate of an authority that nobody has.
func authority(t *testing.T) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
