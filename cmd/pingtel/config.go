package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/internal/discovery"
)

func newConfigCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Work with configuration files",
		Args:  cobra.ArbitraryArgs,
		RunE:  refuseNoCommand,
	}
	cmd.AddCommand(&cobra.Command{
		Use:   "check FILE",
		Short: "Check a configuration file and print its plan",
		Long: `Check a configuration file and print its plan: how many targets it has, how many
echo requests it sends, and how long a series takes. It reads the sources of
targets that the file names, and warns if one cannot be read now.

If the file has an [otel] table, or the environment has OTEL_* variables, it also
prints the OpenTelemetry settings and where each comes from: the file, a
variable, or a default. The values of headers are not shown.

Without [otel] enabled = true, a fault in an OTEL_* variable is only a warning.`,
		Example: "  pingtel config check /etc/pingtel/pingtel.toml",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("%d files given: want 'pingtel config check FILE'", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			c, sources, err := loadNow(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			var said []string
			for _, st := range sources.Status() {
				said = append(said, saySource(st)...)
			}
			c.Targets = sources.Targets()
			return c.Describe(cmd.OutOrStdout(), os.LookupEnv, said...)
		},
	})
	cmd.AddCommand(&cobra.Command{
		Use:   "targets FILE",
		Short: "Print the targets of a configuration file, as its sources give them now",
		Long: `Print the targets of a configuration file: its own hosts, and the hosts that each
source (file, http, dns, kubernetes) gives now. The tags of a target follow it in
a comment, so that the output is itself a file for 'pingtel ping -f'.

Entries that cannot be targets are warnings. The exit status is 2 if a source
cannot be read, or if its list is refused.`,
		Example: `  pingtel config targets /etc/pingtel/pingtel.toml
  pingtel config targets /etc/pingtel/pingtel.toml | pingtel ping -f - --dead`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("%d files given: want 'pingtel config targets FILE'", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			c, sources, err := loadNow(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return errors.Join(printTargets(cmd.OutOrStdout(), c.Targets, sources.Status()), tellSources(sources.Status(), warnOn(cmd.ErrOrStderr())))
		},
	})
	return cmd
}

// loadNow reads a file, and what its sources give now.
func loadNow(ctx context.Context, file string) (*config.Config, *discovery.Set, error) {
	c, err := config.Load(file, os.LookupEnv)
	if err != nil {
		return nil, nil, err
	}
	now := *c
	now.Agent.State = "" // no copies of what was
	return c, discovery.Read(ctx, &now, discovery.Options{Version: productVersion(buildInfo())}), nil
}

// saySource says in one line what a source gives, and in further ones what is wrong.
func saySource(st discovery.Status) []string {
	said := []string{fmt.Sprintf("%s: %d targets", st.Name, st.Targets)}
	if !st.Listed {
		said = nil
		if len(st.Errors) == 0 {
			said = append(said, st.Name+": warning: no answer within three seconds")
		}
	}
	for _, e := range st.Errors {
		said = append(said, fmt.Sprintf("%s: warning: %s", st.Name, e))
	}
	for _, fault := range st.Faults {
		said = append(said, fmt.Sprintf("%s: warning: %s", st.Name, fault))
	}
	if more := st.Refused - len(st.Faults); more > 0 {
		said = append(said, fmt.Sprintf("%s: warning: %d more entries cannot be targets", st.Name, more))
	}
	return said
}

// printTargets prints the targets of a file and of its sources.
func printTargets(out io.Writer, own []config.Target, sources []discovery.Status) error {
	lists := [][]config.Target{own}
	for _, st := range sources {
		lists = append(lists, st.List)
	}
	fresh := config.Merge(nil, lists...).Fresh
	w := bufio.NewWriter(out)
	if len(own) > 0 {
		fmt.Fprintf(w, "# hosts: %d targets\n", len(own))
	}
	for i, list := range lists {
		if i > 0 {
			again := ""
			if n := len(list) - fresh[i]; n > 0 {
				again = fmt.Sprintf(", %d of them listed before", n)
			}
			fmt.Fprintf(w, "# %s: %d targets%s\n", sources[i-1].Name, len(list), again)
		}
		for _, t := range list {
			fmt.Fprint(w, t.Host)
			for j, tag := range t.Tags {
				if j == 0 {
					fmt.Fprint(w, "  #")
				}
				fmt.Fprintf(w, " %s=%s", tag.Key, strings.Map(visible, tag.Value))
			}
			fmt.Fprintln(w)
		}
	}
	return w.Flush() // returns the first error of writing
}

// visible replaces what would end a line.
func visible(c rune) rune {
	if c < 0x20 || c == 0x7f {
		return ' '
	}
	return c
}

// tellSources warns of entries that cannot be targets, and returns an error for the
// sources that cannot be read.
func tellSources(all []discovery.Status, warn func(error)) error {
	var errs []error
	for _, st := range all {
		for _, fault := range st.Faults {
			warn(fmt.Errorf("%s: %s", st.Name, fault))
		}
		if more := st.Refused - len(st.Faults); more > 0 {
			warn(fmt.Errorf("%s: %d more entries cannot be targets", st.Name, more))
		}
		for _, e := range st.Errors {
			errs = append(errs, fmt.Errorf("%s: %s", st.Name, e))
		}
		if !st.Listed && len(st.Errors) == 0 {
			errs = append(errs, fmt.Errorf("%s: no answer within three seconds", st.Name))
		}
	}
	return errors.Join(errs...)
}
