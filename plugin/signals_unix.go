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

// Signals returns the signals that a session wants to be told of. All of them
// end a process that does not catch them.
func Signals() []os.Signal { return []os.Signal{syscall.SIGHUP, sigUsr1, sigUsr2} }
