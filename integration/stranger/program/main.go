// Command stranger uses pingtel as a library, as a program outside this project
// would: it imports only the public packages, and their types are all it needs.
// It pings a range of addresses at once, writes line protocol to stdout, and
// serves the same results to Prometheus from an [otel.Recorder] at /recorder and
// from an [otel.Store] at /store.
//
//	stranger FIRST COUNT
//
// It prints where it listens to stderr and ends when stdin does.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"time"

	promclient "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/prometheus"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/otel"
	"github.com/pingtel/pingtel/plugin"
)

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "stranger:", err)
		os.Exit(1)
	}
}

func run(args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	addrs, err := parse(args)
	if err != nil {
		return err
	}
	metrics, err := newMetrics()
	if err != nil {
		return err
	}
	if err := ping(addrs, metrics, stdout); err != nil {
		return err
	}
	return metrics.serve(stdin, stderr)
}

func parse(args []string) ([]netip.Addr, error) {
	if len(args) != 2 {
		return nil, errors.New("usage: stranger FIRST COUNT")
	}
	a, err := netip.ParseAddr(args[0])
	if err != nil {
		return nil, err
	}
	count, err := strconv.Atoi(args[1])
	if err != nil {
		return nil, err
	}
	var addrs []netip.Addr
	for range count {
		addrs = append(addrs, a)
		a = a.Next()
	}
	return addrs, nil
}

// ping sends one series to each address through one Pinger. The callbacks come
// one at a time, so that they need no lock.
func ping(addrs []netip.Addr, m *metrics, stdout io.Writer) error {
	pinger, err := icmpcore.Open(icmpcore.Config{MaxRate: 2000})
	if err != nil {
		return err
	}
	defer pinger.Close()
	var (
		series  sync.WaitGroup
		encoder = plugin.NewEncoder(plugin.Format{Measurement: "stranger"})
		lines   []byte
		failed  []error
	)
	options := icmpcore.Options{Count: 3, Interval: 200 * time.Millisecond, Timeout: 5 * time.Second}
	for _, addr := range addrs {
		target := m.store.Add(otel.TargetOptions{Host: addr.String(), Attributes: []attribute.KeyValue{site}})
		series.Add(1)
		_, err := pinger.Go(icmpcore.Target{Addr: addr}, options, func(res icmpcore.PingResult) {
			defer series.Done()
			line, err := encoder.Append(lines, res.Host, []plugin.Tag{{Key: "site", Value: "lab"}}, &res)
			failed = append(failed, err, res.Err)
			lines = line
			m.recorder.Record(context.Background(), &res, site)
			m.store.Record(target, &res)
		})
		if err != nil {
			return err
		}
	}
	series.Wait()
	_, err = stdout.Write(lines)
	return errors.Join(append(failed, err)...)
}

var site = attribute.String("site", "lab")

// metrics are the two ways of package otel, each with a Prometheus exporter.
type metrics struct {
	recorder             *otel.Recorder
	store                *otel.Store
	fromRecorder, fromSt *promclient.Registry
}

func newMetrics() (*metrics, error) {
	m := &metrics{fromRecorder: promclient.NewRegistry(), fromSt: promclient.NewRegistry()}
	reader, err := prometheus.New(prometheus.WithRegisterer(m.fromRecorder))
	if err != nil {
		return nil, err
	}
	// The SDK's default of 2,000 attribute sets an instrument is too few: see the documentation of package otel.
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader), sdkmetric.WithCardinalityLimit(0))
	if m.recorder, err = otel.NewRecorder(provider.Meter("stranger")); err != nil {
		return nil, err
	}
	if m.store, err = otel.NewStore(otel.StoreOptions{}); err != nil {
		return nil, err
	}
	reader, err = prometheus.New(prometheus.WithRegisterer(m.fromSt), prometheus.WithProducer(m.store))
	if err != nil {
		return nil, err
	}
	sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)) // a reader works only in a provider
	return m, nil
}

// serve answers scrapes until stdin ends.
func (m *metrics) serve(stdin io.Reader, stderr io.Writer) error {
	mux := http.NewServeMux()
	mux.Handle("/recorder", promhttp.HandlerFor(m.fromRecorder, promhttp.HandlerOpts{}))
	mux.Handle("/store", promhttp.HandlerFor(m.fromSt, promhttp.HandlerOpts{}))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Fprintf(stderr, "listening on %s\n", listener.Addr())
	server := &http.Server{Handler: mux}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	_, err = io.Copy(io.Discard, stdin)
	if err := errors.Join(err, server.Close()); err != nil {
		return err
	}
	if err := <-served; err != http.ErrServerClosed {
		return err
	}
	return nil
}
