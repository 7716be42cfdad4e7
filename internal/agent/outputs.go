package agent

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/internal/execd"
	"github.com/pingtel/pingtel/internal/explain"
	"github.com/pingtel/pingtel/internal/monitor"
	"github.com/pingtel/pingtel/internal/otlp"
	"github.com/pingtel/pingtel/internal/output"
	"github.com/pingtel/pingtel/internal/web"
)

// kind is a kind of output.
type kind struct {
	name    string                    // the command that always has it, if there is one
	key     string                    // the key of the file that turns it on
	enabled func(*config.Config) bool // nil: only its command has it
	early   bool                      // it opens before privileges are given up
	inner   bool                      // it only adds to what the others deliver
	check   func(*config.Config, output.Env) error
	open    func(*config.Config, output.Env) (output.Output, error) // a nil Output does not run
}

// kinds returns all kinds of outputs, in the order in which they get results.
func kinds() []kind {
	return []kind{
		{name: "telegraf", open: execd.Open},
		{name: "web", key: "web.listen", enabled: web.Enabled, early: true, check: web.Check, open: web.Open},
		{name: "otel", key: "otel.enabled", enabled: otlp.Enabled, check: otlp.Check, open: otlp.Open},
		{name: "path", key: "path.when", enabled: explain.Enabled, inner: true, open: explain.Open},
	}
}

// running is an output of this process.
type running struct {
	output.Output
	kind  kind
	ended *sync.WaitGroup // of its Run
}

func (a *agent) wants(k kind, c *config.Config) bool {
	return k.name == a.Command || k.enabled != nil && k.enabled(c)
}

func (a *agent) env(k kind) output.Env {
	e := output.Env{Command: a.Command, Version: a.Version, Once: a.Once, Log: a.Log, Own: a.own,
		Prober:     func() monitor.Prober { return a.prober },
		Planned:    func() float64 { return math.Float64frombits(a.planned.Load()) },
		RecordPath: a.recordPath}
	if k.name == a.Command && (k.name != "otel" || a.PrintOTLP) {
		e.Stdout = a.Stdout
	}
	return e
}

// openOutputs opens the outputs that c turns on: those that need privileges, or
// all others.
func (a *agent) openOutputs(c *config.Config, early bool) error {
	for _, k := range kinds() {
		if k.early != early || !a.wants(k, c) {
			continue
		}
		o, err := k.open(c, a.env(k))
		if err != nil {
			return err
		}
		if o != nil {
			a.outputs = append(a.outputs, running{o, k, new(sync.WaitGroup)})
		}
	}
	return nil
}

// recordPath hands a path to the outputs that take paths.
func (a *agent) recordPath(t *monitor.Target, p *output.Path) {
	for _, o := range a.outputs {
		if taker, ok := o.Output.(output.PathTaker); ok {
			taker.RecordPath(t, p)
		}
	}
}

// delivers reports whether any output takes figures out of the process.
func (a *agent) delivers() bool {
	return slices.ContainsFunc(a.outputs, func(r running) bool { return !r.kind.inner })
}

// errNoOutput says what to set in a file that turns no output on.
func errNoOutput(c *config.Config) error {
	var keys []string
	for _, k := range kinds() {
		if k.key != "" && !k.inner {
			keys = append(keys, k.key)
		}
	}
	return fmt.Errorf("%s turns no output on, so the figures would go nowhere: set %s", c.File, strings.Join(keys, " or "))
}

// runOutputs runs the outputs until ctx is done. The channel is closed when the
// first of them fails.
func (a *agent) runOutputs(ctx context.Context) <-chan struct{} {
	broken := make(chan struct{})
	var once sync.Once
	for _, o := range a.outputs {
		o.ended.Go(func() {
			if err := o.Run(ctx); err != nil { // Close returns the error again
				once.Do(func() { close(broken) })
			}
		})
	}
	return broken
}

// reloadOutputs gives the outputs the file that comes into force.
func (a *agent) reloadOutputs(next *config.Config) {
	runs := make(map[string]running)
	for _, o := range a.outputs {
		runs[o.kind.name] = o
	}
	for _, k := range kinds() {
		o, on := runs[k.name]
		switch wanted := a.wants(k, next); {
		case on && wanted:
			o.Reload(next)
		case on != wanted && a.wants(k, a.config) != wanted: // not if Open returned nil
			a.Log.Warn("restart pingtel to change "+k.key, "in_force", on)
		}
	}
}

// closeOutputs closes the outputs at the same time, each when its Run has ended. When
// ctx is done it leaves an output whose Run goes on, and says so.
func (a *agent) closeOutputs(ctx context.Context) error {
	errs := make([]error, len(a.outputs))
	var all sync.WaitGroup
	for i, o := range a.outputs {
		all.Go(func() {
			if errs[i] = o.wait(ctx); errs[i] == nil {
				errs[i] = o.Close(ctx)
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// wait waits for the end of Run, until ctx is done.
func (o running) wait(ctx context.Context) error {
	ended := make(chan struct{})
	go func() { // ends with Run, or with the process
		o.ended.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
	}
	select {
	case <-ended: // a Run that has ended is closed also where no time is left
		return nil
	case <-time.After(leaveTime):
		return fmt.Errorf("%s: it did not stop in time, what it still had is lost", o)
	}
}
