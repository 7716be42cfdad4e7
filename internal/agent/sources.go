package agent

import (
	"context"
	"time"

	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/internal/discovery"
	"github.com/pingtel/pingtel/internal/output"
)

// readSources reads the sources of c, and goes on with the lists of those that were
// there before. It returns c with all targets.
func (a *agent) readSources(ctx context.Context, c *config.Config) *config.Config {
	before := a.sources.Load()
	if before != nil {
		before.Close()
	}
	next := discovery.New(c, discovery.Options{Log: a.Log, Version: a.Version, Before: before, Keep: true})
	a.sources.Store(next)
	next.Start(ctx)
	return a.owned(c)
}

func (a *agent) closeSources() {
	if s := a.sources.Load(); s != nil {
		s.Close()
	}
}

// owned returns c with the targets that this process probes. Every target comes this
// way, from the file and from all sources, on its way to the monitor. These are all
// of them: what is not this prober's in a fleet is left out by takeShare.
func (a *agent) owned(c *config.Config) *config.Config {
	owned := *c
	owned.Targets = a.sources.Load().Targets()
	return &owned
}

// retarget puts the present lists of the sources in force.
func (a *agent) retarget() {
	a.config = a.owned(a.config)
	a.reshare(0)
}

// sourcesOf returns what the process reports on its sources. A source without a list
// has none since the start.
func sourcesOf(all []discovery.Status, started time.Time) []output.Source {
	var sources []output.Source
	for _, st := range all {
		since := started
		if st.Listed {
			since = st.Read
		}
		sources = append(sources, output.Source{
			Name: st.Name, Targets: st.Targets, Age: max(0, time.Since(since)), Failures: st.Failures, Refused: st.Refused,
		})
	}
	return sources
}
