package main

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/internal/monitor"
	"github.com/pingtel/pingtel/otel"
)

// lastPushTime is how long the last push of the telegraf command may take, with
// what it has to wait for one that is under way.
// Telegraf ends stdin, sends SIGTERM five seconds later, and kills after ten.
const lastPushTime = 3 * time.Second

// push is the pushing that the telegraf command does beside its own work, or
// none where pusher is nil.
type push struct {
	pusher  *otel.Pusher
	monitor *monitor.Monitor
	stop    context.CancelFunc
	running sync.WaitGroup // the pushing before the last push
	parts   sync.WaitGroup
	err     error // of the end; good after wait
}

// startPush makes the pusher, unless settings is nil.
func startPush(settings *config.OTelSettings, log *slog.Logger, p *icmpcore.Pinger) (*push, error) {
	x := &push{}
	if settings == nil {
		return x, nil
	}
	var err error
	x.pusher, err = otel.New(otel.Config{
		Settings: settings, Version: productVersion(buildInfo()), Log: log,
		Self: func() (icmpcore.Stats, monitor.Stats) { return p.Stats(), x.monitor.Stats() },
	})
	return x, err
}

// sinks returns first, and the pusher behind it.
func (x *push) sinks(first monitor.Sink) []monitor.Sink {
	if x.pusher == nil {
		return []monitor.Sink{first}
	}
	return []monitor.Sink{first, x.pusher}
}

// run pushes in the background until finish.
func (x *push) run(m *monitor.Monitor) {
	if x.pusher == nil {
		return
	}
	x.monitor = m
	ctx, stop := context.WithCancel(context.Background())
	x.stop = stop
	x.running.Go(func() { _ = x.pusher.Run(ctx) }) // an error of it Close returns again
}

// reload takes over the settings of a file that was read again; nil where it
// wants no pushing.
func (x *push) reload(next *config.OTelSettings, log *slog.Logger) {
	switch {
	case x.pusher != nil && next != nil:
		x.pusher.Reload(next)
	case x.pusher != nil || next != nil:
		log.Warn("restart pingtel to change otel.enabled", "in_force", x.pusher != nil)
	}
}

// finish pushes a last time, in the background, after a push under way.
func (x *push) finish() {
	if x.pusher == nil {
		return
	}
	x.stop()
	ctx, cancel := context.WithTimeout(context.Background(), lastPushTime)
	x.parts.Go(func() {
		defer cancel()
		x.running.Wait() // for less than that
		x.err = x.pusher.Close(ctx)
	})
}

// wait returns when the last push is over.
func (x *push) wait() error {
	x.parts.Wait()
	return x.err
}
