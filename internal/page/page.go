// Package page is the page: smoke graphs of all targets, drawn from their history. It
// is a part of the listener, which gives it results and requests.
package page

import (
	"context"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/internal/history"
	"github.com/pingtel/pingtel/internal/monitor"
	"github.com/pingtel/pingtel/internal/output"
)

// maxQueries is how many graphs are worked out at once: each may read a month. More
// wait, and get 503 when their client has left.
const maxQueries = 4

// Page is the page. Make one with [Open].
type Page struct {
	version string
	history *history.History
	queries chan struct{} // one for each query that is answered

	mu       sync.Mutex // guards what follows
	interval time.Duration
	targets  map[*monitor.Target]*history.Series
	shared   map[history.Key]map[*monitor.Target]bool // those that differ in their options only share a history
}

// Open opens the history.
func Open(c *config.Config, env output.Env) (*Page, error) {
	dir := ""
	if c.Agent.State != "" {
		dir = filepath.Join(c.Agent.State, "history")
	}
	h, err := history.Open(history.Options{Dir: dir, Keep: c.Web.Keep, MaxSize: c.Web.MaxSize, Log: env.Log, Now: time.Now()})
	if err != nil {
		return nil, err
	}
	p := &Page{version: env.Version, history: h, queries: make(chan struct{}, maxQueries), targets: make(map[*monitor.Target]*history.Series),
		shared: make(map[history.Key]map[*monitor.Target]bool)}
	p.Reload(c)
	return p, nil
}

// String says where the history is.
func (p *Page) String() string { return p.history.String() }

// idOf returns what a target is known by.
func idOf(t *config.Target) history.ID {
	return history.ID{Host: t.Host, Family: t.Options.Family, DSCP: t.Options.DSCP, Tags: t.Tags}
}

// Reload takes over the interval of c. Targets come with their first result, and go
// with Forget: not all of the file are this prober's, and not all are in the file.
func (p *Page) Reload(c *config.Config) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.interval = c.Agent.Interval
}

// Record takes the result of one series of echoes.
func (p *Page) Record(t *monitor.Target, r *icmpcore.PingResult) {
	p.mu.Lock()
	s := p.targets[t]
	if s == nil {
		s = p.history.Series(idOf(&t.Target))
		p.targets[t] = s
		if p.shared[s.Key()] == nil {
			p.shared[s.Key()] = make(map[*monitor.Target]bool, 1)
		}
		p.shared[s.Key()][t] = true
	}
	p.mu.Unlock()
	s.Record(r)
}

// RecordPath takes a path that is another one than before.
func (p *Page) RecordPath(t *monitor.Target, found *output.Path) {
	if found.Before == nil {
		return
	}
	p.mu.Lock()
	s := p.targets[t]
	p.mu.Unlock()
	if s == nil {
		return // it is gone, or has no result yet
	}
	s.RecordPathChange(history.PathChange{
		At: found.At.Unix(), Since: found.Before.At.Unix(), Before: found.Before.String(), After: found.Route.String(), Text: found.Verdict.Text,
	})
}

// Forget says that a target is no longer probed. If it is replaced by one with the
// same host and tags, its history goes on with the next result.
func (p *Page) Forget(t *monitor.Target) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.targets[t]
	if s == nil {
		return
	}
	delete(p.targets, t)
	for other := range p.shared[s.Key()] {
		if other != t {
			delete(p.shared[s.Key()], t)
			return
		}
	}
	delete(p.shared, s.Key())
	s.Remove()
}

// Run writes the history until ctx is done.
func (p *Page) Run(ctx context.Context) { p.history.Run(ctx) }

// Close writes what is left of the history, until ctx is done.
func (p *Page) Close(ctx context.Context) error { return p.history.Close(ctx, time.Now()) }

// Counts returns what the history lost.
func (p *Page) Counts() []output.Count {
	return []output.Count{
		{Name: "history_rounds_dropped", Value: p.history.Dropped()}, {Name: "history_path_changes_dropped", Value: p.history.PathChangesDropped()},
	}
}

// Register adds the paths of the page. zip makes a handler compress its answers.
func (p *Page) Register(mux *http.ServeMux, zip func(http.HandlerFunc) http.HandlerFunc) {
	mux.HandleFunc("GET /{$}", zip(p.index))
	mux.HandleFunc("GET /t/{keys}", zip(p.target))
	mux.HandleFunc("GET /graph/{file}", p.limited(p.graph))
	mux.HandleFunc("GET /api/targets", zip(p.apiTargets))
	mux.HandleFunc("GET /api/history/{key}", zip(p.limited(p.apiHistory)))
	mux.HandleFunc("GET /assets/{name}", zip(asset))
}

// limited bounds how many requests read the history at once.
func (p *Page) limited(f http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		select {
		case p.queries <- struct{}{}:
			defer func() { <-p.queries }()
			f(w, r)
		case <-r.Context().Done():
			http.Error(w, "many graphs are being drawn", http.StatusServiceUnavailable)
		}
	}
}

// intervalOf returns the time from one round of a target to its next, in seconds.
func (p *Page) intervalOf(k history.Key) float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	for t := range p.shared[k] {
		if t.Interval > 0 {
			return t.Interval.Seconds()
		}
	}
	return p.interval.Seconds()
}
