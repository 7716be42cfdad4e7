package otel

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/internal/monitor"
)

// packer encodes messages as they are sent, and sends them nowhere.
type packer struct {
	*httpClient
	plain, packed int
}

func (p *packer) export(_ context.Context, message []byte) error {
	b, err := p.pack(message)
	p.packed += len(b)
	p.plain += len(message)
	return err
}

// manyTargets returns targets with five tags each.
func manyTargets(n int) []*monitor.Target {
	list := make([]*monitor.Target, n)
	for i := range list {
		tags := []config.Tag{{Key: "country", Value: "de"}, {Key: "rack", Value: fmt.Sprint("r", i%40)}, {Key: "role", Value: "edge"},
			{Key: "site", Value: fmt.Sprint("fra", i%7)}, {Key: "team", Value: "network"}}
		host := netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)}).String()
		list[i] = &monitor.Target{Target: config.Target{Host: fmt.Sprint(host, ".", i>>16), Probe: &config.Probe{Tags: tags}}}
	}
	return list
}

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

// BenchmarkPush is one push of 50,000 targets with five tags each, encoded and
// compressed.
func BenchmarkPush(b *testing.B) {
	for _, compression := range []string{"none", "gzip"} {
		b.Run(compression, func(b *testing.B) {
			s, err := (&config.OTel{}).Settings(time.Second, func(string) (string, bool) { return "", false })
			if err != nil {
				b.Fatal(err)
			}
			p, err := New(Config{Settings: s, Version: "v0", Log: slog.New(slog.DiscardHandler),
				Self: func() (icmpcore.Stats, monitor.Stats) { return icmpcore.Stats{}, monitor.Stats{} }})
			if err != nil {
				b.Fatal(err)
			}
			s.Compression = compression
			client, err := newHTTPClient(s, "bench")
			if err != nil {
				b.Fatal(err)
			}
			pack := &packer{httpClient: client}
			p.client = pack
			targets := manyTargets(50_000)
			r := seriesOf(5)
			for _, t := range targets {
				p.Record(t, r)
			}
			b.ReportAllocs()
			for b.Loop() {
				p.push(b.Context())
			}
			b.ReportMetric(float64(pack.plain)/float64(b.N)/50_000, "B/target")
			b.ReportMetric(float64(pack.packed)/float64(b.N)/50_000, "B/target-sent")
			if p.Failed() > 0 {
				b.Error("pushes failed")
			}
		})
	}
}

// BenchmarkRecord is one series of five replies.
func BenchmarkRecord(b *testing.B) {
	for _, kind := range []string{"explicit", "exponential"} {
		b.Run(kind, func(b *testing.B) {
			t := new(table)
			t.init(func() histogram { return newExponential() })
			if kind == "explicit" {
				bounds := newBounds(config.DefaultOTelBounds())
				t.init(func() histogram { return newExplicit(bounds) })
			}
			targets := manyTargets(1000)
			r := seriesOf(5)
			for _, target := range targets {
				t.record(target, r)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				t.record(targets[i%len(targets)], r)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/5, "ns/rtt")
		})
	}
}

// BenchmarkTable measures what a target takes in memory, once its histogram is
// spread, between two pushes. Its time is of no interest.
func BenchmarkTable(b *testing.B) {
	for _, temporality := range []string{"cumulative", "delta"} {
		for _, kind := range []string{"explicit", "exponential"} {
			b.Run(temporality+" "+kind, func(b *testing.B) {
				s, err := (&config.OTel{Temporality: &temporality, Histogram: &kind}).Settings(time.Second, func(string) (string, bool) { return "", false })
				if err != nil {
					b.Fatal(err)
				}
				targets, before := manyTargets(10_000), live()
				var p *Pusher
				for b.Loop() {
					if p, err = New(Config{Settings: s, Version: "v0", Log: slog.New(slog.DiscardHandler)}); err != nil {
						b.Fatal(err)
					}
					for round := range 20 {
						for i, t := range targets {
							r := seriesOf(5)
							for j := range r.RTTs {
								r.RTTs[j] = time.Duration(1+(i*7+j*13+round*29)%97) * 200 * time.Microsecond
							}
							p.Record(t, r)
						}
						for refs := p.table.refs(nil); len(refs) > 0; {
							n := p.fill(time.Now(), refs)
							p.table.delivered(refs[:n], time.Now())
							refs = refs[n:]
						}
					}
				}
				b.ReportMetric(float64(live()-before)/float64(len(targets)), "B/target")
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
