//go:build !linux

package main

// closedAtStart reports whether the process started with a closed stdout. Only Linux
// can find this out.
func closedAtStart() bool { return false }
