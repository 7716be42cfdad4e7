package plugin_test

import (
	"context"
	"log/slog"
	"os"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/internal/monitor"
	"github.com/pingtel/pingtel/plugin"
)

// A plugin of Telegraf that probes the targets of a file until Telegraf ends its
// stdin.
func Example() {
	err := serve(context.Background(), "pingtel.toml")
	if err != nil {
		slog.Error("pingtel", "error", err)
	}
}

func serve(ctx context.Context, file string) error {
	load := func() (*config.Config, error) { return config.Load(file, os.LookupEnv) }
	c, err := load()
	if err != nil {
		return err
	}
	pinger, err := icmpcore.Open(icmpcore.Config{})
	if err != nil {
		return err
	}
	stderr := plugin.NewLogWriter(os.Stderr)
	defer stderr.Close()
	log := slog.New(plugin.NewLogHandler(stderr, slog.LevelInfo))
	out := plugin.NewOutput(os.Stdout, c.Telegraf, 0, log)
	m := monitor.New(pinger, c, log, out)
	return plugin.Serve(ctx, plugin.Session{
		Config: c, Monitor: m, Output: out, Log: log,
		Stdin: os.Stdin,
		Load:  load, Apply: m.Reload,
		Stats: pinger.Stats,
		Close: func() error {
			m.Close()
			return pinger.Close()
		},
	})
}
