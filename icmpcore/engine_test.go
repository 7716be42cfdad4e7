package icmpcore

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"reflect"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

const ms = time.Millisecond

// TestSeries runs one series of ten echoes in virtual time, 100 ms apart and
// with a timeout of a second. Every figure is exact.
func TestSeries(t *testing.T) {
	true10 := func(r sent) []answer { return []answer{{10 * ms, r.reply()}} }
	always := func(ev func(sent) event) func(sent) []answer {
		return func(r sent) []answer { return append([]answer{{0, ev(r)}}, true10(r)...) }
	}
	tests := []struct {
		name   string
		script func(sent) []answer
		want   PingResult // the test adds Sent 10, Addr and so on
		stats  Stats
	}{
		{
			name:   "all well",
			script: true10,
			want:   PingResult{Received: 10},
		},
		{
			name:   "silence",
			script: func(sent) []answer { return nil },
			stats:  Stats{Timeouts: 10},
		},
		{
			name: "every third lost",
			script: func(r sent) []answer {
				if r.number%3 == 0 {
					return nil
				}
				return true10(r)
			},
			want:  PingResult{Received: 6},
			stats: Stats{Timeouts: 4},
		},
		{
			name: "two duplicates of each",
			script: func(r sent) []answer {
				return append(true10(r), answer{11 * ms, r.reply()}, answer{12 * ms, r.reply()})
			},
			// the series ends with the first reply to its last echo
			want:  PingResult{Received: 10, Duplicates: 18},
			stats: Stats{Duplicates: 18, Late: 2},
		},
		{
			name: "late",
			script: func(r sent) []answer {
				if r.number == 0 {
					return []answer{{time.Second + 50*ms, r.reply()}}
				}
				if r.number == 9 {
					return nil // keeps the series going
				}
				return true10(r)
			},
			want:  PingResult{Received: 8, Late: 1},
			stats: Stats{Timeouts: 2, Late: 1},
		},
		{
			name: "reordered",
			script: func(r sent) []answer {
				if r.number == 4 {
					return []answer{{150 * ms, r.reply()}}
				}
				return true10(r)
			},
			want: PingResult{Received: 10, Reordered: 1},
		},
		{name: "wrong source", script: after(10*ms, func(r sent) event {
			ev := r.reply()
			ev.from = netip.MustParseAddr("198.18.0.99")
			return ev
		}), stats: Stats{Timeouts: 10, Foreign: 10}},
		{name: "wrong id", script: after(10*ms, func(r sent) event { return r.altered(5) }), stats: Stats{Timeouts: 10, Foreign: 10}},
		{name: "wrong sequence number", script: after(10*ms, func(r sent) event { return r.altered(7) }), stats: Stats{Timeouts: 10, Foreign: 10}},
		{name: "wrong cookie", script: after(10*ms, func(r sent) event { return r.altered(8) }), stats: Stats{Timeouts: 10, Foreign: 10}},
		{name: "wrong payload", script: after(10*ms, func(r sent) event { return r.altered(20) }),
			want: PingResult{Corrupt: 10}, stats: Stats{Timeouts: 10, Corrupt: 10}},
		{name: "wrong checksum", script: after(10*ms, func(r sent) event {
			ev := r.reply()
			ev.message[3] ^= 1
			return ev
		}), want: PingResult{Corrupt: 10}, stats: Stats{Timeouts: 10, Corrupt: 10}},
		{name: "truncated", script: after(10*ms, func(r sent) event {
			ev := r.reply()
			ev.message = ev.message[:30]
			return ev
		}), want: PingResult{Corrupt: 10}, stats: Stats{Timeouts: 10, Corrupt: 10}},
		{name: "too short for a cookie", script: after(10*ms, func(r sent) event {
			ev := r.reply()
			ev.message = ev.message[:15]
			return ev
		}), stats: Stats{Timeouts: 10, Foreign: 10}},
		{name: "longer than sent", script: after(10*ms, func(r sent) event {
			ev := r.reply()
			ev.message = append(ev.message, 0, 0)
			return ev
		}), want: PingResult{Corrupt: 10}, stats: Stats{Timeouts: 10, Corrupt: 10}},
		{name: "the request itself", script: after(10*ms, func(r sent) event {
			ev := r.reply()
			ev.message = r.message
			return ev
		}), stats: Stats{Timeouts: 10, Foreign: 10}},
		{name: "forged before true", script: always(func(r sent) event { return r.altered(8) }),
			want: PingResult{Received: 10}, stats: Stats{Foreign: 10}},
		{name: "corrupt before true", script: always(func(r sent) event { return r.altered(16) }),
			want: PingResult{Received: 10, Corrupt: 10}, stats: Stats{Corrupt: 10}},
		{name: "forged error without cookie before true", script: always(func(r sent) event { return r.errored(3, 1, 0) }),
			want: PingResult{Received: 10}},
		{name: "forged error with a wrong cookie", script: always(func(r sent) event {
			ev := r.errored(3, 1, 8)
			ev.err.request.payload = []byte("notours!")
			return ev
		}), want: PingResult{Received: 10}, stats: Stats{Foreign: 10}},
		{name: "error about another destination", script: always(func(r sent) event {
			ev := r.errored(3, 1, 0)
			ev.err.to = netip.MustParseAddr("198.18.0.99")
			return ev
		}), want: PingResult{Received: 10}, stats: Stats{Foreign: 10}},
		{name: "error about another sequence number", script: always(func(r sent) event {
			ev := r.errored(3, 1, 0)
			ev.err.request.seq += 100
			return ev
		}), want: PingResult{Received: 10}, stats: Stats{Foreign: 10}},
		{name: "error with another id", script: always(func(r sent) event {
			ev := r.errored(3, 1, 8)
			ev.err.request.id++
			return ev
		}), want: PingResult{Received: 10}, stats: Stats{Foreign: 10}},
		{name: "true reply after a proven error", script: always(func(r sent) event { return r.errored(3, 1, 8) }),
			want: PingResult{Received: 9, Errors: make([]EchoError, 1)}, stats: Stats{Errors: 10, Late: 1}},
		{name: "error with cookie", script: after(10*ms, func(r sent) event { return r.errored(3, 1, 8) }),
			want: PingResult{Errors: make([]EchoError, 10)}, stats: Stats{Errors: 10}},
		{name: "error without cookie", script: after(10*ms, func(r sent) event { return r.errored(11, 0, 0) }),
			want: PingResult{Errors: make([]EchoError, 10)}, stats: Stats{Errors: 10}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newFake(t, tt.script)
				p := openFake(t, c, Config{})
				r, err := p.Ping(t.Context(), "198.18.0.1", Options{Count: 10, Interval: 100 * ms})
				if err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				time.Sleep(5 * time.Second) // of virtual time, for late packets
				synctest.Wait()
				checkSeries(t, r, tt.want)
				stats := tt.stats
				stats.Sent, stats.Received = 10, uint64(tt.want.Received)
				if tt.name == "true reply after a proven error" {
					stats.Received = 9
				}
				if got := p.Stats(); got != stats {
					t.Errorf("Stats = %+v\nwant %+v", got, stats)
				}
				if err := leftovers(p); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// checkSeries compares counts, and RTTs with the 10 ms of the scripts.
func checkSeries(t *testing.T, r, want PingResult) {
	t.Helper()
	if r.Sent != 10 || r.Received != want.Received || r.Loss != float64(10-want.Received)*10 {
		t.Errorf("sent %d received %d loss %v, want 10, %d", r.Sent, r.Received, r.Loss, want.Received)
	}
	if r.Duplicates != want.Duplicates || r.Late != want.Late || r.Reordered != want.Reordered || r.Corrupt != want.Corrupt {
		t.Errorf("duplicates %d late %d reordered %d corrupt %d, want %d %d %d %d", r.Duplicates, r.Late, r.Reordered, r.Corrupt,
			want.Duplicates, want.Late, want.Reordered, want.Corrupt)
	}
	if len(r.Errors) != len(want.Errors) {
		t.Errorf("errors = %+v, want %d", r.Errors, len(want.Errors))
	}
	for i, e := range r.Errors {
		if e.Message == "" || e.From != netip.MustParseAddr("198.18.255.1") || i > 0 && e.Seq <= r.Errors[i-1].Seq {
			t.Errorf("error %d = %+v", i, e)
		}
	}
	for i, rtt := range r.RTTs {
		if rtt != 10*ms && !(rtt == 150*ms && want.Reordered > 0 && i == 4) {
			t.Errorf("RTT %d = %v, want exactly 10ms", i, rtt)
		}
	}
	if want.Received > 0 && (r.TTL != 57 || r.Hops != 8 || r.ReplyDSCP != 46 || r.Timestamps != TimestampsKernel) {
		t.Errorf("TTL %d hops %d DSCP %d timestamps %s", r.TTL, r.Hops, r.ReplyDSCP, r.Timestamps)
	}
}

// TestPacing checks when the requests of a series leave: at the interval, with or
// without replies, to within a tick of the wheel.
func TestPacing(t *testing.T) {
	for _, tt := range []struct {
		series   int
		interval time.Duration
		late     time.Duration // at most
	}{
		{1, 20 * ms, 1 << tickBits},
		{2 * manySeries, 2 * ms, napTime + 2<<tickBits},
		{2 * manySeries, 15 * ms, napTime + 2<<tickBits},
		{2 * manySeries, 20 * ms, time.Duration(beat) + 2<<tickBits}, // in beats
	} {
		t.Run(fmt.Sprintf("%d series, %v", tt.series, tt.interval), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newFake(t, func(sent) []answer { return nil })
				p := openFake(t, c, Config{MaxRate: -1})
				start := time.Now()
				for i := range tt.series {
					addr := netip.AddrFrom4([4]byte{198, 18, 0, byte(i)})
					if _, err := p.Go(Target{Addr: addr}, Options{Count: 50, Interval: tt.interval, Timeout: 300 * ms}, func(PingResult) {}); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(2 * time.Second)
				for _, r := range c.requests() {
					if late := r.at.Sub(start) - time.Duration(r.number)*tt.interval; late < 0 || late > tt.late {
						t.Errorf("request %d to %v left %v late", r.number, r.addr, late)
					}
				}
				if n := len(c.requests()); n != 50*tt.series {
					t.Errorf("%d requests, want %d", n, 50*tt.series)
				}
			})
		})
	}
}

// TestLateAfterTheEnd sends replies when other series use the slots.
func TestLateAfterTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFake(t, after(time.Second, sent.reply))
		p := openFake(t, c, Config{})
		for range 5 {
			if _, err := p.Ping(t.Context(), "198.18.0.1", Options{Count: 1, Timeout: 100 * ms}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if s := p.Stats(); s.Late != 5 || s.Foreign != 0 || s.Timeouts != 5 {
			t.Errorf("%+v, want 5 late and none foreign", s)
		}
		if p.used == 5 { // a slot becomes free a moment after its result
			t.Error("no slot was used again, so that this shows nothing")
		}
	})
}

// TestRate starts many series at once. No millisecond has more than three times
// its share, and the rate is reached.
func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFake(t, after(5*ms, sent.reply))
		p := openFake(t, c, Config{MaxRate: 50000})
		start := time.Now()
		const n = 5000
		results := make(chan PingResult, n)
		for i := range n {
			if _, err := p.Go(loopbackTarget(i), Options{}, func(r PingResult) { results <- r }); err != nil {
				t.Fatal(err)
			}
		}
		for range n {
			if r := <-results; r.Received != 1 {
				t.Fatalf("%s: %d received", r.Host, r.Received)
			}
		}
		windows := make(map[int64]int)
		for _, r := range c.requests() {
			windows[r.at.Sub(start).Milliseconds()]++
		}
		for w, sends := range windows {
			if sends > 150 {
				t.Errorf("millisecond %d: %d requests, share is 50", w, sends)
			}
		}
		if took := time.Since(start); took < 99*ms || took > 115*ms {
			t.Errorf("%d requests took %v, want 100ms and a reply", n, took)
		}
	})
}

// TestEnds ends a series in every possible way and checks that nothing of it
// stays in the tables.
func TestEnds(t *testing.T) {
	boom := errors.New("sockets lost")
	silent := func(sent) []answer { return nil }
	noRoute := os.NewSyscallError("sendmmsg", syscall.ENETUNREACH)
	tests := []struct {
		name   string
		script func(sent) []answer
		refuse func(sent) error
		cut    func(*fakeConn, *Pinger, context.CancelFunc)
		err    error
		sent   int
	}{
		{name: "reply", script: after(ms, sent.reply), sent: 3},
		{name: "timeout", script: silent, sent: 3},
		{name: "ICMP error", script: after(ms, func(r sent) event { return r.errored(3, 0, 8) }), sent: 3},
		{name: "send error", script: silent, refuse: func(sent) error { return noRoute }, err: syscall.ENETUNREACH},
		{name: "cancel", script: silent, err: context.Canceled,
			cut: func(_ *fakeConn, _ *Pinger, cancel context.CancelFunc) { cancel() }},
		{name: "close", script: silent, err: net.ErrClosed,
			cut: func(_ *fakeConn, p *Pinger, _ context.CancelFunc) { p.inbox.close(net.ErrClosed) }},
		{name: "sockets lost", script: silent, err: boom,
			cut: func(c *fakeConn, _ *Pinger, _ context.CancelFunc) {
				c.mu.Lock()
				c.gone = boom
				c.mu.Unlock()
				c.wake()
			}},
		{name: "cancel while the send queue is full", script: silent, err: context.Canceled,
			refuse: func(sent) error { return errFull },
			cut:    func(_ *fakeConn, _ *Pinger, cancel context.CancelFunc) { cancel() }},
		{name: "send queue full for ever", script: silent, refuse: func(sent) error { return errFull }, err: errFull},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newFake(t, tt.script)
				c.refuse = tt.refuse
				p := openFake(t, c, Config{})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if tt.cut != nil {
					time.AfterFunc(150*ms, func() { tt.cut(c, p, cancel) })
				}
				r, err := p.Ping(ctx, "198.18.0.1", Options{Count: 3, Interval: 100 * ms, Timeout: 500 * ms})
				if !errors.Is(err, tt.err) || (err == nil) != (tt.err == nil) {
					t.Errorf("error = %v, want %v", err, tt.err)
				}
				if r.Sent != tt.sent {
					t.Errorf("sent = %d, want %d: %+v", r.Sent, tt.sent, r)
				}
				synctest.Wait()
				if err := leftovers(p); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestPartial cancels a series between two echoes. Decided echoes count, and
// echoes in flight are in no figure.
func TestPartial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFake(t, after(30*ms, sent.reply))
		p := openFake(t, c, Config{})
		ctx, cancel := context.WithTimeout(t.Context(), 215*ms)
		defer cancel()
		r, err := p.Ping(ctx, "198.18.0.1", Options{Count: Forever, Interval: 100 * ms})
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(r.Err, context.DeadlineExceeded) {
			t.Errorf("error = %v", err)
		}
		if r.Sent != 2 || r.Received != 2 || r.Loss != 0 {
			t.Errorf("sent %d received %d loss %v, want 2 2 0: the third was in flight", r.Sent, r.Received, r.Loss)
		}
	})
}

// TestLong runs a series with more echoes than its ring has room for and than
// there are sequence numbers.
func TestLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 70000
		c := newFake(t, func(r sent) []answer {
			if r.number%1000 == 999 {
				return nil
			}
			return []answer{{time.Duration(1+r.number%5) * ms, r.reply()}}
		})
		p := openFake(t, c, Config{MaxRate: -1})
		r, err := p.Ping(t.Context(), "198.18.0.1", Options{Count: n, Interval: ms, Timeout: 20 * ms})
		if err != nil {
			t.Fatal(err)
		}
		if r.Sent != n || r.Received != n-n/1000 || len(r.RTTs) != r.Received || r.Late+r.Duplicates+r.Corrupt != 0 {
			t.Errorf("%d sent %d received %d RTTs %d late", r.Sent, r.Received, len(r.RTTs), r.Late)
		}
		want := make([]time.Duration, 0, n)
		var lost []int
		for i := range n {
			if i%1000 != 999 {
				want = append(want, time.Duration(1+i%5)*ms)
			} else {
				lost = append(lost, i+1)
			}
		}
		if !reflect.DeepEqual(r.RTTs, want) {
			t.Error("the RTTs are not those of the requests, in their order")
		}
		if !reflect.DeepEqual(r.Lost, lost) {
			t.Errorf("lost %v, want %v", r.Lost, lost)
		}
		if len(p.slots.at(0).echoes) > 1024 {
			t.Errorf("the ring holds %d echoes", len(p.slots.at(0).echoes))
		}
	})
}

// TestFullQueue has the system refuse requests now and then. They wait and are
// not lost, and the RTT is that of the attempt that was sent.
func TestFullQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		c := newFake(t, after(10*ms, sent.reply))
		c.refuse = func(sent) error {
			if tries++; tries%4 != 0 {
				return errFull
			}
			return nil
		}
		p := openFake(t, c, Config{})
		r, err := p.Ping(t.Context(), "198.18.0.1", Options{Count: 20, Interval: 5 * ms})
		if err != nil {
			t.Fatal(err)
		}
		if r.Received != 20 || r.Max != 10*ms {
			t.Errorf("%d received, max %v, want 20, 10ms", r.Received, r.Max)
		}
		if s := p.Stats(); s.SendWaits != 60 || s.SendErrors != 0 {
			t.Errorf("Stats = %+v, want 60 waits", s)
		}
	})
}

// TestHeldRequest stops the process for longer than the timeout while the second
// request of a series waits for room in the system's queue. The request does not
// count as lost, because it was not sent, and does not stay in the lane when its
// series ends.
func TestHeldRequest(t *testing.T) {
	tests := []struct {
		name     string
		fullFor  time.Duration
		escapes  bool // the first attempt is sent and answered
		received int
		err      error
	}{
		{name: "then there is room", fullFor: 11 * ms, received: 1},
		{name: "never room", fullFor: time.Hour, err: errFull},
		{name: "answered all the same", fullFor: time.Hour, escapes: true, received: 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newFake(t, func(r sent) []answer {
					switch {
					case r.family == FamilyIPv6:
						return []answer{{500 * ms, r.reply()}}
					case r.number == 1:
						return []answer{{ms, r.reply()}}
					}
					return nil
				})
				var since time.Time
				c.refuse = func(r sent) error {
					if r.family == FamilyIPv6 || r.number == 0 || !since.IsZero() && time.Since(since) > tt.fullFor {
						return nil
					}
					if since.IsZero() {
						since = time.Now()
						if tt.escapes {
							c.arrive(event{kind: eventStamp, slot: 0, gen: 1, number: 1, stamp: c.wall()})
							c.arrive(r.reply())
						}
						time.Sleep(12 * ms)
					}
					return errFull
				}
				p := openFake(t, c, Config{})
				results := make(chan PingResult, 2)
				start := func(addr string, o Options) {
					if _, err := p.Go(Target{Addr: netip.MustParseAddr(addr)}, o, func(r PingResult) { results <- r }); err != nil {
						t.Error(err)
					}
				}
				start("198.18.0.1", Options{Count: 2, Interval: 8 * ms, Timeout: 10 * ms})
				time.Sleep(30 * ms)
				start("2001:db8::1", Options{Count: 2, Interval: 2 * time.Second, Timeout: time.Second})
				r := <-results
				if r.Sent != 1+tt.received || r.Received != tt.received || len(r.Errors) != 1-tt.received {
					t.Errorf("%d sent, %d received, errors %v", r.Sent, r.Received, r.Errors)
				}
				if tt.err != nil && (len(r.Errors) != 1 || !errors.Is(&r.Errors[0], tt.err)) {
					t.Errorf("errors %v, want %v", r.Errors, tt.err)
				}
				if other := <-results; other.Received != 2 || other.Min != 500*ms || other.Max != 500*ms || other.Timestamps != TimestampsKernel {
					t.Errorf("the other series: %+v", other)
				}
				synctest.Wait()
				if err := leftovers(p); err != nil {
					t.Error(err)
				}
				if s := p.Stats(); s.Sent+s.SendErrors != 4 {
					t.Errorf("%d sent and %d refused, want 4 in all", s.Sent, s.SendErrors)
				}
			})
		})
	}
}

// TestOneBadTarget refuses the requests to one target among many. The others of
// the same batches are sent.
func TestOneBadTarget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bad := loopbackTarget(7).Addr
		c := newFake(t, after(ms, sent.reply))
		c.refuse = func(r sent) error {
			if r.addr == bad {
				return os.NewSyscallError("sendmmsg", syscall.EPERM)
			}
			return nil
		}
		p := openFake(t, c, Config{MaxRate: -1})
		results := make(chan PingResult, 100)
		for i := range 100 {
			if _, err := p.Go(loopbackTarget(i), Options{Count: 2}, func(r PingResult) { results <- r }); err != nil {
				t.Fatal(err)
			}
		}
		for range 100 {
			r := <-results
			if r.Addr != bad {
				if r.Received != 2 || r.Err != nil {
					t.Errorf("%s: %d received, %v", r.Addr, r.Received, r.Err)
				}
				continue
			}
			var send *SendError
			if !errors.As(r.Err, &send) || !errors.Is(r.Err, os.ErrPermission) || send.Addr != bad {
				t.Errorf("bad target's error = %v", r.Err)
			}
			if r.Sent != 0 || r.Loss != 0 || len(r.Lost) != 0 || len(r.Errors) != 2 || r.Errors[0].Kind != SendFailed || r.Errors[0].Seq != 1 || r.Errors[1].Seq != 2 {
				t.Errorf("bad target's result = %+v", r)
			}
		}
	})
}

// TestSameAddress pings one address under two names and in two classes at once.
// Each series gets its own replies, and an error without a cookie that could be
// about either counts for neither.
func TestSameAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFake(t, func(r sent) []answer { return []answer{{time.Duration(r.size) * ms, r.reply()}} })
		p := openFake(t, c, Config{})
		results := make(chan PingResult, 3)
		addr := netip.MustParseAddr("198.18.0.1")
		for i, host := range []string{"a.example", "b.example", "c.example"} {
			opts := Options{Count: 4, Size: 10 + i, DSCP: i}
			if _, err := p.Go(Target{Host: host, Addr: addr}, opts, func(r PingResult) { results <- r }); err != nil {
				t.Fatal(err)
			}
		}
		for range 3 {
			r := <-results
			want := map[string]time.Duration{"a.example": 10 * ms, "b.example": 11 * ms, "c.example": 12 * ms}[r.Host]
			if r.Received != 4 || r.Min != want || r.Max != want {
				t.Errorf("%s: %d received, RTT %v to %v, want %v", r.Host, r.Received, r.Min, r.Max, want)
			}
		}
	})
}

// TestOnEcho compares the events of a series with what happened.
func TestOnEcho(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFake(t, func(r sent) []answer {
			switch r.number {
			case 0:
				return []answer{{10 * ms, r.reply()}, {20 * ms, r.reply()}}
			case 1:
				return []answer{{10 * ms, r.errored(11, 0, 8)}}
			case 2:
				return []answer{{10 * ms, r.altered(30)}}
			}
			return []answer{{350 * ms, r.reply()}}
		})
		p := openFake(t, c, Config{})
		type line struct {
			seq  int
			what Outcome
			rtt  time.Duration
		}
		var got []line
		var times []time.Time
		var watched *EchoError
		opts := Options{Count: 5, Interval: 100 * ms, Timeout: 300 * ms, OnEcho: func(e Echo) {
			got = append(got, line{e.Seq, e.Outcome, e.RTT})
			times = append(times, e.Time)
			if e.Host != "198.18.0.1" || e.Addr.String() != e.Host {
				t.Errorf("host %q, address %s", e.Host, e.Addr)
			}
			if (e.Outcome == OutcomeError) != (e.Err != nil) {
				t.Errorf("outcome %s, error %v", e.Outcome, e.Err)
			}
			if e.Err != nil && !errors.As(e.Err, &watched) {
				t.Errorf("the error is a %T", e.Err)
			}
		}}
		r, err := p.Ping(t.Context(), "198.18.0.1", opts)
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Errors) != 1 || watched == nil || *watched != r.Errors[0] {
			t.Errorf("OnEcho got the error %+v, the result has %+v", watched, r.Errors)
		}
		want := []line{
			{1, OutcomeReply, 10 * ms}, {1, OutcomeDuplicate, 20 * ms}, {2, OutcomeError, 10 * ms}, {3, OutcomeCorrupt, 0},
			{3, OutcomeTimeout, 0}, {4, OutcomeTimeout, 0}, {4, OutcomeLate, 350 * ms}, {5, OutcomeTimeout, 0},
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got  %v\nwant %v", got, want)
		}
		after := []time.Duration{10 * ms, 20 * ms, 110 * ms, 210 * ms, 500 * ms, 600 * ms, 650 * ms, 700 * ms}
		for i, e := range want {
			if d := times[i].Sub(r.Start) - after[i]; d < 0 || d > ms { // requests are sent, and timeouts noticed, at ticks
				t.Errorf("echo %d, %s: at %v, want %v", e.seq, e.what, times[i].Sub(r.Start), after[i])
			}
		}
	})
}

// TestSlowCallback runs slow callbacks. The measuring goes on.
func TestSlowCallback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFake(t, after(10*ms, sent.reply))
		p := openFake(t, c, Config{})
		results := make(chan PingResult, 10)
		for i := range 10 {
			_, err := p.Go(loopbackTarget(i), Options{Count: 10, Interval: 10 * ms}, func(r PingResult) {
				time.Sleep(time.Second)
				results <- r
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		for range 10 {
			if r := <-results; r.Received != 10 || r.Max != 10*ms {
				t.Errorf("%s: %d received, max %v", r.Host, r.Received, r.Max)
			}
		}
	})
}

// TestStoppedProcess stops the engine while replies come. They were in time, and
// they count.
func TestStoppedProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFake(t, after(10*ms, sent.reply))
		p := openFake(t, c, Config{})
		stop := true
		c.refuse = func(r sent) error {
			if r.number == 3 && stop {
				stop = false
				time.Sleep(30 * time.Second) // on the engine's goroutine
			}
			return nil
		}
		r, err := p.Ping(t.Context(), "198.18.0.1", Options{Count: 10, Interval: 3 * ms})
		if err != nil {
			t.Fatal(err)
		}
		// The fourth was begun before the stop and sent after it.
		if r.Received < 9 || r.Max > 10*ms {
			t.Errorf("%d received, max %v: %+v", r.Received, r.Max, r)
		}
	})
}

// loopbackTarget returns the i-th of many loopback addresses.
func loopbackTarget(i int) Target {
	return Target{Addr: netip.AddrFrom4([4]byte{127, byte(2 + i/62500), byte(i / 250 % 250), byte(i%250 + 1)})}
}
