package watch

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/config"
)

// fakePinger answers each echo of a series after a millisecond, except those of
// hosts that it refuses for a while.
type fakePinger struct {
	refuse map[netip.Addr]int // how often

	mu     sync.Mutex // guards what follows
	series int
	ctx    context.Context
	stop   context.CancelFunc
	wg     sync.WaitGroup
}

func newFakePinger() *fakePinger {
	p := &fakePinger{refuse: make(map[netip.Addr]int)}
	p.ctx, p.stop = context.WithCancel(context.Background())
	return p
}

var errRefused = errors.New("network is unreachable")

func (p *fakePinger) Go(t icmpcore.Target, o icmpcore.Options, done func(icmpcore.PingResult)) (icmpcore.Run, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refuse[t.Addr]--; p.refuse[t.Addr] >= 0 {
		return icmpcore.Run{}, errRefused
	}
	p.series++
	p.wg.Go(func() { // ends with the series
		r := icmpcore.PingResult{Host: t.Host, Addr: t.Addr}
		for seq := 1; o.Count == icmpcore.Forever || seq <= o.Count; seq++ {
			select {
			case <-p.ctx.Done():
				r.Err = context.Canceled
				done(r)
				return
			case <-time.After(o.Interval):
			}
			r.Sent++
			r.Received++
			o.OnEcho(icmpcore.Echo{Host: t.Host, Addr: t.Addr, Seq: seq, Outcome: icmpcore.OutcomeReply, RTT: ms, Time: time.Now()})
		}
		done(r)
	})
	return icmpcore.Run{}, nil
}

func (p *fakePinger) Resolve(_ context.Context, host string, _ icmpcore.Family) (icmpcore.Target, error) {
	a, err := netip.ParseAddr(host)
	if err != nil {
		err = &icmpcore.ResolveError{Host: host, Err: errors.New("no such host")}
	}
	return icmpcore.Target{Host: host, Addr: a}, err
}

func (p *fakePinger) HasRoute(context.Context, netip.Addr) bool { return true }
func (p *fakePinger) Stats() icmpcore.Stats                     { return icmpcore.Stats{Sent: 1 << 40} }
func (p *fakePinger) Close() error                              { p.stop(); p.wg.Wait(); return nil }

// fromList is a source of hosts that ends with an error, if any.
func fromList(err error, hosts ...string) func(func([]byte) error) error {
	return func(yield func([]byte) error) error {
		for _, h := range hosts {
			if err := yield([]byte(h)); err != nil {
				return err
			}
		}
		return err
	}
}

// TestHosts has hosts that can be pinged, one that can at the third try, and one
// that never can.
func TestHosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := newFakePinger(), NewStore(0)
		p.refuse[netip.MustParseAddr("198.18.0.2")] = 2
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() {
			ended <- s.Hosts(ctx, p, icmpcore.Options{Interval: time.Second}, fromList(nil, "198.18.0.1", "198.18.0.2", "no.such.example"))
		}()
		time.Sleep(retryAfter / 2)
		settle(s)
		if got := s.targets[1]; got.failure != errRefused.Error() || !got.down() {
			t.Errorf("at first: %q", got.failure)
		}
		time.Sleep(3*retryAfter + time.Second/2)
		settle(s)
		for i, want := range []string{strings.Repeat("1", 35), "??" + strings.Repeat("1", 15), "????"} {
			if got := picture(s.targets[i]); got != want {
				t.Errorf("%s: %q, want %q", s.targets[i].host, got, want)
			}
		}
		cancel()
		if err := <-ended; err != nil || p.series != 2 {
			t.Errorf("%v, %d series", err, p.series)
		}
		settle(s)
		if s.targets[0].failure != "" {
			t.Errorf("the end of the view is a failure of a target: %s", s.targets[0].failure)
		}
	})
}

// TestHostsFail has sources that end the view at once, though series run.
func TestHostsFail(t *testing.T) {
	boom := errors.New("boom")
	for _, tt := range []struct {
		source func(func([]byte) error) error
		want   error
	}{{fromList(boom, "198.18.0.1"), boom}, {fromList(nil), errNoHost}} {
		synctest.Test(t, func(t *testing.T) {
			s := NewStore(0)
			if err := s.Hosts(t.Context(), newFakePinger(), icmpcore.Options{Interval: time.Second}, tt.source); !errors.Is(err, tt.want) {
				t.Errorf("%v, want %v", err, tt.want)
			}
		})
	}
}

// TestTargets has the targets of a file: one after the other, with their tags.
func TestTargets(t *testing.T) {
	c, err := config.Parse("test.toml", `[agent]
interval = "10s"
[defaults]
count = 3
ping_interval = "1s"
[[targets]]
hosts = ["198.18.0.1", "198.18.0.2"]
tags = { site = "north", role = "core" }
[[targets]]
hosts = ["198.18.0.1"]
`, func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		p, s := newFakePinger(), NewStore(0)
		p.refuse[netip.MustParseAddr("198.18.0.2")] = 1
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- s.Targets(ctx, p, c) }()
		time.Sleep(29500 * ms) // three rounds
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		settle(s)
		for i, want := range []string{"111111111", "?111111", "111111111"} {
			if got := picture(s.targets[i]); got != want {
				t.Errorf("%s: %q, want %q", s.targets[i].host, got, want)
			}
		}
		if got := s.targets[0].tags + "; " + s.targets[2].tags; got != "role=core site=north; " {
			t.Errorf("tags %q", got)
		}
		if got := s.pace(s.targets[0]); got != 10*time.Second/3 {
			t.Errorf("an echo every %v", got)
		}
	})
}
