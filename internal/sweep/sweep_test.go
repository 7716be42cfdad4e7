package sweep_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/hosts"
	"github.com/pingtel/pingtel/internal/sweep"
)

// fakePinger answers at once. It answers addresses in hold only at Close.
// A name resolves to 192.0.2.80 after a second; "slow" takes an hour, "bad"
// has no address.
type fakePinger struct {
	hold netip.Prefix

	mu      sync.Mutex // guards the fields below
	closed  bool
	sent    uint64 // series that were begun
	refused uint64 // of them, whose request the system refused
	given   []icmpcore.Target
	stuck   bool // none of them is sent
	held    []func()
	asked   int // look-ups
	lookups int // running now
	most    int // that ran at once
}

func (p *fakePinger) Go(t icmpcore.Target, _ icmpcore.Options, done func(icmpcore.PingResult)) (icmpcore.Run, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.given) < 100 {
		p.given = append(p.given, t)
	}
	if t.Host == "" {
		t.Host = t.Addr.String()
	}
	switch {
	case p.closed:
		return icmpcore.Run{}, net.ErrClosed
	case p.stuck:
		p.held = append(p.held, func() { done(icmpcore.PingResult{Host: t.Host, Addr: t.Addr}) })
		return icmpcore.Run{}, nil
	case t.Addr.Is6():
		return icmpcore.Run{}, errors.New("no socket")
	case p.hold.IsValid() && p.hold.Contains(t.Addr):
		p.held = append(p.held, func() { done(icmpcore.PingResult{Host: t.Host, Addr: t.Addr, Sent: 1, Err: net.ErrClosed}) })
	default:
		go done(icmpcore.PingResult{Host: t.Host, Addr: t.Addr, Sent: 1, Received: 1})
	}
	return icmpcore.Run{}, nil
}

func (p *fakePinger) Resolve(ctx context.Context, host string, f icmpcore.Family) (icmpcore.Target, error) {
	if addr, err := netip.ParseAddr(host); err == nil {
		if f == icmpcore.FamilyIPv4 && addr.Is6() {
			return icmpcore.Target{}, errors.New("wrong family")
		}
		return icmpcore.Target{Host: host, Addr: addr}, nil
	}
	p.count(1)
	defer p.count(-1)
	takes := time.Second
	if host == "slow" {
		takes = time.Hour
	}
	select {
	case <-time.After(takes):
	case <-ctx.Done():
		return icmpcore.Target{}, ctx.Err()
	}
	if host == "bad" {
		return icmpcore.Target{}, errors.New("no address")
	}
	return icmpcore.Target{Host: host, Addr: netip.MustParseAddr("192.0.2.80")}, nil
}

func (p *fakePinger) Stats() icmpcore.Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return icmpcore.Stats{Sent: p.sent - p.refused, SendErrors: p.refused}
}

// send sends and answers all series that have started.
func (p *fakePinger) send() {
	p.mu.Lock()
	held := p.held
	p.held = nil
	p.sent += uint64(len(held))
	p.refused = p.sent / 2
	p.mu.Unlock()
	for _, end := range held {
		end()
	}
}

func (p *fakePinger) count(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lookups += n
	p.asked += max(0, n)
	p.most = max(p.most, p.lookups)
}

func (p *fakePinger) Close() error {
	p.mu.Lock()
	held := p.held
	p.held, p.closed = nil, true
	p.mu.Unlock()
	for _, end := range held {
		end()
	}
	return nil
}

// results collects what a sweep emits.
type results struct {
	mu  sync.Mutex
	all []string
}

func (r *results) add(res icmpcore.PingResult) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, fmt.Sprintf("%s %d/%d %v", res.Host, res.Received, res.Sent, res.Err))
}

func (r *results) sorted() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Sorted(slices.Values(r.all))
}

// list is a source of hosts with the same Probe.
func list(how *sweep.Probe, hosts ...string) sweep.Source {
	return func(yield func([]byte, *sweep.Probe) error) error {
		for _, h := range hosts {
			if err := yield([]byte(h), how); err != nil {
				return err
			}
		}
		return nil
	}
}

func TestEveryHostGetsItsResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got results
		s := sweep.New(&fakePinger{})
		how := s.Probe(icmpcore.Options{}, got.add)
		if err := s.Run(t.Context(), list(how, "192.0.2.1", "bad", "name", "2001:db8::1", "192.0.2.1")); err != nil {
			t.Fatalf("Run = %v", err)
		}
		want := []string{"192.0.2.1 1/1 <nil>", "192.0.2.1 1/1 <nil>", "2001:db8::1 0/0 no socket", "bad 0/0 no address", "name 1/1 <nil>"}
		if !slices.Equal(got.sorted(), want) {
			t.Errorf("results %q, want %q", got.sorted(), want)
		}
		if s.Started() != 5 || s.Finished() != 5 {
			t.Errorf("started %d, finished %d, want 5 and 5", s.Started(), s.Finished())
		}
	})
}

func TestFamilyOfLiteralAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got results
		s := sweep.New(&fakePinger{})
		how := s.Probe(icmpcore.Options{Family: icmpcore.FamilyIPv4}, got.add)
		if err := s.Run(t.Context(), list(how, "192.0.2.1", "2001:db8::1")); err != nil {
			t.Fatalf("Run = %v", err)
		}
		if want := []string{"192.0.2.1 1/1 <nil>", "2001:db8::1 0/0 wrong family"}; !slices.Equal(got.sorted(), want) {
			t.Errorf("results %q, want %q", got.sorted(), want)
		}
	})
}

func TestLookupsAreBoundedAndDelayNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fakePinger{}
		var hosts []string
		for i := range 640 {
			hosts = append(hosts, fmt.Sprintf("name%d", i))
		}
		start := time.Now()
		var literal time.Duration
		s := sweep.New(p)
		how := s.Probe(icmpcore.Options{}, func(r icmpcore.PingResult) {
			if r.Host == "192.0.2.1" {
				literal = time.Since(start)
			}
		})
		if err := s.Run(t.Context(), list(how, append(hosts, "192.0.2.1")...)); err != nil {
			t.Fatalf("Run = %v", err)
		}
		if p.most != 64 || time.Since(start) != 10*time.Second || literal != 0 {
			t.Errorf("%d lookups at once, %v in all, the address after %v, want 64, 10s and 0s", p.most, time.Since(start), literal)
		}
	})
}

func TestInterruptGivesWhatThereIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		var got results
		p := &fakePinger{hold: netip.MustParsePrefix("192.0.2.7/32")}
		s := sweep.New(p)
		how := s.Probe(icmpcore.Options{}, got.add)
		unblock := make(chan struct{})
		late := make(chan error)
		blocked := func(yield func([]byte, *sweep.Probe) error) error {
			if err := list(how, "192.0.2.1", "192.0.2.7", "slow")(yield); err != nil {
				return err
			}
			<-unblock // as a read from a terminal would
			err := yield([]byte("192.0.2.8"), how)
			late <- err
			return err
		}
		start := time.Now()
		if err := s.Run(ctx, blocked); err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
		if took := time.Since(start); took != 2*time.Second {
			t.Errorf("Run took %v, want 2s", took)
		}
		want := []string{"192.0.2.1 1/1 <nil>", "192.0.2.7 0/1 use of closed network connection", "slow 0/0 context deadline exceeded"}
		if !slices.Equal(got.sorted(), want) {
			t.Errorf("results %q, want %q", got.sorted(), want)
		}
		close(unblock)
		if err := <-late; err == nil {
			t.Error("a source that goes on after Run is not told to stop")
		}
		if n := len(got.sorted()); n != len(want) {
			t.Errorf("%d results after Run had returned", n-len(want))
		}
	})
}

// A Pinger that is closed while names are looked up ends the sweep, which does not wait for
// hosts that could not start.
func TestPingerClosed(t *testing.T) {
	for name, hosts := range map[string][]string{"during a look-up": {"name"}, "while hosts are read": {"192.0.2.1", "192.0.2.2"}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var got results
				p := &fakePinger{}
				s := sweep.New(p)
				how := s.Probe(icmpcore.Options{}, got.add)
				err := s.Run(t.Context(), func(yield func([]byte, *sweep.Probe) error) error {
					if hosts[0] == "name" {
						time.AfterFunc(500*time.Millisecond, func() { _ = p.Close() }) // a look-up takes a second
					} else {
						_ = p.Close()
					}
					return list(how, hosts...)(yield)
				})
				if err != nil || len(got.sorted()) != 0 {
					t.Errorf("Run = %v, results %q, want none", err, got.sorted())
				}
			})
		})
	}
}

// When the sweep ends, it cancels running look-ups first, and starts none for names that
// still wait.
func TestInterruptEndsLookups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		p := &fakePinger{}
		var got results
		s := sweep.New(p)
		how := s.Probe(icmpcore.Options{}, got.add)
		names := slices.Repeat([]string{"slow"}, 1000)
		if err := s.Run(ctx, list(how, names...)); err != nil {
			t.Fatal(err)
		}
		if n := len(got.sorted()); n != 64 || p.lookups != 0 || p.asked != 64 {
			t.Errorf("%d results, %d of %d look-ups still run, want 64, 0 of 64", n, p.lookups, p.asked)
		}
	})
}

// A text that cannot be a host is not looked up; its result says what it looks like.
func TestNoHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fakePinger{}
		var got results
		s := sweep.New(p)
		how := s.Probe(icmpcore.Options{}, got.add)
		if err := s.Run(t.Context(), list(how, "http://b.test/x", "192.0.2.1", "192.0.2.9-1")); err != nil {
			t.Fatal(err)
		}
		want := []string{"192.0.2.1 1/1 <nil>", "192.0.2.9-1 0/0 lookup 192.0.2.9-1: is a range that ends before it begins: swap its ends",
			"http://b.test/x 0/0 lookup http://b.test/x: looks like a URL: want only its host, b.test"}
		if !slices.Equal(got.sorted(), want) || p.asked != 0 {
			t.Errorf("results %q, want %q", got.sorted(), want)
		}
	})
}

func TestSourceThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got results
		s := sweep.New(&fakePinger{})
		how := s.Probe(icmpcore.Options{}, got.add)
		err := s.Run(t.Context(), func(yield func([]byte, *sweep.Probe) error) error {
			return hosts.ReadFile(strings.NewReader("192.0.2.1\n"+strings.Repeat("x", 5000)), func(h []byte) error { return yield(h, how) })
		})
		if !errors.Is(err, hosts.ErrLineTooLong) {
			t.Errorf("Run = %v, want ErrLineTooLong", err)
		}
		if want := []string{"192.0.2.1 1/1 <nil>"}; !slices.Equal(got.sorted(), want) {
			t.Errorf("results %q, want %q: those before the fault", got.sorted(), want)
		}
	})
}

// A sweep reads its source only as fast as series can be sent.
func TestSourceWaitsForTheSends(t *testing.T) {
	for _, cancelled := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			const hosts, bound = 200_000, 1<<12 + 1<<10
			p := &fakePinger{stuck: true}
			s := sweep.New(p)
			how := s.Probe(icmpcore.Options{}, func(icmpcore.PingResult) {})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			ended := make(chan error)
			go func() {
				ended <- s.Run(ctx, func(yield func([]byte, *sweep.Probe) error) error {
					for range hosts {
						if err := yield([]byte("192.0.2.1"), how); err != nil {
							return err
						}
					}
					return nil
				})
			}()
			time.Sleep(time.Minute)
			if n := s.Started(); n < 1<<12 || n > bound {
				t.Errorf("%d hosts begun, want %d at most", n, bound)
			}
			if cancelled {
				cancel()
			}
			for !cancelled && s.Finished() < hosts {
				p.send()
				time.Sleep(time.Second)
			}
			if err := <-ended; err != nil {
				t.Error(err)
			}
			if n := s.Finished(); !cancelled && n != hosts {
				t.Errorf("%d of %d hosts have their result", n, hosts)
			}
		})
	}
}

// A panic anywhere in a sweep reaches the caller of Run, which can recover from it.
func TestPanicReachesTheCaller(t *testing.T) {
	broken := func(icmpcore.PingResult) { panic("receiver") }
	held := netip.MustParsePrefix("192.0.2.7/32")
	for _, tt := range []struct {
		name, want string
		emit       func(icmpcore.PingResult)
		source     func(*sweep.Probe) sweep.Source
	}{
		{"source", "source", func(icmpcore.PingResult) {}, func(*sweep.Probe) sweep.Source {
			return func(func([]byte, *sweep.Probe) error) error { panic("source") }
		}},
		{"result", "receiver", broken, func(how *sweep.Probe) sweep.Source { return list(how, "192.0.2.1") }},
		{"result of a name", "receiver", broken, func(how *sweep.Probe) sweep.Source { return list(how, "bad") }},
		{"result at the end", "receiver", broken, func(how *sweep.Probe) sweep.Source { return list(how, "192.0.2.7") }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				s := sweep.New(&fakePinger{hold: held})
				defer func() {
					if v, ok := recover().(string); !ok || !strings.HasPrefix(v, tt.want+"\n\ngoroutine ") {
						t.Errorf("recovered %q, want %q and a stack", v, tt.want)
					}
				}()
				err := s.Run(ctx, tt.source(s.Probe(icmpcore.Options{}, tt.emit)))
				t.Errorf("Run = %v, want a panic", err)
			})
		})
	}
}

// A result has the address as it was written if its standard text differs, or if each echo
// is reported. An address that needs more than parsing is resolved like a name.
func TestTargetsAsWritten(t *testing.T) {
	v4, v6 := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	tell := icmpcore.Options{OnEcho: func(icmpcore.Echo) {}}
	for _, tt := range []struct {
		host string
		opts icmpcore.Options
		want icmpcore.Target
	}{
		{"192.0.2.1", icmpcore.Options{}, icmpcore.Target{Addr: v4}},
		{"192.0.2.1", tell, icmpcore.Target{Host: "192.0.2.1", Addr: v4}},
		{"2001:DB8::1", icmpcore.Options{}, icmpcore.Target{Host: "2001:DB8::1", Addr: v6}},
		{"2001:db8::1%7", icmpcore.Options{}, icmpcore.Target{Host: "2001:db8::1%7", Addr: v6.WithZone("7")}},
		{"192.0.2.1", icmpcore.Options{Family: icmpcore.FamilyIPv4}, icmpcore.Target{Host: "192.0.2.1", Addr: v4}},
	} {
		synctest.Test(t, func(t *testing.T) {
			p := &fakePinger{}
			s := sweep.New(p)
			how := s.Probe(tt.opts, func(icmpcore.PingResult) {})
			if err := s.Run(t.Context(), list(how, tt.host)); err != nil {
				t.Fatal(err)
			}
			if len(p.given) != 1 || p.given[0] != tt.want {
				t.Errorf("%s: given %+v, want %+v", tt.host, p.given, tt.want)
			}
		})
	}
}

// Names that come one after the other all have their look-up: a worker that has ended is
// replaced.
func TestNamesInTheirOwnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fakePinger{}
		s := sweep.New(p)
		var got results
		how := s.Probe(icmpcore.Options{}, got.add)
		err := s.Run(t.Context(), func(yield func([]byte, *sweep.Probe) error) error {
			for range 200 {
				if err := yield([]byte("name"), how); err != nil {
					return err
				}
				time.Sleep(2 * time.Second)
			}
			return nil
		})
		if n := len(got.sorted()); err != nil || n != 200 || p.most != 1 {
			t.Errorf("Run = %v, %d of 200 results, %d look-ups at once", err, n, p.most)
		}
	})
}
