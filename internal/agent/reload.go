package agent

import (
	"errors"
	"os"
	"runtime"
	"strings"

	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/internal/sdnotify"
)

// reload reads the file again and takes it over, or says why the old one stays
// in force.
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
	a.monitor.Reload(next)
}

// takeOver puts c in force, except for its targets, and warns of what in it
// cannot work as it stands.
func (a *agent) takeOver(c *config.Config) {
	a.config = c
	a.Level.Set(c.Agent.LogLevel)
	a.useProcessors(c)
	if hosts := c.Alike(); len(hosts) > 0 && a.Command == "telegraf" {
		a.Log.Warn("several targets of a host have the same tags: give them a tag each, or one hides the other", "hosts", len(hosts), "first", hosts[0])
	}
	for _, fault := range c.Missing() {
		a.warn(fault)
	}
}

// logStart says what runs.
func (a *agent) logStart() {
	var outputs []string
	for _, o := range a.outputs {
		outputs = append(outputs, o.String())
	}
	level := a.Log.Info
	if a.Once { // cron would mail it each time
		level = a.Log.Debug
	}
	level("started", "version", a.Version, "targets", len(a.config.Targets), "echoes_per_second", a.config.Plan().Rate, "outputs", strings.Join(outputs, ", "))
}

// lightRate is up to how many echo requests a second a schedule is light work: a
// tenth of one processor, unless they are large.
const lightRate = 10_000

// useProcessors leaves the runtime one processor where the schedule is light
// work and lines on stdout are all that comes of it, unless GOMAXPROCS says what
// to use. With more processors the runtime wakes another thread each time there
// is something to do, several hundred times a second, and the thread finds that
// the first one is doing it already: at 5,000 echoes a second each took 11 to 15
// µs of CPU so, and takes 9 to 11. The kernel's stamps keep the figures as they
// are.
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
