package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/pingtel/pingtel/internal/sdnotify"
	"github.com/pingtel/pingtel/plugin"
)

// serve runs until the end.
func (a *agent) serve(ctx context.Context) error {
	running, stop := context.WithCancel(context.WithoutCancel(ctx)) // it goes on while others of a fleet take over
	defer stop()
	broken := a.runOutputs(running)
	var parts sync.WaitGroup
	events := make(chan event)
	next := a.nextSignal
	if a.Stdin != nil {
		next = plugin.NewConversation(a.Stdin, a.config.Telegraf.Signal, a.Signals).Next
	}
	parts.Go(func() { listen(running, next, events) })
	if !a.demand {
		parts.Go(func() { a.monitor.Run(running) })
	}
	parts.Go(func() {
		alive := func() bool { return a.monitor.Behind(time.Now()) < stalledTime }
		a.notify(func() error { return sdnotify.Watch(running, alive) })
	})
	a.notify(func() error { return sdnotify.Ready(a.status()) })
	a.handle(ctx, running, events, broken)
	a.notify(sdnotify.Stopping)
	a.handOver(broken)
	stop()
	parts.Wait()
	return a.finish(broken)
}

// event is what Telegraf or a signal wants of the process.
type event struct {
	plugin.Event
	err error // with End: why stdin cannot be read
}

// listen sends events until ctx is done or stdin ends. If Telegraf runs this process,
// they are those of inputs.execd, otherwise only SIGHUP.
func listen(ctx context.Context, next func(context.Context) (plugin.Event, error), events chan<- event) {
	for {
		e, err := next(ctx)
		select {
		case events <- event{e, err}:
		case <-ctx.Done():
			return
		}
		if e == plugin.End {
			return
		}
	}
}

// nextSignal waits for a signal of the process.
func (a *agent) nextSignal(ctx context.Context) (plugin.Event, error) {
	select {
	case <-ctx.Done():
		return plugin.End, nil
	case sig := <-a.Signals:
		if sig == os.Signal(syscall.SIGHUP) {
			return plugin.Reload, nil
		}
		return plugin.Other, nil
	}
}

// handle does what events ask for, until ctx is done or another reason to end comes.
// Rounds end with running.
func (a *agent) handle(ctx, running context.Context, events <-chan event, broken <-chan struct{}) {
	rounds := 0
	for {
		select {
		case <-ctx.Done():
			a.Log.Debug("stopping on a signal")
			return
		case <-broken:
			return // finish reports why
		case <-a.fleetChanged():
			a.reshare(takeOverTime)
		case <-a.release:
			a.reshare(0)
		case <-a.sources.Load().Changed():
			a.retarget()
		case e := <-events:
			switch e.Event {
			case plugin.Collect:
				rounds++
				a.round(running)
			case plugin.Reload:
				a.reload(ctx)
			case plugin.Other:
				a.Log.Debug("ignoring a signal that the file does not name")
			case plugin.End:
				a.logEnd(ctx, e.err, rounds)
				return
			}
		}
	}
}

// logEnd logs why the process ends. If stdin was at its end from the start, it also
// says how to run the process.
func (a *agent) logEnd(ctx context.Context, err error, rounds int) {
	switch {
	case ctx.Err() != nil:
		a.Log.Debug("stopping on a signal")
	case err != nil:
		a.Log.Warn("stopping: stdin cannot be read", "error", err)
	case rounds == 0 && time.Since(a.started) < a.config.Agent.Interval:
		a.Log.Warn("stopping: stdin is at its end. Let Telegraf's inputs.execd run pingtel, keep stdin open, or run one round with --once")
	default:
		a.Log.Info("stopping: stdin has ended")
	}
}

// round starts a round on demand, unless maxRounds are running. The monitor skips,
// counts and logs targets whose last series still runs.
func (a *agent) round(ctx context.Context) {
	select {
	case a.slots <- struct{}{}:
	default:
		a.missed.Add(1)
		return
	}
	a.rounds.Go(func() {
		defer func() { <-a.slots }()
		if err := a.monitor.Round(ctx); err != nil && !errors.Is(err, context.Canceled) {
			a.Log.Error("a round could not run", "error", err)
		}
	})
}

// notify notifies the service manager, unless Telegraf runs this process: the service
// manager would take the message for one of Telegraf's.
func (a *agent) notify(tell func() error) {
	if a.Stdin != nil {
		return
	}
	if err := tell(); err != nil {
		a.Log.Warn("cannot notify the service manager", "error", err)
	}
}

func (a *agent) status() string { return fmt.Sprintf("probing %d targets", len(a.mine.Targets)) }
