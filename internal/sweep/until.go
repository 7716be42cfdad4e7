package sweep

import (
	"context"
	"errors"
	"sync"

	"github.com/pingtel/pingtel/icmpcore"
)

// goUntil starts a series that ends early: see [Sweep.ProbeUntil].
func (s *Sweep) goUntil(target icmpcore.Target, how *Probe) error {
	var end early
	opts := how.opts
	opts.OnEcho = func(e icmpcore.Echo) {
		defer s.caught()
		if how.opts.OnEcho != nil {
			how.opts.OnEcho(e)
		}
		if how.enough(e) {
			end.reach()
		}
	}
	run, err := s.pinger.Go(target, opts, func(r icmpcore.PingResult) {
		if end.isReached() && errors.Is(r.Err, context.Canceled) {
			r.Err = nil
		}
		how.done(r)
	})
	if err == nil {
		end.begun(run)
	}
	return err
}

// early ends a series that may have an echo before Go has returned its Run.
type early struct {
	mu      sync.Mutex // guards the fields below
	run     icmpcore.Run
	reached bool
}

// begun keeps the series' Run, and cancels it if the end came before.
func (e *early) begun(run icmpcore.Run) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.run = run
	if e.reached {
		run.Cancel()
	}
}

// reach cancels the series, once.
func (e *early) reach() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.reached {
		e.reached = true
		e.run.Cancel()
	}
}

func (e *early) isReached() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.reached
}
