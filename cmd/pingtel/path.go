package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/pingtel/pingtel/internal/path"
	"github.com/pingtel/pingtel/internal/report"
)

// maxPathCount is the most echoes to each hop: more would only load its processor.
const maxPathCount = 1000

// pathFlags are the flags of path.
type pathFlags struct {
	probeFlags
	count, flows     int
	mtu, names, json bool
	markText         *keptText
}

func newPathCommand() *cobra.Command {
	flags := &pathFlags{count: path.DefaultCount, flows: 1}
	flags.path = true
	cmd := &cobra.Command{
		Use:   "path HOST...",
		Short: "Show the path to hosts, and where loss begins",
		Long: `Show the path to hosts, one row for each hop, and say in one sentence where loss
begins. All hops are probed at once, and a whole trace takes one timeout.

loss is what a hop itself did not answer: routers often limit their answers, and
that is no loss of the path. beyond is the loss that all hops behind share, the
target included. An address with ? quoted too little to prove that it has seen the echo.
With --mtu also the largest packet that the path takes.
A host is a name, an address, a prefix (198.18.0.0/24) or a range (198.18.1.1-9).
Durations are seconds (0.5) or have a unit (500ms).
Exit status: 0 every host was reached, 1 some host was not, 2 nothing could be
measured at all.`,
		Example: `  pingtel path router.example.net
  pingtel path --mtu 192.0.2.1
  pingtel path -c 20 --names 192.0.2.1
  pingtel path -j -f hosts.txt`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error { return flags.run(cmd, args) },
	}
	flags.register(cmd)
	return cmd
}

func (f *pathFlags) register(cmd *cobra.Command) {
	set := cmd.Flags()
	set.VarP(&flagValue[int]{&f.count, intIn(1, maxPathCount, ""), strconv.Itoa, "count", "number", &f.faults},
		"count", "c", "echoes to each hop")
	f.probeFlags.register(cmd)
	f.markText = keepText(set, "mark")
	if rate, ok := set.Lookup("rate").Value.(*flagValue[int]); ok {
		rate.parse = hintOn(rate.parse, reportHint)
	}
	if name, ok := set.Lookup("interface").Value.(*flagValue[string]); ok {
		name.parse = hintOn(name.parse, "ICMP echo is all that path sends, so want it without -I for traceroute's -I")
	}
	set.Var(&flagValue[int]{&f.flows, intIn(1, 64, ""), strconv.Itoa, "flows", "number", &f.faults},
		"flows", "flows to follow, each with its own echoes: shows where the path splits")
	set.BoolVar(&f.mtu, "mtu", false, "find the largest packet that the path takes")
	set.BoolVar(&f.names, "names", false, "look up the names of hops, without waiting for them")
	set.BoolVarP(&f.json, "json", "j", false, "one JSON object for each host")
}

// hintOn adds to the errors of a flag what the same letter of mtr or traceroute needs.
func hintOn[T any](parse func(string) (T, error), hint string) func(string) (T, error) {
	return func(text string) (T, error) {
		v, err := parse(text)
		if err != nil {
			err = fmt.Errorf("%w; %s", err, hint)
		}
		return v, err
	}
}

// run traces all hosts and reports them.
func (f *pathFlags) run(cmd *cobra.Command, args []string) error {
	f.opts.Count = f.count
	if err := f.finish(args); err != nil {
		return err
	}
	each, closer, err := f.hosts(args, cmd.InOrStdin())
	if err != nil {
		return f.fileError(err)
	}
	defer closer.Close() // was only read
	for _, note := range f.notes() {
		fmt.Fprintln(cmd.ErrOrStderr(), "pingtel: note: "+note)
	}
	pinger, err := openPinger(cmd.Context(), f.config, f.opts.Mark != 0, quietly)
	if err != nil {
		return err
	}
	ctx, stop := endOnHangup(cmd.Context())
	defer stop()
	ended := make(chan struct{})
	go func() { // ends with this function
		select {
		case <-ctx.Done():
		case <-ended:
		}
		pinger.Close() // ends what runs; its error would be that of sockets nobody needs any more
	}()
	defer close(ended)
	var names *path.Names
	if f.names {
		names = path.NewNames(ctx, net.DefaultResolver.LookupAddr)
	}
	out := &pathOutput{cmd: cmd, json: f.json, names: names}
	err = path.Run(ctx, pinger, each, path.Options{Echoes: f.opts, Flows: f.flows}, names, f.interfaceMTU(), out.show)
	if n := out.nameless; n > 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "pingtel: note: %d %s did not come in time: the next run may find %s\n", n, plural(n, "name", "names"), plural(n, "it", "them"))
	}
	switch {
	case err != nil:
		return fmt.Errorf("hosts: %w", err)
	case out.failed != nil:
		return out.failed
	case out.hosts == 0 && ctx.Err() == nil:
		return errors.New("the file names no host: want one a line")
	case out.hosts > 0 && out.unable == out.hosts:
		return exitStatus(statusUnable)
	case out.reached < out.hosts || ctx.Err() != nil:
		return exitStatus(statusNoAnswer)
	}
	return nil
}

// interfaceMTU returns what finds the MTU to begin with, nil without --mtu.
func (f *pathFlags) interfaceMTU() func(netip.Addr) (int, error) {
	if !f.mtu {
		return nil
	}
	return func(a netip.Addr) (int, error) { return path.InterfaceMTU(a, f.opts.Source, f.opts.Interface) }
}

// fileError explains a file that is not there: the -f of mtr and traceroute is another
// flag.
func (f *pathFlags) fileError(err error) error {
	if _, number := strconv.Atoi(f.file); errors.Is(err, fs.ErrNotExist) && number == nil {
		return fmt.Errorf("%w: -f reads hosts from a file: want it without -f for the first hop of mtr and traceroute, since all hops are probed", err)
	}
	return err
}

// notes are about values that the same flag of mtr or traceroute has in another meaning.
func (f *pathFlags) notes() []string {
	if n, err := strconv.Atoi(f.markText.text); err == nil && n >= 1 && n <= 255 {
		return []string{fmt.Sprintf("-m %d is a firewall mark (-m 0x%x says so without this note): want it without -m for the most hops of mtr and traceroute, since a trace ends where the path ends", n, n)}
	}
	return nil
}

// pathOutput writes traces to stdout.
type pathOutput struct {
	cmd                    *cobra.Command
	json                   bool
	names                  *path.Names
	hosts, reached, unable int
	nameless               int // addresses whose names had not come
	failed                 error
}

// show writes one trace.
func (o *pathOutput) show(t *path.Trace) {
	o.hosts++
	switch {
	case t.Reached:
		o.reached++
	case t.Sent == 0:
		o.unable++
	}
	o.nameless += o.names.Missing(t)
	v := path.Judge(t, nil, path.Series{})
	var b []byte
	if o.json {
		b = append(path.AppendJSON(nil, t, v, o.names), '\n')
	} else {
		if o.hosts > 1 {
			b = append(b, '\n')
		}
		stream := newStream(o.cmd.OutOrStdout())
		style := report.Style{Colour: stream.Colour}
		if stream.Size != nil {
			style.Width, _ = stream.Size()
			if style.Width <= 0 {
				style.Width = 80
			}
		}
		b = report.AppendPath(b, t, v, o.names.Of, style)
	}
	if _, err := o.cmd.OutOrStdout().Write(b); err != nil && o.failed == nil {
		o.failed = err
	}
}
