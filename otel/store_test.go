package otel

import (
	"context"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/pingtel/pingtel/icmpcore"
)

// TestProducerForgets: a store that only readers read drops what is over as one
// with a pusher does: addresses that are not probed any more, and removed
// targets.
func TestProducerForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st, err := NewStore(StoreOptions{Metrics: []string{"ping.requests"}})
		if err != nil {
			t.Fatal(err)
		}
		a, b := st.Add(TargetOptions{Host: "a"}), st.Add(TargetOptions{Host: "b"})
		st.Record(a, reply(addrA))
		st.Record(b, reply(addrA))
		for range idleRounds + 1 {
			st.Record(a, reply(addrB))
		}
		if got := pointsOf(t, st); !slices.Equal(got, []string{"a 198.18.0.1", "a 198.18.0.2", "b 198.18.0.1"}) {
			t.Errorf("produced %v, want all", got)
		}
		if got := pointsOf(t, st); !slices.Equal(got, []string{"a 198.18.0.2", "b 198.18.0.1"}) {
			t.Errorf("produced %v, want no address that is not probed any more", got)
		}
		st.Remove(a)
		if got := pointsOf(t, st); !slices.Equal(got, []string{"b 198.18.0.1"}) || len(st.table.gone) != 1 {
			t.Errorf("produced %v, %d streams kept for a successor", got, len(st.table.gone))
		}
		time.Sleep(keepTime)
		if pointsOf(t, st); len(st.table.gone) != 0 {
			t.Errorf("%d streams of removed targets are kept", len(st.table.gone))
		}

		for range 5 { // nobody reads any more
			time.Sleep(keepTime)
			c := st.Add(TargetOptions{Host: "c"})
			st.Record(c, reply(netip.AddrFrom4([4]byte{198, 18, 2, byte(time.Now().Unix())})))
			st.Remove(c)
		}
		if n := len(st.table.gone); n > 2 {
			t.Errorf("%d streams of removed targets are kept, though nobody reads them", n)
		}
	})
}

// TestProducerBesidePusher: a reader of a store that a pusher pushes drops
// nothing that the pusher has not delivered.
func TestProducerBesidePusher(t *testing.T) {
	st, err := NewStore(StoreOptions{Metrics: []string{"ping.requests"}})
	if err != nil {
		t.Fatal(err)
	}
	e := new(messages)
	p := NewPusher(st, e, nil)
	a := st.Add(TargetOptions{Host: "a"})
	st.Record(a, reply(addrA))
	for range idleRounds + 1 {
		st.Record(a, reply(addrB))
	}
	pointsOf(t, st)
	if err := p.Close(t.Context()); err != nil || e.points != 2 {
		t.Errorf("the pusher sent %d points, %v, want those of both addresses", e.points, err)
	}
}

// pointsOf returns host and address of each point.
func pointsOf(t *testing.T, st *Store) (list []string) {
	t.Helper()
	scopes, err := st.Produce(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range scopes[0].Metrics[0].Data.(metricdata.Sum[int64]).DataPoints {
		host, _ := p.Attributes.Value(hostKey)
		addr, _ := p.Attributes.Value(addressKey)
		list = append(list, host.AsString()+" "+addr.AsString())
	}
	slices.Sort(list)
	return list
}

// TestZeroValues: what a caller may leave out.
func TestZeroValues(t *testing.T) {
	if s := new(ExportError).Error(); s == "" {
		t.Error("an error without a text")
	}
	st, err := NewStore(StoreOptions{})
	if err != nil {
		t.Fatal(err)
	}
	st.Record(st.Add(TargetOptions{}), &icmpcore.PingResult{})
	e := new(messages)
	if err := NewPusher(st, e, nil).Close(t.Context()); err != nil || e.points == 0 || e.resource == nil {
		t.Errorf("pushed %d points of resource %v, %v", e.points, e.resource, err)
	}
}

// messages is an exporter that counts the points it gets.
type messages struct {
	sdkmetric.Exporter // nil: the pusher calls nothing else
	points             int
	resource           *resource.Resource
}

func (m *messages) Temporality(sdkmetric.InstrumentKind) metricdata.Temporality {
	return metricdata.CumulativeTemporality
}

func (m *messages) Shutdown(context.Context) error { return nil }

func (m *messages) Export(_ context.Context, rm *metricdata.ResourceMetrics) error {
	m.resource = rm.Resource
	for _, metric := range rm.ScopeMetrics[0].Metrics {
		if sum, ok := metric.Data.(metricdata.Sum[int64]); ok {
			m.points += len(sum.DataPoints)
		}
	}
	return nil
}
