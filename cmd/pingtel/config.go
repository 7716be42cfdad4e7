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
		Short: "Check a configuration file and print its plan",
		Long: `Check a configuration file and print its plan: how many targets it has, how many
echo requests it sends, and how long a series takes.

If the file has an [otel] table, or the environment has OTEL_* variables, it also
prints the OpenTelemetry settings and where each comes from: the file, a
variable, or a default. The values of headers are not shown.

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
