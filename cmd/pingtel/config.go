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
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return fmt.Errorf("no command given: want 'pingtel config check FILE'")
		},
	}
	cmd.AddCommand(&cobra.Command{
		Use:     "check FILE",
		Short:   "Check a configuration file and print what it asks for",
		Example: "  pingtel config check /etc/pingtel/pingtel.toml",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := config.Load(args[0], os.LookupEnv)
			if err != nil {
				return err
			}
			return c.Describe(cmd.OutOrStdout())
		},
	})
	return cmd
}
