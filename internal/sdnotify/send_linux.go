package sdnotify

import (
	"fmt"

	"github.com/coreos/go-systemd/v22/daemon"
)

func send(state string) error {
	if _, err := daemon.SdNotify(false, state); err != nil {
		return fmt.Errorf("notify the service manager: %w", err)
	}
	return nil
}

func monotonicUsec() string { return daemon.SdNotifyMonotonicUsec() }
