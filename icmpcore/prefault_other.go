//go:build !linux

package icmpcore

// prefault does something on Linux alone.
func prefault([]byte) {}
