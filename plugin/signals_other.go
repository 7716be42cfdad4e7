//go:build !unix

package plugin

import (
	"os"
	"syscall"
)

// Signals that this system does not have.
const (
	sigUsr1 = syscall.Signal(-1)
	sigUsr2 = syscall.Signal(-2)
)

// Signals returns the signals that a [Conversation] wants to receive. SIGINT and
// SIGTERM, which end a plugin, are not among them.
func Signals() []os.Signal { return []os.Signal{syscall.SIGHUP} }
