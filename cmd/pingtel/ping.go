package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/hosts"
	"github.com/pingtel/pingtel/internal/report"
	"github.com/pingtel/pingtel/internal/sweep"
)

// pingFlags are the flags of ping.
type pingFlags struct {
	probeFlags
	count                          int
	showRTTs, json, precise, quiet bool
}

func newPingCommand() *cobra.Command {
	flags := &pingFlags{count: defaultPingCount}
	cmd := &cobra.Command{
		Use:   "ping HOST...",
		Short: "Ping hosts and show the figures",
		Long: `Ping hosts, many at once, and show loss, round-trip times, hops and errors.

One host gets a block of figures, several get a row each as they finish.
A host is a name, an address, a prefix (198.18.0.0/24) or a range (198.18.1.1-9).
Durations are seconds (0.5) or have a unit (500ms).
Exit status: 0 every host answered, 1 some host did not, 2 no host could be pinged
at all.`,
		Example: `  pingtel ping 192.0.2.1
  pingtel ping -c 0 --show-rtts --dscp EF router.example.net
  pingtel ping -c 1 -r 0 -q -f hosts.txt
  pingtel ping -j 192.0.2.1 2001:db8::1`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error { return flags.run(cmd, args) },
	}
	f := cmd.Flags()
	f.VarP(&flagValue[int]{&flags.count, intIn(0, maxCount, ", 0 for no end"), strconv.Itoa, "count", "number", &flags.faults},
		"count", "c", "echoes to each host, 0 until interrupted")
	flags.register(cmd)
	f.BoolVar(&flags.showRTTs, "show-rtts", false, "a line for each echo as it happens (in text, not with -q)")
	f.BoolVarP(&flags.json, "json", "j", false, "one JSON object for each host, nothing else")
	f.BoolVar(&flags.precise, "precise", false, "insist on kernel timestamps: warn where there are none")
	f.BoolVarP(&flags.quiet, "quiet", "q", false, "summary only; of many hosts, only those in trouble (in text)")
	return cmd
}

// run pings all hosts and reports them.
func (f *pingFlags) run(cmd *cobra.Command, args []string) error {
	f.opts.Count = f.count
	if f.count == 0 {
		f.opts.Count = icmpcore.Forever
	}
	if err := f.finish(args); err != nil {
		return err
	}
	hosts, closer, err := f.hosts(args, cmd.InOrStdin())
	if err != nil {
		return err
	}
	defer closer.Close() // was only read
	stderr := cmd.ErrOrStderr()
	pinger, err := openPinger(cmd.Context(), f.config, f.opts.Mark != 0, quietly)
	if err != nil {
		return err
	}
	if best := pinger.Timestamps(); f.precise && best < icmpcore.TimestampsKernel {
		fmt.Fprintf(stderr, "pingtel: warning: no kernel timestamps to be had here: going on with %s timestamps\n", best)
		f.precise = false // said
	}
	ctx, stop := context.WithCancel(cmd.Context())
	defer stop()
	r := f.newRun(cmd.Context(), newOutput(cmd.OutOrStdout(), stop), args, wantsColour(cmd.OutOrStdout()))
	if f.showRTTs && !f.json && !f.quiet {
		f.opts.OnEcho = r.echo
	}
	s := sweep.New(pinger)
	how := s.Probe(f.opts, r.result)
	source := func(yield func([]byte, *sweep.Probe) error) error {
		return hosts(func(host []byte) error { return yield(host, how) })
	}
	if r.many && !f.quiet && takesEscapes(stderr) {
		p := startProgress(stderr, s)
		r.out.showBeside(p)
		err = s.Run(ctx, source)
		p.close()
		r.out.showBeside(nil)
	} else {
		err = s.Run(ctx, source)
	}
	return r.finish(err, s.Started(), stderr)
}

// pingRun is one run of ping: what is shown and what is counted of it.
type pingRun struct {
	interrupt            context.Context // done when the user or the system wants an end; not of the results' making
	out                  *output         // its lock guards all that follows
	style                report.Style
	json, quiet, precise bool
	many, table          bool
	start                time.Time

	buf     []byte // reused for each line
	header  bool   // the table's titles are written
	totals  report.Totals
	inexact int   // hosts measured with less than kernel timestamps
	broken  error // what ended a series that had begun
}

func (f *pingFlags) newRun(ctx context.Context, out *output, args []string, colour bool) *pingRun {
	r := &pingRun{
		interrupt: ctx, out: out, style: report.Style{Colour: colour},
		json: f.json, quiet: f.quiet, precise: f.precise,
		many: len(args) > 1 || f.file != "", start: time.Now(),
	}
	width := 1
	for _, a := range args {
		e, err := hosts.Parse(a)
		if err != nil {
			continue // finish has refused it
		}
		r.many = r.many || e.Len() > 1
		for h := range e.All() {
			width = max(width, min(len(report.Clean(string(h))), 60))
		}
	}
	r.table = r.many && (!f.showRTTs || f.quiet)
	if f.file == "" {
		r.style.HostWidth = width
	}
	return r
}

// echo shows one echo.
func (r *pingRun) echo(e icmpcore.Echo) {
	r.out.mu.Lock()
	defer r.out.mu.Unlock()
	r.buf = report.AppendEcho(r.buf[:0], &e, r.style)
	r.out.put(r.buf)
}

// result counts one host's result and shows it.
func (r *pingRun) result(res icmpcore.PingResult) {
	r.out.mu.Lock()
	defer r.out.mu.Unlock()
	if res.Err != nil && !r.classify(&res) {
		return
	}
	r.totals.Add(&res)
	if res.Received > 0 && res.Timestamps < icmpcore.TimestampsKernel {
		r.inexact++
	}
	r.buf = r.append(r.buf[:0], &res)
	r.out.put(r.buf)
}

// classify looks at what kept a host from being pinged, or its series from
// ending, and reports whether the result is to be shown. After an interrupt an
// early end is no trouble, and a host not begun is no result.
func (r *pingRun) classify(res *icmpcore.PingResult) bool {
	var send *icmpcore.SendError
	switch err := res.Err; {
	case r.interrupt.Err() != nil && errors.Is(err, r.interrupt.Err()):
		return false
	case errors.Is(err, context.Canceled), errors.Is(err, net.ErrClosed):
		res.Err = nil
		return !r.many || res.Sent > 0
	case res.Sent > 0 && !errors.As(err, &send) && r.broken == nil:
		r.broken = fmt.Errorf("%s: %w", res.Host, err)
	}
	return true
}

// append appends a result in the form asked for.
func (r *pingRun) append(b []byte, res *icmpcore.PingResult) []byte {
	switch {
	case r.json:
		return append(res.AppendJSON(b), '\n')
	case !r.table:
		return report.AppendBlock(b, res, r.style)
	case r.quiet && !report.Trouble(res):
		return b
	}
	if !r.header {
		r.header = true
		b = report.AppendHeader(b, r.style)
	}
	return report.AppendRow(b, res, r.style)
}

// finish writes what comes last and works out the exit status. err is what
// the sweep ended with, started how many hosts there were.
func (r *pingRun) finish(err error, started int64, stderr io.Writer) error {
	r.out.mu.Lock()
	if r.many && !r.json && r.totals.Hosts > 0 {
		r.buf = r.totals.Append(r.buf[:0], time.Since(r.start), r.style)
		r.out.put(r.buf)
	}
	r.out.mu.Unlock()
	if r.precise && r.inexact > 0 {
		fmt.Fprintf(stderr, "pingtel: warning: %d of %d hosts were measured without kernel timestamps\n", r.inexact, r.totals.Hosts)
	}
	if werr := r.out.close(); werr != nil {
		return werr
	}
	switch {
	case err != nil:
		return fmt.Errorf("hosts: %w", err)
	case r.broken != nil:
		return r.broken
	case started == 0 && r.interrupt.Err() == nil:
		return errors.New("the file names no host: want one a line")
	case started > 0 && int64(r.totals.Failed) == started:
		return exitStatus(statusUnable)
	case int64(r.totals.Answered) < started, started == 0:
		return exitStatus(statusNoAnswer)
	}
	return nil
}
