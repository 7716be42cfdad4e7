//go:build unix

package otel_test

import (
	"compress/gzip"
	"fmt"
	"io"
	"math"
	"net/netip"
	"runtime"
	"runtime/metrics"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	"go.opentelemetry.io/otel/attribute"

	"github.com/pingtel/pingtel/otel"
)

// BenchmarkBeside is one scrape of 20,000 targets with two tags each, by a Store and
// by a Collector of client_golang with the same series, in each format. It reports
// the CPU time of a scrape and by how much the memory grows in it at most.
func BenchmarkBeside(b *testing.B) {
	const targets = 20_000
	tags := []attribute.KeyValue{attribute.String("rack", "r1"), attribute.String("site", "lab")}
	for name, o := range map[string]otel.StoreOptions{"buckets": {}, "native": {Native: true}} {
		st, err := otel.NewStore(o)
		if err != nil {
			b.Fatal(err)
		}
		for i := range targets {
			r := seriesOf(5)
			r.Addr = netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)})
			r.Start = time.Now()
			target := st.Add(otel.TargetOptions{Host: r.Addr.String(), Attributes: tags})
			for j := range 10 { // some spread
				for k := range r.RTTs {
					r.RTTs[k] = time.Duration(10e6 * math.Exp(float64((i+j*7+k*3)%100)/50))
				}
				st.Record(target, r)
			}
		}
		formats := map[string]func(io.Writer) error{
			"text":        func(w io.Writer) error { return st.WriteText(w, false) },
			"openmetrics": func(w io.Writer) error { return st.WriteText(w, true) },
			"protobuf":    st.WriteProtobuf,
		}
		for format, write := range formats {
			b.Run(fmt.Sprintf("pingtel/%s/%s", name, format), func(b *testing.B) { beside(b, write) })
			b.Run(fmt.Sprintf("pingtel/%s/%s_gzip", name, format), func(b *testing.B) { beside(b, packed(write)) })
		}
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(newCollector(targets))
	for format, f := range map[string]expfmt.FormatType{"text": expfmt.TypeTextPlain, "openmetrics": expfmt.TypeOpenMetrics, "protobuf": expfmt.TypeProtoDelim} {
		write := func(w io.Writer) error {
			families, err := registry.Gather()
			if err != nil {
				return err
			}
			e := expfmt.NewEncoder(w, expfmt.NewFormat(f))
			for _, family := range families {
				if err := e.Encode(family); err != nil {
					return err
				}
			}
			return nil
		}
		b.Run("client_golang/buckets/"+format, func(b *testing.B) { beside(b, write) })
		b.Run("client_golang/buckets/"+format+"_gzip", func(b *testing.B) { beside(b, packed(write)) })
	}
}

// packed is write with gzip as fast as it is, as in a scrape.
func packed(write func(io.Writer) error) func(io.Writer) error {
	return func(w io.Writer) error {
		z, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
		if err != nil {
			return err
		}
		if err := write(z); err != nil {
			return err
		}
		return z.Close()
	}
}

// beside measures scrapes.
func beside(b *testing.B, write func(io.Writer) error) {
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
	addresses        []string
}

func newCollector(targets int) *collector {
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
		to <- prometheus.MustNewConstHistogram(c.rtt, 50, 1.5, c.buckets, labels...)
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
