//go:build unix

package plugin

import (
	"os"
	"syscall"
)

const (
	sigUsr1 = syscall.SIGUSR1
	sigUsr2 = syscall.SIGUSR2
)

// Signals returns the signals that a [Conversation] wants to receive. Each of them
// ends a process that does not catch it. SIGINT and SIGTERM, which end a plugin,
// are not among them.
func Signals() []os.Signal { return []os.Signal{syscall.SIGHUP, sigUsr1, sigUsr2} }
