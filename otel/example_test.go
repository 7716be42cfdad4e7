package otel_test

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/otel"
)

// A program with a MeterProvider of its own records each result.
func ExampleRecorder() {
	reader := sdkmetric.NewManualReader()
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	rec, err := otel.NewRecorder(provider.Meter("example"))
	if err != nil {
		fmt.Println(err)
		return
	}
	res := icmpcore.PingResult{Host: "192.0.2.1", Sent: 2, Received: 1, RTTs: []time.Duration{time.Millisecond}} // of icmpcore.Ping
	rec.Record(context.Background(), &res, attribute.String("site", "lab"))

	var rm metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &rm); err != nil {
		fmt.Println(err)
		return
	}
	for _, m := range rm.ScopeMetrics[0].Metrics[:3] {
		fmt.Println(m.Name, m.Unit)
	}
	// Output:
	// ping.rtt s
	// ping.requests {request}
	// ping.replies {reply}
}

// A store is a Producer for any reader, here one that is read by hand.
func ExampleStore() {
	st, err := otel.NewStore(otel.StoreOptions{Metrics: []string{"ping.replies"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	target := st.Add(otel.TargetOptions{Host: "192.0.2.1"})
	st.Record(target, &icmpcore.PingResult{Sent: 2, Received: 2, RTTs: []time.Duration{time.Millisecond, time.Millisecond}})

	reader := sdkmetric.NewManualReader(sdkmetric.WithProducer(st))
	sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	var rm metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &rm); err != nil {
		fmt.Println(err)
		return
	}
	for _, m := range rm.ScopeMetrics[0].Metrics {
		for _, p := range m.Data.(metricdata.Sum[int64]).DataPoints {
			host, _ := p.Attributes.Value("server.address")
			fmt.Println(m.Name, host.AsString(), p.Value)
		}
	}
	// Output: ping.replies 192.0.2.1 2
}

// printer is an exporter that prints what it gets. A program has otlpmetricgrpc or
// otlpmetrichttp here, with their own retry turned off.
type printer struct{}

func (printer) Temporality(sdkmetric.InstrumentKind) metricdata.Temporality {
	return metricdata.CumulativeTemporality
}

func (printer) Aggregation(sdkmetric.InstrumentKind) sdkmetric.Aggregation { return nil }

func (printer) Export(_ context.Context, rm *metricdata.ResourceMetrics) error {
	for _, m := range rm.ScopeMetrics[0].Metrics {
		for _, p := range m.Data.(metricdata.Sum[int64]).DataPoints {
			host, _ := p.Attributes.Value("server.address")
			fmt.Println(m.Name, host.AsString(), p.Value)
		}
	}
	return nil
}

func (printer) ForceFlush(context.Context) error { return nil }

func (printer) Shutdown(context.Context) error { return nil }

// A pusher pushes a store into an exporter until its context is done. Close pushes
// what is left.
func ExamplePusher() {
	st, err := otel.NewStore(otel.StoreOptions{Metrics: []string{"ping.replies"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	target := st.Add(otel.TargetOptions{Host: "192.0.2.1"})
	pusher := otel.NewPusher(st, printer{}, resource.NewSchemaless(attribute.String("service.name", "example")))

	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := pusher.Run(ctx); err != nil {
			fmt.Println(err)
		}
	})
	stop() // a program pings here, and stops at SIGTERM
	running.Wait()

	st.Record(target, &icmpcore.PingResult{Sent: 2, Received: 2, RTTs: []time.Duration{time.Millisecond, time.Millisecond}})
	last, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if err := pusher.Close(last); err != nil {
		fmt.Println(err)
	}
	// Output: ping.replies 192.0.2.1 2
}
