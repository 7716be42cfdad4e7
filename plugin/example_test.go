package plugin_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/signal"
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

// A program that Telegraf's inputs.execd runs with signal = "STDIN".
func ExampleConversation() {
	log := slog.New(plugin.NewLogHandler(os.Stderr, slog.LevelInfo))
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, plugin.Signals()...)
	pinger, err := icmpcore.Open(icmpcore.Config{})
	if err != nil {
		log.Error(err.Error())
		os.Exit(2)
	}
	defer pinger.Close()
	out := plugin.NewOutput(os.Stdout, plugin.Format{}, 0, log)
	ctx, conversation := context.Background(), plugin.NewConversation(os.Stdin, "STDIN", signals)
	for {
		event, err := conversation.Next(ctx)
		if err != nil {
			log.Warn("stdin cannot be read", "error", err)
		}
		switch event {
		case plugin.Collect:
			res, err := pinger.Ping(ctx, "192.0.2.1", icmpcore.Options{Count: 5})
			if err != nil {
				log.Error("cannot ping", "error", err)
			}
			out.Write("192.0.2.1", nil, &res)
		case plugin.End:
			if err := out.Close(ctx); err != nil {
				log.Error("lines are lost", "error", err)
			}
			return
		}
	}
}
