// Package execd is the output of pingtel as a plugin of Telegraf: results in line
// protocol on stdout, as inputs.execd reads them.
package execd

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/internal/monitor"
	"github.com/pingtel/pingtel/internal/output"
	"github.com/pingtel/pingtel/plugin"
)

// Output writes results to stdout. Make one with [Open].
type Output struct {
	out     *plugin.Output
	env     output.Env
	signal  string             // in force since the start
	renewed chan time.Duration // holds the interval of the newest file, for Run
	tags    []plugin.Tag       // reused by Record, which comes one call at a time
	every   time.Duration      // from one line about the process itself to the next

	mu      sync.Mutex // guards what follows
	dropped uint64     // lines, when that was last logged
	missed  uint64     // rounds, when that was last logged
	format  plugin.Format
	own     map[*float64]*plugin.Encoder // of targets with percentiles of their own, by the first of these
	line    []byte                       // reused
}

// Open returns the output to env.Stdout.
func Open(c *config.Config, env output.Env) (output.Output, error) {
	return &Output{
		out: plugin.NewOutput(env.Stdout, formatOf(c), 0, env.Log), env: env, signal: c.Telegraf.Signal,
		renewed: make(chan time.Duration, 1), every: c.Agent.Interval, format: formatOf(c),
	}, nil
}

func formatOf(c *config.Config) plugin.Format {
	f := plugin.Format{Measurement: c.Telegraf.Measurement, Percentiles: c.Telegraf.Percentiles}
	if f.Percentiles == nil {
		f.Percentiles = []float64{} // the file asks for none
	}
	return f
}

func (o *Output) String() string { return "line protocol to stdout" }

// Record writes one result. A series that was cancelled before its first request has
// none.
func (o *Output) Record(t *monitor.Target, r *icmpcore.PingResult) {
	ended := errors.Is(r.Err, context.Canceled) || errors.Is(r.Err, net.ErrClosed)
	if ended && r.Sent == 0 {
		return
	}
	o.tags = o.tags[:0]
	for _, tag := range t.Tags {
		o.tags = append(o.tags, plugin.Tag(tag))
	}
	if t.Percentiles == nil {
		o.out.Write(t.Host, o.tags, r)
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	line, err := o.encoder(t.Percentiles).Append(o.line[:0], t.Host, o.tags, r)
	if err != nil { // nothing that a file or the network says comes to this
		o.env.Log.Error("a result cannot be written", "error", err)
		return
	}
	o.line = line
	o.out.WriteLine(line)
}

// encoder returns the encoder of targets with percentiles of their own, which the
// targets of a table share. o.mu is held.
func (o *Output) encoder(percentiles []float64) *plugin.Encoder {
	var first *float64
	if len(percentiles) > 0 {
		first = &percentiles[0]
	}
	e := o.own[first]
	if e == nil {
		if o.own == nil {
			o.own = make(map[*float64]*plugin.Encoder)
		}
		e = plugin.NewEncoder(plugin.Format{Measurement: o.format.Measurement, Percentiles: percentiles})
		o.own[first] = e
	}
	return e
}

// Forget does nothing: this output keeps nothing of a target.
func (o *Output) Forget(*monitor.Target) {}

// Reload takes over the format and the interval.
func (o *Output) Reload(next *config.Config) {
	if next.Telegraf.Signal != o.signal {
		o.env.Log.Warn("restart pingtel to change telegraf.signal", "in_force", o.signal, "file", next.Telegraf.Signal)
	}
	o.mu.Lock()
	o.format, o.own = formatOf(next), nil
	o.out.SetFormat(o.format)
	o.mu.Unlock()
	select {
	case <-o.renewed: // the interval before, which Run has not seen
	default:
	}
	o.renewed <- next.Agent.Interval
}

// Run writes a line about the process itself once in every interval, and logs what
// was left out. It returns an error if stdout cannot be written.
func (o *Output) Run(ctx context.Context) error {
	tick := time.NewTicker(o.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-o.out.Failed():
			return o.out.Close(ctx) // at once: there is nothing to wait for
		case every := <-o.renewed:
			tick.Reset(every)
		case <-tick.C:
			o.report()
		}
	}
}

// report writes the lines about the process itself.
func (o *Output) report() {
	own := o.env.Own()
	o.logDropped()
	o.logMissed(own.RoundsMissed)
	now := time.Now()
	line, err := appendOwn(nil, now, own, o.out.Stats())
	if err != nil {
		o.env.Log.Error("a line about pingtel itself cannot be written", "error", err)
		return
	}
	o.out.WriteLine(line)
	for _, s := range own.Sources {
		if line, err = appendSource(nil, now, s); err != nil {
			o.env.Log.Error("a line about a source cannot be written", "error", err)
			continue
		}
		o.out.WriteLine(line)
	}
}

// logMissed logs how many rounds were left out since the last time.
func (o *Output) logMissed(all uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if missed := all - o.missed; missed > 0 {
		o.env.Log.Warn("rounds were asked for faster than they end: some were left out", "rounds", missed, "in_all", all)
		o.missed = all
	}
}

// logDropped logs how many lines were dropped since the last time, unless stdout has
// failed: that ends the process, with its own message.
func (o *Output) logDropped() {
	select {
	case <-o.out.Failed():
		return
	default:
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	all := o.out.Stats().LinesDropped
	if lost := all - o.dropped; lost > 0 {
		o.env.Log.Warn("stdout is not read fast enough: the oldest lines were dropped", "lines", lost, "in_all", all)
	}
	o.dropped = all
}

// Close writes the lines that wait. If nobody reads them, Close logs that and returns
// no error: a parent that stops pingtel without reading its lines does not want them.
func (o *Output) Close(ctx context.Context) error {
	o.logDropped()
	err := o.out.Close(ctx)
	if errors.Is(err, plugin.ErrUnread) {
		o.env.Log.Warn("lines are lost at the end", "error", err)
		return nil
	}
	return err
}
