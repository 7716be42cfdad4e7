package agent

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/internal/fleet"
	"github.com/pingtel/pingtel/internal/sdnotify"
)

// joinFleet joins the fleet of c, if c has one.
func (a *agent) joinFleet(ctx context.Context, c *config.Config) error {
	if !c.Fleet.On {
		return nil
	}
	if c.Fleet.Members != nil && a.Once {
		return errors.New("fleet.members: a prober that runs one round is no member of a fleet: use shard, or run without --once")
	}
	a.fleet = fleet.New(c, a.Log)
	a.fleet.Start(ctx)
	return nil
}

// reshare puts in force which targets this prober measures, after those of the sources
// or the probers of the fleet have changed. New targets have their first series soon, or
// at their place in the interval if that is 0.
func (a *agent) reshare(soon time.Duration) {
	before := len(a.mine.Targets)
	a.takeShare()
	a.warnAlike(a.mine)
	a.monitor.ReloadSoon(a.mine, soon)
	if len(a.mine.Targets) != before {
		a.notify(func() error { return sdnotify.Ready(a.status()) })
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
	}
	plan := a.mine.Plan()
	if a.fleet != nil && plan.Share > 1 {
		a.Log.Warn("this prober's part of the targets needs more echo requests than max_rate allows, so series come late or are left out: want more probers in the fleet, or a higher max_rate",
			"echoes_per_second", plan.Rate, "max_rate", a.config.Agent.MaxRate)
	}
	a.planned.Store(math.Float64bits(plan.Rate))
	a.useProcessors(plan.Rate)
}

// fleetChanged returns a channel with a value when this prober has other targets.
func (a *agent) fleetChanged() <-chan struct{} {
	if a.fleet == nil {
		return nil
	}
	return a.fleet.Changed()
}

// handOver leaves the fleet, and goes on measuring until the others have begun with our
// targets.
func (a *agent) handOver(broken <-chan struct{}) {
	if a.fleet == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), leaveFleetTime)
	defer cancel()
	if !a.fleet.Leave(ctx) {
		return
	}
	select {
	case <-broken:
	case <-time.After(handOverTime):
	}
}
