// Command pingtel measures networks with ICMP echo.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/pingtel/pingtel/internal/confine"
	"github.com/pingtel/pingtel/internal/privilege"
)

// secondSignal is how long after the first signal a second one ends the process at
// once. One stop often comes as two signals: timeout(1) signals its child and then the
// whole process group, and a Ctrl-C may reach a program both from the terminal and from
// its parent. That second signal must not end the process before it prints its result.
const secondSignal = time.Second

func main() {
	signal.Ignore(syscall.SIGPIPE) // a write then fails if the reader leaves: see statusReaderLeft
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, func() { time.AfterFunc(secondSignal, stop) }) // stop restores the default action
	os.Exit(run(withConfine(withDrop(ctx, privilege.Drop), confine.Files), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
