package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/internal/monitor"
	"github.com/pingtel/pingtel/otel"
	"github.com/pingtel/pingtel/plugin"
)

// otelFlags are the flags of otel.
type otelFlags struct {
	config string
	stdout bool
	level  slog.LevelVar
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
		RunE: func(cmd *cobra.Command, _ []string) error { return flags.run(cmd) },
	}
	f := cmd.Flags()
	f.StringVar(&flags.config, "config", "", "the configuration `file`")
	f.BoolVar(&flags.stdout, "stdout", false, "print what would be sent, as OTLP in JSON, instead of sending it")
	return cmd
}

func (f *otelFlags) run(cmd *cobra.Command) error {
	if f.config == "" {
		return errors.New("no file given: want --config FILE")
	}
	signals := make(chan os.Signal, 4) // before anything that takes time: it would end the process
	signal.Notify(signals, syscall.SIGHUP)
	defer signal.Stop(signals)
	stderr := plugin.NewLogWriter(cmd.ErrOrStderr())
	defer stderr.Close() // what it could not write has nowhere else to go
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: &f.level}))
	load := pushLoader(func() (*config.Config, error) { return config.Load(f.config, os.LookupEnv) }, true, log)
	c, settings, err := load()
	if err != nil {
		return err
	}
	f.level.Set(c.Agent.LogLevel)
	warn := func(err error) { log.Warn(oneLine(err)) }
	warnMissing(c, warn)
	pinger, err := openFor(cmd.Context(), c, warn)
	if err != nil {
		return err
	}
	var stdout io.Writer
	if f.stdout {
		stdout = cmd.OutOrStdout()
	}
	var m *monitor.Monitor // it needs its sink first
	output, err := newOTLPOutput("otel", c, settings, false, stdout, log, func() otel.Self { return selfOf(pinger.Stats(), m.Stats()) })
	if err != nil {
		return errors.Join(err, pinger.Close())
	}
	m = monitor.New(pinger, c, log, output)
	var next *config.OTelSettings // of the file that load gave last
	session := otelSession{
		config: c, monitor: m, output: output, log: log, signals: signals,
		load: func() (c *config.Config, err error) {
			if c, next, err = load(); err == nil {
				err = c.CheckSockets(pinger.Socket)
			}
			return c, err
		},
		apply: func(c *config.Config) {
			f.level.Set(c.Agent.LogLevel)
			warnMissing(c, warn)
			output.Reload(next)
			m.Reload(c)
		},
		close: func() error {
			m.Close() // first: a look-up that ends may start a series
			return pinger.Close()
		},
	}
	return session.serve(cmd.Context())
}

// pushLoader adds to load what a process that pushes needs: always, or where
// the file wants it. The settings are nil where nothing is to be pushed, also
// where a variable turns pushing off. Where pushing is all that is to be done
// that is an error.
func pushLoader(load func() (*config.Config, error), always bool, log *slog.Logger) func() (*config.Config, *config.OTelSettings, error) {
	return func() (*config.Config, *config.OTelSettings, error) {
		c, err := load()
		if err != nil || !always && !c.OTel.Enabled {
			return c, nil, err
		}
		s, err := c.PushSettings(os.LookupEnv)
		switch {
		case err != nil || s.Off == "":
			return c, s, err
		case always:
			return c, nil, fmt.Errorf("%s turns pushing off, which is all that this command is for: unset it", s.Off)
		}
		log.Warn("not pushing: a variable turns it off", "variable", s.Off)
		return c, nil, nil
	}
}
