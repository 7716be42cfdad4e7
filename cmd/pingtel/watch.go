//go:build !aix

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/internal/discovery"
	"github.com/pingtel/pingtel/internal/watch"
)

// defaultWatchInterval is the pace at which a person follows many hosts.
const defaultWatchInterval = time.Second

// watchFlags are the flags of watch.
type watchFlags struct {
	probeFlags
	configFile string
}

// watchCommands returns the command watch.
func watchCommands() []*cobra.Command { return []*cobra.Command{newWatchCommand()} }

func newWatchCommand() *cobra.Command {
	flags := &watchFlags{}
	cmd := &cobra.Command{
		Use:   "watch HOST...",
		Short: "Watch hosts in a live view of the terminal",
		Long: `Watch any number of hosts in a live view: the worst first, with a history in which
lost echoes stand red in their place, and a map with a cell for each host where
there are more than fit.

Enter shows one host: its distribution over time, errors and addresses. p traces its
path and says where loss begins. / filters, s sorts, space freezes, ? helps, q quits.
A host is a name, an address, a prefix (198.18.0.0/24) or a range (198.18.1.1-9).
Durations are seconds (0.5) or have a unit (500ms).`,
		Example: `  pingtel watch 192.0.2.1 router.example.net
  pingtel watch -i 0.2 192.0.2.0/24
  pingtel watch -f hosts.txt
  pingtel watch --config /etc/pingtel/pingtel.toml`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error { return flags.run(cmd, args) },
	}
	flags.register(cmd)
	f := cmd.Flags()
	f.StringVar(&flags.configFile, "config", "", "watch the targets of a config `file`, by its schedule")
	flags.opts.Interval = defaultWatchInterval
	f.Lookup("interval").DefValue = formatDuration(defaultWatchInterval)
	return cmd
}

func (f *watchFlags) run(cmd *cobra.Command, args []string) error {
	if f.configFile != "" {
		return f.runConfig(cmd, args)
	}
	if err := f.finish(args); err != nil {
		return err
	}
	terminal, err := terminalOf(cmd)
	if err != nil {
		return err
	}
	hosts, closer, err := f.hosts(args, cmd.InOrStdin())
	if err != nil {
		return err
	}
	defer closer.Close() // was only read
	pinger, err := openPinger(cmd.Context(), f.config, f.opts.Mark != 0, quietly)
	if err != nil {
		return err
	}
	saveMemory()
	store := watch.NewStore(f.config.MaxRate)
	ctx, stop := endOnHangup(cmd.Context())
	defer stop()
	return watch.Run(ctx, terminal, store, func(ctx context.Context) error {
		return store.Hosts(ctx, pinger, f.opts, hosts)
	})
}

// runConfig watches the targets of a file.
func (f *watchFlags) runConfig(cmd *cobra.Command, args []string) error {
	if also := besideConfig(cmd, args); len(also) > 0 {
		f.faults.add(fmt.Errorf("--config: hosts and options stand in the file: want no %s beside it", strings.Join(also, ", ")))
	}
	if err := f.faults.err(); err != nil {
		return err
	}
	terminal, err := terminalOf(cmd)
	if err != nil {
		return err
	}
	c, err := config.Load(f.configFile, os.LookupEnv)
	if err != nil {
		return err
	}
	if len(c.Targets) == 0 && len(c.Sources) == 0 {
		return errNoTargets(c)
	}
	warn := warnOn(cmd.ErrOrStderr())
	warnMissing(c, warn)
	pinger, err := openPinger(cmd.Context(), icmpcore.Config{Socket: c.Agent.Socket, MaxRate: c.Agent.MaxRate}, c.Marks(), warn)
	if err != nil {
		return err
	}
	if err := c.CheckSockets(pinger.Socket); err != nil {
		return errors.Join(err, pinger.Close())
	}
	if len(c.Sources) > 0 {
		sources := discovery.Read(cmd.Context(), c, discovery.Options{Version: productVersion(buildInfo())})
		if err := sources.Without(); err != nil {
			warn(err)
		}
		c.Targets = sources.Targets()
	}
	saveMemory()
	store := watch.NewStore(c.Agent.MaxRate)
	ctx, stop := endOnHangup(cmd.Context())
	defer stop()
	err = watch.Run(ctx, terminal, store, func(ctx context.Context) error {
		return store.Targets(ctx, pinger, c)
	})
	return errors.Join(err, pinger.Close())
}

// saveMemory has the garbage collected earlier than usual: nearly all that
// watch holds lives as long as its targets do, and little is collected.
func saveMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(25)
	}
}

// terminalOf returns the terminal of a command, or what to use where there is
// none.
func terminalOf(cmd *cobra.Command) (watch.Terminal, error) {
	out := cmd.OutOrStdout()
	if !takesEscapes(out) {
		return watch.Terminal{}, errors.New("watch needs a terminal: use 'pingtel ping -c 0' for lines of text, with -j for JSON")
	}
	t := watch.Terminal{Out: fileOf(out), Colour: wantsColour(out), UTF8: utf8Locale(os.Getenv)}
	if in, ok := cmd.InOrStdin().(*os.File); ok && in != os.Stdin {
		t.In = in // of a test
	}
	return t, nil
}

// utf8Locale reports whether the user's locale has UTF-8, by the variables of
// POSIX in their order. Where none says anything, it has.
func utf8Locale(getenv func(string) string) bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if value := strings.ToLower(getenv(name)); value != "" {
			return strings.Contains(value, "utf-8") || strings.Contains(value, "utf8")
		}
	}
	return true
}
