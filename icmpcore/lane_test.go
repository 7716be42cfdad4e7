package icmpcore

import (
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// testHost returns the i-th test address.
func testHost(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{198, 18, byte(i / 250), byte(1 + i%250)})
}

// TestFullForOne has the system accept no request to one target. The others do
// not wait for it, and it is given up when its own timeout has passed.
func TestFullForOne(t *testing.T) {
	for _, reason := range []error{errFull, errBusy} {
		t.Run(reason.Error(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newFake(t, after(10*ms, sent.reply))
				c.refuse = func(s sent) error {
					if s.addr == testHost(0) {
						return reason
					}
					return nil
				}
				p := openFake(t, c, Config{MaxRate: -1})
				start := time.Now()
				const hosts, count = 100, 10
				results := make(chan PingResult, hosts)
				for i := range hosts {
					o := Options{Count: count, Interval: 100 * ms, Timeout: 500 * ms}
					if _, err := p.Go(Target{Addr: testHost(i)}, o, func(r PingResult) { results <- r }); err != nil {
						t.Fatal(err)
					}
				}
				for range hosts {
					r := <-results
					if r.Addr != testHost(0) {
						if r.Received != count || r.Max != 10*ms || time.Since(start) > time.Second {
							t.Errorf("%s: %d received, max %v, after %v", r.Addr, r.Received, r.Max, time.Since(start))
						}
						continue
					}
					if len(r.Errors) != count || !errors.Is(&r.Errors[0], reason) {
						t.Errorf("errors of the target without room: %v", r.Errors)
					}
					if took := time.Since(start); took < 1400*ms || took > 1420*ms {
						t.Errorf("given up after %v, want its series of 900ms and a timeout", took)
					}
				}
				synctest.Wait()
				if err := leftovers(p); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestFullForAll has the system accept no request at all. Every target is given
// up when its own timeout has passed, and none waits for another.
func TestFullForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFake(t, func(sent) []answer { return nil })
		c.refuse = func(sent) error { return errFull }
		p := openFake(t, c, Config{MaxRate: -1})
		start := time.Now()
		const hosts = 1000
		results := make(chan error, hosts)
		for i := range hosts {
			timeout := time.Duration(1+i%3) * 300 * ms
			_, err := p.Go(Target{Addr: testHost(i)}, Options{Timeout: timeout}, func(r PingResult) {
				if late := time.Since(start) - timeout; late < 0 || late > 30*ms { // results are handed over every 20 ms
					t.Errorf("%s with a timeout of %v given up %v after it", r.Addr, timeout, late)
				}
				results <- r.Err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		for range hosts {
			if err := <-results; !errors.Is(err, errFull) {
				t.Errorf("%v, want %v", err, errFull)
			}
		}
		synctest.Wait()
		if err := leftovers(p); err != nil {
			t.Error(err)
		}
	})
}

// TestSlowLane checks that requests to targets whose packets stay in the
// machine are slow requests, so that the conn can keep room for others: from
// the second echo on, in the next series from the first echo on, and no longer
// when one has left.
func TestSlowLane(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck := true
		c := newFake(t, func(r sent) []answer {
			if stuck && (r.addr == testHost(0) || r.addr == testHost(2)) {
				return nil
			}
			return after(10*ms, sent.reply)(r)
		})
		c.held = func(s sent) bool { return stuck && (s.addr == testHost(0) || s.addr == testHost(2)) }
		p := openFake(t, c, Config{})
		ping := func(host, slow int) {
			t.Helper()
			before := len(c.requests())
			r, err := p.Ping(t.Context(), testHost(host).String(), Options{Count: 4, Interval: 50 * ms, Timeout: 200 * ms})
			if err != nil {
				t.Fatal(err)
			}
			if lost := len(r.Lost); r.Held != lost || lost > 0 && !errors.Is(r.Failure(), errHeld) {
				t.Errorf("%d lost, %d held, %v", lost, r.Held, r.Failure())
			}
			got := 0
			for _, r := range c.requests()[before:] {
				if r.slow {
					got++
				}
			}
			if got != slow {
				t.Errorf("%d slow requests of 4, want %d", got, slow)
			}
		}
		ping(0, 3)
		ping(1, 0)
		ping(2, 3)
		ping(0, 4)
		ping(2, 4)
		stuck = false
		ping(0, 1)
		ping(0, 0)
	})
}

// TestNotSlow has targets that do not belong in the slow lane: the system takes
// no transmit timestamps, or they come a little late.
func TestNotSlow(t *testing.T) {
	for _, tt := range []struct {
		name   string
		source Timestamps
		late   time.Duration // how late the timestamps come
	}{
		{"no stamps", TimestampsUser, 0},
		{"late stamps", TimestampsKernel, 7 * ms},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var c *fakeConn
				c = newFake(t, func(r sent) []answer {
					answers := []answer{{30 * ms, r.reply()}}
					if tt.late > 0 {
						answers = append(answers, answer{tt.late, event{kind: eventStamp, gen: 1, number: uint32(r.number), stamp: c.wall()}})
					}
					return answers
				})
				c.source = tt.source
				c.held = func(sent) bool { return true }
				p := openFake(t, c, Config{})
				for _, o := range []Options{{Count: 20, Interval: 5 * ms}, {}} {
					if r, err := p.Ping(t.Context(), "198.18.0.1", o); err != nil || r.Received != r.Sent || r.Max != 30*ms {
						t.Fatalf("%v: %s", err, r)
					}
				}
				for i, r := range c.requests() {
					if r.slow {
						t.Errorf("request %d of both series is a slow one", i)
					}
				}
			})
		})
	}
}

// TestStampOfAnotherSeries has a packet leave after its series has ended and
// another series has its slot. The timestamp does not count for the other
// series.
func TestStampOfAnotherSeries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFake(t, after(30*ms, sent.reply))
		c.held = func(s sent) bool { return true }
		p := openFake(t, c, Config{})
		if r, err := p.Ping(t.Context(), testHost(0).String(), Options{Timeout: 20 * ms}); err != nil || r.Received != 0 {
			t.Fatalf("%d received, %v", r.Received, err)
		}
		time.AfterFunc(10*ms, func() { // the timestamp of the first series, 20 ms after the request of the second one
			c.arrive(event{kind: eventStamp, slot: 0, gen: 1, number: 0, stamp: c.wall()})
		})
		r, err := p.Ping(t.Context(), testHost(0).String(), Options{Timeout: 50 * ms})
		if err != nil || r.Received != 1 || r.Min != 30*ms || r.Timestamps != TimestampsKernelRX {
			t.Errorf("%+v, %v, want an RTT of 30ms by the receive stamp", r, err)
		}
	})
}
