package sdnotify

import (
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// notify sends state to the manager, if there is one.
func notify(state string) error {
	_, err := daemon.SdNotify(false, state)
	return err
}

// watchdog returns within what time the manager wants a sign of life, 0 where
// it wants none.
func watchdog() (time.Duration, error) { return daemon.SdWatchdogEnabled(false) }

// monotonic is the line that a manager wants with the start of a reload.
func monotonic() string { return daemon.SdNotifyMonotonicUsec() }
