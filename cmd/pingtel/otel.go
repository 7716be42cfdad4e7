package main

import (
	"github.com/spf13/cobra"

	"github.com/pingtel/pingtel/internal/agent"
)

// otelFlags are the flags of otel.
type otelFlags struct {
	config string
	stdout bool
}

func newOTelCommand() *cobra.Command {
	flags := &otelFlags{}
	cmd := &cobra.Command{
		Use:   "otel --config FILE",
		Short: "Measure on a schedule and push metrics over OTLP",
		Long: `Measure the targets of a file on a schedule, and push the metrics to an
OpenTelemetry collector over OTLP.

The [otel] table of the file says where and how to push. For a key that is not
in the file, the OTEL_* variables count. The default is localhost, port 4317 for
gRPC and port 4318 for http/protobuf. 'pingtel config check FILE' shows the
settings and where each of them comes from.

Messages go to stderr. SIGHUP reads the file again. SIGTERM sends a last push and
stops.`,
		Example: `  pingtel otel --config /etc/pingtel/pingtel.toml
  pingtel otel --config pingtel.toml --stdout`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runService(cmd, flags.config, agent.Options{PrintOTLP: flags.stdout})
		},
	}
	f := cmd.Flags()
	f.StringVar(&flags.config, "config", "", "the configuration `file`")
	f.BoolVar(&flags.stdout, "stdout", false, "print the messages as OTLP JSON instead of sending them")
	return cmd
}
