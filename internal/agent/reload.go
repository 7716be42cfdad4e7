package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"

	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/internal/sdnotify"
)

// reload reads the file again and puts it in force, or logs why the old one stays in
// force.
func (a *agent) reload(ctx context.Context) {
	a.notify(sdnotify.Reloading)
	defer a.notify(func() error { return sdnotify.Ready(a.status()) })
	next, err := a.load()
	if err == nil {
		err = errors.Join(next.CheckSockets(a.prober.Socket), a.config.CheckReload(next))
	}
	if err != nil {
		a.Log.Error("the configuration stays as it was", "error", a.explained(err))
		return
	}
	a.reloadOutputs(next)
	next = a.readSources(ctx, next)
	a.takeOver(next)
	a.monitor.Reload(a.mine)
}

// takeOver puts c in force, except for its targets, and warns of settings that cannot
// work at the moment.
func (a *agent) takeOver(c *config.Config) {
	a.config = c
	a.Level.Set(c.Agent.LogLevel)
	a.takeShare()
	a.alike = ""
	a.warnAlike(a.mine)
	for _, fault := range c.Missing() {
		a.warn(fault)
	}
}

// warnAlike warns of targets that line protocol cannot tell apart, once.
func (a *agent) warnAlike(c *config.Config) {
	if a.Command != "telegraf" {
		return
	}
	hosts := c.AlikeSince(a.apart)
	if a.apart = nil; len(hosts) == 0 {
		a.apart = c.Targets
	}
	about := fmt.Sprint(len(hosts), hosts[:min(1, len(hosts))])
	if len(hosts) > 0 && about != a.alike {
		a.Log.Warn("several targets of a host have the same tags: give them a tag each, or one hides the other", "hosts", len(hosts), "first", hosts[0])
	}
	a.alike = about
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
// lines on stdout are the only output, unless GOMAXPROCS is set. rate is that of the
// schedule, in echo requests a second. With more processors the runtime wakes another
// thread each time there is something to do, several hundred times a second, and that
// thread finds that the first one is doing it already. At 5,000 echoes a second an echo
// took 11 to 15 µs of CPU that way, and takes 9 to 11 with one processor. The figures do
// not change, because the kernel takes the times.
func (a *agent) useProcessors(rate float64) {
	if os.Getenv("GOMAXPROCS") != "" {
		return
	}
	onlyLines := a.Command == "telegraf" && len(a.outputs) == 1
	if onlyLines && !a.demand && !a.Once && rate <= lightRate {
		runtime.GOMAXPROCS(1)
		return
	}
	runtime.SetDefaultGOMAXPROCS()
}

// oneLine returns the text of an error in one line.
func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }
