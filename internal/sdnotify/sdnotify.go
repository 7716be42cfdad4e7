// Package sdnotify tells a service manager, such as systemd, how a daemon is:
// ready, reloading, stopping, alive (sd_notify(3)). Where no manager asks to be
// told, nothing happens and nothing fails; so it is on every system but Linux,
// where no manager speaks this protocol.
package sdnotify

import (
	"context"
	"fmt"
	"time"
)

// Ready says that the start, or a reload, is over and the daemon works.
// status is one line for people, for example what is being probed.
func Ready(status string) error {
	return send("READY=1\nSTATUS=" + status)
}

// Reloading says that the configuration is being read again. Ready must
// follow, also where the reload failed and the old configuration stays.
func Reloading() error {
	return send("RELOADING=1\n" + monotonic())
}

// Stopping says that the daemon is on its way out.
func Stopping() error { return send("STOPPING=1") }

// Watch tells the manager's watchdog that the daemon is alive, twice in the
// time that it allows, as long as alive returns true: a daemon that has stopped
// working is restarted by its manager. Watch returns when ctx ends, at once
// where there is no watchdog, and with an error where the manager cannot be
// told. alive is called on the caller's goroutine.
func Watch(ctx context.Context, alive func() bool) error {
	allowed, err := watchdog()
	if err != nil {
		return fmt.Errorf("watchdog of the service manager: %w", err)
	}
	if allowed == 0 {
		return nil
	}
	return watch(ctx, allowed/2, alive, func() error { return send("WATCHDOG=1") })
}

// watch calls tell now and every interval while alive says so.
func watch(ctx context.Context, interval time.Duration, alive func() bool, tell func() error) error {
	ticks := time.NewTicker(interval)
	defer ticks.Stop()
	for {
		if alive() {
			if err := tell(); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticks.C:
		}
	}
}

func send(state string) error {
	if err := notify(state); err != nil {
		return fmt.Errorf("tell the service manager: %w", err)
	}
	return nil
}
