package config

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"
	"unicode/utf8"
)

// readCertificates resolves the PEM files, and checks that they can be loaded.
func (r *otelReader) readCertificates(s *OTelSettings) {
	asIs := func(s string) (string, error) { return s, nil }
	s.CAFile = choose(r, "ca_file", r.o.CAFile, "", asIs, exporterVariables("CERTIFICATE")...)
	s.CertFile = choose(r, "cert_file", r.o.CertFile, "", asIs, exporterVariables("CLIENT_CERTIFICATE")...)
	s.KeyFile = choose(r, "key_file", r.o.KeyFile, "", asIs, exporterVariables("CLIENT_KEY")...)
	if s.CAFile != "" {
		const want = "want a file of PEM certificates"
		if pem, err := os.ReadFile(s.CAFile); err != nil {
			r.fault("ca_file", "%q: %v: %s", s.CAFile, reason(err), want)
		} else if !x509.NewCertPool().AppendCertsFromPEM(pem) {
			r.fault("ca_file", "%q holds no certificate: %s", s.CAFile, want)
		}
	}
	switch {
	case s.CertFile == "" && s.KeyFile == "":
	case s.KeyFile == "":
		r.fault("cert_file", "%q has no key: want key_file or OTEL_EXPORTER_OTLP_CLIENT_KEY beside it", s.CertFile)
	case s.CertFile == "":
		r.fault("key_file", "%q has no certificate: want cert_file or OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE beside it", s.KeyFile)
	default:
		r.checkPair(s)
	}
}

// checkPair loads certificate and key, and notes a fault of the one that fails.
func (r *otelReader) checkPair(s *OTelSettings) {
	cert, certErr := os.ReadFile(s.CertFile)
	if certErr != nil {
		r.fault("cert_file", "%q: %v: want a file with a PEM certificate", s.CertFile, reason(certErr))
	}
	key, keyErr := os.ReadFile(s.KeyFile)
	if keyErr != nil {
		r.fault("key_file", "%q: %v: want a file with a PEM key", s.KeyFile, reason(keyErr))
	}
	if certErr != nil || keyErr != nil {
		return
	}
	if _, err := tls.X509KeyPair(cert, key); err != nil {
		r.fault("cert_file", "%q with key %q: %v: want a PEM certificate and its key", s.CertFile, s.KeyFile, err)
	}
}

// reason is why a file could not be read, without its name.
func reason(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// checkUnusedFiles refuses certificates of the configuration file that pingtel
// would not use. Those of variables may be meant for other programs. decides is
// the key that decides on TLS.
func (r *otelReader) checkUnusedFiles(s *OTelSettings, decides string) {
	if !s.Insecure {
		return
	}
	check := func(key, path string) {
		if path != "" && r.origins[key] == OriginFile {
			r.fault(key, "%q has no effect without TLS, and %s turns TLS off: turn TLS on or remove %s", path, r.name(decides), key)
		}
	}
	check("ca_file", s.CAFile)
	check("cert_file", s.CertFile)
}

// readHeaders resolves the headers. The file's replace those of the variables.
func (r *otelReader) readHeaders(s *OTelSettings) {
	convert := func(text string) (map[string]string, error) { return pairsOf(text, false) }
	var file *map[string]string
	if r.o.Headers != nil {
		file = &r.o.Headers
	}
	got := choose(r, "headers", file, nil, convert, exporterVariables("HEADERS")...)
	if len(got) > 0 {
		s.Headers = maps.Clone(got)
	}
	seen := make(map[string]string, len(got))
	for _, name := range slices.Sorted(maps.Keys(got)) {
		low := strings.ToLower(name)
		if first, twice := seen[low]; twice {
			r.fault("headers", "%q and %q are the same header: want one of them", first, name)
		}
		seen[low] = name
		if err := checkHeaderName(low, s.Protocol); err != nil {
			r.fault("headers", "%q: %v", name, err)
		}
		if !validHeaderValue(got[name], s.Protocol) {
			r.fault("headers", "the value of %q has a line break or another character that headers cannot have: want printable text", name)
		}
	}
}

// checkHeaderName checks a name in lower case. It must be a token of RFC 9110,
// section 5.6.2; gRPC's specification allows fewer characters.
func checkHeaderName(low, protocol string) error {
	allowed, want := "!#$%&'*+-.^_`|~", "letters, digits and "
	if protocol == "grpc" {
		allowed = "-_."
	}
	bad := func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < '0' || c > '9') && !strings.ContainsRune(allowed, c)
	}
	if low == "" || strings.ContainsFunc(low, bad) {
		return fmt.Errorf("want a header's name: %s%s", want, allowed)
	}
	switch {
	case slices.Contains(connectionHeaders, low):
		return errors.New("want another name: it belongs to the connection")
	case slices.Contains(messageHeaders, low), protocol == "grpc" && low == "user-agent":
		return errors.New("want another name: pingtel sets it itself")
	case protocol == "grpc" && strings.HasPrefix(low, "grpc-"):
		return errors.New("want another name: grpc- is reserved by gRPC")
	}
	return nil
}

var (
	// connectionHeaders concern one connection. HTTP/2 does not allow them (RFC
	// 9113, section 8.2.2), and net/http writes them itself.
	connectionHeaders = []string{"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}

	// messageHeaders describe the body.
	messageHeaders = []string{"content-encoding", "content-length", "content-type"}
)

// validHeaderValue reports whether a header can have the value: gRPC takes
// printable ASCII, HTTP takes more.
func validHeaderValue(s, protocol string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool {
		return c < ' ' && c != '\t' || c == 0x7f || protocol == "grpc" && (c == '\t' || c > 0x7e)
	})
}

// pairsOf converts a variable's list, "key=value,key=value". Values are
// percent-encoded, and so are keys with encodedKeys. Errors show no value.
func pairsOf(text string, encodedKeys bool) (map[string]string, error) {
	pairs := make(map[string]string)
	for i, part := range strings.Split(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		key, value, found := strings.Cut(part, "=")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		if !found || key == "" {
			return nil, fmt.Errorf("entry %d: want key=value, and a comma between entries", i+1)
		}
		var err error
		if encodedKeys {
			if key, err = url.PathUnescape(key); err != nil {
				return nil, fmt.Errorf("entry %d: write %%25 for each %% in the key", i+1)
			}
		}
		if value, err = url.PathUnescape(value); err != nil {
			return nil, fmt.Errorf("entry %d: write %%25 for each %% in the value", i+1)
		}
		if !utf8.ValidString(key) || !utf8.ValidString(value) {
			return nil, fmt.Errorf("entry %d: %w", i+1, errNotUTF8)
		}
		pairs[key] = value
	}
	return pairs, nil
}
