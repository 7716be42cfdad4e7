package path

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
)

// line is a path of so many hops, each a link further than the one before. Each echo has its
// answer after its round trip.
type line struct {
	hops int
	link time.Duration // there and back
}

func (l line) Go(t icmpcore.Target, o icmpcore.Options, done func(icmpcore.PingResult)) (icmpcore.Run, error) {
	to := min(o.TTL, l.hops)
	takes := time.Duration(to) * l.link
	r := icmpcore.PingResult{Addr: t.Addr, Sent: o.Count}
	go func() { // ends with the series
		start := time.Now()
		for i := range o.Count {
			time.Sleep(time.Until(start.Add(time.Duration(i)*o.Interval + takes))) // of virtual time
			e := icmpcore.Echo{Seq: i + 1, From: t.Addr, RTT: takes, Outcome: icmpcore.OutcomeReply}
			if to < l.hops {
				e.Outcome, e.Err = icmpcore.OutcomeError, &icmpcore.EchoError{Kind: icmpcore.TimeExceeded, From: hopAddr(to), Quote: &icmpcore.Quote{Cookie: true, DSCP: -1}}
			} else {
				r.Received, r.Hops = r.Received+1, l.hops
			}
			o.OnEcho(e)
		}
		r.Duration = time.Since(start)
		done(r)
	}()
	return icmpcore.Run{}, nil
}

// TestTwoRoundTrips: a trace without silent hops takes two round trips to the target and
// the time between its echoes to a hop, and one round trip where the number of hops is known.
// If a reply says that there are more than mostGuess, it takes another one.
func TestTwoRoundTrips(t *testing.T) {
	for _, l := range []line{{1, time.Millisecond}, {7, time.Millisecond}, {7, 40 * time.Millisecond}, {24, 10 * time.Millisecond}, {25, 10 * time.Millisecond}} {
		for _, known := range []int{0, l.hops} {
			t.Run(fmt.Sprintf("%d hops in %v, known %d", l.hops, time.Duration(l.hops)*l.link, known), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					done := make(chan *Trace, 1)
					Go(l, icmpcore.Target{Addr: target}, Options{Hops: known}, func(tr *Trace) { done <- tr })
					tr := <-done
					rtt := time.Duration(l.hops) * l.link
					most := 2*rtt + 50*time.Millisecond
					if known > 0 {
						most = rtt + 50*time.Millisecond
					}
					if l.hops > mostGuess && known == 0 {
						most = 3*rtt + 50*time.Millisecond // as many are not believed at once
					}
					if tr.Length() != l.hops || tr.Duration > most {
						t.Errorf("%d hops after %v, want %d after %v at most", tr.Length(), tr.Duration, l.hops, most)
					}
					t.Log(tr.Duration, tr.Sent)
				})
			})
		}
	}
}
