package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// variables are an environment.
type variables map[string]string

func (v variables) lookup(name string) (string, bool) {
	s, ok := v[name]
	return s, ok
}

// settings resolves an [otel] table, whose first key is on line 4.
func settings(t *testing.T, table string, vars variables) (*OTelSettings, error) {
	t.Helper()
	c, err := Parse("f.toml", minimal+"[otel]\n"+table, env)
	if err != nil {
		t.Fatal(err)
	}
	return c.OTel.Settings(c.Agent.Interval, vars.lookup)
}

func TestOTelDefaults(t *testing.T) {
	var o OTel
	got, err := o.Settings(7*time.Second, variables{}.lookup)
	if err != nil {
		t.Fatal(err)
	}
	want := &OTelSettings{
		Endpoint: "localhost:4317", Protocol: "grpc", Insecure: true, Compression: "gzip", Timeout: 10 * time.Second, Interval: 7 * time.Second,
		Temporality: "cumulative", Histogram: "explicit", Bounds: DefaultOTelBounds(), Metrics: OTelMetrics(), Resource: map[string]string{"service.name": "pingtel"},
		Origins: map[string]string{},
	}
	for _, key := range []string{
		"endpoint", "protocol", "insecure", "headers", "ca_file", "cert_file", "key_file", "compression", "timeout", "interval",
		"temporality", "histogram", "bounds", "metrics", "resource.service.name",
	} {
		want.Origins[key] = OriginDefault
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// TestOTelOrigins sets everything in the file, everything in variables, and both; and
// variables for metrics together with those for all signals.
func TestOTelOrigins(t *testing.T) {
	ca, cert, key := writePair(t)
	file := `endpoint = "https://file.example:4318/m"
protocol = "http/protobuf"
insecure = false
headers = { x-from = "file" }
ca_file = "` + ca + `"
cert_file = "` + cert + `"
key_file = "` + key + `"
compression = "none"
timeout = "1s"
interval = "2s"
temporality = "delta"
histogram = "exponential"
bounds = [1, 2]
metrics = ["ping.up", "ping.rtt"]
resource = { "service.name" = "file" }
`
	all, metrics := variables{}, variables{}
	for setting, values := range map[string][2]string{
		"ENDPOINT": {"https://all.example:1", "https://metrics.example:1"}, "PROTOCOL": {"grpc", "grpc"}, "INSECURE": {"false", "FALSE"},
		"HEADERS": {"x-from=all", "x-from=metrics"}, "CERTIFICATE": {ca, ca}, "CLIENT_CERTIFICATE": {cert, cert}, "CLIENT_KEY": {key, key},
		"COMPRESSION": {"none", "gzip"}, "TIMEOUT": {"3000", "4000"},
	} {
		all["OTEL_EXPORTER_OTLP_"+setting] = values[0]
		metrics["OTEL_EXPORTER_OTLP_METRICS_"+setting] = values[1]
	}
	rest := variables{
		"OTEL_METRIC_EXPORT_INTERVAL": "5000", "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "LowMemory",
		"OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION": "BASE2_exponential_bucket_histogram", "OTEL_SERVICE_NAME": "variable",
	}
	merge := func(from ...variables) variables {
		m := variables{}
		for _, v := range from {
			for name, value := range v {
				m[name] = value
			}
		}
		return m
	}
	fromFile := &OTelSettings{
		Endpoint: "https://file.example:4318/m", Protocol: "http/protobuf", Headers: map[string]string{"x-from": "file"},
		CAFile: ca, CertFile: cert, KeyFile: key, Compression: "none", Timeout: time.Second, Interval: 2 * time.Second,
		Temporality: "delta", Histogram: "exponential", Bounds: []float64{1, 2}, Metrics: []string{"ping.up", "ping.rtt"}, Resource: map[string]string{"service.name": "file"},
		Origins: originsOf(func(string) string { return OriginFile }),
	}
	fromVariables := func(prefix, endpoint, header, compression string, timeout time.Duration) *OTelSettings {
		return &OTelSettings{
			Endpoint: endpoint, Protocol: "grpc", Headers: map[string]string{"x-from": header},
			CAFile: ca, CertFile: cert, KeyFile: key, Compression: compression, Timeout: timeout, Interval: 5 * time.Second,
			Temporality: "lowmemory", Histogram: "exponential", Bounds: DefaultOTelBounds(), Metrics: OTelMetrics(), Resource: map[string]string{"service.name": "variable"},
			Origins: originsOf(func(key string) string { return variableOf(prefix, key) }),
		}
	}
	ofAll := fromVariables("OTEL_EXPORTER_OTLP_", "all.example:1", "all", "none", 3*time.Second)
	ofMetrics := fromVariables("OTEL_EXPORTER_OTLP_METRICS_", "metrics.example:1", "metrics", "gzip", 4*time.Second)
	tests := []struct {
		name, table string
		vars        variables
		want        *OTelSettings
	}{
		{"file", file, nil, fromFile},
		{"file before variables", file, merge(all, metrics, rest), fromFile},
		{"variables for all signals", "", merge(all, rest), ofAll},
		{"variables for metrics", "", merge(metrics, rest), ofMetrics},
		{"metrics before all", "", merge(all, metrics, rest), ofMetrics},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := settings(t, tt.table, tt.vars)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// originsOf returns the origin of every setting.
func originsOf(of func(key string) string) map[string]string {
	m := make(map[string]string)
	for _, key := range []string{
		"endpoint", "protocol", "insecure", "headers", "ca_file", "cert_file", "key_file", "compression", "timeout", "interval",
		"temporality", "histogram", "bounds", "metrics", "resource.service.name",
	} {
		m[key] = of(key)
	}
	return m
}

// variableOf names the variable of a key.
func variableOf(prefix, key string) string {
	switch key {
	case "ca_file":
		return prefix + "CERTIFICATE"
	case "cert_file":
		return prefix + "CLIENT_CERTIFICATE"
	case "key_file":
		return prefix + "CLIENT_KEY"
	case "insecure": // the scheme decides
		return prefix + "ENDPOINT"
	case "interval":
		return "OTEL_METRIC_EXPORT_INTERVAL"
	case "temporality":
		return "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"
	case "histogram":
		return "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION"
	case "bounds", "metrics":
		return OriginDefault // the specification has no variable
	case "resource.service.name":
		return "OTEL_SERVICE_NAME"
	}
	return prefix + strings.ToUpper(key)
}

const (
	varEndpoint        = "OTEL_EXPORTER_OTLP_ENDPOINT"
	varMetricsEndpoint = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"
	varInsecure        = "OTEL_EXPORTER_OTLP_INSECURE"
	varProtocol        = "OTEL_EXPORTER_OTLP_PROTOCOL"
)

func TestOTelEndpoint(t *testing.T) {
	ca, cert, key := writePair(t)
	const overHTTP = "protocol = \"http/protobuf\"\n"
	tests := []struct {
		name, table string
		vars        variables
		endpoint    string
		insecure    bool
	}{
		{"an empty variable is unset", "", variables{varEndpoint: "", varMetricsEndpoint: "  "}, "localhost:4317", true},
		{"blanks around", "", variables{varEndpoint: " http://a:1 "}, "a:1", true},
		{"gRPC, address and port", `endpoint = "127.0.0.1:4317"`, nil, "127.0.0.1:4317", true},
		{"gRPC, address and port in a variable", "", variables{varEndpoint: "127.0.0.1:4317"}, "127.0.0.1:4317", true},
		{"gRPC, name and port in a variable", "", variables{varMetricsEndpoint: "localhost:14317"}, "localhost:14317", true},
		{"gRPC, IPv6", `endpoint = "[::1]:4317"`, nil, "[::1]:4317", true},
		{"gRPC, mapped IPv4", `endpoint = "[::ffff:127.0.0.2]:4317"`, nil, "[::ffff:127.0.0.2]:4317", true},
		{"gRPC elsewhere", `endpoint = "c.example:4317"`, nil, "c.example:4317", false},
		{"gRPC elsewhere, without TLS", "endpoint = \"c.example:4317\"\ninsecure = true", nil, "c.example:4317", true},
		{"gRPC here, with TLS", "insecure = false", nil, "localhost:4317", false},
		{"gRPC here, with an authority", "ca_file = \"" + ca + "\"", nil, "localhost:4317", false},
		{"gRPC here, with a certificate", "cert_file = \"" + cert + "\"\nkey_file = \"" + key + "\"", nil, "localhost:4317", false},
		{"gRPC, http", `endpoint = "http://c.example:4317"`, nil, "c.example:4317", true},
		{"gRPC, https here", `endpoint = "HTTPS://localhost:4317/"`, nil, "localhost:4317", false},
		{"gRPC, https without a port", `endpoint = "https://c.example"`, nil, "c.example:443", false},
		{"gRPC, http without a port", `endpoint = "http://c.example"`, nil, "c.example:80", true},
		{"insecure by a variable", "", variables{varEndpoint: "c.example:4317", varInsecure: "True"}, "c.example:4317", true},
		{"the scheme before the variable", "", variables{varEndpoint: "https://c.example:4317", varInsecure: "true"}, "c.example:4317", false},
		{"the file's scheme before the variable", `endpoint = "http://c.example:4317"`, variables{varInsecure: "false"}, "c.example:4317", true},
		{"no contradiction", "endpoint = \"http://c.example:4317\"\ninsecure = true", nil, "c.example:4317", true},
		{"an authority for other programs", "", variables{varEndpoint: "http://a:1", "OTEL_EXPORTER_OTLP_CERTIFICATE": ca}, "a:1", true},

		{"gRPC, an international name", `endpoint = "http://münchen.example:4317"`, nil, "xn--mnchen-3ya.example:4317", true},
		{"HTTP, an international name", overHTTP + `endpoint = "http://münchen.example:4318"`, nil, "http://xn--mnchen-3ya.example:4318/v1/metrics", true},
		{"a name with an underscore", `endpoint = "http://otel_collector:4317"`, nil, "otel_collector:4317", true},
		{"an address with a zone", `endpoint = "http://[fe80::1%25eth0]:4317"`, nil, "[fe80::1%eth0]:4317", true},

		{"HTTP by default", overHTTP, nil, "http://localhost:4318/v1/metrics", true},
		{"HTTP by a variable", "", variables{varProtocol: "http/protobuf"}, "http://localhost:4318/v1/metrics", true},
		{"HTTP with TLS", overHTTP + "insecure = false", nil, "https://localhost:4318/v1/metrics", false},
		{"HTTP, no path", overHTTP + `endpoint = "https://c.example"`, nil, "https://c.example/v1/metrics", false},
		{"HTTP, root path", overHTTP + `endpoint = "http://c.example:4318/"`, nil, "http://c.example:4318/v1/metrics", true},
		{"HTTP, a path", overHTTP + `endpoint = "https://c.example/otlp/a%20b"`, nil, "https://c.example/otlp/a%20b", false},
		{"HTTP, no scheme, here", overHTTP + `endpoint = "127.0.0.1:4318"`, nil, "http://127.0.0.1:4318/v1/metrics", true},
		{"HTTP, no scheme, elsewhere", overHTTP + `endpoint = "c.example:4318/m"`, nil, "https://c.example:4318/m", false},
		{"HTTP, no scheme, insecure", overHTTP + "endpoint = \"c.example:4318\"\ninsecure = true", nil, "http://c.example:4318/v1/metrics", true},
		{"HTTP, IPv6", overHTTP + `endpoint = "[::1]:4318"`, nil, "http://[::1]:4318/v1/metrics", true},
		{"HTTP, the variable for all is a base", overHTTP, variables{varEndpoint: "https://c.example/otlp/"}, "https://c.example/otlp/v1/metrics", false},
		{"HTTP, the variable for all, no path", overHTTP, variables{varEndpoint: "127.0.0.1:4318"}, "http://127.0.0.1:4318/v1/metrics", true},
		{"HTTP, the variable for metrics is whole", overHTTP, variables{varMetricsEndpoint: "https://c.example/m", varEndpoint: "http://x:1"}, "https://c.example/m", false},
		{"HTTP, the variable for metrics, no path", overHTTP, variables{varMetricsEndpoint: "http://c.example:1"}, "http://c.example:1/", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := settings(t, tt.table, tt.vars)
			if err != nil {
				t.Fatal(err)
			}
			if got.Endpoint != tt.endpoint || got.Insecure != tt.insecure {
				t.Errorf("%s, insecure %t, want %s, %t", got.Endpoint, got.Insecure, tt.endpoint, tt.insecure)
			}
		})
	}
}

func TestOTelHeadersAndResource(t *testing.T) {
	const headers, attributes, service = "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_RESOURCE_ATTRIBUTES", "OTEL_SERVICE_NAME"
	tests := []struct {
		name, table string
		vars        variables
		headers     map[string]string
		resource    map[string]string
		origins     map[string]string // of the resource
	}{
		{
			"percent-encoded", "", variables{headers: "authorization=Basic%20YTpi==, X-B = 2 ,", attributes: "a=1%2C2,b%3Dc= d%20,e="},
			map[string]string{"authorization": "Basic YTpi==", "X-B": "2"},
			map[string]string{"service.name": "pingtel", "a": "1,2", "b=c": "d ", "e": ""},
			map[string]string{"service.name": OriginDefault, "a": attributes, "b=c": attributes, "e": attributes},
		},
		{
			"service.name of the attributes", "", variables{attributes: "service.name=x"}, nil,
			map[string]string{"service.name": "x"}, map[string]string{"service.name": attributes},
		},
		{
			"service name before the attributes", "", variables{attributes: "service.name=x,a=1", service: "100% y"}, nil,
			map[string]string{"service.name": "100% y", "a": "1"}, map[string]string{"service.name": service, "a": attributes},
		},
		{
			"file by key before variables", `resource = { a = "f", "service.name" = "z" }`, variables{attributes: "a=1,b=2", service: "y"}, nil,
			map[string]string{"service.name": "z", "a": "f", "b": "2"},
			map[string]string{"service.name": OriginFile, "a": OriginFile, "b": attributes},
		},
		{
			"the file's headers as a whole", `headers = { a = "1" }`, variables{headers: "b=2"}, map[string]string{"a": "1"},
			map[string]string{"service.name": "pingtel"}, map[string]string{"service.name": OriginDefault},
		},
		{
			"no headers by the file", `headers = {}`, variables{headers: "b=2"}, nil,
			map[string]string{"service.name": "pingtel"}, map[string]string{"service.name": OriginDefault},
		},
		{
			"HTTP takes more", "protocol = \"http/protobuf\"\nheaders = { \"a'b\" = \"é\" }", nil, map[string]string{"a'b": "é"},
			map[string]string{"service.name": "pingtel"}, map[string]string{"service.name": OriginDefault},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := settings(t, tt.table, tt.vars)
			if err != nil {
				t.Fatal(err)
			}
			origins := make(map[string]string)
			for key, from := range got.Origins {
				if k, found := strings.CutPrefix(key, "resource."); found {
					origins[k] = from
				}
			}
			if diff := cmp.Diff(tt.headers, got.Headers); diff != "" {
				t.Errorf("headers -want +got\n%s", diff)
			}
			if diff := cmp.Diff(tt.resource, got.Resource); diff != "" {
				t.Errorf("resource -want +got\n%s", diff)
			}
			if diff := cmp.Diff(tt.origins, origins); diff != "" {
				t.Errorf("origins -want +got\n%s", diff)
			}
		})
	}
}

// TestOTelFaults has each kind of mistake: the fault must name the key or variable, and say
// what to write.
func TestOTelFaults(t *testing.T) {
	ca, cert, key := writePair(t)
	_, _, otherKey := writePair(t)
	noPEM := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(noPEM, []byte("hello\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const v = "OTEL_EXPORTER_OTLP_"
	const hostPort = `want "host:port", or a URL with http:// or https://`
	tests := []struct {
		name, table string
		vars        variables
		want        []string
	}{
		{"no port", `endpoint = "localhost"`, nil, []string{`f.toml:4: otel.endpoint: "localhost": ` + hostPort}},
		{"empty endpoint", `endpoint = ""`, nil, []string{`f.toml:4: otel.endpoint: "": ` + hostPort}},
		{"port out of range", "", variables{varEndpoint: "a:65536"}, []string{varEndpoint + `: "a:65536": ` + hostPort}},
		{"port 0", `endpoint = "http://a:0"`, nil, []string{hostPort}},
		{"IPv6 without brackets", `endpoint = "::1:4317"`, nil, []string{hostPort}},
		{"other scheme", "", variables{varMetricsEndpoint: "unix:///run/x"}, []string{varMetricsEndpoint + `: "unix:///run/x": ` + hostPort}},
		{"no host", `endpoint = "http://:4317"`, nil, []string{hostPort}},
		{"user in a URL", `endpoint = "http://me:s3cret@a:1"`, nil, []string{`"***@a:1": want no user name in it`}},
		{"query", `endpoint = "https://a:1/x?token=s3cret"`, nil, []string{`"https://a:1/x?***": want a URL without ? and #`}},
		{"query with an @", `endpoint = "https://a:1/?token=me@s3cret"`, nil, []string{`"***": want a URL without`}},
		{"user with a ?", `endpoint = "https://me:s3?cret@a:1/"`, nil, []string{`"***": want`}},
		{"query in no URL", `endpoint = "a:1?s3cret"`, nil, []string{`"a:1?***": ` + hostPort}},
		{"fragment", `endpoint = "http://a:1/#s3cret"`, nil, []string{`"http://a:1/#***": want a URL without`}},
		{"user in a broken URL", `endpoint = "me:s3cret@a:1"`, nil, []string{`"***@a:1": ` + hostPort}},
		{"query", `endpoint = "http://a:1/?x=1"`, nil, []string{"want a URL without ? and #"}},
		{"query without a scheme", `endpoint = "a:1/?x=1"`, nil, []string{hostPort}},
		{"a variable of Kubernetes that was not replaced", "", variables{varEndpoint: "$(HOST_IP):4317"}, []string{varEndpoint + `: "$(HOST_IP):4317": ` + hostPort}},
		{"the same in a URL", "", variables{varEndpoint: "http://$(HOST_IP):4317"}, []string{varEndpoint + `: "http://$(HOST_IP):4317": ` + hostPort}},
		{"a variable of the shell that was not replaced", `endpoint = "$HOST:4317"`, nil, []string{hostPort}},
		{"no international name", `endpoint = "http://ä_..ö:4317"`, nil, []string{"want the name of a host"}},
		{"the whole URL in the variable for all signals", "", variables{varEndpoint: "http://a:4318/v1/metrics", varProtocol: "http/protobuf"}, []string{varEndpoint + `: "http://a:4318/v1/metrics": want it without /v1/metrics, which pingtel adds`}},
		{"path for gRPC", "", variables{varEndpoint: "http://a:4318/v1/metrics"}, []string{varEndpoint + `: "http://a:4318/v1/metrics": want no path, since gRPC has none`}},
		{"file's insecure against its scheme", "endpoint = \"https://a:1\"\ninsecure = true", nil, []string{`f.toml:4: otel.endpoint: "https://a:1" contradicts otel.insecure = true: want http,`}},
		{"file's insecure against a variable's scheme", "insecure = false", variables{varEndpoint: "http://a:1"}, []string{varEndpoint + `: "http://a:1" contradicts otel.insecure = false: want https,`}},
		{"http/json", "", variables{v + "METRICS_PROTOCOL": "http/json"}, []string{v + `METRICS_PROTOCOL: "http/json" is not supported: want one of grpc, http/protobuf`}},
		{"one fault of the protocol is enough", "", variables{varProtocol: "http/json", varEndpoint: "http://a:4318/x"}, []string{v + "PROTOCOL: "}},
		{"protocol", "", variables{varProtocol: "udp"}, []string{v + `PROTOCOL: "udp": want one of grpc, http/protobuf`}},
		{"insecure", "", variables{varInsecure: "1"}, []string{v + `INSECURE: "1": want one of true, false`}},
		{"compression", "", variables{v + "COMPRESSION": "zstd"}, []string{v + `COMPRESSION: "zstd": want one of gzip, none`}},
		{"timeout", "", variables{v + "TIMEOUT": "10s"}, []string{v + `TIMEOUT: "10s": want milliseconds, 1 to 3600000`}},
		{"interval", "", variables{"OTEL_METRIC_EXPORT_INTERVAL": "99"}, []string{`OTEL_METRIC_EXPORT_INTERVAL: "99": want milliseconds, 100 to 86400000`}},
		{"temporality", "", variables{v + "METRICS_TEMPORALITY_PREFERENCE": "none"}, []string{`PREFERENCE: "none": want one of cumulative, delta, lowmemory`}},
		{"histogram", "", variables{v + "METRICS_DEFAULT_HISTOGRAM_AGGREGATION": "explicit"}, []string{`AGGREGATION: "explicit": want one of explicit_bucket_histogram, base2_`}},
		{"header name", `headers = { "a b" = "s3cret" }`, nil, []string{`f.toml:4: otel.headers: "a b": want a header's name: letters, digits and -_.`}},
		{"header name for HTTP", "protocol = \"http/protobuf\"\nheaders = { \"a:\" = \"1\" }", nil, []string{`f.toml:5: otel.headers: "a:": want a header's name`}},
		{"reserved header", "", variables{v + "HEADERS": "grpc-timeout=1"}, []string{v + `HEADERS: "grpc-timeout": want another name`}},
		{"header of the connection", `headers = { Connection = "close" }`, nil, []string{`f.toml:4: otel.headers: "Connection": want another name: it belongs to the connection`}},
		{"header of the connection, HTTP", "protocol = \"http/protobuf\"\nheaders = { te = \"x\" }", nil, []string{"it belongs to the connection"}},
		{"header of the message", "protocol = \"http/protobuf\"\nheaders = { Content-Type = \"x\" }", nil, []string{"pingtel sets it itself"}},
		{"user agent over gRPC", `headers = { user-agent = "x" }`, nil, []string{"pingtel sets it itself"}},
		{"exporter", "", variables{"OTEL_METRICS_EXPORTER": "console"}, []string{`OTEL_METRICS_EXPORTER: "console": want otlp or none`}},
		{"export timeout", "", variables{"OTEL_METRIC_EXPORT_TIMEOUT": "soon"}, []string{`OTEL_METRIC_EXPORT_TIMEOUT: "soon": want milliseconds`}},
		{"header twice", `headers = { a = "1", A = "2" }`, nil, []string{`"A" and "a" are the same header`}},
		{"header value", "", variables{v + "HEADERS": "a=s3cret%0A"}, []string{v + `HEADERS: the value of "a" has a line break`}},
		{"header list", "", variables{v + "METRICS_HEADERS": "a=1,s3cret"}, []string{v + "METRICS_HEADERS: entry 2: want key=value"}},
		{"a header that is no text", "", variables{v + "HEADERS": "b=1,a=s3cret%ff"}, []string{v + "HEADERS: entry 2: contains bytes that are not text: want UTF-8"}},
		{"an attribute that is no text", "", variables{"OTEL_RESOURCE_ATTRIBUTES": "a=%FF"}, []string{"OTEL_RESOURCE_ATTRIBUTES: \"a=%FF\": entry 1: contains bytes"}},
		{"a key that is no text", "", variables{"OTEL_RESOURCE_ATTRIBUTES": "a%FF=1"}, []string{"OTEL_RESOURCE_ATTRIBUTES: \"a%FF=1\": entry 1: contains bytes"}},
		{"raw bytes", "", variables{"OTEL_RESOURCE_ATTRIBUTES": "a=\xff"}, []string{"entry 1: contains bytes"}},
		{"a name that is no text", "", variables{"OTEL_SERVICE_NAME": "a\xff"}, []string{"OTEL_SERVICE_NAME: \"a\\xff\": contains bytes"}},
		{"header encoding", "", variables{v + "HEADERS": "a=s3cret%"}, []string{v + "HEADERS: entry 1: write %25 for each % in the value"}},
		{"attribute list", "", variables{"OTEL_RESOURCE_ATTRIBUTES": "a=1,b"}, []string{`OTEL_RESOURCE_ATTRIBUTES: "a=1,b": entry 2: want key=value`}},
		{"attribute encoding", "", variables{"OTEL_RESOURCE_ATTRIBUTES": "%zz=1"}, []string{"entry 1: write %25 for each % in the key"}},
		{"attribute without a key", `resource = { "" = "1" }`, nil, []string{"f.toml:4: otel.resource: an attribute without a key"}},
		{"empty service.name", `resource = { "service.name" = "" }`, nil, []string{"f.toml:4: otel.resource: service.name is empty: want a name"}},
		{"empty service.name by a variable", "", variables{"OTEL_RESOURCE_ATTRIBUTES": "service.name="}, []string{"OTEL_RESOURCE_ATTRIBUTES: service.name is empty"}},
		{"no CA file", `ca_file = "/nonexistent/ca.pem"`, nil, []string{`f.toml:4: otel.ca_file: "/nonexistent/ca.pem": no such file or directory: want a file of PEM certificates`}},
		{"no CA file by a variable", "", variables{v + "CERTIFICATE": "/nonexistent"}, []string{v + `CERTIFICATE: "/nonexistent": no such file`}},
		{"CA file without a certificate", `ca_file = "` + noPEM + `"`, nil, []string{"holds no certificate: want a file of PEM certificates"}},
		{"certificate without key", `cert_file = "` + cert + `"`, nil, []string{`f.toml:4: otel.cert_file: "` + cert + `" has no key: want key_file`}},
		{"key without certificate", "", variables{v + "CLIENT_KEY": key}, []string{v + `CLIENT_KEY: "` + key + `" has no certificate: want cert_file`}},
		{"neither readable", "cert_file = \"/nonexistent/c\"\nkey_file = \"/nonexistent/k\"", nil, []string{`otel.cert_file: "/nonexistent/c": no such`, `otel.key_file: "/nonexistent/k": no such`}},
		{"not a pair", "", variables{v + "CLIENT_CERTIFICATE": cert, v + "CLIENT_KEY": otherKey}, []string{v + `CLIENT_CERTIFICATE: "` + cert + `" with key "` + otherKey + `": tls: private key does not match`}},
		{"no PEM", "cert_file = \"" + noPEM + "\"\nkey_file = \"" + key + "\"", nil, []string{"otel.cert_file: "}},
		{"authority without TLS", "endpoint = \"http://a:1\"\nca_file = \"" + ca + "\"", nil, []string{`f.toml:5: otel.ca_file: "` + ca + `" has no effect without TLS, and otel.endpoint turns TLS off`}},
		{"all at once", "headers = { \"\" = \"\" }\nendpoint = \"x\"", variables{varProtocol: "x", v + "TIMEOUT": "x"}, []string{"PROTOCOL", "TIMEOUT", "f.toml:4: ", "f.toml:5: "}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := settings(t, tt.table, tt.vars)
			var faults Faults
			if !errors.As(err, &faults) || s != nil {
				t.Fatalf("Settings = %v, %v, want faults", s, err)
			}
			if len(faults) != len(tt.want) {
				t.Fatalf("%d faults, want %d:\n%v", len(faults), len(tt.want), err)
			}
			for i, want := range tt.want {
				if !strings.Contains(faults[i].Error(), want) {
					t.Errorf("fault %d = %q, want %q", i, faults[i], want)
				}
			}
			if strings.Contains(err.Error(), "s3cret") {
				t.Errorf("the error shows a secret: %v", err)
			}
		})
	}
}

// TestOTelOwnsItsValues changes resolved settings, and resolves again: nothing may change.
func TestOTelOwnsItsValues(t *testing.T) {
	o := OTel{Bounds: []float64{1, 2}, Headers: map[string]string{"a": "1"}, Resource: map[string]string{"b": "2"}}
	for range 2 {
		s, err := o.Settings(time.Second, variables{}.lookup)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(s.Bounds, []float64{1, 2}) || s.Headers["a"] != "1" || s.Resource["b"] != "2" {
			t.Fatalf("settings = %+v", s)
		}
		s.Bounds[0], s.Headers["a"], s.Resource["b"] = 9, "9", "9"
	}
}

// writePair writes a self-signed certificate and its key.
func writePair(t *testing.T) (ca, cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("ca.pem", "CERTIFICATE", der), write("cert.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", keyDER)
}

// FuzzSettings gives the variables any text: settings without an error must be usable.
func FuzzSettings(f *testing.F) {
	f.Add("localhost:4317", "grpc", "a=b,c=%20d", "service.name=x,k=v", "1000")
	f.Add("https://[fe80::1%25lo]:4318/x?y", "http/protobuf", "=,==,a", "k=%zz", "-1")
	f.Add("http://user:pass@host", "", "", "", "")
	f.Fuzz(func(t *testing.T, endpoint, protocol, headers, resource, interval string) {
		given := variables{
			"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": protocol, "OTEL_EXPORTER_OTLP_HEADERS": headers,
			"OTEL_RESOURCE_ATTRIBUTES": resource, "OTEL_METRIC_EXPORT_INTERVAL": interval,
		}
		s, err := new(OTel).Settings(10*time.Second, given.lookup)
		if (s == nil) == (err == nil) {
			t.Fatalf("%v, %v", s, err)
		}
		if err != nil {
			if err.Error() == "" {
				t.Error("a fault without a text")
			}
			return
		}
		if s.Protocol == "grpc" {
			if _, _, err := net.SplitHostPort(s.Endpoint); err != nil {
				t.Errorf("%q cannot be dialled: %v", s.Endpoint, err)
			}
		} else if u, err := url.Parse(s.Endpoint); err != nil || u.Host == "" || (u.Scheme == "http") != s.Insecure {
			t.Errorf("%q is no URL: %v", s.Endpoint, err)
		}
		for k, v := range s.Headers {
			if k == "" || strings.ContainsAny(k+v, "\r\n\x00") {
				t.Errorf("header %q: %q", k, v)
			}
		}
		if s.Interval < minInterval || s.Interval > maxInterval || s.Resource["service.name"] == "" {
			t.Errorf("%+v", s)
		}
	})
}
