package main

import (
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pingtel/pingtel/internal/agent"
	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/plugin"
)

// telegrafFlags are the flags of telegraf.
type telegrafFlags struct {
	config       string
	once         bool
	pollInterval time.Duration // 0: the file's
	pollDisabled bool
	level        slog.LevelVar
	faults       faults
}

// The bounds of the interval, as agent.interval has them.
const (
	minPollInterval = 100 * time.Millisecond
	maxPollInterval = 24 * time.Hour
)

func newTelegrafCommand() *cobra.Command {
	flags := &telegrafFlags{}
	cmd := &cobra.Command{
		Use:   "telegraf --config FILE",
		Short: "Run as a plugin of Telegraf (inputs.execd)",
		Long: `Run as a plugin of Telegraf: results go to stdout in line protocol, messages to
stderr with the levels that Telegraf knows.

By the schedule of the file, or a round for each signal where telegraf.signal
names one. Ends when stdin does, or on SIGTERM. SIGHUP reads the file again,
unless it is the signal.

The flags of the programs that Telegraf's shim makes are understood as there,
with one dash too: -config, -poll_interval, -poll_interval_disabled.`,
		Example: `  pingtel telegraf --config /etc/pingtel/pingtel.toml
  pingtel telegraf --config pingtel.toml --once`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return flags.run(cmd) },
	}
	f := cmd.Flags()
	f.StringVar(&flags.config, "config", "", "the configuration `file`")
	f.BoolVar(&flags.once, "once", false, "run one round and exit, for inputs.exec and cron")
	f.Var(&flagValue[time.Duration]{&flags.pollInterval, durationIn(minPollInterval, maxPollInterval), hideZeroDuration, "poll_interval", "interval", &flags.faults},
		"poll_interval", "run by the schedule with this interval, whatever the file's agent.interval and telegraf.signal are")
	f.BoolVar(&flags.pollDisabled, "poll_interval_disabled", false, "leave interval and signal to the file, whatever --poll_interval says")
	cmd.MarkFlagsMutuallyExclusive("once", "poll_interval")
	return cmd
}

// oneDash returns a copy of args in which flags of the telegraf command that
// have one dash have two: Telegraf's shim takes both.
func oneDash(root *cobra.Command, args []string) []string {
	args = append([]string{}, args...) // never nil, for which cobra takes the process's own
	cmd, _, err := root.Find(args[:min(1, len(args))])
	if err != nil || cmd.Name() != "telegraf" { // cobra tells of an error itself
		return args
	}
	for i, arg := range args {
		name, _, _ := strings.Cut(strings.TrimPrefix(arg, "-"), "=")
		if strings.HasPrefix(arg, "-") && cmd.Flags().Lookup(name) != nil {
			args[i] = "-" + arg
		}
	}
	return args
}

// load reads the file as the flags want it.
func (f *telegrafFlags) load() (*config.Config, error) {
	if f.pollInterval == 0 || f.pollDisabled {
		return config.Load(f.config, os.LookupEnv)
	}
	c, err := config.LoadEvery(f.pollInterval, "--poll_interval", f.config, os.LookupEnv)
	if err == nil {
		c.Telegraf.Signal = config.DefaultTelegrafSignal
	}
	return c, err
}

// run serves until the end. Every message goes through the log, for Telegraf
// to know its level.
func (f *telegrafFlags) run(cmd *cobra.Command) error {
	stderr := plugin.NewLogWriter(cmd.ErrOrStderr())
	defer stderr.Close() // what it could not write has nowhere else to go
	log := slog.New(plugin.NewLogHandler(stderr, &f.level))
	if err := withoutReaderLeft(f.serve(cmd, log)); err != nil {
		var faults config.Faults
		if !errors.As(err, &faults) {
			log.Error(oneLine(err))
			return exitStatus(statusUnable)
		}
		for _, fault := range faults {
			log.Error(fault.Error())
		}
		return exitStatus(statusUnable)
	}
	return nil
}

func (f *telegrafFlags) serve(cmd *cobra.Command, log *slog.Logger) error {
	if f.config == "" {
		return errNoFile
	}
	if err := f.faults.err(); err != nil {
		return err
	}
	signals := make(chan os.Signal, 4) // before anything that takes time: they would end the process
	signal.Notify(signals, plugin.Signals()...)
	defer signal.Stop(signals)
	o := agent.Options{Load: f.load, Log: log, Level: &f.level, Signals: signals, Once: f.once}
	if !f.once {
		o.Stdin = cmd.InOrStdin()
	}
	return runAgent(cmd, o)
}
