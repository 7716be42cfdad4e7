// Package otlp sets up what the binary exports through: the OTLP exporters of
// the OpenTelemetry SDK, by the settings of the file, and the resource that
// describes the process.
//
// What the exporters cannot do by their options is a dial option, a unary
// interceptor or a RoundTripper here: how to dial, what an answer means for the
// rest of a push, and OTLP in JSON on stdout.
package otlp
