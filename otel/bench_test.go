package otel_test

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/otel"
)

// nowhere is an exporter that takes everything and does nothing: what is left
// is the pusher's own share.
type nowhere struct{ temporality metricdata.Temporality }

func (n nowhere) Temporality(sdkmetric.InstrumentKind) metricdata.Temporality { return n.temporality }

func (nowhere) Aggregation(sdkmetric.InstrumentKind) sdkmetric.Aggregation { return nil }

func (nowhere) Export(context.Context, *metricdata.ResourceMetrics) error { return nil }

func (nowhere) ForceFlush(context.Context) error { return nil }

func (nowhere) Shutdown(context.Context) error { return nil }

// packer is a RoundTripper that compresses messages as they are sent, and sends
// them nowhere.
type packer struct {
	zip           *gzip.Writer // nil: without
	plain, packed int64
}

func (p *packer) Write(b []byte) (int, error) {
	p.packed += int64(len(b))
	return len(b), nil
}

func (p *packer) RoundTrip(r *http.Request) (*http.Response, error) {
	w := io.Writer(p)
	if p.zip != nil {
		p.zip.Reset(p)
		w = p.zip
	}
	n, err := io.Copy(w, r.Body)
	if err == nil && p.zip != nil {
		err = p.zip.Close()
	}
	p.plain += n
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Header: http.Header{}, Request: r}, err
}

// seriesOf returns a series of n replies.
func seriesOf(n int) *icmpcore.PingResult {
	r := &icmpcore.PingResult{
		Addr: netip.MustParseAddr("198.18.0.1"), Sent: n, Received: n, TTL: 60, Hops: 5,
		Jitter: time.Millisecond, IPDV: time.Millisecond, IPDVPairs: 1, Start: time.Unix(1_700_000_000, 0),
	}
	for i := range n {
		r.RTTs = append(r.RTTs, time.Duration(i+1)*700*time.Microsecond)
	}
	return r
}

// BenchmarkPush is one push of 50,000 targets with five tags each: chunks alone,
// and what the exporter makes of them.
func BenchmarkPush(b *testing.B) {
	for _, bench := range []struct {
		name    string
		metrics []string
		send    bool
		gzip    bool
	}{
		{"chunks", nil, false, false},
		{"exported", nil, true, false},
		{"exported gzip", nil, true, true},
		{"exported gzip, 4 instruments", []string{"ping.rtt", "ping.requests", "ping.errors", "ping.up"}, true, true},
	} {
		b.Run(bench.name, func(b *testing.B) {
			const targets = 50_000
			st, err := otel.NewStore(otel.StoreOptions{Metrics: bench.metrics})
			if err != nil {
				b.Fatal(err)
			}
			pack := new(packer)
			if bench.gzip {
				if pack.zip, err = gzip.NewWriterLevel(nil, gzip.BestSpeed); err != nil {
					b.Fatal(err)
				}
			}
			var e sdkmetric.Exporter = nowhere{metricdata.CumulativeTemporality}
			if bench.send {
				e, err = otlpmetrichttp.New(b.Context(), otlpmetrichttp.WithInsecure(), otlpmetrichttp.WithMaxRequestSize(0),
					otlpmetrichttp.WithHTTPClient(&http.Client{Transport: pack}))
				if err != nil {
					b.Fatal(err)
				}
			}
			p := otel.NewPusher(st, e, resource.Empty())
			p.Timeout = time.Minute
			r := seriesOf(5)
			for _, o := range manyTargets(targets) {
				st.Record(st.Add(o), r)
			}
			b.ReportAllocs()
			for b.Loop() {
				p.Push(b.Context())
			}
			if pack.plain > 0 {
				b.ReportMetric(float64(pack.plain)/float64(b.N)/targets, "B/target")
				b.ReportMetric(float64(pack.packed)/float64(b.N)/targets, "B/target-sent")
			}
			if st.Failed() > 0 {
				b.Error("pushes failed")
			}
		})
	}
}

// histograms are stores by what they keep.
var histograms = map[string]otel.StoreOptions{"explicit": {}, "exponential": {Exponential: true}, "both": {Native: true}}

// BenchmarkRecord is one series of five replies.
func BenchmarkRecord(b *testing.B) {
	for name, options := range histograms {
		b.Run(name, func(b *testing.B) {
			st, err := otel.NewStore(options)
			if err != nil {
				b.Fatal(err)
			}
			var targets []*otel.Target
			r := seriesOf(5)
			for _, o := range manyTargets(1000) {
				targets = append(targets, st.Add(o))
				st.Record(targets[len(targets)-1], r)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				st.Record(targets[i%len(targets)], r)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/5, "ns/rtt")
		})
	}
}

// BenchmarkTable measures what a target takes in memory, once its histogram is
// spread, between two pushes. Its time is of no interest.
func BenchmarkTable(b *testing.B) {
	for _, temporality := range []metricdata.Temporality{metricdata.CumulativeTemporality, metricdata.DeltaTemporality} {
		for name, kept := range histograms {
			b.Run(fmt.Sprint(temporality, " ", name), func(b *testing.B) {
				options, before := manyTargets(10_000), live()
				var p *otel.Pusher
				for b.Loop() {
					st, err := otel.NewStore(kept)
					if err != nil {
						b.Fatal(err)
					}
					p = otel.NewPusher(st, nowhere{temporality}, resource.Empty())
					var targets []*otel.Target
					for _, o := range options {
						targets = append(targets, st.Add(o))
					}
					for round := range 20 {
						for i, t := range targets {
							r := seriesOf(5)
							for j := range r.RTTs {
								r.RTTs[j] = time.Duration(1+(i*7+j*13+round*29)%97) * 200 * time.Microsecond
							}
							st.Record(t, r)
						}
						p.Push(b.Context())
					}
				}
				b.ReportMetric(float64(live()-before)/float64(len(options)), "B/target")
				runtime.KeepAlive(p)
			})
		}
	}
}

// live returns the bytes on the heap that are in use.
func live() int64 {
	runtime.GC()
	runtime.GC() // for what a finalizer or pool still held
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
