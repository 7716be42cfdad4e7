package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/internal/nagios"
	"github.com/pingtel/pingtel/internal/sweep"
)

// The defaults of check's own flags.
const (
	defaultTotal    = 10 * time.Second // below the ten seconds and more after which schedulers kill
	maxTotal        = 24 * time.Hour
	defaultWarnRTT  = 100 * time.Millisecond
	defaultCritRTT  = 500 * time.Millisecond
	defaultWarnLoss = 20
	defaultCritLoss = 60
)

// checkFlags are the flags of check.
type checkFlags struct {
	probeFlags
	count                  int
	warn, crit             nagios.Level // without jitter
	warnJitter, critJitter time.Duration
	total                  time.Duration
	perfdata               nagios.Perfdata
	quiet                  bool
	configFile             string
}

func newCheckCommand() *cobra.Command {
	flags := &checkFlags{
		count: defaultCheckCount, total: defaultTotal,
		warn: nagios.Level{RTT: defaultWarnRTT, Loss: defaultWarnLoss},
		crit: nagios.Level{RTT: defaultCritRTT, Loss: defaultCritLoss},
	}
	cmd := &cobra.Command{
		Use:   "check HOST...",
		Short: "Check hosts for a Nagios-style scheduler",
		Long: `Check hosts by thresholds, in the manner of a Nagios plugin: a status line with
performance data, exit status 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.

A value at or above its threshold alerts; the worst host decides, critical before
warning before unknown before OK. A host that never replied is judged by its loss.
Of -w and -c, RTT or loss may stand alone; the other keeps its default.
Several hosts: the first line names the worst, and each host in trouble has a
line below, all within the 8 KiB that Nagios reads.
Performance data: rta and jitter in ms, pl in %, U where there is no value, behind
the host where there are several, and behind what tells it from the same host in
another target. Where that takes more than 4 KiB (some 30 hosts) there are counts
of the states instead, unless --perfdata asks for all.
A host is a name, an address, a prefix (198.18.0.0/24) or a range (198.18.1.1-9).
Durations are seconds (0.5) or have a unit (500ms); the RTT of -w and -c without a
unit is in milliseconds, as in check_ping.`,
		Example: `  pingtel check 192.0.2.1
  pingtel check -w 100ms,20% -c 500ms,60% --warn-jitter 10ms 192.0.2.1 2001:db8::1
  pingtel check --config pingtel.toml
  pingtel check --quiet -f hosts.txt    # from cron: mail only in trouble`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			defer recovered(cmd.ErrOrStderr(), &err)
			return flags.run(cmd, args)
		},
	}
	flags.register(cmd)
	return cmd
}

// register adds check's own flags and those it shares with ping.
func (f *checkFlags) register(cmd *cobra.Command) {
	set := cmd.Flags()
	level := func(dst *nagios.Level, name, short, usage string) {
		set.VarP(&flagValue[nagios.Level]{dst, levelOver(*dst), formatLevel, name, "rtt,loss%", &f.faults}, name, short, usage)
	}
	level(&f.warn, "warning", "w", "mean RTT and loss at which to warn")
	level(&f.crit, "critical", "c", "mean RTT and loss that are critical")
	jitter := func(dst *time.Duration, name, usage string) {
		set.Var(&flagValue[time.Duration]{dst, durationIn(time.Microsecond, maxTimeout), hideZeroDuration, name, "duration", &f.faults}, name, usage)
	}
	jitter(&f.warnJitter, "warn-jitter", "jitter at which to warn (default: none)")
	jitter(&f.critJitter, "crit-jitter", "jitter that is critical (default: none)")
	set.VarP(&flagValue[int]{&f.count, intIn(1, maxCount, ""), strconv.Itoa, "count", "number", &f.faults},
		"count", "n", "echoes to each host")
	f.probeFlags.register(cmd)
	set.Var(&flagValue[time.Duration]{&f.total, durationIn(minDuration, maxTotal), formatDuration, "timeout-total", "duration", &f.faults},
		"timeout-total", "when to end, whatever is missing")
	set.Var(&flagValue[nagios.Perfdata]{&f.perfdata, parsePerfdata, nagios.Perfdata.String, "perfdata", "which", &f.faults},
		"perfdata", "main, none, or all however long that is")
	complete(cmd, "perfdata", "main", "none", "all")
	set.BoolVarP(&f.quiet, "quiet", "q", false, "print nothing when all is OK")
	set.StringVar(&f.configFile, "config", "", "check the targets of a config file, by their own options and thresholds")
}

// levelOver reads RTT,LOSS%. The part that is not given keeps its default:
// were it not judged, a dead host would pass for well.
func levelOver(level nagios.Level) func(string) (nagios.Level, error) {
	return func(text string) (nagios.Level, error) {
		rtt, loss, err := nagios.ParsePair(text)
		if err != nil {
			return nagios.Level{}, err
		}
		over := level
		if rtt > 0 {
			over.RTT = rtt
		}
		if loss > 0 {
			over.Loss = loss
		}
		return over, nil
	}
}

func formatLevel(l nagios.Level) string {
	return fmt.Sprintf("%v,%v%%", l.RTT, l.Loss)
}

func parsePerfdata(text string) (which nagios.Perfdata, err error) {
	err = which.UnmarshalText([]byte(text))
	return which, err
}

func hideZeroDuration(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return formatDuration(d)
}

// finish reports every fault of the flags.
func (f *checkFlags) finish(cmd *cobra.Command, args []string) (nagios.Thresholds, error) {
	t := nagios.Thresholds{Warn: f.warn, Crit: f.crit}
	t.Warn.Jitter, t.Crit.Jitter = f.warnJitter, f.critJitter
	f.opts.Count = f.count
	f.faults.add(t.Validate())
	for name, level := range map[string]nagios.Level{"warning": f.warn, "critical": f.crit} {
		if cmd.Flags().Changed(name) && level.RTT > f.opts.Timeout {
			f.faults.add(fmt.Errorf("--%s RTT %v is never reached: want it at or below --timeout, %v", name, level.RTT, f.opts.Timeout))
		}
	}
	if (f.warnJitter > 0 || f.critJitter > 0) && f.count == 1 {
		f.faults.add(errors.New("--warn-jitter and --crit-jitter: one echo has no jitter: want --count 2 or more"))
	}
	if takes := config.SeriesTime(f.opts, f.config.MaxRate); takes > f.total {
		f.faults.add(fmt.Errorf("--timeout-total %v is too short: %d echoes take up to %v", f.total, f.count, takes))
	}
	return t, f.probeFlags.finish(args)
}

// recovered makes an error of a panic: the runtime would end the process with
// status 2, which a scheduler takes for CRITICAL.
func recovered(stderr io.Writer, err *error) {
	if v := recover(); v != nil {
		text := fmt.Sprint(v) // of a sweep, with the stack of where it came from
		fmt.Fprintf(stderr, "panic: %s\n\n%s", text, debug.Stack())
		first, _, _ := strings.Cut(text, "\n")
		*err = errors.New("internal error: " + first)
	}
}

// run checks all hosts and prints the status line. SIGQUIT and SIGABRT end it
// with what there is, as SIGTERM does: the runtime would end it with status 2.
func (f *checkFlags) run(cmd *cobra.Command, args []string) error {
	ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGQUIT, syscall.SIGABRT)
	defer stop()
	cmd.SetContext(ctx)
	job, err := f.job(cmd, args)
	if err != nil {
		return err
	}
	defer job.closer.Close() // was only read
	pinger, err := openPinger(cmd.Context(), job.config, job.marks, quietly)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, f.total)
	defer cancel()
	verdicts, err := job.judge(ctx, sweep.New(pinger))
	if err != nil {
		return err
	}
	return f.print(cmd.OutOrStdout(), verdicts)
}

// job works out what is to be checked, from the flags or the config file.
func (f *checkFlags) job(cmd *cobra.Command, args []string) (checkJob, error) {
	if f.configFile != "" {
		return f.fileJob(cmd, args)
	}
	thresholds, err := f.finish(cmd, args)
	if err != nil {
		return checkJob{}, err
	}
	hosts, closer, err := f.hosts(args, cmd.InOrStdin())
	if err != nil {
		return checkJob{}, err
	}
	each := func(check func(aim) error) error {
		return hosts(func(host []byte) error { return check(aim{host: string(host), opts: f.opts, thresholds: thresholds}) })
	}
	return checkJob{config: f.config, marks: f.opts.Mark != 0, each: each, closer: closer}, nil
}

// print writes the verdicts, or nothing where all is well and -q asks it.
func (f *checkFlags) print(stdout io.Writer, verdicts []nagios.Verdict) error {
	worst := nagios.Worst(verdicts)
	if worst == nagios.OK && f.quiet {
		return nil
	}
	if _, err := fmt.Fprintln(stdout, nagios.Output(verdicts, f.perfdata)); err != nil {
		return fmt.Errorf("write status line: %w", err)
	}
	if worst == nagios.OK {
		return nil
	}
	return exitStatus(worst)
}
