//go:build !linux

package sdnotify

// Only Linux has service managers that use sd_notify(3), and go-systemd does not
// build on every other system.

func send(string) error { return nil }

func monotonicUsec() string { return "" }
