// Package otlp is the output of pingtel that pushes OTLP. It sets up the OTLP
// exporters of the OpenTelemetry SDK from the settings of the file, and the
// resource that describes the process.
//
// For what the exporters' options do not offer, this package has a dial option, a
// unary interceptor and RoundTrippers: how to dial, what an answer means for the
// rest of a push, and OTLP in JSON on stdout.
package otlp
