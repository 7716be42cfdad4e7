package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Defaults of [otel], for keys that neither the file nor a variable sets.
const (
	DefaultOTelProtocol    = "grpc"
	DefaultOTelCompression = "gzip"
	DefaultOTelTimeout     = 10 * time.Second
	DefaultOTelTemporality = "cumulative"
	DefaultOTelHistogram   = "explicit"
	DefaultOTelService     = "pingtel" // service.name of the resource
)

// DefaultOTelBounds returns the bounds of the explicit histogram, in seconds.
// They are those of package otel, whose documentation explains them. The caller
// owns the slice.
func DefaultOTelBounds() []float64 {
	return []float64{
		1e-5, 2.5e-5, 5e-5,
		1e-4, 1.25e-4, 1.55e-4, 1.9e-4, 2.3e-4, 2.8e-4, 3.5e-4, 4.3e-4, 5.3e-4, 6.5e-4, 8e-4,
		.001, .00125, .00155, .0019, .0023, .0028, .0035, .0043, .0053, .0065, .008,
		.01, .0125, .0155, .019, .023, .028, .035, .043, .053, .065, .08,
		.1, .125, .155, .19, .23, .28, .35, .43, .53, .65, .8,
		1, 2, 5, 10,
	}
}

// OTelMetrics returns the names that otel.metrics may have: those of the
// instruments of package otel.
func OTelMetrics() []string {
	return []string{
		"ping.rtt", "ping.requests", "ping.replies", "ping.errors", "ping.duplicates", "ping.reordered", "ping.corrupt",
		"ping.loss", "ping.jitter", "ping.ipdv", "ping.ttl", "ping.hops", "ping.up",
		"ping.path.hops", "ping.path.changes",
		"ping.target.count", "ping.rounds.skipped", "ping.foreign", "ping.kernel.drops", "ping.export.failed",
		"ping.source.age", "ping.source.failures",
		"ping.fleet.members", "ping.fleet.owned", "ping.fleet.changes", "ping.fleet.view.age", "ping.path.breaks",
	}
}

// Origins of a setting other than a variable, whose name is the origin.
const (
	OriginFile    = "file"
	OriginDefault = "default"
)

// OTelSettings holds the resolved settings for OpenTelemetry: each comes from the
// file, else from the OTEL_* variables, else it is the default.
type OTelSettings struct {
	// Endpoint is the collector: "host:port" for grpc, and for http/protobuf
	// a whole URL that ends in the path, "http://localhost:4318/v1/metrics".
	Endpoint string
	Protocol string // grpc or http/protobuf
	Insecure bool   // no TLS; agrees with the scheme of Endpoint

	// Headers go with each push. Their names are valid for Protocol, and no two
	// differ only in upper and lower case. Nil if there are none.
	Headers map[string]string

	// PEM files that could be loaded; "" if there is none. CertFile and
	// KeyFile are both set or both empty. They are used only with TLS.
	CAFile, CertFile, KeyFile string

	Compression string        // gzip or none
	Timeout     time.Duration // of one push
	Interval    time.Duration // from one push to the next
	Temporality string        // cumulative, delta or lowmemory
	Histogram   string        // explicit or exponential
	Bounds      []float64     // of the explicit histogram: seconds, ascending
	Metrics     []string      // the instruments to send

	// Resource holds the attributes that the user chose, and always
	// service.name.
	Resource map[string]string

	// Off names the variable that turns pushing off, with its value. It is ""
	// if pushing is on.
	Off string

	// Warnings name variables and tags that do not work as a user may expect.
	Warnings Faults

	// Origins holds the origin of each setting, by its key in [otel]:
	// OriginFile, OriginDefault, or the name of a variable. The resource can
	// come from several: it has a "resource.KEY" for each attribute. If the
	// endpoint's scheme decides on TLS, the origin of "insecure" is that of
	// the endpoint.
	Origins map[string]string
}

// Settings resolves o. A key that the file does not have comes from the variables
// of the OpenTelemetry specification; those for metrics come before those for
// all signals. If no variable sets it either, it has its default. An empty
// variable counts as unset. agentInterval is the default of Interval.
//
// The error is [Faults] with all faults. A Fault's Key is "otel.KEY" for a key of
// the file, else the name of the variable. Faults do not show values that may be
// secret. Settings reads the PEM files to check that it can.
func (o *OTel) Settings(agentInterval time.Duration, lookup func(string) (string, bool)) (*OTelSettings, error) {
	r := &otelReader{o: o, lookup: lookup, origins: make(map[string]string)}
	s := &OTelSettings{Origins: r.origins}

	s.Protocol = choose(r, "protocol", o.Protocol, DefaultOTelProtocol, protocolOf, exporterVariables("PROTOCOL")...)
	s.Compression = choose(r, "compression", o.Compression, DefaultOTelCompression, wordOf("gzip", "none"), exporterVariables("COMPRESSION")...)
	s.Timeout = choose(r, "timeout", o.Timeout, DefaultOTelTimeout, millisecondsOf(minPush, maxTimeout), exporterVariables("TIMEOUT")...)
	s.Interval = choose(r, "interval", o.Interval, agentInterval, millisecondsOf(minInterval, maxInterval), "OTEL_METRIC_EXPORT_INTERVAL")
	s.Temporality = choose(r, "temporality", o.Temporality, DefaultOTelTemporality, wordOf("cumulative", "delta", "lowmemory"),
		"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE")
	s.Histogram = choose(r, "histogram", o.Histogram, DefaultOTelHistogram, histogramOf,
		"OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION")
	s.Bounds, r.origins["bounds"] = DefaultOTelBounds(), OriginDefault
	if o.Bounds != nil {
		s.Bounds, r.origins["bounds"] = slices.Clone(o.Bounds), OriginFile
	}
	s.Metrics, r.origins["metrics"] = OTelMetrics(), OriginDefault
	if o.Metrics != nil {
		s.Metrics, r.origins["metrics"] = slices.Clone(o.Metrics), OriginFile
	}
	r.readCertificates(s)
	r.readEndpoint(s)
	r.readHeaders(s)
	r.readResource(s)
	r.readSDK(s)

	if len(r.faults) > 0 {
		slices.SortStableFunc(r.faults, func(a, b Fault) int { return a.Line - b.Line })
		return nil, r.faults
	}
	return s, nil
}

// otelReader resolves the settings and gathers the faults.
type otelReader struct {
	o       *OTel
	lookup  func(string) (string, bool)
	origins map[string]string
	faults  Faults
}

// exporterVariables returns the names of a setting's variables: the one for
// metrics, which wins, then the one for all signals.
func exporterVariables(setting string) []string {
	return []string{"OTEL_EXPORTER_OTLP_METRICS_" + setting, "OTEL_EXPORTER_OTLP_" + setting}
}

// variable returns the first of the variables that is not empty.
func (r *otelReader) variable(names ...string) (value, name string) {
	for _, name := range names {
		v, _ := r.lookup(name)
		if v = strings.TrimSpace(v); v != "" {
			return v, name
		}
	}
	return "", ""
}

// choose returns the value of the file, else of the first variable that is set,
// else the default, and notes its origin.
func choose[T any](r *otelReader, key string, file *T, byDefault T, convert func(string) (T, error), names ...string) T {
	r.origins[key] = OriginDefault
	if file != nil {
		r.origins[key] = OriginFile
		return *file
	}
	value, name := r.variable(names...)
	if name == "" {
		return byDefault
	}
	r.origins[key] = name
	got, err := convert(value)
	if err != nil {
		r.fault(key, "%v", err)
		return byDefault
	}
	return got
}

// fault notes what is wrong with a setting, under the key or variable that set
// it.
func (r *otelReader) fault(key, format string, args ...any) {
	f := Fault{Key: r.name(key), Problem: fmt.Sprintf(format, args...)}
	if f.fromFile() {
		f.File, f.Line = r.o.file, r.line(f.Key)
	}
	r.faults = append(r.faults, f)
}

// name is the user's name of a setting: its key in the file or its variable.
func (r *otelReader) name(key string) string {
	if from := r.origins[key]; from != OriginFile && from != OriginDefault {
		return from
	}
	return otelPrefix + key
}

// faulty reports whether a fault of the setting has been noted.
func (r *otelReader) faulty(key string) bool {
	return slices.ContainsFunc(r.faults, func(f Fault) bool { return f.Key == r.name(key) })
}

const otelPrefix = "otel."

// fromFile reports whether the fault is in the file, not in a variable.
func (f Fault) fromFile() bool { return strings.HasPrefix(f.Key, otelPrefix) }

// line returns the line of a key, or of the table that it belongs in.
func (r *otelReader) line(path string) int {
	if n := r.o.lines[path]; n > 0 {
		return n
	}
	return r.o.lines["otel"]
}

// place notes the lines of the keys of [otel], for messages.
func (o *OTel) place(r *reader) {
	o.file, o.lines = r.file, make(map[string]int)
	for path, n := range r.lines.keys {
		if path == "otel" || strings.HasPrefix(path, otelPrefix) {
			o.lines[path] = n
		}
	}
}

// readResource merges the attributes, key by key: the file before
// OTEL_SERVICE_NAME before OTEL_RESOURCE_ATTRIBUTES before the default.
func (r *otelReader) readResource(s *OTelSettings) {
	s.Resource = map[string]string{"service.name": DefaultOTelService}
	r.origins["resource.service.name"] = OriginDefault
	set := func(from string, m map[string]string) {
		for k, v := range m {
			s.Resource[k], r.origins["resource."+k] = v, from
		}
	}
	const list, service = "OTEL_RESOURCE_ATTRIBUTES", "OTEL_SERVICE_NAME"
	if text, name := r.variable(list); name != "" {
		m, err := pairsOf(text, true)
		if err != nil {
			r.faults = append(r.faults, Fault{Key: list, Problem: fmt.Sprintf("%q: %v", text, err)})
		}
		set(list, m)
	}
	if v, name := r.variable(service); name != "" {
		if !utf8.ValidString(v) {
			r.faults = append(r.faults, Fault{Key: service, Problem: fmt.Sprintf("%q: %v", v, errNotUTF8)})
		}
		set(service, map[string]string{"service.name": v})
	}
	set(OriginFile, r.o.Resource)
	for _, k := range slices.Sorted(maps.Keys(s.Resource)) {
		switch {
		case k == "":
			r.resourceFault(k, "an attribute without a key: want KEY = \"VALUE\"")
		case k == "service.name" && s.Resource[k] == "":
			r.resourceFault(k, "service.name is empty: want a name")
		}
	}
}

// resourceFault notes a fault under the key or variable that set attribute k.
func (r *otelReader) resourceFault(k, problem string) {
	r.origins["resource"] = r.origins["resource."+k]
	r.fault("resource", "%s", problem)
	delete(r.origins, "resource")
}

// Bounds of durations, the same for the file and the variables.
const (
	minPush     = time.Millisecond
	maxTimeout  = time.Hour
	minInterval = 100 * time.Millisecond
	maxInterval = 24 * time.Hour
)

// millisecondsOf converts a whole number of milliseconds.
func millisecondsOf(low, high time.Duration) func(string) (time.Duration, error) {
	return func(s string) (time.Duration, error) {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil || n < low.Milliseconds() || n > high.Milliseconds() {
			return 0, fmt.Errorf("%q: want milliseconds, %d to %d", s, low.Milliseconds(), high.Milliseconds())
		}
		return time.Duration(n) * time.Millisecond, nil
	}
}

// wordOf converts one of words, in upper or lower case.
func wordOf(words ...string) func(string) (string, error) {
	return func(s string) (string, error) {
		if low := strings.ToLower(s); slices.Contains(words, low) {
			return low, nil
		}
		return "", fmt.Errorf("%q: want one of %s", s, strings.Join(words, ", "))
	}
}

func protocolOf(s string) (string, error) {
	if strings.EqualFold(s, "http/json") {
		return "", errors.New(`"http/json" is not supported: want one of grpc, http/protobuf`)
	}
	return wordOf("grpc", "http/protobuf")(s)
}

// histogramOf converts the names of the specification to those of the file.
func histogramOf(s string) (string, error) {
	const explicit, exponential = "explicit_bucket_histogram", "base2_exponential_bucket_histogram"
	got, err := wordOf(explicit, exponential)(s)
	return map[string]string{explicit: "explicit", exponential: "exponential"}[got], err
}

func truthOf(s string) (bool, error) {
	got, err := wordOf("true", "false")(s)
	return got == "true", err
}
