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

// Ping one host. The error says why there is no result; lost echoes are numbers
// in the result.
func ExamplePing() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	res, err := icmpcore.Ping(ctx, "127.0.0.1", icmpcore.Options{Count: 3})
	var refused *icmpcore.PermissionError
	switch {
	case errors.As(err, &refused):
		log.Fatal(refused) // its text says what to do
	case err != nil:
		log.Fatal(err)
	}
	fmt.Printf("%d of %d, loss %v %%\n", res.Received, res.Sent, res.Loss)
	// Output: 3 of 3, loss 0 %
}

// Ping 100 hosts at once without a goroutine for each.
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
			if res.Success() { // no lock: callbacks run one at a time
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

// Send until something else says stop.
func ExampleRun_Cancel() {
	p, err := icmpcore.Open(icmpcore.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()
	echoes := make(chan int, 100)
	result := make(chan icmpcore.PingResult, 1)
	run, err := p.Go(icmpcore.Target{Addr: netip.MustParseAddr("127.0.0.1")},
		icmpcore.Options{
			Count: icmpcore.Forever, Interval: 10 * time.Millisecond,
			OnEcho: func(e icmpcore.Echo) { echoes <- e.Seq },
		},
		func(res icmpcore.PingResult) { result <- res })
	if err != nil {
		log.Fatal(err)
	}
	for seq := range echoes {
		if seq == 3 {
			run.Cancel()
			break
		}
	}
	res := <-result
	fmt.Println(res.Received >= 3, res.Err)
	// Output: true context canceled
}

// Print each echo as it ends.
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

// Say in a few words why a host did not answer.
func ExamplePingResult_Failure() {
	verdict := func(res *icmpcore.PingResult) string {
		err := res.Failure()
		var e *icmpcore.EchoError
		switch {
		case err == nil:
			return "up"
		case errors.Is(err, icmpcore.ErrTimeout):
			return "no reply"
		case errors.As(err, &e) && e.Kind == icmpcore.TimeExceeded:
			return "expired at " + e.From.String()
		}
		return err.Error()
	}

	res, err := icmpcore.Ping(context.Background(), "127.0.0.1", icmpcore.Options{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(verdict(&res))
	fmt.Println(verdict(&icmpcore.PingResult{Sent: 1}))

	// What a router reports when Options.TTL is too small for the path.
	router := netip.MustParseAddr("198.18.255.1")
	fmt.Println(verdict(&icmpcore.PingResult{Sent: 1, Errors: []icmpcore.EchoError{
		{Seq: 1, Kind: icmpcore.TimeExceeded, Type: 11, Message: "time to live exceeded in transit", From: router},
	}}))
	// Output:
	// up
	// no reply
	// expired at 198.18.255.1
}

// Check options before use, and name the one that is wrong.
func ExampleOptionError() {
	err := icmpcore.Options{DSCP: 64}.Validate()
	var wrong *icmpcore.OptionError
	if errors.As(err, &wrong) {
		fmt.Printf("%s = %s is not allowed, use %s\n", wrong.Field, wrong.Value, wrong.Want)
	}
	// Output: dscp = 64 is not allowed, use 0 to 63
}
