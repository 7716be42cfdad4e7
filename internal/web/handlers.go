package web

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"io"
	"mime"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/pingtel/pingtel/internal/output"
)

// handler serves all paths.
func (o *Output) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /-/healthy", func(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, "healthy\n") })
	mux.HandleFunc("GET /-/ready", o.ready)
	index := "pingtel " + o.env.Version + "\n\n/-/healthy\n/-/ready\n"
	if o.config.Metrics {
		mux.HandleFunc("GET /metrics", o.metrics)
		index += "/metrics\n"
	}
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, index) })
	return http.MaxBytesHandler(secured(mux), 0)
}

// secured adds the headers that keep a browser from taking text for anything else.
func secured(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Content-Security-Policy", "default-src 'none'")
		h.ServeHTTP(w, r)
	})
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	io.WriteString(w, text) //nolint:errcheck // the client has left
}

// stalledTime is how far the schedule may be behind for the process to be ready.
const stalledTime = 10 * time.Second

// ready says whether the process measures: its sockets are open, it has targets,
// the schedule is not behind, and it knows the other probers of its fleet.
func (o *Output) ready(w http.ResponseWriter, _ *http.Request) {
	o.mu.Lock()
	own := o.own
	o.mu.Unlock()
	if own == nil {
		plain(w, http.StatusServiceUnavailable, "not running\n")
		return
	}
	switch s := own(); {
	case s.Fleet != nil && s.Fleet.Waiting:
		plain(w, http.StatusServiceUnavailable, "the other probers of the fleet are not known yet\n")
	case s.Schedule.Targets == 0 && s.Fleet == nil: // in a fleet the others may have them all
		plain(w, http.StatusServiceUnavailable, "no targets\n")
	case s.Behind > stalledTime:
		plain(w, http.StatusServiceUnavailable, fmt.Sprintf("the schedule is %v behind\n", s.Behind.Round(time.Second)))
	default:
		plain(w, http.StatusOK, "ready\n")
	}
}

// packers are gzip writers to use again.
var packers = sync.Pool{New: func() any {
	z, err := gzip.NewWriterLevel(io.Discard, gzip.BestSpeed)
	if err != nil { // the level is a constant
		panic(err)
	}
	return z
}}

// metrics answers a scrape.
func (o *Output) metrics(w http.ResponseWriter, r *http.Request) {
	select {
	case o.scrapes <- struct{}{}:
		defer func() { <-o.scrapes }()
	default:
		w.Header().Set("Retry-After", "1")
		plain(w, http.StatusServiceUnavailable, fmt.Sprintf("%d scrapes are being answered already\n", maxScrapes))
		return
	}
	open := wantsOpenMetrics(r.Header.Get("Accept"))
	w.Header().Set("Content-Type", map[bool]string{
		false: "text/plain; version=0.0.4; charset=utf-8",
		true:  "application/openmetrics-text; version=1.0.0; charset=utf-8",
	}[open])
	w.Header().Set("Vary", "Accept, Accept-Encoding")
	to := io.Writer(w)
	if acceptsGzip(r.Header.Get("Accept-Encoding")) {
		w.Header().Set("Content-Encoding", "gzip")
		z := packers.Get().(*gzip.Writer)
		z.Reset(w)
		defer func() {
			if err := z.Close(); err != nil {
				o.env.Log.Debug("a scrape was cut short", "error", err)
			}
			z.Reset(io.Discard)
			packers.Put(z)
		}()
		to = z
	}
	if err := o.write(to, open); err != nil {
		o.env.Log.Debug("a scrape was cut short", "error", err)
		panic(http.ErrAbortHandler) // the answer must not look complete
	}
}

// write writes all metrics.
func (o *Output) write(to io.Writer, open bool) error {
	if err := o.store.WriteText(to, open); err != nil {
		return err
	}
	b := bufio.NewWriter(to)
	writeOwn(b, o.env.Version, o.env.Own(), open)
	if open {
		b.WriteString("# EOF\n") //nolint:errcheck // Flush returns it
	}
	return b.Flush()
}

// writeOwn writes what the process knows of itself.
func writeOwn(b *bufio.Writer, version string, own output.Own, open bool) {
	family := func(name, kind, help string) {
		if open {
			name = strings.TrimSuffix(name, "_total")
		}
		fmt.Fprintf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
	}
	count := func(name, help string, n uint64) {
		family("pingtel_"+name+"_total", "counter", help)
		fmt.Fprintf(b, "pingtel_%s_total %d\n", name, n)
	}
	gauge := func(name, help string, n int) {
		family("pingtel_"+name, "gauge", help)
		fmt.Fprintf(b, "pingtel_%s %d\n", name, n)
	}
	family("pingtel_build_info", "gauge", "1, with the version of pingtel and of Go.")
	fmt.Fprintf(b, "pingtel_build_info{version=%s,goversion=%s} 1\n", strconv.Quote(version), strconv.Quote(runtime.Version()))
	e, s := own.Engine, own.Schedule
	count("echo_requests", "Echo requests sent.", e.Sent)
	count("echo_replies", "Replies in time.", e.Received)
	count("echo_timeouts", "Echo requests without a reply in time.", e.Timeouts)
	count("duplicate_replies", "Further replies to one request.", e.Duplicates)
	count("late_replies", "Replies after the timeout.", e.Late)
	count("corrupt_replies", "Replies with a wrong checksum, payload or length.", e.Corrupt)
	count("icmp_errors", "ICMP errors about our requests.", e.Errors)
	count("send_errors", "Echo requests that the system refused to send.", e.SendErrors)
	count("send_waits", "Times that the send queue of the system was full.", e.SendWaits)
	count("receive_errors", "Errors of reading from a socket.", e.ReceiveErrors)
	count("clock_steps", "Steps of the wall clock.", e.ClockSteps)
	count("series", "Series begun.", s.Series)
	count("lookup_failures", "Look-ups of names that gave no address.", s.LookupFailures)
	count("rounds_missed", "Rounds on demand that were left out.", own.RoundsMissed)
	gauge("series_running", "Series under way.", s.Running)
	gauge("goroutines", "Goroutines of the process.", runtime.NumGoroutine())
	for _, c := range own.Outputs {
		count(c.Name, "Count of an output: "+strings.ReplaceAll(c.Name, "_", " ")+".", c.Value)
	}
}

// wantsOpenMetrics reports whether an Accept header prefers OpenMetrics to the
// text format, which is the answer to every other one.
func wantsOpenMetrics(accept string) bool {
	best := map[bool]float64{}
	for part := range strings.SplitSeq(accept, ",") {
		kind, params, err := mime.ParseMediaType(strings.TrimSpace(part))
		if err != nil {
			continue
		}
		q := 1.0
		if s, ok := params["q"]; ok {
			if q, err = strconv.ParseFloat(s, 64); err != nil {
				continue
			}
		}
		switch version := params["version"]; {
		case kind == "application/openmetrics-text" && (version == "" || version == "0.0.1" || version == "1.0.0"):
			best[true] = max(best[true], q)
		case kind == "text/plain" && (version == "" || version == "0.0.4"):
			best[false] = max(best[false], q)
		}
	}
	return best[true] > 0 && best[true] >= best[false]
}

// acceptsGzip reports whether an Accept-Encoding header names gzip.
func acceptsGzip(header string) bool {
	for part := range strings.SplitSeq(header, ",") {
		name, q, weighed := strings.Cut(strings.ReplaceAll(part, " ", ""), ";q=")
		weight, err := strconv.ParseFloat(q, 64)
		if name == "gzip" && (!weighed || err == nil && weight > 0) {
			return true
		}
	}
	return false
}
