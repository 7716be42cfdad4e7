// Package agent is the running process. It reads the file, opens the sockets, and
// runs the schedule and the outputs until the end. Every command that runs until it
// is stopped runs an agent, except for those of a terminal.
package agent

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/internal/discovery"
	"github.com/pingtel/pingtel/internal/fleet"
	"github.com/pingtel/pingtel/internal/monitor"
	"github.com/pingtel/pingtel/internal/output"
)

// How long the end may take. Telegraf closes stdin and sends SIGTERM five seconds
// later; service managers and container runtimes kill after ten seconds or more. So
// the end takes five seconds at most, and three more where this prober hands its
// targets over to others, which Telegraf's seconds do not leave time for.
const (
	// drainTime is how long running series may take to finish.
	drainTime = 2700 * time.Millisecond

	// closeTime is how long the outputs may take after that. They may also use what
	// is left of drainTime.
	closeTime = 2 * time.Second

	// leaveFleetTime and handOverTime come before that in a fleet whose members know
	// each other: to say that this one goes, and for the others to begin.
	leaveFleetTime = time.Second
	handOverTime   = 2 * time.Second
	// takeOverTime is how soon a target that comes to this prober has its first series.
	takeOverTime = 1500 * time.Millisecond
	// leaveTime is how long an output whose time is over may take to notice.
	leaveTime = 100 * time.Millisecond
)

// maxRounds is how many rounds on demand may run at once.
const maxRounds = 4

// stalledTime is how far the schedule may be behind before the watchdog is no longer
// told that the process works.
const stalledTime = 10 * time.Second

// Prober is the part of an [icmpcore.Pinger] that the process needs.
type Prober interface {
	monitor.Prober
	Socket(f icmpcore.Family) icmpcore.SocketKind
	Stats() icmpcore.Stats
	Close() error
}

// Options say what runs.
type Options struct {
	// Command is the command of pingtel. The commands "otel" and "telegraf" have the
	// output of their name whatever the file says.
	Command string
	Version string // of pingtel

	// Load reads the file. It is called at the start and for each reload.
	Load func() (*config.Config, error)

	// Open opens the sockets that a file asks for, and gives up privileges. It calls
	// warn if it cannot give them up.
	Open func(ctx context.Context, c *config.Config, warn func(error)) (Prober, error)

	// Confine restricts the process, for good, to reading below some folders and to
	// writing below others. It is called once everything is open, if the process
	// listens. Nil: nothing restricts it.
	Confine func(read, write []string) error

	Log   *slog.Logger
	Level *slog.LevelVar // of Log; set by the file

	// Signals receives the signals of the process, except for those that end it.
	Signals <-chan os.Signal

	// Stdin, if not nil, is where Telegraf's inputs.execd speaks to the process.
	Stdin io.Reader

	// Stdout is where outputs print: that of the telegraf command, and OTLP if
	// PrintOTLP is set.
	Stdout    io.Writer
	PrintOTLP bool

	// Once runs one round and ends.
	Once bool
}

// agent is the running process.
type agent struct {
	Options

	config  *config.Config // in force, with the targets of its sources
	sources atomic.Pointer[discovery.Set]
	mine    *config.Config   // the same with this prober's targets alone
	fleet   *fleet.Fleet     // nil: all targets are this prober's
	release <-chan time.Time // when targets are to be given up that are others' now; nil if there are none
	prober  Prober
	outputs []running
	monitor *monitor.Monitor
	started time.Time
	demand  bool            // rounds come on demand, not by the schedule
	alike   string          // what was last warned of
	apart   []config.Target // targets that line protocol can tell apart, of which the next ones are compared

	confined bool          // by Confine
	planned  atomic.Uint64 // echo requests a second of the schedule: the bits of a float64

	rounds sync.WaitGroup // on demand
	slots  chan struct{}  // holds one for each round that runs
	missed atomic.Uint64  // rounds that did not run because maxRounds ran
}

// Run runs until ctx is done, Telegraf closes stdin, the one round is over, or an
// output fails for good. Then running series may finish and the outputs deliver what
// they have, for five seconds in all; in a fleet whose members know each other up to
// three seconds of handing over come before. The error says why the process could not
// start, or what was lost at the end.
func Run(ctx context.Context, o Options) error { return newAgent(o).run(ctx) }

func newAgent(o Options) *agent {
	return &agent{Options: o, slots: make(chan struct{}, maxRounds), started: time.Now()}
}

func (a *agent) run(ctx context.Context) error {
	c, err := a.load()
	if err != nil {
		return err
	}
	if err := a.start(ctx, c); err != nil {
		return err
	}
	if a.Once {
		return a.once(ctx)
	}
	return a.serve(ctx)
}

// load reads the file, and checks it for each output that it turns on.
func (a *agent) load() (*config.Config, error) {
	c, err := a.Load()
	if err != nil {
		return nil, err
	}
	for _, k := range kinds() {
		if k.check != nil && a.wants(k, c) {
			if err := k.check(c, a.env(k)); err != nil {
				return nil, err
			}
		}
	}
	return c, nil
}

// start opens everything, and puts c in force.
func (a *agent) start(ctx context.Context, c *config.Config) (err error) {
	a.Level.Set(c.Agent.LogLevel)
	defer func() {
		if err != nil {
			err = errors.Join(err, a.abandon())
		}
	}()
	if err := a.openOutputs(c, true); err != nil { // before privileges are given up
		return err
	}
	if a.prober, err = a.Open(ctx, c, a.warn); err != nil {
		return err
	}
	if err := c.CheckSockets(a.prober.Socket); err != nil {
		return err
	}
	if err := a.openOutputs(c, false); err != nil {
		return err
	}
	if !a.delivers() {
		return errNoOutput(c)
	}
	sinks := make([]monitor.Sink, len(a.outputs))
	for i, o := range a.outputs {
		sinks[i] = o.Output
	}
	a.confine(c)
	if err := a.joinFleet(ctx, c); err != nil {
		return err
	}
	c = a.readSources(ctx, c) // by now without privileges
	a.demand = a.Stdin != nil && c.Telegraf.Signal != "none"
	a.takeOver(c)
	a.monitor = monitor.New(a.prober, a.mine, a.Log, sinks...)
	a.logStart()
	return nil
}

// abandon closes what was opened by a start that failed.
func (a *agent) abandon() error {
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // there is nothing to hand over
	if a.fleet != nil {
		ctx, cancel := context.WithTimeout(context.Background(), leaveFleetTime)
		defer cancel()
		a.fleet.Leave(ctx)
		a.fleet.Close()
	}
	err := a.closeOutputs(ctx)
	a.closeSources()
	if a.prober != nil {
		err = errors.Join(err, a.prober.Close())
	}
	return err
}

// own returns what the process knows about itself.
func (a *agent) own() output.Own {
	own := output.Own{Engine: a.prober.Stats(), RoundsMissed: a.missed.Load()}
	if a.monitor != nil { // nil where the process could not start
		own.Schedule, own.Behind = a.monitor.Stats(), a.monitor.Behind(time.Now())
	}
	if a.fleet != nil {
		own.Fleet = a.fleet.Stats()
	}
	if s := a.sources.Load(); s != nil {
		own.Sources = sourcesOf(s.Status(), a.started)
	}
	for _, o := range a.outputs {
		if c, ok := o.Output.(output.Counter); ok {
			own.Outputs = append(own.Outputs, c.Counts()...)
		}
	}
	return own
}

func (a *agent) warn(err error) { a.Log.Warn(oneLine(err)) }

// once runs one round and ends.
func (a *agent) once(ctx context.Context) error {
	running, stop := context.WithCancel(ctx)
	defer stop()
	broken := a.runOutputs(running)
	go func() { // ends with this function
		select {
		case <-broken:
			stop()
		case <-running.Done():
		}
	}()
	err := a.monitor.Round(running)
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	stop()
	return errors.Join(err, a.sources.Load().Without(), a.finish(broken))
}

// finish ends all series, and lets the outputs deliver what there is. Their Run ends
// at the same time.
func (a *agent) finish(broken <-chan struct{}) error {
	end := time.Now().Add(drainTime + closeTime)
	a.closeSources()
	a.rounds.Wait() // rounds do not wait for their series any more, but may still start some
	nobody := false // takes the results of running series
	select {
	case <-broken:
		nobody = len(a.outputs) == 1
	default:
	}
	if !nobody {
		ctx, cancel := context.WithTimeout(context.Background(), drainTime)
		if err := a.monitor.Drain(ctx); err != nil {
			a.Log.Warn("series were cut short", "series", a.monitor.Stats().Running)
		}
		cancel()
	}
	if a.fleet != nil {
		a.fleet.Close()
	}
	a.monitor.Close() // before the prober: a look-up that ends may start a series
	err := a.prober.Close()
	ctx, cancel := context.WithDeadline(context.Background(), end)
	defer cancel()
	return errors.Join(err, a.closeOutputs(ctx))
}
