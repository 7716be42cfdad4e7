// Package otel has the files to copy for a collector and for Prometheus, and the tests
// that use them.
package otel
