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

// The exit statuses of every command except check, which has those of
// [nagios.Status].
const (
	statusNoAnswer = 1 // some host did not answer
	statusUnable   = 2 // the command could not do its work

	// statusReaderLeft is the status if the reader of stdout has left. SIGPIPE
	// then kills ping and fping without a message, and a shell shows 128+13.
	// pingtel ends with the same status, and as quietly.
	statusReaderLeft = 128 + 13
)

// exitStatus is the error of a command that has already printed its messages.
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
		RunE:          runRoot,
		SilenceErrors: true, // run prints them
		SilenceUsage:  true,

		SuggestionsMinimumDistance: 2, // one wrong letter, or two letters swapped
	}
	root.SetFlagErrorFunc(flagError)
	root.Flags().BoolP("version", "V", false, "print the version")
	root.AddCommand(
		newPingCommand(),
		newPathCommand(),
		newCheckCommand(),
		newConfigCommand(),
		newTelegrafCommand(),
		newOTelCommand(),
		newServeCommand(),
		newReadyCommand(),
		newVersionCommand(),
	)
	root.AddCommand(watchCommands()...)
	root.AddCommand(docsCommands()...)
	return root
}

// refuseUnknownTopics makes cobra's own commands, help and completion, fail on
// an unknown topic. By default they print their usage and succeed.
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

// runRoot prints the version, or says which commands there are.
func runRoot(cmd *cobra.Command, args []string) error {
	if asked, err := cmd.Flags().GetBool("version"); err == nil && asked {
		return printVersion(cmd)
	}
	return refuseNoCommand(cmd, args)
}

// refuseNoCommand returns an error that lists the subcommands of parent.
func refuseNoCommand(parent *cobra.Command, args []string) error {
	var names []string
	for _, c := range parent.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	want := "want one of " + strings.Join(names, ", ")
	if len(names) == 0 {
		want = "'" + parent.CommandPath() + "' has no subcommands"
	}
	if len(args) == 0 {
		return fmt.Errorf("no command given: %s ('%s --help' explains them)", want, parent.CommandPath())
	}
	parent.SuggestionsMinimumDistance = parent.Root().SuggestionsMinimumDistance
	hint, certain := "", false
	if parent == parent.Root() {
		hint, certain = hostHint(args[0])
	}
	near := parent.SuggestionsFor(args[0])
	switch {
	case certain:
		want = hint
	case len(near) > 0:
		want = "did you mean " + near[0] + "?"
	case hint != "":
		want += "; " + hint
	}
	return fmt.Errorf("unknown command %q: %s", args[0], want)
}

// noArgs refuses arguments of a command that takes none.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("'%s' takes no arguments: remove %q", cmd.CommandPath(), args[0])
	}
	return nil
}

// run is the program: it returns the exit status. Data goes to stdout,
// messages go to stderr. When ctx is done the command ends and prints the
// results that it has.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	out := newStdout(stdout)
	root := newRootCommand()
	root.SetArgs(oneDash(root, args))
	root.SetIn(stdin)
	root.SetOut(out)
	root.SetErr(stderr)
	refuseUnknownTopics(root) // after SetOut: the completion command keeps the stdout that was set when it was made
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
			slog.New(plugin.NewLogHandler(stderr, slog.LevelInfo)).Error(oneLine(err)) // Telegraf reads the level
			return
		}
		sayError(stderr, err)
	}
	status, said := statusUnable, exitStatus(0)
	switch {
	case err == nil && check && cmd.Flags().Changed("help"):
		status = int(nagios.Unknown) // the guidelines: the help is no verdict
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
		return int(nagios.Unknown) // the verdict could not be written
	case left:
		return statusReaderLeft
	}
	return statusUnable
}

// sayError prints an error in one line, or one line for each fault of a file.
// It drops the error of printing, which cannot be reported anywhere.
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
