//go:build !linux

package sdnotify

// Service managers that listen to sd_notify(3) are Linux's, and go-systemd does
// not build on every other system.

func send(string) error { return nil }

func monotonicUsec() string { return "" }
