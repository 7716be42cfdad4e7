package web

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/internal/hosts"
	"github.com/pingtel/pingtel/internal/monitor"
)

const (
	// maxProbes is how many requests of /probe are answered at once. A further
	// one gets 503.
	maxProbes = 256

	// probeTime is how long a probe may take. It ends before writeTime.
	probeTime = 25 * time.Second

	// scrapeOffset is how long before the scraper's timeout a probe ends, so that
	// its answer arrives in time. blackbox_exporter has the same.
	scrapeOffset = 500 * time.Millisecond
)

// probes answers requests of /probe: each has a series of its own, on the Pinger of
// the process. It keeps nothing of a target.
type probes struct {
	prober   func() monitor.Prober // nil unless the process runs
	planned  func() float64        // echo requests a second of the schedule
	settings atomic.Pointer[probeSettings]
	slots    chan struct{} // one for each probe under way

	done, refused atomic.Uint64
}

// probeSettings are those of the file in force.
type probeSettings struct {
	config.WebProbe
	maxRate int           // of agent
	largest int           // count of all modules
	spare   *rate.Limiter // echo requests that the schedule leaves of max_rate
}

func newProbes(c *config.Config, prober func() monitor.Prober, planned func() float64) *probes {
	p := &probes{prober: prober, planned: planned, slots: make(chan struct{}, maxProbes)}
	p.reload(c)
	return p
}

// reload puts the settings of c in force.
func (p *probes) reload(c *config.Config) {
	s := &probeSettings{WebProbe: c.Web.Probe, maxRate: c.Agent.MaxRate}
	for _, o := range s.Modules {
		s.largest = max(s.largest, o.Count)
	}
	s.spare = rate.NewLimiter(s.left(0))
	p.settings.Store(s)
}

// left returns how many echo requests a second a schedule that needs so many leaves,
// and how many of them may be saved up: those of a second, and those of one probe.
func (s *probeSettings) left(planned float64) (rate.Limit, int) {
	most := s.maxRate
	if most <= 0 {
		most = icmpcore.DefaultMaxRate // requests from the network never have echoes without a limit
	}
	left := float64(most) - planned
	if left < 1 {
		return 0, 0
	}
	return rate.Limit(left), max(int(left), s.largest)
}

// take takes echo requests from what a schedule that needs so many a second leaves.
// It reports false if there are not enough.
func (s *probeSettings) take(count int, planned float64) bool {
	if left, burst := s.left(planned); left != s.spare.Limit() { // lists of targets change
		s.spare.SetLimit(left)
		s.spare.SetBurst(burst)
	}
	return s.spare.AllowN(time.Now(), count)
}

// refusal is a request that /probe does not carry out.
type refusal struct {
	status int
	text   string
}

func (p *probes) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	settings := p.settings.Load()
	if !settings.On() {
		plain(w, http.StatusNotFound, "web.probe.allow is empty: /probe is off\n")
		return
	}
	q, refused := settings.read(r)
	if refused == nil {
		refused = p.answer(w, r, settings, q)
	}
	if refused == nil {
		p.done.Add(1)
		return
	}
	p.refused.Add(1)
	if refused.status == http.StatusServiceUnavailable || refused.status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "1")
	}
	plain(w, refused.status, refused.text+"\n")
}

// query is a request of /probe.
type query struct {
	host    string
	addr    netip.Addr // of a host that is an address
	module  string
	options icmpcore.Options
	budget  time.Duration
	debug   bool
}

// read reads a request.
func (s *probeSettings) read(r *http.Request) (query, *refusal) {
	bad := func(format string, args ...any) (query, *refusal) {
		return query{}, &refusal{http.StatusBadRequest, fmt.Sprintf(format, args...)}
	}
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return bad("the query cannot be read: want target=HOST&module=NAME")
	}
	q := query{module: values.Get("module"), debug: values.Get("debug") == "true"}
	if q.module == "" {
		q.module = config.DefaultModule
	}
	var ok bool
	if q.options, ok = s.Modules[q.module]; !ok {
		return bad("unknown module %.64q: want %s, or another one of [web.probe.modules]", q.module, config.DefaultModule)
	}
	target := values.Get("target")
	if target == "" {
		return bad("the parameter target is missing: want target=HOST")
	}
	entry, err := hosts.Parse(target)
	switch {
	case err != nil:
		return bad("target %.64q: %v", target, err)
	case !entry.Single():
		return bad("target %.64q has many hosts: want one", target)
	}
	for host := range entry.All() {
		q.host = string(host)
	}
	q.addr = entry.First()
	if q.budget, err = budgetOf(r.Header.Get("X-Prometheus-Scrape-Timeout-Seconds")); err != nil {
		return bad("X-Prometheus-Scrape-Timeout-Seconds: %v", err)
	}
	return q, nil
}

// budgetOf returns how long a probe may take for a scraper that waits so long.
func budgetOf(header string) (time.Duration, error) {
	if header == "" {
		return probeTime, nil
	}
	seconds, err := strconv.ParseFloat(header, 64)
	if err != nil || math.IsNaN(seconds) || seconds < 0 {
		return 0, fmt.Errorf("%.64q: want a number of seconds", header)
	}
	if seconds == 0 || seconds > (probeTime+scrapeOffset).Seconds() {
		return probeTime, nil
	}
	timeout := time.Duration(seconds * float64(time.Second))
	return timeout - min(scrapeOffset, timeout/2), nil
}

// answer probes a host and writes the figures, unless it returns why not.
func (p *probes) answer(w http.ResponseWriter, r *http.Request, s *probeSettings, q query) *refusal {
	prober := p.prober()
	if prober == nil {
		return &refusal{http.StatusServiceUnavailable, "not running"}
	}
	if q.addr.IsValid() && !s.Allows(q.addr) {
		return refuse(q.host, q.addr)
	}
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	default:
		return &refusal{http.StatusServiceUnavailable, fmt.Sprintf("%d probes are under way already: scrape less often, or from more than one pingtel", maxProbes)}
	}
	if !s.take(q.options.Count, p.planned()) { // before the look-up, which is traffic too
		return &refusal{http.StatusTooManyRequests, "max_rate is used up: the targets of the file come first, and probes have what they leave"}
	}
	ctx, cancel := context.WithTimeout(r.Context(), q.budget)
	defer cancel()
	got, refused := probe(ctx, prober, s, q)
	switch {
	case refused != nil:
		return refused
	case r.Context().Err() != nil:
		return nil // the client has left
	case errors.Is(got.result.Err, net.ErrClosed):
		return &refusal{http.StatusServiceUnavailable, "not running"}
	}
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	if q.debug {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	}
	writeProbe(w, q, &got)
	return nil
}

// refuse says that an address may not be probed. It does not name the address of a
// name: the listener is no way to ask the resolver.
func refuse(host string, addr netip.Addr) *refusal {
	what := host
	if _, err := netip.ParseAddr(host); err != nil {
		what = "the address of " + host
	}
	switch {
	case addr.Zone() != "":
		return &refusal{http.StatusForbidden, what + " has a zone, which /probe does not take"}
	case isGroup(addr):
		return &refusal{http.StatusForbidden, what + " is not the address of one host (it is multicast, broadcast or unspecified)"}
	}
	return &refusal{http.StatusForbidden, what + " is not in web.probe.allow"}
}

// probed is the outcome of a probe.
type probed struct {
	result               icmpcore.PingResult
	lookup, setup, taken time.Duration
}

// probe looks a host up and sends one series to the address that was found and
// allowed, and to no other.
func probe(ctx context.Context, prober monitor.Prober, s *probeSettings, q query) (got probed, refused *refusal) {
	start := time.Now()
	defer func() { got.taken = time.Since(start) }()
	target, err := prober.Resolve(ctx, q.host, q.options.Family)
	got.lookup = time.Since(start)
	got.result = icmpcore.PingResult{Host: q.host, Addr: target.Addr, Start: start, Err: err}
	if err != nil {
		return got, nil
	}
	if !s.Allows(target.Addr) || isGroup(target.Addr) {
		return got, refuse(q.host, target.Addr)
	}
	setup := time.Now()
	deadline, _ := ctx.Deadline() // there is one
	o := fit(q.options, time.Until(deadline), s.maxRate)
	results := make(chan icmpcore.PingResult, 1)
	run, err := prober.Go(target, o, func(r icmpcore.PingResult) { results <- r })
	got.setup = time.Since(setup)
	if err != nil {
		got.result.Err = err
		return got, nil
	}
	select {
	case got.result = <-results:
	case <-ctx.Done():
		run.Cancel()
		got.result = <-results // what was decided until then
	}
	return got, nil
}

// fit returns o with as few echoes, and with as short a timeout, as a series needs
// to be over in time. Then its figures are whole: an echo whose outcome is not
// known counts nowhere.
func fit(o icmpcore.Options, budget time.Duration, maxRate int) icmpcore.Options {
	const shortest = time.Millisecond // that icmpcore takes
	budget -= budget / 20             // for starting it and for the answer
	o.Timeout = max(shortest, min(o.Timeout, budget))
	for o.Count > 1 && config.SeriesTime(o, maxRate) > budget {
		apart := max((config.SeriesTime(o, maxRate)-o.Timeout)/time.Duration(o.Count-1), 1)
		o.Count = max(1, min(o.Count-1, 1+int((budget-o.Timeout)/apart)))
	}
	return o
}

// addTo adds what /probe has done, if it is on.
func (p *probes) addTo(f *families) {
	if !p.settings.Load().On() {
		return
	}
	f.count("probes", "Requests of /probe that were answered.", p.done.Load())
	f.count("probes_refused", "Requests of /probe that were refused.", p.refused.Load())
	f.gauge("probes_running", "Requests of /probe under way.", len(p.slots))
}
