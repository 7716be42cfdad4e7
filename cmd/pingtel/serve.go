package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/agent"
	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/plugin"
)

var errNoFile = errors.New("no file given: want --config FILE")

func newServeCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "serve --config FILE",
		Short: "Measure on a schedule, with the outputs that the file turns on",
		Long: `Measure the targets of a file on a schedule, with every output that the file
turns on: OTLP with enabled = true in [otel], and /metrics for Prometheus with
listen in [web]. 'pingtel config check FILE' shows the settings and where each of
them comes from.

Messages go to stderr. SIGHUP reads the file again. SIGTERM stops pingtel: within
five seconds the outputs send the results that they still have.`,
		Example: "  pingtel serve --config /etc/pingtel/pingtel.toml",
		Args:    noArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return runService(cmd, file, agent.Options{}) },
	}
	cmd.Flags().StringVar(&file, "config", "", "the configuration `file`")
	return cmd
}

// runService runs a command that measures on a schedule until it is stopped.
func runService(cmd *cobra.Command, file string, o agent.Options) error {
	if file == "" {
		return errNoFile
	}
	signals := make(chan os.Signal, 4) // first of all: until then a SIGHUP ends the process
	signal.Notify(signals, syscall.SIGHUP)
	defer signal.Stop(signals)
	stderr := plugin.NewLogWriter(cmd.ErrOrStderr())
	defer stderr.Close() // its error cannot be reported anywhere else
	o.Level = new(slog.LevelVar)
	o.Log = slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: o.Level}))
	o.Load = func() (*config.Config, error) { return config.Load(file, os.LookupEnv) }
	o.Signals = signals
	return runAgent(cmd, o)
}

// runAgent completes o with the settings that all commands share, and runs it.
func runAgent(cmd *cobra.Command, o agent.Options) error {
	o.Command, o.Version = cmd.Name(), productVersion(buildInfo())
	o.Stdout = cmd.OutOrStdout()
	o.Confine, _ = cmd.Context().Value(confineKey{}).(confineFunc) // only main sets it
	o.Open = func(ctx context.Context, c *config.Config, warn func(error)) (agent.Prober, error) {
		p, err := openPinger(ctx, icmpcore.Config{Socket: c.Agent.Socket, MaxRate: c.Agent.MaxRate}, c.Marks(), warn)
		if err != nil {
			return nil, err
		}
		return p, nil
	}
	return agent.Run(cmd.Context(), o)
}
