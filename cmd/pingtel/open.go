package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/internal/privilege"
)

// dropKey is the key of a context's function that gives privileges up. Only
// main sets it: tests run commands in a process that goes on, and would lose
// its privileges with the first one.
type dropKey struct{}

func withDrop(ctx context.Context, drop func(privilege.Keep) error) context.Context {
	return context.WithValue(ctx, dropKey{}, drop)
}

// openPinger opens the sockets and gives up all privileges before anything is
// read from them, or any name looked up. Every command gets its Pinger here.
// marks says whether packets will be sent with a firewall mark, for which the
// kernel asks a capability each time. warn is called where privileges could not
// be given up and the command goes on with them.
func openPinger(ctx context.Context, cfg icmpcore.Config, marks bool, warn func(error)) (*icmpcore.Pinger, error) {
	drop, ok := ctx.Value(dropKey{}).(func(privilege.Keep) error)
	if !ok {
		return icmpcore.Open(cfg)
	}
	keep := privilege.Nothing
	if marks {
		keep = privilege.Marks
	}
	cfg.Opened = func() error {
		err := drop(keep)
		if errors.Is(err, privilege.ErrCgo) {
			warn(err)
			return nil
		}
		if err != nil {
			return fmt.Errorf("give up privileges: %w", err)
		}
		return nil
	}
	return icmpcore.Open(cfg)
}

// warnMissing warns of what a file names and the machine lacks at the moment.
func warnMissing(c *config.Config, warn func(error)) {
	for _, f := range c.Missing() {
		warn(f)
	}
}

// warnOn returns a function that prints warnings for people.
func warnOn(stderr io.Writer) func(error) {
	return func(err error) {
		fmt.Fprintf(stderr, "pingtel: warning: %s\n", oneLine(err)) // nothing else can be said where this fails
	}
}

// quietly is the warn of commands that are over in seconds: a person or a
// scheduler at every run would be told what concerns who built the binary.
func quietly(error) {}
