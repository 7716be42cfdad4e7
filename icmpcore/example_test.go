package icmpcore_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/netip"
	"sync"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
)

func ExamplePing() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	res, err := icmpcore.Ping(ctx, "127.0.0.1", icmpcore.Options{Count: 3})
	var refused *icmpcore.PermissionError
	if errors.As(err, &refused) {
		log.Fatal(refused) // says what to do
	}
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%d of %d, loss %v %%\n", res.Received, res.Sent, res.Loss)
	// Output: 3 of 3, loss 0 %
}

// Many targets need no goroutine each.
func ExamplePinger_Go() {
	p, err := icmpcore.Open(icmpcore.Config{MaxRate: 1000})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()
	var series sync.WaitGroup
	up := 0
	for i := byte(1); i <= 100; i++ {
		series.Add(1)
		target := icmpcore.Target{Addr: netip.AddrFrom4([4]byte{127, 0, 1, i})}
		_, err := p.Go(target, icmpcore.Options{}, func(res icmpcore.PingResult) {
			if res.Success() { // one callback at a time
				up++
			}
			series.Done()
		})
		if err != nil {
			log.Fatal(err)
		}
	}
	series.Wait()
	fmt.Println(up, "answered")
	// Output: 100 answered
}

// A watcher sees each echo as it ends.
func ExampleOptions_onEcho() {
	_, err := icmpcore.Ping(context.Background(), "127.0.0.1", icmpcore.Options{
		Count: 2, Interval: 10 * time.Millisecond,
		OnEcho: func(e icmpcore.Echo) { fmt.Println(e.Seq, e.Outcome, "from", e.From, "TTL", e.TTL) },
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// 1 reply from 127.0.0.1 TTL 64
	// 2 reply from 127.0.0.1 TTL 64
}

func ExamplePingResult_Failure() {
	res := icmpcore.PingResult{Sent: 1, Errors: []icmpcore.EchoError{{
		Seq: 1, Kind: icmpcore.TimeExceeded, Type: 11, Message: "time to live exceeded in transit",
		From: netip.MustParseAddr("198.18.255.1"),
	}}}
	var e *icmpcore.EchoError
	if errors.As(res.Failure(), &e) && e.Kind == icmpcore.TimeExceeded {
		fmt.Println("expired at", e.From)
	}
	// Output: expired at 198.18.255.1
}
