// Command pingtel measures networks with ICMP echo.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/pingtel/pingtel/internal/privilege"
)

func main() {
	signal.Ignore(syscall.SIGPIPE) // so that a closed stdout is an error like any other
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second one ends the process at once
	os.Exit(run(withDrop(ctx, privilege.Drop), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
