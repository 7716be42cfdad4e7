package main

import (
	"math"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/config"
)

// runTime returns how long the series of n hosts take at most, from the first
// request to the last timeout, or the longest duration there is. Each host has
// one of the options, the last of them all further ones; rate bounds the requests
// per second of all hosts, unless it is below 1.
//
// The first request of the last host waits until those of all others are sent;
// then its series takes its time. With many echoes the rate decides: the last
// echo goes out when all others are sent.
func runTime(options []icmpcore.Options, n, rate int) time.Duration {
	var longest, timeout time.Duration
	echoes := 0.0
	for i, o := range options {
		hosts := 1
		if i == len(options)-1 {
			hosts = n - i
		}
		echoes += float64(hosts) * float64(o.Count)
		longest, timeout = max(longest, config.SeriesTime(o, rate)), max(timeout, o.Timeout)
	}
	if rate < 1 {
		return longest
	}
	second := float64(time.Second) / float64(rate)
	return max(add(longest, float64(n-1)*second), add(timeout, (echoes-1)*second))
}

// add adds without overflow.
func add(d time.Duration, more float64) time.Duration {
	if float64(d)+more >= math.MaxInt64 {
		return math.MaxInt64
	}
	return d + time.Duration(more)
}

// echoTimeout returns how long to wait for the reply to an echo if --echo-timeout
// does not say it: 1 s, or the critical RTT if that is longer, but no longer than
// the run has left. check_ping and check_icmp wait for slow replies, too. It is
// never so short that a normal reply would be late.
func echoTimeout(critical, left time.Duration) time.Duration {
	shortest := min(critical, icmpcore.DefaultTimeout)
	longest := min(max(critical, icmpcore.DefaultTimeout), maxTimeout)
	return max(shortest, min(longest, left))
}
