package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/internal/nagios"
	"github.com/pingtel/pingtel/internal/report"
	"github.com/pingtel/pingtel/plugin"
)

// The exit statuses of every command but check, which has those of
// [nagios.Status].
const (
	statusNoAnswer = 1 // some host did not answer
	statusUnable   = 2 // the command could not do its work

	// statusReaderLeft is the status where the reader of stdout has left. ping
	// and fping are killed by SIGPIPE then, without a word, for which a shell
	// says 128+13. The same number is as quiet and as far from success.
	statusReaderLeft = 128 + 13
)

// exitStatus is the error of a command that has said all there is to say.
type exitStatus int

func (s exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

// newRootCommand lists the subcommands.
func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "pingtel",
		Short: "Measure networks with ICMP echo",
		Long: `pingtel measures networks with ICMP echo: for a person at a terminal (ping), for
schedulers that speak the Nagios plugin convention (check), for Telegraf and for
OpenTelemetry.`,
		Example: `  pingtel ping 127.0.0.1 ::1
  pingtel check -w 100ms,20% -c 500ms,60% 127.0.0.1`,
		Args:          cobra.ArbitraryArgs,
		RunE:          refuseNoCommand,
		SilenceErrors: true, // run prints them
		SilenceUsage:  true,

		SuggestionsMinimumDistance: 2, // one letter wrong, or two changed about
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w ('%s --help' lists the flags)", err, cmd.CommandPath())
	})
	root.AddCommand(
		newPingCommand(),
		newWatchCommand(),
		newCheckCommand(),
		newConfigCommand(),
		newTelegrafCommand(),
		newOTelCommand(),
		newServeCommand(),
		newVersionCommand(),
	)
	root.AddCommand(docsCommands()...)
	return root
}

// refuseUnknownTopics makes cobra's own commands, help and completion, fail
// where they would print their usage and succeed.
func refuseUnknownTopics(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		switch c.Name() {
		case "help":
			c.Args = func(_ *cobra.Command, args []string) error {
				found, rest, err := root.Find(args)
				if err == nil && len(rest) > 0 {
					err = refuseNoCommand(found, rest)
				}
				return err
			}
		case "completion":
			c.Args, c.RunE = cobra.ArbitraryArgs, refuseNoCommand
		}
	}
}

// refuseNoCommand says which commands there are below one.
func refuseNoCommand(parent *cobra.Command, args []string) error {
	var names []string
	for _, c := range parent.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	want := "want one of " + strings.Join(names, ", ")
	if len(names) == 0 {
		want = "'" + parent.CommandPath() + "' has none"
	}
	if len(args) == 0 {
		return fmt.Errorf("no command given: %s ('%s --help' tells more)", want, parent.CommandPath())
	}
	parent.SuggestionsMinimumDistance = parent.Root().SuggestionsMinimumDistance
	if near := parent.SuggestionsFor(args[0]); len(near) > 0 {
		want = "did you mean " + near[0] + "?"
	}
	return fmt.Errorf("unknown command %q: %s", args[0], want)
}

// noArgs refuses arguments of a command that takes none.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("'%s' takes no argument: want it without %q", cmd.CommandPath(), args[0])
	}
	return nil
}

// run is the program: it returns the exit status. Data goes to stdout, all
// else to stderr. When ctx is done the command ends with what it has.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	out := newStdout(stdout)
	root := newRootCommand()
	root.SetArgs(oneDash(root, args))
	root.SetIn(stdin)
	root.SetOut(out)
	root.SetErr(stderr)
	refuseUnknownTopics(root) // by now: completion keeps the stdout of its making
	cmd, err := root.ExecuteContextC(ctx)
	return conclude(cmd, withoutReaderLeft(err), out, stderr)
}

// conclude reports the error of a command, closes stdout, and returns the exit
// status.
func conclude(cmd *cobra.Command, err error, out *stdout, stderr io.Writer) int {
	check := cmd.CommandPath() == cmd.Root().Name()+" check"
	telegraf := cmd.CommandPath() == cmd.Root().Name()+" telegraf"
	say := func(err error) {
		if telegraf {
			slog.New(plugin.NewLogHandler(stderr, slog.LevelInfo)).Error(oneLine(err)) // with a level for Telegraf
			return
		}
		sayError(stderr, err)
	}
	status, said := statusUnable, exitStatus(0)
	switch {
	case err == nil:
		status = 0
	case errors.As(err, &said):
		status = int(said)
	case check:
		say(err)
		fmt.Fprintln(out, nagios.Failed(errors.New(oneLine(err)))) // schedulers read nothing else
		status = int(nagios.Unknown)
	default:
		say(err)
	}
	failed := out.finish()
	if failed == nil {
		return status
	}
	left := errors.Is(failed, errReaderLeft)
	if logged := telegraf && status == statusUnable; !left && !logged && !errors.Is(err, failed) {
		say(fmt.Errorf("write results: %w", failed))
	}
	switch {
	case check:
		return int(nagios.Unknown) // the verdict has reached nobody
	case left:
		return statusReaderLeft
	}
	return statusUnable
}

// sayError prints an error in one line, the faults of a file in one line each.
// It is the last that can be said: a failure has nowhere to go.
func sayError(stderr io.Writer, err error) {
	var faults config.Faults
	if !errors.As(err, &faults) {
		fmt.Fprintln(stderr, "pingtel: "+oneLine(err))
		return
	}
	for _, f := range faults {
		fmt.Fprintln(stderr, "pingtel: "+oneLine(f))
	}
}

// oneLine returns the text of an error in one line that a terminal can show.
func oneLine(err error) string {
	lines := strings.FieldsFunc(err.Error(), func(c rune) bool { return c == '\n' })
	return report.Clean(strings.Join(lines, "; "))
}
