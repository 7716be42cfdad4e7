package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/pingtel/pingtel/internal/nagios"
	"github.com/pingtel/pingtel/internal/sweep"
)

func newCheckCommand() *cobra.Command {
	flags := &checkFlags{count: defaultCheckCount, total: defaultTotal}
	cmd := &cobra.Command{
		Use:   "check [-H] HOST...",
		Short: "Check hosts for a Nagios-style scheduler",
		Long: `Check hosts by thresholds, as a Nagios plugin: a status line with performance
data, exit status 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN. It takes the command
lines of check_ping and check_icmp.

A value at or above its threshold alerts. The worst host decides, or with -m the
number of hosts that are OK. A host that never replied is judged by its loss.
Of -w and -c, RTT or loss may be given alone; the other one keeps its default.
A host check, with a critical loss of 100%, and a check with -m end as soon as
their state is certain: a live host takes one round trip.

Several hosts: the first line names the worst, and each host in trouble has a
line below, all within the 8 KiB that Nagios reads. Performance data: rta, rtmin,
rtmax and jitter in ms, pl in %, U where there is no value, after the host's name
if there are several hosts. More than 5 KiB of it (some 25 hosts) are replaced by
counts of the states, unless you set --perfdata all.

With --path, the path to a host that is not OK because of loss is traced, within the
time that the run has left. What it shows stands below the first line.

A host is a name, an address, a prefix (198.18.0.0/24) or a range (198.18.1.1-9).
Durations are seconds (0.5) or have a unit (500ms). Times in thresholds are
milliseconds (100) or have a unit.`,
		Example: `  pingtel check -H 192.0.2.1 -w 100.0,20% -c 500.0,60% -p 5 -t 10
  pingtel check -w 5000,100% -c 5000,100% 192.0.2.1   # a host check
  pingtel check -m 2 --warn-jitter 10 192.0.2.1 192.0.2.2 2001:db8::1
  pingtel check --config pingtel.toml
  pingtel check --path -H 192.0.2.1    # where the loss begins
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

// recovered turns a panic into an error: the runtime would end the process with
// status 2, which a scheduler reads as CRITICAL.
func recovered(stderr io.Writer, err *error) {
	if v := recover(); v != nil {
		text := fmt.Sprint(v) // a sweep adds the stack of the panic
		fmt.Fprintf(stderr, "panic: %s\n\n%s", text, debug.Stack())
		first, _, _ := strings.Cut(text, "\n")
		*err = errors.New("internal error: " + first)
	}
}

// run checks all hosts and prints the status line. SIGQUIT and SIGABRT end it
// with what there is, as SIGTERM does: the runtime would end it with status 2.
func (f *checkFlags) run(cmd *cobra.Command, args []string) error {
	start := time.Now()
	if f.version {
		if err := printVersion(cmd); err != nil {
			return fmt.Errorf("write version: %w", err)
		}
		return exitStatus(nagios.Unknown) // the guidelines: the version is no verdict
	}
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
	ctx, cancel := context.WithDeadline(ctx, start.Add(f.total))
	defer cancel()
	r, err := f.judge(ctx, job, pinger)
	if err != nil {
		return err
	}
	return f.print(cmd.OutOrStdout(), r)
}

// judge reads the hosts and probes them. With --path it also traces those that lose
// echoes. It closes the Pinger.
func (f *checkFlags) judge(ctx context.Context, job checkJob, pinger sweep.Pinger) (*nagios.Report, error) {
	aims, err := job.read(ctx)
	if err == nil && f.need > len(aims) {
		err = fmt.Errorf("-m %d: want at most the number of hosts, which is %d", f.need, len(aims))
	}
	if err != nil {
		return nil, errors.Join(err, pinger.Close())
	}
	r := &nagios.Report{Need: f.need, Perfdata: f.perfdata, Verbose: f.verbose > 0}
	if !f.paths {
		r.Verdicts, err = newCheckRun(aims, f.need).judge(ctx, sweep.New(pinger))
		return r, err
	}
	r.Verdicts, err = newCheckRun(aims, f.need).judge(ctx, sweep.New(sweep.Lend(pinger)))
	if err == nil && !(f.quiet && r.Status() == nagios.OK) {
		explain(ctx, pinger, f.tracesEnd(ctx), job.config.MaxRate, aims, r)
	}
	return r, errors.Join(err, pinger.Close())
}

// print writes the verdicts, or nothing if all is well and -q is set.
func (f *checkFlags) print(stdout io.Writer, r *nagios.Report) error {
	state := r.Status()
	if state == nagios.OK && f.quiet {
		return nil
	}
	if _, err := fmt.Fprintln(stdout, r.String()); err != nil {
		return fmt.Errorf("write status line: %w", err)
	}
	if state == nagios.OK {
		return nil
	}
	return exitStatus(state)
}
