package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/internal/web"
)

// statusNotReady is the exit status if the process does not measure, or does not answer.
const statusNotReady = 1

func newReadyCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "ready --config FILE",
		Short: "Ask the running service whether it measures",
		Long: `Ask the pingtel that runs on this host with this file whether it measures: its
sockets are open, it has targets, and the schedule is on time. It asks /-/ready of
the listener, [web] in the file, and is for containers that have no HTTP client.

The exit status is 0 if pingtel is ready, 1 if it is not or does not answer, and 2
if the file has faults. If the file has no listener nobody can be asked: that is a
warning and status 0, because a container must not be replaced for it.`,
		Example: "  pingtel ready --config /etc/pingtel/pingtel.toml",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if file == "" {
				return errNoFile
			}
			c, err := config.Load(file, os.LookupEnv)
			if err != nil {
				return err
			}
			ready, text, err := web.Ask(cmd.Context(), c)
			switch {
			case errors.Is(err, web.ErrNoListener):
				warnOn(cmd.ErrOrStderr())(err)
				return nil
			case err != nil:
				fmt.Fprintf(cmd.ErrOrStderr(), "pingtel: no answer: %s\n", oneLine(err))
				return exitStatus(statusNotReady)
			}
			fmt.Fprintln(cmd.OutOrStdout(), text)
			if !ready {
				return exitStatus(statusNotReady)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&file, "config", "", "the configuration `file` of the running process")
	return cmd
}
