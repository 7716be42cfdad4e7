package otel

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/internal/monitor"
	"github.com/pingtel/pingtel/internal/sdnotify"
)

const (
	// drainTime is how long running series may take to finish at the end,
	// closeTime how long the last push may take after that: five seconds in all.
	drainTime = 2500 * time.Millisecond
	closeTime = 2 * time.Second

	// stalledTime is how far the schedule may be behind before the process
	// counts as one that has stopped working.
	stalledTime = 10 * time.Second
)

// Session is what [Serve] works with.
type Session struct {
	Config  *config.Config
	Monitor *monitor.Monitor
	Pusher  *Pusher
	Log     *slog.Logger

	// Signals brings SIGHUP of the process.
	Signals <-chan os.Signal

	// Load reads the file again. Its error is logged and changes nothing.
	Load func() (*config.Config, error)

	// Apply takes over what Load gave.
	Apply func(*config.Config)

	// Close ends all series that still run and returns when they are recorded.
	Close func() error
}

// Serve measures and pushes by the schedule until ctx is done, and keeps the
// service manager informed, if there is one. Then it lets running series
// finish, pushes a last time, for five seconds in all, and returns nil. It ends
// with an error where stdout, if it prints there, cannot be written.
func Serve(ctx context.Context, s Session) error {
	running, stop := context.WithCancel(ctx)
	defer stop()
	var parts, pushing sync.WaitGroup
	parts.Go(func() { s.Monitor.Run(running) })
	broken := make(chan struct{})
	pushing.Go(func() {
		if s.Pusher.Run(running) != nil { // finish returns it
			close(broken)
		}
	})
	parts.Go(func() {
		alive := func() bool { return s.Monitor.Behind(time.Now()) < stalledTime }
		s.warn(sdnotify.Watch(running, alive))
	})
	s.warn(sdnotify.Ready(s.status()))
	for ended := false; !ended; {
		select {
		case <-ctx.Done():
			ended = true
		case <-broken:
			ended = true
		case sig := <-s.Signals:
			if sig == syscall.SIGHUP {
				s.reload()
			}
		}
	}
	s.warn(sdnotify.Stopping())
	stop()
	parts.Wait()
	return s.finish(&pushing)
}

func (s *Session) status() string { return fmt.Sprintf("probing %d targets", len(s.Config.Targets)) }

// warn logs that the service manager could not be told something.
func (s *Session) warn(err error) {
	if err != nil {
		s.Log.Warn("no word to the service manager", "error", err)
	}
}

// reload takes the file over anew, or says why it stays as it was.
func (s *Session) reload() {
	s.warn(sdnotify.Reloading())
	next, err := s.Load()
	if err == nil {
		err = s.Config.CheckReload(next)
	}
	if err == nil {
		s.Apply(next)
		s.Config = next
	} else {
		s.Log.Error("the configuration stays as it was", "error", err)
	}
	s.warn(sdnotify.Ready(s.status()))
}

// finish ends all series, while a push that is under way ends, and pushes what
// came of them.
func (s *Session) finish(pushing *sync.WaitGroup) error {
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	if err := s.Monitor.Drain(ctx); err != nil {
		s.Log.Warn("series were cut short", "series", s.Monitor.Stats().Running)
	}
	err := s.Close()
	pushing.Wait() // for graceTime at most, which is less than drainTime
	last, done := context.WithTimeout(context.Background(), closeTime)
	defer done()
	return errors.Join(err, s.Pusher.Close(last))
}
