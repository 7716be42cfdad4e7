//go:build unix

package otel_test

import (
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"runtime/metrics"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/attribute"

	"github.com/pingtel/pingtel/otel"
)

// BenchmarkBeside is one scrape of 20,000 targets with two tags each, by a Store and
// by client_golang's handler over a collector of the same series, one after the other
// in each format. It reports the CPU time of a scrape, by how much the memory grows in
// it at most, and how many times the Store's CPU time client_golang takes.
func BenchmarkBeside(b *testing.B) {
	const targets = 20_000
	const protobuf = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
	for _, bench := range []struct {
		name, accept string
		native       bool
		write        func(*otel.Store, io.Writer) error
	}{
		{"text", "text/plain;version=0.0.4", false, func(s *otel.Store, w io.Writer) error { return s.WriteText(w, false) }},
		{"openmetrics", "application/openmetrics-text;version=1.0.0", false, func(s *otel.Store, w io.Writer) error { return s.WriteText(w, true) }},
		{"protobuf", protobuf, false, (*otel.Store).WriteProtobuf},
		{"native", protobuf, true, (*otel.Store).WriteProtobuf},
	} {
		st := besideStore(b, targets, bench.native)
		registry := prometheus.NewRegistry()
		registry.MustRegister(newCollector(targets, bench.native))
		handler := promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true})
		for _, encoding := range []string{"identity", "gzip"} {
			var own time.Duration
			b.Run(fmt.Sprintf("%s/%s/pingtel", bench.name, encoding), func(b *testing.B) {
				own = beside(b, func(w io.Writer) error {
					if encoding == "gzip" {
						return packed(w, func(w io.Writer) error { return bench.write(st, w) })
					}
					return bench.write(st, w)
				})
			})
			b.Run(fmt.Sprintf("%s/%s/client_golang", bench.name, encoding), func(b *testing.B) {
				r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/metrics", http.NoBody)
				r.Header.Set("Accept", bench.accept)
				r.Header.Set("Accept-Encoding", encoding)
				theirs := beside(b, func(w io.Writer) error {
					to := &answer{Writer: w, header: make(http.Header)}
					handler.ServeHTTP(to, r)
					if got := to.header.Get("Content-Encoding"); to.status > http.StatusOK || (got == "gzip") != (encoding == "gzip") {
						return fmt.Errorf("status %d, encoding %q", to.status, got)
					}
					return nil
				})
				if own > 0 {
					b.ReportMetric(theirs.Seconds()/own.Seconds(), "times-pingtel")
				}
			})
		}
	}
}

// besideStore returns a store of targets with some spread in their round-trip times.
func besideStore(b *testing.B, targets int, native bool) *otel.Store {
	b.Helper()
	st, err := otel.NewStore(otel.StoreOptions{Native: native})
	if err != nil {
		b.Fatal(err)
	}
	tags := []attribute.KeyValue{attribute.String("rack", "r1"), attribute.String("site", "lab")}
	for i := range targets {
		r := seriesOf(5)
		r.Addr = netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)})
		r.Start = time.Now()
		target := st.Add(otel.TargetOptions{Host: r.Addr.String(), Attributes: tags})
		for j := range 10 {
			for k := range r.RTTs {
				r.RTTs[k] = time.Duration(10e6 * math.Exp(float64((i+j*7+k*3)%100)/50))
			}
			st.Record(target, r)
		}
	}
	return st
}

// packed is write with gzip as /metrics has it.
func packed(w io.Writer, write func(io.Writer) error) error {
	z, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
	if err != nil {
		return err
	}
	if err := write(z); err != nil {
		return err
	}
	return z.Close()
}

// answer is a ResponseWriter that keeps the header alone.
type answer struct {
	io.Writer
	header http.Header
	status int
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) { a.status = status }

// beside measures scrapes, and returns the CPU time of one.
func beside(b *testing.B, write func(io.Writer) error) time.Duration {
	b.Helper()
	runtime.GC()
	heap := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/gc/heap/live:bytes"}}
	metrics.Read(heap)
	live := heap[1].Value.Uint64()
	var most, size uint64
	counted := writerFunc(func(p []byte) (int, error) {
		if size += uint64(len(p)); size>>20 != (size-uint64(len(p)))>>20 || size == uint64(len(p)) { // at each megabyte
			metrics.Read(heap[:1])
			most = max(most, heap[0].Value.Uint64())
		}
		return len(p), nil
	})
	var cpu time.Duration
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		runtime.GC() // what is left of the last one
		size = 0
		before := cpuTime(b)
		b.StartTimer()
		if err := write(counted); err != nil {
			b.Fatal(err)
		}
		cpu += cpuTime(b) - before
	}
	b.ReportMetric(cpu.Seconds()*1e3/float64(b.N), "cpu-ms/op")
	b.ReportMetric(float64(size)/1e6, "MB/scrape")
	b.ReportMetric(float64(most-min(most, live))/(1<<20), "MiB-more")
	return cpu / time.Duration(b.N)
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// collector has the series of a Store in the way of client_golang.
type collector struct {
	targets          int
	rtt, errors      *prometheus.Desc
	counters, gauges []*prometheus.Desc
	buckets          map[float64]uint64
	exponential      map[int]int64 // buckets of a native histogram in place of the others
	addresses        []string
}

// newCollector returns a collector, which with native has native histograms alone:
// client_golang has no constant ones with bounds as well.
func newCollector(targets int, native bool) *collector {
	names := []string{"network_peer_address", "network_type", "rack", "server_address", "site"}
	desc := func(name string, more ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, "Help.", append(names, more...), nil)
	}
	c := &collector{targets: targets, rtt: desc("ping_rtt_seconds"), errors: desc("ping_errors_total", "error_type"), buckets: make(map[float64]uint64)}
	for _, name := range []string{"requests", "replies", "duplicates", "reordered", "corrupt"} {
		c.counters = append(c.counters, desc("ping_"+name+"_total"))
	}
	for _, name := range []string{"loss_ratio", "jitter_seconds", "ipdv_seconds", "ttl", "hops", "up", "resolved"} {
		c.gauges = append(c.gauges, desc("ping_"+name))
	}
	for i, bound := range otel.DefaultBounds() {
		c.buckets[bound] = uint64(i)
	}
	if native {
		c.exponential = make(map[int]int64)
		for i := range 50 {
			c.exponential[-300+i*2] = 1
		}
	}
	for i := range targets {
		c.addresses = append(c.addresses, netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)}).String())
	}
	return c
}

func (c *collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range append(append([]*prometheus.Desc{c.rtt, c.errors}, c.counters...), c.gauges...) {
		to <- d
	}
}

func (c *collector) Collect(to chan<- prometheus.Metric) {
	for _, a := range c.addresses {
		labels := []string{a, "ipv4", "r1", a, "lab"}
		if c.exponential == nil {
			to <- prometheus.MustNewConstHistogram(c.rtt, 50, 1.5, c.buckets, labels...)
		} else {
			to <- prometheus.MustNewConstNativeHistogram(c.rtt, 50, 1.5, c.exponential, nil, 0, 6, 1e-128, time.Time{}, labels...)
		}
		for _, kind := range []string{"timeout", "destination_unreachable"} {
			to <- prometheus.MustNewConstMetric(c.errors, prometheus.CounterValue, 0, append(labels, kind)...)
		}
		for _, d := range c.counters {
			to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, 50, labels...)
		}
		for _, d := range c.gauges {
			to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, 0.001, labels...)
		}
	}
}
