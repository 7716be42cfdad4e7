//go:build !linux

package main

// closedAtStart reports whether the process began with a closed stdout, which
// is found out on Linux only.
func closedAtStart() bool { return false }
