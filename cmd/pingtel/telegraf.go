package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/internal/monitor"
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
		return errors.New("no file given: want --config FILE")
	}
	if err := f.faults.err(); err != nil {
		return err
	}
	signals := make(chan os.Signal, 4) // before anything that takes time: they would end the process
	signal.Notify(signals, plugin.Signals()...)
	defer signal.Stop(signals)
	load := pushLoader(f.load, false, log)
	c, settings, err := load()
	if err != nil {
		return err
	}
	pushing := settings != nil
	f.takeOver(c, pushing, log)
	warn := func(err error) { log.Warn(oneLine(err)) }
	pinger, err := openFor(cmd.Context(), c, warn)
	if err != nil {
		return err
	}
	out := plugin.NewOutput(cmd.OutOrStdout(), c.Telegraf, 0, log)
	push, err := startPush(c, settings, f.once, log, pinger)
	if err != nil {
		return errors.Join(err, pinger.Close())
	}
	m := monitor.New(pinger, c, log, push.sinks(out)...)
	push.run(m)
	var next *config.OTelSettings // of the file that Load gave last
	session := plugin.Session{
		Config: c, Monitor: m, Output: out, Log: log,
		Stdin: cmd.InOrStdin(), Signals: signals,
		Load: func() (c *config.Config, err error) {
			if c, next, err = load(); err == nil {
				err = c.CheckSockets(pinger.Socket)
			}
			return c, err
		},
		Stats: pinger.Stats,
		Apply: func(c *config.Config) {
			f.takeOver(c, pushing, log)
			push.reload(next, log)
			m.Reload(c)
		},
		Close: func() error {
			m.Close() // first: a look-up that ends may start a series
			err := pinger.Close()
			push.finish() // while stdout is written
			return err
		},
	}
	if push.output != nil {
		session.PushesFailed = push.output.Failed
	}
	return errors.Join(f.runSession(cmd.Context(), session), push.wait())
}

// lightRate is up to how many echo requests a second a schedule is light work: a
// tenth of one processor, unless they are large.
const lightRate = 10_000

// useProcessors makes do with one processor where all there is to do is light
// work, unless GOMAXPROCS says what to use. With more of them the runtime wakes
// another thread each time there is something to do, several hundred times a
// second, only for it to find the first one doing it: at 5,000 echoes a second
// each took 11 to 15 µs of CPU so, and takes 9 to 11. The kernel's stamps keep
// the figures as they are.
func (f *telegrafFlags) useProcessors(c *config.Config, pushing bool) {
	if os.Getenv("GOMAXPROCS") != "" {
		return
	}
	if c.Telegraf.Signal == config.DefaultTelegrafSignal && !f.once && !pushing && c.Plan().Rate <= lightRate {
		runtime.GOMAXPROCS(1)
		return
	}
	runtime.SetDefaultGOMAXPROCS()
}

// takeOver sets the level of the log and the number of processors, and warns of
// points that cannot be told apart and of what the machine lacks. Pushing is as the process began: a reload
// does not change it.
func (f *telegrafFlags) takeOver(c *config.Config, pushing bool, log *slog.Logger) {
	f.level.Set(c.Agent.LogLevel)
	f.useProcessors(c, pushing)
	if hosts := c.Alike(); len(hosts) > 0 {
		log.Warn("several targets of a host have the same tags: give them a tag each, or one hides the other", "hosts", len(hosts), "first", hosts[0])
	}
	warnMissing(c, func(err error) { log.Warn(oneLine(err)) })
}

func (f *telegrafFlags) runSession(ctx context.Context, s plugin.Session) error {
	if f.once {
		return plugin.Once(ctx, s)
	}
	return plugin.Serve(ctx, s)
}
