package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/console"
	"github.com/pingtel/pingtel/internal/hosts"
)

// maxDeadline is longer than anybody waits for a run that must end.
const maxDeadline = 366 * 24 * time.Hour

// pingFlags are the flags of ping.
type pingFlags struct {
	probeFlags
	count                                   int
	deadline                                time.Duration
	showRTTs, json, times, precise, quiet   bool
	untilReply, alive, dead, version, alone bool
	timeoutText, rateText                   *keptText
}

func newPingCommand() *cobra.Command {
	flags := &pingFlags{count: defaultPingCount}
	cmd := &cobra.Command{
		Use:   "ping HOST...",
		Short: "Ping hosts and show loss and round-trip times",
		Long: `Ping hosts, many at once, and show loss, round-trip times, hops and errors.

One host gets a block of figures; with -c 0 also a line for each echo. Several
hosts get a row each; with -c 0 a terminal shows a table that is updated in
place, and anything else gets a line for each host every 10 seconds.
A host is a name, an address, a prefix (198.18.0.0/24) or a range (198.18.1.1-9).
Durations are seconds (0.5) or have a unit (500ms).
Ctrl-C, SIGTERM, SIGHUP and --deadline end the run and print its figures; Ctrl-\
(SIGQUIT) prints the figures so far to stderr and goes on.
Exit status: 0 every host answered, 1 some host did not, 2 no host could be pinged
at all.`,
		Example: `  pingtel ping 192.0.2.1
  pingtel ping -c 0 --dscp EF router.example.net
  pingtel ping -c 1 -r 0 -q -f hosts.txt
  pingtel ping --alive 198.18.0.0/24
  pingtel ping -j 192.0.2.1 2001:db8::1`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error { return flags.run(cmd, args) },
	}
	flags.register(cmd)
	return cmd
}

// register adds ping's own flags and those it shares with check.
func (f *pingFlags) register(cmd *cobra.Command) {
	set := cmd.Flags()
	set.VarP(&flagValue[int]{&f.count, intIn(0, maxCount, ", 0 for no end"), strconv.Itoa, "count", "number", &f.faults},
		"count", "c", "echoes to each host, 0 until interrupted")
	f.probeFlags.register(cmd)
	f.timeoutText, f.rateText = keepText(set, "timeout"), keepText(set, "rate")
	set.VarP(&flagValue[time.Duration]{&f.deadline, durationIn(minDuration, maxDeadline), hideZeroDuration, "deadline", "duration", &f.faults},
		"deadline", "w", "when to end the run, whatever is missing (default: never)")
	set.BoolVar(&f.untilReply, "until-reply", false, "a host is done at its first reply")
	set.BoolVar(&f.showRTTs, "show-rtts", false, "a line for each echo as it happens (default with -c 0 for one host)")
	set.BoolVar(&f.times, "timestamps", false, "the time before each line of an echo")
	set.BoolVarP(&f.json, "json", "j", false, "one JSON object for each host; with --show-rtts also one for each echo")
	set.BoolVar(&f.alive, "alive", false, "print only the hosts that answered, one on each line")
	set.BoolVar(&f.dead, "dead", false, "print only the hosts that did not answer, one on each line")
	set.BoolVar(&f.precise, "precise", false, "warn where there are no kernel timestamps")
	set.BoolVarP(&f.quiet, "quiet", "q", false, "summary only; of many hosts, only those in trouble (in text)")
	set.BoolVarP(&f.version, "version", "V", false, "print the version")
}

// finish works out what depends on several flags, and reports every fault.
func (f *pingFlags) finish(cmd *cobra.Command, args []string) error {
	f.opts.Count = f.count
	if f.count == 0 {
		f.opts.Count = icmpcore.Forever
	}
	f.alone = len(args) == 1 && f.file == "" && isOne(args[0])
	if !cmd.Flags().Changed("show-rtts") {
		f.showRTTs = f.count == 0 && f.alone && !f.alive && !f.dead
	}
	f.showRTTs = f.showRTTs && (!f.quiet || f.json)
	if f.alive && f.dead {
		f.faults.add(errors.New("--alive and --dead: want one of them"))
	}
	if (f.alive || f.dead) && (f.json || f.showRTTs) {
		f.faults.add(errors.New("--alive and --dead print hosts alone: want no --json or --show-rtts with them"))
	}
	f.checkPMTU(args)
	return f.probeFlags.finish(args)
}

// isOne reports whether an argument stands for one host.
func isOne(arg string) bool {
	e, err := hosts.Parse(arg)
	return err == nil && e.Len() == 1
}

// run pings all hosts and reports them.
func (f *pingFlags) run(cmd *cobra.Command, args []string) error {
	if f.version {
		return printVersion(cmd)
	}
	interim := make(chan os.Signal, 1)
	signal.Notify(interim, syscall.SIGQUIT) // first: by default it ends the process with a dump
	defer signal.Stop(interim)
	if err := f.finish(cmd, args); err != nil {
		return err
	}
	each, closer, err := f.hosts(args, cmd.InOrStdin())
	if err != nil {
		return f.fileError(err)
	}
	defer closer.Close() // was only read
	stderr := cmd.ErrOrStderr()
	for _, note := range f.notes() {
		fmt.Fprintln(stderr, "pingtel: note: "+note)
	}
	pinger, err := openPinger(cmd.Context(), f.config, f.opts.Mark != 0, quietly)
	if err != nil {
		return err
	}
	precise := f.precise
	if best := pinger.Timestamps(); precise && best < icmpcore.TimestampsKernel {
		fmt.Fprintf(stderr, "pingtel: warning: there are no kernel timestamps here: going on with %s timestamps\n", best)
		precise = false // said
	}
	ctx, stop := endOnHangup(cmd.Context())
	defer stop()
	if f.deadline > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, f.deadline)
		defer cancel()
	}
	opts := f.console()
	opts.Precise, opts.Interim = precise, interim
	opts.Stdout, opts.Stderr = newStream(cmd.OutOrStdout()), newStream(stderr)
	verdict, err := console.Run(ctx, pinger, each, opts)
	switch {
	case err != nil:
		return err
	case verdict == console.NonePinged:
		return exitStatus(statusUnable)
	case verdict == console.SomeDidNot:
		return exitStatus(statusNoAnswer)
	}
	return nil
}

// console is what the flags say of the run and of what is shown of it.
func (f *pingFlags) console() console.Options {
	opts := console.Options{
		Echoes: f.opts, Deadline: f.deadline, One: f.alone,
		EachEcho: f.showRTTs, JSON: f.json, Quiet: f.quiet, Times: f.times,
		UntilReply: f.untilReply || f.alive || f.dead, // more echoes to a host that answered change nothing
	}
	switch {
	case f.alive:
		opts.Only = console.OnlyAlive
	case f.dead:
		opts.Only = console.OnlyDead
	}
	return opts
}

// endOnHangup returns a context that SIGHUP ends, unless the process was started
// to survive it, by nohup(1). A second one ends the process as main says.
func endOnHangup(ctx context.Context) (context.Context, context.CancelFunc) {
	if signal.Ignored(syscall.SIGHUP) {
		return context.WithCancel(ctx)
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGHUP)
	context.AfterFunc(ctx, func() { time.AfterFunc(secondSignal, stop) })
	return ctx, stop
}
