package web

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/prometheus/common/expfmt"

	"github.com/pingtel/pingtel/internal/config"
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
	mux.Handle("GET /probe", o.probes)
	if o.config.Probe.On() {
		index += "/probe?target=HOST&module=" + config.DefaultModule + "\n"
	}
	if o.page != nil {
		o.page.Register(mux, zipped)
	} else {
		mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, index) })
	}
	return http.MaxBytesHandler(secured(mux), 0)
}

// secured adds the headers that keep a browser from taking text for anything else. It
// joins what a client accepts in several lines, which a proxy may make of one.
func secured(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, name := range []string{"Accept", "Accept-Encoding"} {
			if lines := r.Header[name]; len(lines) > 1 {
				r.Header.Set(name, strings.Join(lines, ","))
			}
		}
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
	s := own()
	targets := s.Schedule.Targets
	if s.Fleet != nil { // whose other probers may have them all
		targets = s.Fleet.Targets
	}
	switch {
	case s.Fleet != nil && s.Fleet.Waiting:
		plain(w, http.StatusServiceUnavailable, "the other probers of the fleet are not known yet\n")
	case targets == 0 && !o.probes.settings.Load().On(): // with /probe they may come from requests alone
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

// zipped makes a handler compress its answers for clients that take it.
func zipped(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Vary", "Accept-Encoding")
		if !acceptsGzip(r.Header.Get("Accept-Encoding")) {
			h(w, r)
			return
		}
		z := &zipWriter{ResponseWriter: w}
		defer z.close()
		h(z, r)
	}
}

// zipWriter compresses an answer that has a body.
type zipWriter struct {
	http.ResponseWriter
	z *gzip.Writer
}

func (w *zipWriter) WriteHeader(status int) {
	if w.z == nil && status != http.StatusNotModified {
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Del("Content-Length")
		w.z = packers.Get().(*gzip.Writer)
		w.z.Reset(w.ResponseWriter)
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *zipWriter) Write(b []byte) (int, error) {
	if w.z == nil {
		w.WriteHeader(http.StatusOK)
	}
	return w.z.Write(b)
}

// close ends the answer. A client that has left is no fault.
func (w *zipWriter) close() {
	if w.z != nil {
		w.z.Close()
		w.z.Reset(io.Discard)
		packers.Put(w.z)
	}
}

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
	f := formatOf(r.Header.Get("Accept"))
	w.Header().Set("Content-Type", contentTypes[f])
	w.Header().Set("Vary", "Accept, Accept-Encoding")
	to := io.Writer(&paced{ResponseWriter: w, control: http.NewResponseController(w)})
	if acceptsGzip(r.Header.Get("Accept-Encoding")) {
		w.Header().Set("Content-Encoding", "gzip")
		z := packers.Get().(*gzip.Writer)
		z.Reset(to)
		defer func() {
			if err := z.Close(); err != nil {
				o.env.Log.Debug("a scrape was cut short", "error", err)
			}
			z.Reset(io.Discard)
			packers.Put(z)
		}()
		to = z
	}
	if err := o.write(to, f); err != nil {
		o.env.Log.Debug("a scrape was cut short", "error", err)
		panic(http.ErrAbortHandler) // the answer must not look complete
	}
}

// A reader that takes less than minRate, after some time that is free, loses its
// place among those that are answered.
const (
	freeTime = 3 * time.Second
	minRate  = 256 << 10 // bytes a second, compressed if they are
)

// paced is an answer for a reader that must not be too slow. Only the time counts
// in which the reader is waited for: a scrape of many targets on a busy machine takes
// longer than freeTime before there is anything to read.
type paced struct {
	http.ResponseWriter
	control *http.ResponseController
	written int
	waited  time.Duration
}

func (p *paced) Write(b []byte) (int, error) {
	p.written += len(b)
	within := min(freeTime+time.Duration(p.written)*time.Second/minRate, writeTime) - p.waited
	begun := time.Now()
	if err := p.control.SetWriteDeadline(begun.Add(within)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	defer func() { p.waited += time.Since(begun) }()
	return p.ResponseWriter.Write(b)
}

// write writes all metrics.
func (o *Output) write(to io.Writer, f format) error {
	var err error
	if f == protobufFormat {
		err = o.store.WriteProtobuf(to)
	} else {
		err = o.store.WriteText(to, f == openFormat)
	}
	if err != nil {
		return err
	}
	b := bufio.NewWriter(to)
	encoder := expfmt.NewEncoder(b, encoderFormats[f])
	own := o.ownFamilies()
	o.probes.addTo(&own)
	for _, family := range own {
		if err := encoder.Encode(family); err != nil {
			return err
		}
	}
	if end, ok := encoder.(expfmt.Closer); ok {
		if err := end.Close(); err != nil {
			return err
		}
	}
	return b.Flush()
}
