// Package sdnotify tells a service manager, such as systemd, how a daemon is:
// ready, reloading, stopping, alive (sd_notify(3)). Where no manager asks to be
// told, nothing happens and nothing fails.
package sdnotify

import (
	"context"
	"fmt"
	"math"
	"os"
	"strconv"
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
	return send("RELOADING=1\n" + monotonicUsec())
}

// Stopping says that the daemon is on its way out.
func Stopping() error { return send("STOPPING=1") }

// Watch tells the manager's watchdog that the daemon is alive, twice in the
// time that it allows, as long as alive returns true: a daemon that has stopped
// working is restarted by its manager. Watch returns when ctx ends, at once
// where there is no watchdog, and with an error where the manager cannot be
// told. alive is called on the caller's goroutine.
func Watch(ctx context.Context, alive func() bool) error {
	allowed, err := watchdogTime(os.Getenv("WATCHDOG_USEC"), os.Getenv("WATCHDOG_PID"), os.Getpid())
	if err != nil {
		return fmt.Errorf("watchdog of the service manager: %w", err)
	}
	if allowed == 0 {
		return nil
	}
	return watch(ctx, allowed, alive, func() error { return send("WATCHDOG=1") })
}

// watchdogTime returns how long the manager waits for a sign of life, 0 where
// it does not wait for one of this process (sd_watchdog_enabled(3)). go-systemd
// reads the time into an int, which on 32 bits ends at 35 minutes.
func watchdogTime(usec, pid string, self int) (time.Duration, error) {
	if usec == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(usec, 10, 64)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("WATCHDOG_USEC is %q: want a number of microseconds above 0", usec)
	}
	if pid != "" {
		watched, err := strconv.Atoi(pid)
		if err != nil {
			return 0, fmt.Errorf("WATCHDOG_PID is %q: want the number of a process", pid)
		}
		if watched != self {
			return 0, nil
		}
	}
	return time.Duration(min(n, math.MaxInt64/1000)) * time.Microsecond, nil
}

// watch calls tell now and twice in the time allowed, while alive says so.
func watch(ctx context.Context, allowed time.Duration, alive func() bool, tell func() error) error {
	ticks := time.NewTicker(allowed / 2)
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
