package config

import (
	"fmt"
	"slices"
	"strings"
)

// readSDK applies the variables of the specification that configure the SDK as a
// whole, and warns of those that have no effect here.
func (r *otelReader) readSDK(s *OTelSettings) {
	const (
		disabled = "OTEL_SDK_DISABLED"
		exporter = "OTEL_METRICS_EXPORTER"
		timeout  = "OTEL_METRIC_EXPORT_TIMEOUT"
		level    = "OTEL_LOG_LEVEL"
	)
	warn := func(name, format string, args ...any) {
		s.Warnings = append(s.Warnings, Fault{Key: name, Problem: fmt.Sprintf(format, args...)})
	}
	if v, set := r.variable(disabled); set != "" {
		switch {
		case strings.EqualFold(v, "true"):
			s.Off = disabled + "=" + v
		case !strings.EqualFold(v, "false"): // the specification says: any other value is false
			warn(disabled, "%q counts as false: want true or false", v)
		}
	}
	if v, set := r.variable(exporter); set != "" {
		switch strings.ToLower(v) {
		case "otlp":
		case "none":
			s.Off = exporter + "=" + v
		default:
			r.faults = append(r.faults, Fault{Key: exporter, Problem: fmt.Sprintf("%q: want otlp or none (to print the metrics, use 'pingtel otel --stdout')", v)})
		}
	}
	if v, set := r.variable(timeout); set != "" && r.origins["timeout"] != OriginFile {
		d, err := millisecondsOf(minPush, maxTimeout)(v)
		switch {
		case err != nil:
			r.faults = append(r.faults, Fault{Key: timeout, Problem: err.Error()})
		case r.origins["timeout"] == OriginDefault, d < s.Timeout: // both limit a push, so the shorter one counts
			s.Timeout, r.origins["timeout"] = d, timeout
		}
	}
	if v, set := r.variable(level); set != "" {
		warn(level, "%q has no effect: set agent.log_level in the file", v)
	}
}

// metrics converts a list of the names of instruments.
func (r *reader) metrics(v any) ([]string, error) {
	list, ok := v.([]any)
	if !ok {
		return nil, fmt.Errorf("is %s: want a list of instruments, [\"ping.rtt\", \"ping.up\"]", kindOf(v))
	}
	known := OTelMetrics()
	names := make([]string, 0, len(list))
	for _, x := range list {
		name, err := r.text(x)
		switch {
		case err != nil:
			return nil, err
		case slices.Contains(names, name):
			return nil, fmt.Errorf("%q is in the list twice: remove one", name)
		case slices.Contains(known, name):
			names = append(names, name)
			continue
		}
		if near := nearest(name, known); near != "" {
			return nil, fmt.Errorf("%q: did you mean %s?", name, near)
		}
		return nil, fmt.Errorf("%q: want one or more of %s", name, strings.Join(known, ", "))
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("is empty: want one or more of %s; to send all, remove the key", strings.Join(known, ", "))
	}
	return names, nil
}
