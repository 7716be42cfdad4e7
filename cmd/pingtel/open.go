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

// dropKey is the context key of the function that gives up privileges. Only
// main sets it: tests run many commands in one process, which would lose its
// privileges with the first one.
type dropKey struct{}

// confineKey is that of the function that confines the process, for the same reason.
type confineKey struct{}

type confineFunc = func(read, write []string) error

func withConfine(ctx context.Context, confine confineFunc) context.Context {
	return context.WithValue(ctx, confineKey{}, confine)
}

func withDrop(ctx context.Context, drop func(privilege.Keep) error) context.Context {
	return context.WithValue(ctx, dropKey{}, drop)
}

// openPinger opens the sockets. It gives up all privileges before it reads
// anything from them and before it looks up any name. Every command gets its
// Pinger here. marks says whether packets will have a firewall mark: the kernel
// then checks a capability for each packet. openPinger calls warn if privileges
// cannot be given up and the command goes on with them.
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

// errNoTargets says that a file has only targets that requests name (/probe).
func errNoTargets(c *config.Config) error {
	return fmt.Errorf("%s: no host to ping: want a [[targets]] table with hosts", c.File)
}

// warnMissing warns of interfaces and source addresses that the file names and
// this machine does not have now.
func warnMissing(c *config.Config, warn func(error)) {
	for _, f := range c.Missing() {
		warn(f)
	}
}

// warnOn returns a function that prints warnings for people.
func warnOn(stderr io.Writer) func(error) {
	return func(err error) {
		fmt.Fprintf(stderr, "pingtel: warning: %s\n", oneLine(err)) // an error here cannot be reported anywhere
	}
}

// quietly is the warn function of commands that end within seconds. Such a
// warning is for those who build the binary, and each run would repeat it.
func quietly(error) {}
