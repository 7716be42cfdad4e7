package otlp

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/internal/monitor"
	"github.com/pingtel/pingtel/internal/output"
	"github.com/pingtel/pingtel/otel"
)

// command is the command whose only purpose is to push.
const command = "otel"

// Output pushes results over OTLP. Make one with [Open].
type Output struct {
	store    *output.Store
	pusher   *otel.Pusher
	settings *config.OTelSettings
	env      output.Env
	instance *Instance
	prints   bool
}

// Enabled reports whether the file turns OTLP on.
func Enabled(c *config.Config) bool { return c.OTel.Enabled }

// Check returns what is wrong with the settings, including those of OTEL_*
// variables.
func Check(c *config.Config, env output.Env) error {
	_, err := settingsOf(c, env)
	return err
}

// settingsOf returns the settings, or nil if a variable turns OTLP off. For the
// command that does nothing else that is an error.
func settingsOf(c *config.Config, env output.Env) (*config.OTelSettings, error) {
	s, err := c.PushSettings(os.LookupEnv)
	switch {
	case err != nil:
		return nil, err
	case s.Off == "":
		return s, nil
	case env.Command == command:
		return nil, fmt.Errorf("%s turns pushing off, which is all that this command does: unset it", s.Off)
	}
	return nil, nil
}

// Open returns the output, or nil if a variable turns OTLP off. If env.Stdout is
// set, the output prints there what it would send, and sends nothing.
func Open(c *config.Config, env output.Env) (output.Output, error) {
	s, err := settingsOf(c, env)
	if err != nil {
		return nil, err
	}
	if s == nil {
		env.Log.Warn("not pushing over OTLP: a variable of the environment turns it off")
		return nil, nil
	}
	for _, w := range s.Warnings {
		env.Log.Warn(w.Error())
	}
	o := &Output{settings: s, env: env, prints: env.Stdout != nil}
	o.store, err = output.NewStore(otel.StoreOptions{Bounds: s.Bounds, Exponential: s.Histogram == "exponential", Metrics: s.Metrics}, env)
	if err != nil {
		return nil, err
	}
	exporter, err := o.exporter()
	if err != nil {
		return nil, err
	}
	o.instance = NewInstance(env.Command, c.File, env.Once)
	resource, err := NewResource(s.Resource, env.Version, o.instance.ID, env.Log)
	if err != nil {
		return nil, errors.Join(err, o.instance.Close(), exporter.Shutdown(context.Background()))
	}
	o.pusher = otel.NewPusher(o.store.Store, exporter, resource)
	o.pusher.Interval, o.pusher.Timeout, o.pusher.Log = s.Interval, s.Timeout, env.Log
	return o, nil
}

func (o *Output) exporter() (Exporter, error) {
	if o.prints {
		return NewPrinter(o.settings, o.env.Stdout, o.env.Log)
	}
	return NewExporter(o.settings, o.env.Version, o.env.Log)
}

func (o *Output) String() string {
	if o.prints {
		return "OTLP in JSON to stdout"
	}
	return "OTLP (" + o.settings.Protocol + ") to " + o.settings.Endpoint
}

// Record counts the result of one series.
func (o *Output) Record(t *monitor.Target, r *icmpcore.PingResult) { o.store.Record(t, r) }

// Forget ends the series of a target.
func (o *Output) Forget(t *monitor.Target) { o.store.Forget(t) }

// Files returns the names of the certificates and the key, which each connection reads.
func (o *Output) Files() []string {
	return slices.DeleteFunc([]string{o.settings.CAFile, o.settings.CertFile, o.settings.KeyFile}, func(name string) bool { return name == "" })
}

// RecordPath counts what is known of the path to a target.
func (o *Output) RecordPath(t *monitor.Target, p *output.Path) { o.store.RecordPath(t, p) }

// Counts returns how many pushes have failed.
func (o *Output) Counts() []output.Count {
	return []output.Count{{Name: "pushes_failed", Value: o.store.Failed()}}
}

// Reload takes over the interval. All other changes need a restart.
func (o *Output) Reload(next *config.Config) {
	s, err := settingsOf(next, o.env)
	if err != nil || s == nil { // Check has passed: a file that the settings name has changed since
		o.env.Log.Warn("the settings of OTLP stay as they were", "error", err)
		return
	}
	o.pusher.SetInterval(s.Interval)
	was := *o.settings
	was.Interval = s.Interval
	if keys := was.Changes(s); len(keys) > 0 {
		o.env.Log.Warn("restart pingtel to change " + strings.Join(keys, ", "))
	}
}

// Run pushes once in every interval.
func (o *Output) Run(ctx context.Context) error { return o.pusher.Run(ctx) }

// Close pushes a last time.
func (o *Output) Close(ctx context.Context) error {
	return errors.Join(o.pusher.Close(ctx), o.instance.Close())
}
