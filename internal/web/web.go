// Package web is the listener: /metrics for Prometheus, and what tells others
// whether the process works.
package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/exporter-toolkit/web"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/internal/monitor"
	"github.com/pingtel/pingtel/internal/output"
	"github.com/pingtel/pingtel/internal/page"
	"github.com/pingtel/pingtel/otel"
)

// Limits of the listener. A request of a scraper is a few hundred bytes, and its
// answer a few seconds' work for a slow network at most.
const (
	maxHeaderBytes = 16 << 10
	headerTime     = 5 * time.Second
	writeTime      = 30 * time.Second
	idleTime       = 2 * time.Minute

	// maxConnections is how many connections are served at once. More wait. There
	// is one for each probe, and as many for scrapes and health.
	maxConnections = 2 * maxProbes

	// maxScrapes is how many scrapes are answered at once: each holds a copy of
	// all counts. A further one gets 503.
	maxScrapes = 3
)

// Output is the listener. Make one with [Open].
type Output struct {
	config   config.Web
	env      output.Env
	listener net.Listener
	server   *http.Server
	store    *output.Store
	kept     otel.StoreOptions // those of store that the file has
	warned   map[string]bool   // warnings of tags; Reload uses it, and no other goroutine then
	scrapes  chan struct{}     // one for each scrape that is answered
	page     *page.Page        // nil: there is none
	state    string            // agent.state
	probes   *probes

	mu  sync.Mutex        // guards what follows
	own func() output.Own // nil before and after Run: the process is not ready
}

// Enabled reports whether the file turns the listener on.
func Enabled(c *config.Config) bool { return c.Web.Listen != "" }

// Check returns what is wrong with the settings: what the web configuration file
// says, and those of [otel] that /metrics shares.
func Check(c *config.Config, _ output.Env) error {
	if err := web.Validate(c.Web.ConfigFile); err != nil {
		return fmt.Errorf("web.config_file %s: %w", c.Web.ConfigFile, err)
	}
	if faults := c.Indistinct(); c.Web.Metrics && len(faults) > 0 {
		return faults
	}
	_, err := output.NewStore(storeOptions(c), output.Env{})
	return err
}

// storeOptions returns those of a store for /metrics, with the bounds and the
// instruments that OTLP would have. With an exponential histogram it keeps both kinds:
// only one format has native histograms.
func storeOptions(c *config.Config) otel.StoreOptions {
	native := c.OTel.Histogram != nil && *c.OTel.Histogram == "exponential"
	return otel.StoreOptions{Bounds: c.OTel.Bounds, Native: native, Metrics: c.OTel.Metrics}
}

// Open listens. It comes before privileges are given up, so that any port will
// do. Nothing is answered before Run.
func Open(c *config.Config, env output.Env) (output.Output, error) {
	kept := storeOptions(c)
	store, err := output.NewStore(kept, env)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", c.Web.Listen)
	if err != nil {
		return nil, fmt.Errorf("web.listen: %w", err)
	}
	limited := &limitListener{Listener: l, free: make(chan struct{}, maxConnections), closed: make(chan struct{})}
	o := &Output{config: c.Web, state: c.Agent.State, env: env, listener: limited, store: store, kept: kept, warned: make(map[string]bool), scrapes: make(chan struct{}, maxScrapes)}
	o.probes = newProbes(c, o.prober, env.Planned)
	limited.full = o.closeIdle
	if c.Web.Page {
		if o.page, err = page.Open(c, env); err != nil {
			return nil, errors.Join(err, l.Close())
		}
	}
	o.server = &http.Server{
		Handler: o.handler(), MaxHeaderBytes: maxHeaderBytes, ErrorLog: slog.NewLogLogger(env.Log.Handler(), slog.LevelDebug),
		ReadHeaderTimeout: headerTime, ReadTimeout: headerTime, WriteTimeout: writeTime, IdleTimeout: idleTime,
	}
	o.warnTags(c)
	if c.Web.ConfigFile == "" && !c.Web.Loopback() {
		env.Log.Warn("everybody who reaches the listener can read all figures, names and tags of targets: set web.config_file, or listen on a loopback address", "listen", c.Web.Listen)
	}
	o.warnProbes(c)
	return o, nil
}

// warnTags names the tags that /metrics cannot have, each once.
func (o *Output) warnTags(c *config.Config) {
	if !o.config.Metrics {
		return
	}
	for _, w := range c.TagWarnings() {
		if text := w.Error(); !o.warned[text] {
			o.warned[text] = true
			o.env.Log.Warn(text)
		}
	}
}

// warnProbes says what everybody can make this process send.
func (o *Output) warnProbes(c *config.Config) {
	if c.Web.Probe.On() && o.config.ConfigFile == "" && !o.config.Loopback() {
		o.env.Log.Warn("everybody who reaches the listener can make pingtel ping these addresses and look up any name: set web.config_file, or listen on a loopback address",
			"listen", o.config.Listen, "allow", c.Web.Probe.AllowText())
	}
}

// prober returns the Pinger of the process while it runs, else nil.
func (o *Output) prober() monitor.Prober {
	o.mu.Lock()
	running := o.own != nil
	o.mu.Unlock()
	if !running {
		return nil
	}
	return o.env.Prober()
}

// closeIdle closes connections that have no request under way.
func (o *Output) closeIdle() {
	o.server.SetKeepAlivesEnabled(false)
	o.server.SetKeepAlivesEnabled(true)
}

func (o *Output) String() string {
	scheme := "http"
	if o.config.ConfigFile != "" {
		scheme = "http(s)"
	}
	paths := "/-/healthy and /-/ready"
	switch probes := o.config.Probe.On(); {
	case o.config.Metrics && probes:
		paths = "/metrics and /probe"
	case o.config.Metrics:
		paths = "/metrics"
	case probes:
		paths = "/probe"
	}
	if o.page != nil {
		paths = "the page (history " + o.page.String() + "), " + paths
	}
	return fmt.Sprintf("%s on %s://%s", paths, scheme, o.listener.Addr())
}

// Record counts the result of one series.
func (o *Output) Record(t *monitor.Target, r *icmpcore.PingResult) {
	if o.config.Metrics {
		o.store.Record(t, r)
	}
	if o.page != nil {
		o.page.Record(t, r)
	}
}

// Forget ends the series of a target.
func (o *Output) Forget(t *monitor.Target) {
	o.store.Forget(t)
	if o.page != nil {
		o.page.Forget(t)
	}
}

// Counts returns what the history of the page lost.
func (o *Output) Counts() []output.Count {
	if o.page == nil {
		return nil
	}
	return o.page.Counts()
}

// RecordPath counts what is known of the path to a target, and the page shows changes.
func (o *Output) RecordPath(t *monitor.Target, p *output.Path) {
	o.store.RecordPath(t, p)
	if o.page != nil {
		o.page.RecordPath(t, p)
	}
}

// Reload logs what takes a restart.
func (o *Output) Reload(next *config.Config) {
	var keys []string
	if next.Web.Listen != o.config.Listen {
		keys = append(keys, "web.listen")
	}
	if next.Web.ConfigFile != o.config.ConfigFile {
		keys = append(keys, "web.config_file")
	}
	if next.Web.Metrics != o.config.Metrics {
		keys = append(keys, "web.metrics")
	} else if o.config.Metrics {
		keys = append(keys, o.storeKeys(next)...)
	}
	if was, is := &o.config, &next.Web; was.Page != is.Page || was.Page && (was.Keep != is.Keep || was.MaxSize != is.MaxSize) {
		keys = append(keys, "web.page, web.keep or web.max_size")
	}
	if o.page != nil && next.Agent.State != o.state {
		keys = append(keys, "agent.state")
	}
	if o.page != nil {
		o.page.Reload(next)
	}
	was := o.probes.settings.Load().AllowText()
	o.probes.reload(next)
	o.warnTags(next)
	if next.Web.Probe.AllowText() != was {
		o.warnProbes(next)
	}
	if len(keys) > 0 {
		o.env.Log.Warn("restart pingtel to change " + strings.Join(keys, ", "))
	}
}

// storeKeys returns the keys that would make another store for /metrics.
func (o *Output) storeKeys(next *config.Config) (keys []string) {
	is := storeOptions(next)
	if !slices.Equal(is.Bounds, o.kept.Bounds) {
		keys = append(keys, "otel.bounds of /metrics")
	}
	if is.Native != o.kept.Native {
		keys = append(keys, "otel.histogram of /metrics")
	}
	if !slices.Equal(is.Metrics, o.kept.Metrics) {
		keys = append(keys, "otel.metrics of /metrics")
	}
	return keys
}

// Run answers requests until ctx is done.
func (o *Output) Run(ctx context.Context) error {
	o.mu.Lock()
	o.own = o.env.Own
	o.mu.Unlock()
	var parts sync.WaitGroup
	defer parts.Wait()
	if o.page != nil {
		running, end := context.WithCancel(ctx)
		defer end()
		parts.Go(func() { o.page.Run(running) })
	}
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		o.ending()
	})
	no := false
	err := web.Serve(o.listener, o.server, &web.FlagConfig{
		WebListenAddresses: &[]string{o.config.Listen}, WebSystemdSocket: &no, WebConfigFile: &o.config.ConfigFile,
	}, slog.New(warnings{o.env.Log.Handler()}))
	if !stop() {
		<-ended // requests under way have their time
		return nil
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("listener on %s: %w", o.config.Listen, err)
}

// warnings is a handler without exporter-toolkit's messages on where it listens:
// the line at the start says so.
type warnings struct{ slog.Handler }

func (w warnings) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn && w.Handler.Enabled(ctx, l)
}

// ending makes /-/ready fail, and takes no new connections.
func (o *Output) ending() {
	o.mu.Lock()
	o.own = nil
	o.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := o.server.Shutdown(ctx); err != nil {
		o.env.Log.Debug("requests under way were cut short", "error", err)
	}
}

// Close ends all connections, and writes what is left of the history.
func (o *Output) Close(ctx context.Context) error {
	err := o.server.Close()
	if closed := o.listener.Close(); err == nil && !errors.Is(closed, net.ErrClosed) {
		err = closed
	}
	if o.page != nil {
		err = errors.Join(err, o.page.Close(ctx))
	}
	return err
}
