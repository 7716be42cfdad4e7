package plugin_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/plugin"
)

// result is what a series of two echoes could have given.
func result() *icmpcore.PingResult {
	return &icmpcore.PingResult{
		Addr: netip.MustParseAddr("192.0.2.1"), Sent: 2, Received: 1, Loss: 50, Lost: []int{2},
		Min: 1500 * time.Microsecond, Max: 1500 * time.Microsecond, Mean: 1500 * time.Microsecond,
		RTTs: []time.Duration{1500 * time.Microsecond}, TTL: 57, Hops: 8, ReplyDSCP: -1, Start: time.Unix(1700000000, 0),
	}
}

func ExampleEncoder() {
	enc := plugin.NewEncoder(plugin.Format{Measurement: "icmp", Percentiles: []float64{95}})
	line, err := enc.Append(nil, "router.example", []plugin.Tag{{Key: "site", Value: "lab"}}, result())
	if err != nil {
		panic(err)
	}
	fmt.Print(string(line))
	// Output:
	// icmp,address=192.0.2.1,site=lab,url=router.example packets_transmitted=2i,packets_received=1i,result_code=0i,percent_packet_loss=50,minimum_response_ms=1.5,average_response_ms=1.5,maximum_response_ms=1.5,standard_deviation_ms=0,percentile95_ms=1.5,ttl=57i,hops=8i,duplicates=0i,late=0i,reordered=0i,corrupt=0i 1700000000000000000
}

// A plugin compiled into Telegraf gives fields and tags to its accumulator:
//
//	acc.AddFields("ping", plugin.Fields(format, res), plugin.Tags(host, nil, res), res.Start)
func ExampleFields() {
	fields := plugin.Fields(plugin.Format{Percentiles: []float64{}}, result())
	fmt.Println(fields["percent_packet_loss"], fields["average_response_ms"], fields["ttl"], fields["jitter_ms"])
	fmt.Println(plugin.Tags("router.example", nil, result()))
	// Output:
	// 50 1.5 57 <nil>
	// map[address:192.0.2.1 url:router.example]
}

// An Output writes to a pipe that may be full, and never blocks its callers.
func ExampleOutput() {
	out := plugin.NewOutput(os.Stdout, plugin.Format{Percentiles: []float64{}}, 0, nil)
	out.Write("router.example", nil, result())
	if err := out.Close(context.Background()); err != nil {
		panic(err)
	}
	// Output:
	// ping,address=192.0.2.1,url=router.example packets_transmitted=2i,packets_received=1i,result_code=0i,percent_packet_loss=50,minimum_response_ms=1.5,average_response_ms=1.5,maximum_response_ms=1.5,standard_deviation_ms=0,ttl=57i,hops=8i,duplicates=0i,late=0i,reordered=0i,corrupt=0i 1700000000000000000
}

func ExampleNewLogHandler() {
	log := slog.New(plugin.NewLogHandler(os.Stdout, slog.LevelInfo))
	log.Warn("cannot ping", "host", "router.example", "error", "no route to host")
	log.Debug("not shown")
	// Output:
	// W! cannot ping host=router.example error="no route to host"
}

// Telegraf asks for a round with a newline, and ends the plugin by the end of
// stdin.
func ExampleConversation() {
	stdin := strings.NewReader("\n")
	conversation := plugin.NewConversation(stdin, "STDIN", nil)
	for {
		event, err := conversation.Next(context.Background())
		if err != nil {
			panic(err)
		}
		switch event {
		case plugin.Collect:
			fmt.Println("ping all targets")
		case plugin.End:
			fmt.Println("the end")
			return
		}
	}
	// Output:
	// ping all targets
	// the end
}

// A whole program that Telegraf's inputs.execd runs with signal = "STDIN".
func Example() {
	stderr := plugin.NewLogWriter(os.Stderr)
	log := slog.New(plugin.NewLogHandler(stderr, slog.LevelInfo))
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, plugin.Signals()...)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	pinger, err := icmpcore.Open(icmpcore.Config{})
	if err != nil {
		log.Error(err.Error())
		stderr.Close()
		os.Exit(2)
	}
	defer pinger.Close()
	out := plugin.NewOutput(os.Stdout, plugin.Format{}, 0, log)
	conversation := plugin.NewConversation(os.Stdin, "STDIN", signals)
	for {
		event, err := conversation.Next(ctx)
		if err != nil {
			log.Warn("cannot read stdin", "error", err)
		}
		switch event {
		case plugin.Collect:
			res, err := pinger.Ping(ctx, "192.0.2.1", icmpcore.Options{Count: 5})
			if err != nil {
				log.Error("cannot ping", "error", err)
			}
			out.Write("192.0.2.1", nil, &res)
		case plugin.End:
			last, cancel := context.WithTimeout(context.Background(), 2*time.Second)
			defer cancel()
			if err := out.Close(last); err != nil {
				log.Error("lines are lost", "error", err)
			}
			stderr.Close()
			return
		}
	}
}
