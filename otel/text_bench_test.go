package otel_test

import (
	"bytes"
	"fmt"
	"io"
	"net/netip"
	"testing"

	"go.opentelemetry.io/otel/attribute"

	"github.com/pingtel/pingtel/otel"
)

// BenchmarkWriteText is one scrape of 20,000 targets with two tags each.
func BenchmarkWriteText(b *testing.B) {
	const targets = 20_000
	for _, bounds := range [][]float64{nil, {0.001, 0.01, 0.1, 1}} {
		b.Run(fmt.Sprintf("%d bounds", len(bounds)), func(b *testing.B) {
			st, err := otel.NewStore(otel.StoreOptions{Bounds: bounds})
			if err != nil {
				b.Fatal(err)
			}
			tags := []attribute.KeyValue{attribute.String("rack", "r1"), attribute.String("site", "lab")}
			for i := range targets {
				r := seriesOf(5)
				r.Addr = netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)})
				st.Record(st.Add(otel.TargetOptions{Host: r.Addr.String(), Attributes: tags}), r)
			}
			var all bytes.Buffer
			if err := st.WriteText(&all, false); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if err := st.WriteText(io.Discard, false); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(all.Len())/targets, "B/target")
		})
	}
}
