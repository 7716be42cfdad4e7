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
		Short: "Measure by a schedule and push metrics over OTLP",
		Long: `Measure the targets of a file by its schedule, and push what comes of them to an
OpenTelemetry collector over OTLP: by the file's [otel] table, by the OTEL_*
variables where that is silent, else to localhost, port 4317 for gRPC and 4318
for http/protobuf. 'pingtel config check' shows what is in force.

Messages go to stderr. SIGHUP reads the file again; SIGTERM ends with a last push.`,
		Example: `  pingtel otel --config /etc/pingtel/pingtel.toml
  pingtel otel --config pingtel.toml --stdout`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runService(cmd, flags.config, agent.Options{PrintOTLP: flags.stdout})
		},
	}
	f := cmd.Flags()
	f.StringVar(&flags.config, "config", "", "the configuration `file`")
	f.BoolVar(&flags.stdout, "stdout", false, "print what would be sent, as OTLP in JSON, instead of sending it")
	return cmd
}
