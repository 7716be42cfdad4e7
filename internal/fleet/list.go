package fleet

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/internal/discovery"
)

// listEngine knows the members by a list that somebody else keeps: a file, an answer of
// an HTTP server, or names in the DNS.
type listEngine struct {
	fleet  *Fleet
	source *config.Source
	every  time.Duration
	read   time.Time // when the source gave the list that was last looked at
	alien  bool      // it has been logged that the list does not have this prober
}

func newList(f *Fleet, m *config.Members) *listEngine {
	return &listEngine{fleet: f, source: m.Source, every: m.Refresh}
}

// run looks at the list until ctx is done.
func (e *listEngine) run(ctx context.Context) {
	only := &config.Config{Agent: config.Agent{Interval: time.Hour, MaxRate: -1}, Sources: []*config.Source{e.source}}
	set := discovery.New(only, discovery.Options{})
	set.Start(ctx)
	defer set.Close()
	tick := time.NewTicker(min(e.every/8, time.Second)) // a look at what is known, which costs nothing
	defer tick.Stop()
	for {
		e.look(set.Status()[0])
		select {
		case <-ctx.Done():
			return
		case <-set.Changed():
		case <-tick.C:
		}
	}
}

// look takes the list as it is now.
func (e *listEngine) look(st discovery.Status) {
	switch {
	case len(st.Errors) > 0:
		e.fleet.away(errors.New(st.Name + ": " + strings.Join(st.Errors, "; ")))
	case !st.Listed || !st.Read.After(e.read): // nothing new
	default:
		e.read = st.Read
		e.take(st)
	}
}

// take takes a new list. An empty one is no list of a fleet that has a prober.
func (e *listEngine) take(st discovery.Status) {
	if len(st.List) == 0 && e.fleet.Stats().Members > 1 {
		e.fleet.away(errors.New(st.Name + ": the list is empty"))
		return
	}
	members := make([]Member, 0, len(st.List))
	here := false
	for i := range st.List {
		m := Member{Name: st.List[i].Host}
		for _, tag := range st.List[i].Tags {
			if tag.Key == "zone" {
				m.Zone = tag.Value
			}
		}
		if e.fleet.isSelf(m) {
			here = true
			continue
		}
		members = append(members, m)
	}
	if !here && !e.alien && len(members) > 0 {
		e.alien = true
		e.fleet.log.Warn("the list of the fleet's members does not have this prober, so the others do not count it and measure its targets too: set fleet.member to its name in the list",
			"source", st.Name, "member", e.fleet.Stats().Prober, "first_in_list", members[0].Name)
	}
	e.fleet.heard(members...)
	e.fleet.works()
}

// leave does nothing: the list is not ours.
func (*listEngine) leave(context.Context) (bool, error) { return false, nil }

func (*listEngine) close() {}

// isSelf reports whether an entry of a list is this prober: it has its name, or begins
// with its name and a dot, as the names of a StatefulSet's pods in the DNS do. All
// probers call a member by its name in the list, so this one does the same.
func (f *Fleet) isSelf(m Member) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	name := f.config.Member
	if m.Name != name && !strings.HasPrefix(m.Name, name+".") {
		return false
	}
	if m.Zone == "" {
		m.Zone = f.config.Zone
	}
	if f.view.self != m {
		f.view.self = m
		f.assign()
		f.signal()
	}
	return true
}
