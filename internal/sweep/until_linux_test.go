package sweep_test

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/integration/netsim"
	"github.com/pingtel/pingtel/internal/sweep"
)

// TestProbeUntil stops series at their first reply. The next echo would go out
// an hour later.
func TestProbeUntil(t *testing.T) {
	rules := []netsim.Rule{
		{Prefix: netip.MustParsePrefix("198.18.1.0/24")},
		{Prefix: netip.MustParsePrefix("198.18.2.0/24"), Answer: netsim.Only(netsim.Lost, 0, 1)},
		{Prefix: netip.MustParsePrefix("198.18.3.0/24"), Answer: netsim.Lost},
	}
	netsim.Run(t, rules, func(t *testing.T, _ *netsim.Net) {
		p, err := icmpcore.Open(icmpcore.Config{})
		if err != nil {
			t.Fatal(err)
		}
		s := sweep.New(p)
		var mu sync.Mutex // guards the variables below
		var got []icmpcore.PingResult
		var seen []icmpcore.Outcome
		emit := func(r icmpcore.PingResult) {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, r)
		}
		opts := func(interval time.Duration, count int) icmpcore.Options {
			return icmpcore.Options{Count: count, Interval: interval, Timeout: 10 * time.Millisecond, OnEcho: func(e icmpcore.Echo) {
				mu.Lock()
				defer mu.Unlock()
				seen = append(seen, e.Outcome)
			}}
		}
		reply := func(e icmpcore.Echo) bool { return e.Outcome == icmpcore.OutcomeReply }
		answers := opts(time.Hour, 100)
		answers.Timeout = time.Minute // this host answers, however busy the machine is
		third := opts(200*time.Millisecond, 100)
		third.Timeout = 150 * time.Millisecond
		err = s.Run(t.Context(), func(yield func([]byte, *sweep.Probe) error) error {
			return errors.Join(
				yield([]byte("198.18.1.1"), s.ProbeUntil(answers, reply, emit)),
				yield([]byte("198.18.2.1"), s.ProbeUntil(third, reply, emit)),
				yield([]byte("198.18.3.1"), s.ProbeUntil(opts(20*time.Millisecond, 3), reply, emit)),
			)
		})
		if err != nil || !s.AllRead() || s.Stats().Sent == 0 {
			t.Errorf("Run = %v, all read %v, %d sent", err, s.AllRead(), s.Stats().Sent)
		}
		want := map[string]func(r icmpcore.PingResult) bool{
			"198.18.1.1": func(r icmpcore.PingResult) bool { return r.Sent == 1 && r.Received == 1 },
			"198.18.2.1": func(r icmpcore.PingResult) bool { return r.Sent >= 3 && r.Sent < 100 && r.Received > 0 },
			"198.18.3.1": func(r icmpcore.PingResult) bool { return r.Sent == 3 && r.Received == 0 },
		}
		for _, r := range got {
			if right := want[r.Host]; right == nil || !right(r) || r.Err != nil {
				t.Errorf("%s: %d sent, %d received, %v", r.Host, r.Sent, r.Received, r.Err)
			}
			delete(want, r.Host)
		}
		if len(want) > 0 || !slices.Contains(seen, icmpcore.OutcomeTimeout) {
			t.Errorf("no result of %v; seen %v", slices.Collect(maps.Keys(want)), seen)
		}
	})
}

// TestProbeUntilInterrupted: a series that ends for another reason says so.
func TestProbeUntilInterrupted(t *testing.T) {
	netsim.Run(t, nil, func(t *testing.T, _ *netsim.Net) {
		p, err := icmpcore.Open(icmpcore.Config{})
		if err != nil {
			t.Fatal(err)
		}
		s := sweep.New(p)
		ctx, cancel := context.WithCancel(t.Context())
		var got icmpcore.PingResult
		how := s.ProbeUntil(icmpcore.Options{Count: icmpcore.Forever, Timeout: 5 * time.Millisecond}, func(icmpcore.Echo) bool {
			cancel()
			return false
		}, func(r icmpcore.PingResult) { got = r })
		if err := s.Run(ctx, func(yield func([]byte, *sweep.Probe) error) error { return yield([]byte("198.18.1.1"), how) }); err != nil {
			t.Errorf("Run = %v", err)
		}
		if got.Err == nil || got.Sent == 0 {
			t.Errorf("result %v, %v", got, got.Err)
		}
	})
}
