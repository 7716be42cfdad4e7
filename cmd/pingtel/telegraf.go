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
		Long: `Run as a plugin of Telegraf. Results go to stdout in line protocol. Messages go
to stderr with the levels that Telegraf reads.

pingtel follows the schedule of the file. If telegraf.signal names a signal, it
runs one round for each signal instead. It stops when stdin ends, or on SIGTERM.
SIGHUP reads the file again, unless telegraf.signal is SIGHUP.

The flags of Telegraf's shim programs work too, also with one dash: -config,
-poll_interval, -poll_interval_disabled.`,
		Example: `  pingtel telegraf --config /etc/pingtel/pingtel.toml
  pingtel telegraf --config pingtel.toml --once`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return flags.run(cmd) },
	}
	f := cmd.Flags()
	f.StringVar(&flags.config, "config", "", "the configuration `file`")
	f.BoolVar(&flags.once, "once", false, "run one round and exit, for inputs.exec and cron")
	f.Var(&flagValue[time.Duration]{&flags.pollInterval, durationIn(minPollInterval, maxPollInterval), hideZeroDuration, "poll_interval", "interval", &flags.faults},
		"poll_interval", "follow the schedule with this interval; overrides agent.interval and telegraf.signal of the file")
	f.BoolVar(&flags.pollDisabled, "poll_interval_disabled", false, "ignore --poll_interval and use the interval and signal of the file")
	cmd.MarkFlagsMutuallyExclusive("once", "poll_interval")
	return cmd
}

// oneDash returns a copy of args in which the telegraf command's flags have two
// dashes. Telegraf's shim takes one dash as well as two.
func oneDash(root *cobra.Command, args []string) []string {
	args = append([]string{}, args...) // never nil: cobra would then use the arguments of the process
	cmd, _, err := root.Find(args[:min(1, len(args))])
	if err != nil || cmd.Name() != "telegraf" { // cobra reports the error itself
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

// load reads the file and applies the flags.
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

// run serves until the end. Every message goes through the log, so that
// Telegraf sees its level.
func (f *telegrafFlags) run(cmd *cobra.Command) error {
	stderr := plugin.NewLogWriter(cmd.ErrOrStderr())
	defer stderr.Close() // its error cannot be reported anywhere else
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
	signals := make(chan os.Signal, 4) // first of all: until then a signal ends the process
	signal.Notify(signals, plugin.Signals()...)
	defer signal.Stop(signals)
	o := agent.Options{Load: f.load, Log: log, Level: &f.level, Signals: signals, Once: f.once}
	if !f.once {
		o.Stdin = cmd.InOrStdin()
	}
	return runAgent(cmd, o)
}
