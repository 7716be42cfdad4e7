package web

import (
	"mime"
	"strconv"
	"strings"

	"github.com/prometheus/common/expfmt"
)

// format is a format of metrics.
type format int

const (
	textFormat format = iota // 0.0.4
	openFormat               // OpenMetrics 1.0
	protobufFormat
)

// contentTypes are what answers say.
var contentTypes = [...]string{
	textFormat:     "text/plain; version=0.0.4; charset=utf-8",
	openFormat:     "application/openmetrics-text; version=1.0.0; charset=utf-8",
	protobufFormat: "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited",
}

// encoderFormats are those of Prometheus' encoders.
var encoderFormats = [...]expfmt.Format{
	textFormat:     expfmt.NewFormat(expfmt.TypeTextPlain),
	openFormat:     expfmt.NewFormat(expfmt.TypeOpenMetrics),
	protobufFormat: expfmt.NewFormat(expfmt.TypeProtoDelim),
}

// formatOf returns the format that an Accept header prefers, of equal ones the one
// that says more, and the text format if it names none of ours.
func formatOf(accept string) format {
	var best [protobufFormat + 1]float64
	for part := range strings.SplitSeq(accept, ",") {
		kind, params, err := mime.ParseMediaType(strings.TrimSpace(part))
		if err != nil {
			continue
		}
		q := 1.0
		if s, ok := params["q"]; ok {
			if q, err = strconv.ParseFloat(s, 64); err != nil {
				continue
			}
		}
		version := params["version"]
		add := func(f format) { best[f] = max(best[f], q) }
		switch {
		case kind == "application/vnd.google.protobuf" && params["proto"] == "io.prometheus.client.MetricFamily" && params["encoding"] == "delimited":
			add(protobufFormat)
		case kind == "application/openmetrics-text" && (version == "" || version == "0.0.1" || version == "1.0.0"):
			add(openFormat)
		case kind == "text/plain" && (version == "" || version == "0.0.4"):
			add(textFormat)
		}
	}
	prefers := textFormat
	for _, f := range []format{openFormat, protobufFormat} {
		if best[f] > 0 && best[f] >= best[prefers] {
			prefers = f
		}
	}
	return prefers
}

// acceptsGzip reports whether an Accept-Encoding header names gzip.
func acceptsGzip(header string) bool {
	for part := range strings.SplitSeq(header, ",") {
		name, q, weighed := strings.Cut(strings.ReplaceAll(part, " ", ""), ";q=")
		weight, err := strconv.ParseFloat(q, 64)
		if name == "gzip" && (!weighed || err == nil && weight > 0) {
			return true
		}
	}
	return false
}
