//go:build !linux

package icmpcore

// prefault does nothing: only Linux has the call.
func prefault([]byte) {}
