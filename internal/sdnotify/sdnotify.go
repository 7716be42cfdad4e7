// Package sdnotify reports the state of a daemon to a service manager such as
// systemd: ready, reloading, stopping, alive (sd_notify(3)). Without a service
// manager its functions do nothing and return no error.
package sdnotify

import (
	"context"
	"fmt"
	"math"
	"os"
	"strconv"
	"time"
)

// Ready reports that the daemon has started, or has finished a reload. status is
// one line for people, for example what the daemon probes.
func Ready(status string) error {
	return send("READY=1\nSTATUS=" + status)
}

// Reloading reports that the daemon reads its configuration again. Call Ready
// afterwards, also if the reload fails and the old configuration stays.
func Reloading() error {
	return send("RELOADING=1\n" + monotonicUsec())
}

// Stopping reports that the daemon is stopping.
func Stopping() error { return send("STOPPING=1") }

// Watch notifies the service manager's watchdog twice in the time that it allows,
// while alive returns true. The manager restarts a daemon that stops notifying.
// Watch returns when ctx is done, at once if there is no watchdog, and with an
// error if it cannot notify the manager. It calls alive on the caller's
// goroutine.
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

// watchdogTime returns how long the manager waits for a notification, 0 if it
// does not wait for one from this process (sd_watchdog_enabled(3)). It replaces
// go-systemd's function, which reads the time into an int: on 32 bits that ends
// at 35 minutes.
func watchdogTime(usec, pid string, self int) (time.Duration, error) {
	if usec == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(usec, 10, 64)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("WATCHDOG_USEC is %q: want a number of microseconds greater than 0", usec)
	}
	if pid != "" {
		watched, err := strconv.Atoi(pid)
		if err != nil {
			return 0, fmt.Errorf("WATCHDOG_PID is %q: want a process id", pid)
		}
		if watched != self {
			return 0, nil
		}
	}
	return time.Duration(min(n, math.MaxInt64/1000)) * time.Microsecond, nil
}

// watch calls notify now and then twice in the time allowed, while alive returns
// true.
func watch(ctx context.Context, allowed time.Duration, alive func() bool, notify func() error) error {
	ticks := time.NewTicker(allowed / 2)
	defer ticks.Stop()
	for {
		if alive() {
			if err := notify(); err != nil {
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
