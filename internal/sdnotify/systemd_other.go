//go:build !linux

package sdnotify

import "time"

func notify(string) error              { return nil }
func watchdog() (time.Duration, error) { return 0, nil }
func monotonic() string                { return "" }
