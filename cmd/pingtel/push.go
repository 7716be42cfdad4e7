package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/internal/monitor"
	"github.com/pingtel/pingtel/internal/otlp"
	"github.com/pingtel/pingtel/otel"
)

// lastPushTime is how long the last push of the telegraf command may take, with
// what it has to wait for one that is under way.
// Telegraf ends stdin, sends SIGTERM five seconds later, and kills after ten.
const lastPushTime = 3 * time.Second

// otlpOutput is a [monitor.Sink] that pushes results over OTLP.
type otlpOutput struct {
	*otel.Pusher

	store    *otel.Store
	settings *config.OTelSettings
	log      *slog.Logger
	instance *otlp.Instance

	// The monitor calls Record and Forget one at a time.
	targets    map[*monitor.Target]*otel.Target
	attributes map[*config.Probe][]attribute.KeyValue
}

// newOTLPOutput makes the output of a command. stdout, if not nil, gets what
// would be sent, and nothing is sent. once says that the process makes one round
// and ends: its counts begin at zero each time, so that it cannot go on with the
// series of the one before.
func newOTLPOutput(command string, c *config.Config, s *config.OTelSettings, once bool, stdout io.Writer, log *slog.Logger,
	self func() otel.Self) (*otlpOutput, error) {
	for _, w := range s.Warnings {
		log.Warn(w.Error())
	}
	version := productVersion(buildInfo())
	o := &otlpOutput{settings: s, log: log, targets: make(map[*monitor.Target]*otel.Target), attributes: make(map[*config.Probe][]attribute.KeyValue)}
	var err error
	o.store, err = otel.NewStore(otel.StoreOptions{
		Bounds: s.Bounds, Exponential: s.Histogram == "exponential", Metrics: s.Metrics, Version: version, Self: self,
	})
	if err != nil {
		return nil, err
	}
	o.instance = otlp.NewInstance(command, c.File, once)
	resource, err := otlp.NewResource(s.Resource, version, o.instance.ID, log)
	if err != nil {
		return nil, err
	}
	newExporter := otlp.NewExporter
	if stdout != nil {
		newExporter = func(s *config.OTelSettings, _ string, log *slog.Logger) (otlp.Exporter, error) {
			return otlp.NewPrinter(s, stdout, log)
		}
	}
	exporter, err := newExporter(s, version, log)
	if err != nil {
		return nil, err
	}
	o.Pusher = otel.NewPusher(o.store, exporter, resource)
	o.Interval, o.Timeout, o.Log = s.Interval, s.Timeout, log
	return o, nil
}

// Record counts the result of one series.
func (o *otlpOutput) Record(t *monitor.Target, r *icmpcore.PingResult) {
	target := o.targets[t]
	if target == nil {
		target = o.store.Add(otel.TargetOptions{
			Host: t.Host, Family: t.Options.Family, DSCP: t.Options.DSCP, Attributes: o.attributesOf(t.Probe),
		})
		o.targets[t] = target
	}
	o.store.Record(target, r)
}

// attributesOf returns the tags of a probe, which its targets share.
func (o *otlpOutput) attributesOf(p *config.Probe) []attribute.KeyValue {
	kvs, ok := o.attributes[p]
	if !ok {
		for _, tag := range p.Tags {
			kvs = append(kvs, attribute.String(tag.Key, tag.Value))
		}
		o.attributes[p] = kvs
	}
	return kvs
}

// Forget ends the series of a target.
func (o *otlpOutput) Forget(t *monitor.Target) {
	if target := o.targets[t]; target != nil {
		o.store.Remove(target)
		delete(o.targets, t)
	}
}

// Failed returns how many pushes have failed.
func (o *otlpOutput) Failed() uint64 { return o.store.Failed() }

// Reload takes over the interval of next. All else of it takes a restart, which
// is said where there is need for one.
func (o *otlpOutput) Reload(next *config.OTelSettings) {
	o.SetInterval(next.Interval)
	s := *o.settings
	s.Interval = next.Interval
	if keys := s.Changes(next); len(keys) > 0 {
		o.log.Warn("restart pingtel to change " + strings.Join(keys, ", "))
	}
}

// Close pushes a last time and ends the output.
func (o *otlpOutput) Close(ctx context.Context) error {
	return errors.Join(o.Pusher.Close(ctx), o.instance.Close())
}

// selfOf returns what OTLP carries about the process itself.
func selfOf(engine icmpcore.Stats, schedule monitor.Stats) otel.Self {
	return otel.Self{
		Targets: schedule.Targets, Skipped: schedule.Skipped + schedule.Missed, Foreign: engine.Foreign, KernelDrops: engine.KernelDrops,
	}
}

// push is the pushing that the telegraf command does beside its own work, or
// none where output is nil.
type push struct {
	output  *otlpOutput
	monitor *monitor.Monitor
	stop    context.CancelFunc
	running sync.WaitGroup // the pushing before the last push
	parts   sync.WaitGroup
	err     error // of the end; good after wait
}

// startPush makes the output, unless settings is nil.
func startPush(c *config.Config, settings *config.OTelSettings, once bool, log *slog.Logger, p *icmpcore.Pinger) (*push, error) {
	x := &push{}
	if settings == nil {
		return x, nil
	}
	var err error
	x.output, err = newOTLPOutput("telegraf", c, settings, once, nil, log,
		func() otel.Self { return selfOf(p.Stats(), x.monitor.Stats()) })
	return x, err
}

// sinks returns first, and the output behind it.
func (x *push) sinks(first monitor.Sink) []monitor.Sink {
	if x.output == nil {
		return []monitor.Sink{first}
	}
	return []monitor.Sink{first, x.output}
}

// run pushes in the background until finish.
func (x *push) run(m *monitor.Monitor) {
	if x.output == nil {
		return
	}
	x.monitor = m
	ctx, stop := context.WithCancel(context.Background())
	x.stop = stop
	x.running.Go(func() { x.output.Run(ctx) }) // an error of it Close returns again
}

// reload takes over the settings of a file that was read again; nil where it
// wants no pushing.
func (x *push) reload(next *config.OTelSettings, log *slog.Logger) {
	switch {
	case x.output != nil && next != nil:
		x.output.Reload(next)
	case x.output != nil || next != nil:
		log.Warn("restart pingtel to change otel.enabled", "in_force", x.output != nil)
	}
}

// finish pushes a last time, in the background, after a push under way.
func (x *push) finish() {
	if x.output == nil {
		return
	}
	x.stop()
	ctx, cancel := context.WithTimeout(context.Background(), lastPushTime)
	x.parts.Go(func() {
		defer cancel()
		x.running.Wait() // for less than that
		x.err = x.output.Close(ctx)
	})
}

// wait returns when the last push is over.
func (x *push) wait() error {
	x.parts.Wait()
	return x.err
}
