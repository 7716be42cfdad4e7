package config

import (
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// checkOTel resolves [otel] for a check of the file. Without enabled = true a
// fault of a variable is only a warning: the variables may be meant for other
// programs, and the telegraf command does not use them then. A fault of the
// file itself is always an error.
func (c *Config) checkOTel(lookup func(string) (string, bool)) (s *OTelSettings, warnings Faults, err error) {
	s, err = c.PushSettings(lookup)
	var faults Faults
	if !errors.As(err, &faults) {
		return s, nil, err
	}
	if c.OTel.Enabled || slices.ContainsFunc(faults, Fault.fromFile) {
		return nil, nil, faults
	}
	return nil, faults, nil
}

// anyVariable reports whether a setting is from a variable, or a variable has a
// warning.
func (s *OTelSettings) anyVariable() bool {
	if s.Off != "" || slices.ContainsFunc(s.Warnings, func(f Fault) bool { return !f.fromFile() && f.File == "" }) {
		return true
	}
	for _, from := range s.Origins {
		if from != OriginFile && from != OriginDefault {
			return true
		}
	}
	return false
}

// describe writes the settings and where each is from. It hides the values of
// the headers.
func (s *OTelSettings) describe(row func(name, format string, args ...any)) {
	if s.Off != "" {
		row("warning", "%s turns pushing off: 'pingtel otel' refuses to start, other commands do not push", s.Off)
	}
	for _, f := range s.Warnings {
		row("warning", "%v", f)
	}
	show := func(key, value string) { row("otel "+key, "%s (%s)", value, s.Origins[key]) }
	show("endpoint", s.Endpoint)
	show("protocol", s.Protocol)
	show("insecure", strconv.FormatBool(s.Insecure))
	if names := slices.Sorted(maps.Keys(s.Headers)); len(names) > 0 {
		show("headers", strings.Join(names, "=***, ")+"=***")
	}
	for _, f := range []struct{ key, path string }{{"ca_file", s.CAFile}, {"cert_file", s.CertFile}, {"key_file", s.KeyFile}} {
		if f.path != "" {
			show(f.key, f.path)
		}
	}
	show("compression", s.Compression)
	show("timeout", s.Timeout.String())
	show("interval", s.Interval.String())
	show("temporality", s.Temporality)
	show("histogram", s.Histogram)
	if s.Histogram == "explicit" {
		show("bounds", boundsText(s.Bounds))
	}
	if s.Origins["metrics"] == OriginFile {
		show("metrics", strings.Join(s.Metrics, " "))
	}
	for _, k := range slices.Sorted(maps.Keys(s.Resource)) {
		row("otel resource", "%s=%q (%s)", k, s.Resource[k], s.Origins["resource."+k])
	}
}

func boundsText(bounds []float64) string {
	if len(bounds) == 0 {
		return "none"
	}
	texts := make([]string, len(bounds))
	for i, b := range bounds {
		texts[i] = strconv.FormatFloat(b, 'f', -1, 64)
	}
	return strings.Join(texts, " ") + " s"
}
