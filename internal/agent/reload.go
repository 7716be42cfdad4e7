package agent

import (
	"errors"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/internal/sdnotify"
)

// reload reads the file again and puts it in force, or logs why the old one stays in
// force.
func (a *agent) reload() {
	a.notify(sdnotify.Reloading)
	defer a.notify(func() error { return sdnotify.Ready(a.status()) })
	next, err := a.load()
	if err == nil {
		err = errors.Join(next.CheckSockets(a.prober.Socket), a.config.CheckReload(next))
	}
	if err != nil {
		a.Log.Error("the configuration stays as it was", "error", err)
		return
	}
	a.reloadOutputs(next)
	a.takeOver(next)
	a.monitor.Reload(a.mine)
}

// takeOver puts c in force, except for its targets, and warns of settings that cannot
// work at the moment.
func (a *agent) takeOver(c *config.Config) {
	a.config = c
	a.Level.Set(c.Agent.LogLevel)
	a.takeShare()
	if hosts := c.Alike(); len(hosts) > 0 && a.Command == "telegraf" {
		a.Log.Warn("several targets of a host have the same tags: give them a tag each, or one hides the other", "hosts", len(hosts), "first", hosts[0])
	}
	for _, fault := range c.Missing() {
		a.warn(fault)
	}
}

// takeShare finds out which targets of the configuration in force this prober
// measures from now on.
func (a *agent) takeShare() {
	a.mine, a.release = a.config, nil
	if a.fleet != nil {
		var next time.Time
		if a.mine, next = a.fleet.Take(a.config, time.Now()); !next.IsZero() {
			a.release = time.After(time.Until(next))
		}
		if p := a.mine.Plan(); p.Share > 1 {
			a.Log.Warn("this prober's part of the targets needs more echo requests than max_rate allows, so series come late or are left out: want more probers in the fleet, or a higher max_rate",
				"echoes_per_second", p.Rate, "max_rate", a.config.Agent.MaxRate)
		}
	}
	a.useProcessors(a.mine)
}

// fleetChanged returns a channel with a value when this prober has other targets.
func (a *agent) fleetChanged() <-chan struct{} {
	if a.fleet == nil {
		return nil
	}
	return a.fleet.Changed()
}

// logStart logs what runs.
func (a *agent) logStart() {
	var outputs []string
	for _, o := range a.outputs {
		outputs = append(outputs, o.String())
	}
	level := a.Log.Info
	if a.Once { // cron would mail it each time
		level = a.Log.Debug
	}
	level("started", "version", a.Version, "targets", len(a.mine.Targets), "echoes_per_second", a.mine.Plan().Rate, "outputs", strings.Join(outputs, ", "))
}

// lightRate is the number of echo requests a second up to which a schedule is light
// work: a tenth of one processor, unless the requests are large.
const lightRate = 10_000

// useProcessors gives the runtime one processor if the schedule is light work and
// lines on stdout are the only output, unless GOMAXPROCS is set. With more processors
// the runtime wakes another thread each time there is something to do, several
// hundred times a second, and that thread finds that the first one is doing it
// already. At 5,000 echoes a second an echo took 11 to 15 µs of CPU that way, and
// takes 9 to 11 with one processor. The figures do not change, because the kernel
// takes the times.
func (a *agent) useProcessors(c *config.Config) {
	if os.Getenv("GOMAXPROCS") != "" {
		return
	}
	onlyLines := a.Command == "telegraf" && len(a.outputs) == 1
	if onlyLines && !a.demand && !a.Once && c.Plan().Rate <= lightRate {
		runtime.GOMAXPROCS(1)
		return
	}
	runtime.SetDefaultGOMAXPROCS()
}

// oneLine returns the text of an error in one line.
func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }
