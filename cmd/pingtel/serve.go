package main

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

// otelSession is the running otel command.
type otelSession struct {
	config  *config.Config
	monitor *monitor.Monitor
	output  *otlpOutput
	log     *slog.Logger
	signals <-chan os.Signal // SIGHUP of the process

	load  func() (*config.Config, error) // reads the file again; its error is logged and changes nothing
	apply func(*config.Config)           // takes over what load gave
	close func() error                   // ends all series that still run, and returns when they are recorded
}

// serve measures and pushes by the schedule until ctx is done, and keeps the
// service manager informed, if there is one. Then it lets running series
// finish, pushes a last time, for five seconds in all, and returns nil. It ends
// with an error where stdout, if it prints there, cannot be written.
func (s *otelSession) serve(ctx context.Context) error {
	running, stop := context.WithCancel(ctx)
	defer stop()
	var parts, pushing sync.WaitGroup
	parts.Go(func() { s.monitor.Run(running) })
	broken := make(chan struct{})
	pushing.Go(func() {
		if s.output.Run(running) != nil { // finish returns it
			close(broken)
		}
	})
	parts.Go(func() {
		alive := func() bool { return s.monitor.Behind(time.Now()) < stalledTime }
		s.warn(sdnotify.Watch(running, alive))
	})
	s.warn(sdnotify.Ready(s.status()))
	for ended := false; !ended; {
		select {
		case <-ctx.Done():
			ended = true
		case <-broken:
			ended = true
		case sig := <-s.signals:
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

func (s *otelSession) status() string {
	return fmt.Sprintf("probing %d targets", len(s.config.Targets))
}

// warn logs that the service manager could not be told something.
func (s *otelSession) warn(err error) {
	if err != nil {
		s.log.Warn("cannot notify the service manager", "error", err)
	}
}

// reload takes the file over anew, or says why it stays as it was.
func (s *otelSession) reload() {
	s.warn(sdnotify.Reloading())
	next, err := s.load()
	if err == nil {
		err = s.config.CheckReload(next)
	}
	if err == nil {
		s.apply(next)
		s.config = next
	} else {
		s.log.Error("the configuration stays as it was", "error", err)
	}
	s.warn(sdnotify.Ready(s.status()))
}

// finish ends all series, while a push that is under way ends, and pushes what
// came of them.
func (s *otelSession) finish(pushing *sync.WaitGroup) error {
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	if err := s.monitor.Drain(ctx); err != nil {
		s.log.Warn("series were cut short", "series", s.monitor.Stats().Running)
	}
	err := s.close()
	pushing.Wait() // for graceTime at most, which is less than drainTime
	last, done := context.WithTimeout(context.Background(), closeTime)
	defer done()
	return errors.Join(err, s.output.Close(last))
}
