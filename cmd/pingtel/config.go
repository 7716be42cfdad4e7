package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/pingtel/pingtel/internal/config"
)

func newConfigCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Work with configuration files",
		Args:  cobra.ArbitraryArgs,
		RunE:  refuseNoCommand,
	}
	cmd.AddCommand(&cobra.Command{
		Use:   "check FILE",
		Short: "Check a configuration file and print what it asks for",
		Long: `Check a configuration file and print what it asks for.

With an [otel] table, or OTEL_* variables in the environment, it also prints
what is in force for OpenTelemetry, and where from: the file, a variable, or a
default. The values of headers are not shown.

Without [otel] enabled = true, a fault in an OTEL_* variable is only a warning.`,
		Example: "  pingtel config check /etc/pingtel/pingtel.toml",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("%d files given: want 'pingtel config check FILE'", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := config.Load(args[0], os.LookupEnv)
			if err != nil {
				return err
			}
			return c.Describe(cmd.OutOrStdout(), os.LookupEnv)
		},
	})
	return cmd
}
