package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// The default endpoints, and the path of metrics in OTLP over HTTP.
const (
	DefaultOTelEndpointGRPC = "localhost:4317"
	DefaultOTelEndpointHTTP = "localhost:4318"
	metricsPath             = "/v1/metrics"
)

// baseVariable is for all signals: each adds its path.
const baseVariable = "OTEL_EXPORTER_OTLP_ENDPOINT"

// endpoint holds the parts of an endpoint.
type endpoint struct {
	scheme string // http, https, or "" if there was none
	host   string // without brackets
	port   string // "" only with a scheme
	path   string // escaped, with its leading slash, or ""
}

// readEndpoint resolves the endpoint, and with it whether to use TLS.
//
// An endpoint without a scheme is host:port. Other implementations of the
// specification differ: some read "127.0.0.1:4317" as https on localhost. Over
// HTTP such an endpoint gets the scheme that fits insecure.
func (r *otelReader) readEndpoint(s *OTelSettings) {
	insecure := choose(r, "insecure", r.o.Insecure, false, truthOf, exporterVariables("INSECURE")...)
	byDefault := DefaultOTelEndpointGRPC
	if s.Protocol == "http/protobuf" {
		byDefault = DefaultOTelEndpointHTTP
	}
	asIs := func(s string) (string, error) { return s, nil }
	text := choose(r, "endpoint", r.o.Endpoint, byDefault, asIs, exporterVariables("ENDPOINT")...)
	e, err := parseEndpoint(text)
	if err == nil {
		e.host, err = toASCII(e.host)
	}
	if err != nil {
		r.fault("endpoint", "%q: %v", maskSecrets(text), err)
		return
	}
	decides := "insecure"
	switch {
	case e.scheme != "":
		decides = "endpoint"
		s.Insecure = e.scheme == "http"
		if r.o.Insecure != nil && *r.o.Insecure != s.Insecure {
			r.fault("endpoint", "%q contradicts otel.insecure = %t: want %s, or no insecure", text, *r.o.Insecure, opposite(e.scheme))
		}
		r.origins["insecure"] = r.origins["endpoint"]
	case r.origins["insecure"] != OriginDefault:
		s.Insecure = insecure
	default: // a certificate asks for TLS, on this host too
		s.Insecure = e.onThisHost() && s.CAFile == "" && s.CertFile == ""
	}
	if r.faulty("protocol") {
		return // the rest depends on the protocol
	}
	if s.Protocol == "grpc" {
		if strings.Trim(e.path, "/") != "" {
			r.fault("endpoint", "%q: want no path, since gRPC has none (for HTTP, set the protocol to http/protobuf)", text)
		}
		s.Endpoint = e.dialTarget()
	} else {
		if from := r.origins["endpoint"]; from == baseVariable && strings.HasSuffix(strings.TrimRight(e.path, "/"), metricsPath) {
			r.fault("endpoint", "%q: want it without %s, which pingtel adds, or use OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", text, metricsPath)
		}
		s.Endpoint = e.url(s.Insecure, r.origins["endpoint"])
	}
	r.checkUnusedFiles(s, decides)
}

func opposite(scheme string) string {
	if scheme == "http" {
		return "https"
	}
	return "http"
}

// parseEndpoint splits host:port or a URL. Its errors do not show s, which can
// hold a password.
func parseEndpoint(s string) (endpoint, error) {
	errWant := errors.New(`want "host:port", or a URL with http:// or https://`)
	if !strings.Contains(s, "://") {
		address, path, found := strings.Cut(s, "/")
		if found {
			path = "/" + path
		}
		host, port, err := net.SplitHostPort(address)
		if err != nil || !validHost(host) || !validPort(port) {
			return endpoint{}, errWant
		}
		u, err := url.Parse("http://" + s)
		if err != nil || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
			return endpoint{}, errWant
		}
		return endpoint{host: host, port: port, path: path}, nil
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || !validHost(u.Hostname()) || u.Port() != "" && !validPort(u.Port()) {
		return endpoint{}, errWant
	}
	if u.User != nil {
		return endpoint{}, errors.New("want no user name in it: use headers = { authorization = \"...\" }")
	}
	if u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return endpoint{}, errors.New("want a URL without ? and #")
	}
	return endpoint{scheme: u.Scheme, host: u.Hostname(), port: u.Port(), path: u.EscapedPath()}, nil
}

// validHost reports whether s can be a name or address. A name may be
// international. A placeholder that another program should have replaced, such
// as $(HOST_IP), is not valid.
func validHost(s string) bool {
	if a, err := netip.ParseAddr(s); err == nil {
		return a.Zone() == "" || !strings.ContainsFunc(a.Zone(), unfitForHost)
	}
	return s != "" && !strings.Contains(s, ":") && !strings.ContainsFunc(s, unfitForHost)
}

func unfitForHost(c rune) bool {
	return c < utf8.RuneSelf && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && !strings.ContainsRune("-._", c)
}

// toASCII returns the form of an international name that the DNS uses.
func toASCII(host string) (string, error) {
	if !strings.ContainsFunc(host, func(c rune) bool { return c >= utf8.RuneSelf }) {
		return host, nil
	}
	ascii, err := idna.Lookup.ToASCII(host)
	if err != nil {
		return "", fmt.Errorf("want the name of a host: %w", err)
	}
	return ascii, nil
}

func validPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0
}

// onThisHost reports whether the endpoint is the loopback interface.
func (e endpoint) onThisHost() bool {
	if a, err := netip.ParseAddr(e.host); err == nil {
		return a.Unmap().IsLoopback()
	}
	return strings.EqualFold(strings.TrimSuffix(e.host, "."), "localhost")
}

// dialTarget is the endpoint for gRPC. A URL without a port has that of its
// scheme.
func (e endpoint) dialTarget() string {
	port := e.port
	switch {
	case port != "":
	case e.scheme == "http":
		port = "80"
	default:
		port = "443"
	}
	return net.JoinHostPort(e.host, port)
}

// url is the endpoint for HTTP. By the specification the variable for all
// signals is a base, to which the metrics' path is added, and the variable
// for metrics is whole. The file may have either: a URL that has a path is
// whole.
func (e endpoint) url(insecure bool, origin string) string {
	path := e.path
	switch origin {
	case "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT":
		if path == "" {
			path = "/"
		}
	case baseVariable:
		path = strings.TrimRight(path, "/") + metricsPath
	default:
		if path == "" || path == "/" {
			path = metricsPath
		}
	}
	scheme := "https"
	if insecure {
		scheme = "http"
	}
	host := e.host
	if strings.Contains(host, ":") {
		host = "[" + strings.ReplaceAll(host, "%", "%25") + "]"
	}
	if e.port != "" {
		host += ":" + e.port
	}
	return fmt.Sprintf("%s://%s%s", scheme, host, path)
}

// maskSecrets hides a user and password, and what a query or fragment holds, in
// what should be an endpoint.
func maskSecrets(s string) string {
	user, query := strings.LastIndexByte(s, '@'), strings.IndexAny(s, "?#")
	switch {
	case query >= 0 && user > query: // of which of them it is, who knows
		return "***"
	case query >= 0:
		s = s[:query+1] + "***"
	}
	if user >= 0 {
		s = "***" + s[user:]
	}
	return s
}
