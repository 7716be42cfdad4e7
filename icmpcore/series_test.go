package icmpcore

import (
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// TestManyInFlight has no reply for much longer than the interval. The requests
// go on at their pace.
func TestManyInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFake(t, func(sent) []answer { return nil })
		p := openFake(t, c, Config{MaxRate: -1})
		start := time.Now()
		r, err := p.Ping(t.Context(), "198.18.0.1", Options{Count: 3000, Interval: ms, Timeout: time.Second})
		if err != nil || r.Sent != 3000 || len(r.Lost) != 3000 {
			t.Fatalf("%v: %s, %d lost", err, r, len(r.Lost))
		}
		for _, r := range c.requests() {
			if late := r.at.Sub(start) - time.Duration(r.number)*ms; late < 0 || late > 2*ms {
				t.Fatalf("request %d left %v late", r.number, late)
			}
		}
	})
}

// TestDuration is how long a series takes: to its last reply or timeout.
func TestDuration(t *testing.T) {
	for _, tt := range []struct {
		name   string
		script func(sent) []answer
		want   time.Duration
	}{
		{"replies", after(10*ms, sent.reply), 210 * ms},
		{"silence", func(sent) []answer { return nil }, 700 * ms},
		{"errors", after(20*ms, func(r sent) event { return r.errored(3, 1, 8) }), 220 * ms},
		{"errors without proof", after(20*ms, func(r sent) event { return r.errored(3, 1, 0) }), 700 * ms},
	} {
		synctest.Test(t, func(t *testing.T) {
			p := openFake(t, newFake(t, tt.script), Config{})
			r, err := p.Ping(t.Context(), "198.18.0.1", Options{Count: 3, Interval: 100 * ms, Timeout: 500 * ms})
			if off := r.Duration - tt.want; err != nil || off < -ms || off > ms { // the wheel ticks 66 µs apart
				t.Errorf("%s: %v, took %v, want %v", tt.name, err, r.Duration, tt.want)
			}
		})
	}
}

// TestIPDVOfSeries has the variation between replies that follow each other: the
// first one follows nothing.
func TestIPDVOfSeries(t *testing.T) {
	for count, want := range map[int]PingResult{1: {}, 2: {IPDV: 20 * ms, IPDVPairs: 1}, 3: {IPDV: 15 * ms, IPDVPairs: 2}} {
		synctest.Test(t, func(t *testing.T) {
			p := openFake(t, newFake(t, func(r sent) []answer {
				return []answer{{[]time.Duration{10 * ms, 30 * ms, 20 * ms}[r.number], r.reply()}}
			}), Config{})
			r, err := p.Ping(t.Context(), "198.18.0.1", Options{Count: count})
			if err != nil || r.IPDV != want.IPDV || r.IPDVPairs != want.IPDVPairs {
				t.Errorf("%d replies: %v, IPDV %v of %d pairs, want %v of %d", count, err, r.IPDV, r.IPDVPairs, want.IPDV, want.IPDVPairs)
			}
		})
	}
}

// TestNumberOf finds the echo of a sequence number among those that were sent.
func TestNumberOf(t *testing.T) {
	s := &series{number: 3, base: 65534}
	for seq, want := range map[uint16]int{65533: -1, 65534: 0, 65535: 1, 0: 2, 1: -1} {
		if n, ok := s.numberOf(seq); ok != (want >= 0) || ok && n != uint64(want) {
			t.Errorf("sequence number %d: echo %d, %t, want %d", seq, n, ok, want)
		}
	}
}

// TestRefusedEcho has the system refuse the second request of three: the result
// and the watcher name that one.
func TestRefusedEcho(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFake(t, after(ms, sent.reply))
		c.refuse = func(r sent) error {
			if r.number == 1 {
				return syscall.EPERM
			}
			return nil
		}
		p := openFake(t, c, Config{})
		var failed []int
		r, err := p.Ping(t.Context(), "198.18.0.1", Options{Count: 3, OnEcho: func(e Echo) {
			if e.Err != nil {
				failed = append(failed, e.Seq)
			}
		}})
		if err != nil || r.Sent != 2 || r.Received != 2 || len(r.Errors) != 1 || r.Errors[0].Seq != 2 || !slices.Equal(failed, []int{2}) {
			t.Errorf("%v: %s, errors %v, told of %v", err, r, r.Errors, failed)
		}
	})
}

// TestSmallestEcho sends no more than what proves a reply.
func TestSmallestEcho(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := openFake(t, newFake(t, after(ms, sent.reply)), Config{})
		if r, err := p.Ping(t.Context(), "198.18.0.1", Options{Size: minSize}); err != nil || r.Received != 1 {
			t.Errorf("%v: %s", err, r)
		}
	})
}

// TestMadeUpSlot has replies that name a slot which was never taken: the first
// behind those that were, and the last that there can be.
func TestMadeUpSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := openFake(t, newFake(t, after(ms, sent.reply)), Config{})
		if _, err := p.Ping(t.Context(), "198.18.0.1", Options{}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		size := uint32(p.engine.live.size())
		for _, slot := range []uint32{size, size + 1, 1<<32 - 1} {
			if p.engine.running(slot, 0) || p.engine.wasOurs(echoID{slot: slot, seq: 7}, 7) {
				t.Errorf("slot %d of %d is one of ours", slot, size)
			}
		}
		if !p.engine.wasOurs(echoID{slot: size - 1, seq: 7}, 7) {
			t.Errorf("slot %d of %d is none of ours", size-1, size)
		}
	})
}

// TestErrorsInTurn sends the error of the first echo last. The list is in the
// order of the echoes.
func TestErrorsInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFake(t, func(r sent) []answer {
			return []answer{{time.Duration(90-30*r.number) * ms, r.errored(3, 1, 8)}}
		})
		p := openFake(t, c, Config{})
		r, err := p.Ping(t.Context(), "198.18.0.1", Options{Count: 3, Interval: 10 * ms})
		if err != nil || len(r.Errors) != 3 {
			t.Fatalf("%v: %v", err, r.Errors)
		}
		for i, e := range r.Errors {
			if e.Seq != i+1 {
				t.Errorf("error %d is of echo %d", i, e.Seq)
			}
		}
	})
}

// TestReplyWithoutTTL has a system that does not report the TTL of replies. Then
// the result guesses nothing from it.
func TestReplyWithoutTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := openFake(t, newFake(t, after(ms, func(r sent) event {
			ev := r.reply()
			ev.ttl, ev.noTOS = 0, true
			return ev
		})), Config{})
		r, err := p.Ping(t.Context(), "198.18.0.1", Options{})
		if err != nil || r.Received != 1 || r.TTL != 0 || r.Hops != 0 || r.OSGuess != "" || r.ReplyDSCP != -1 {
			t.Errorf("%v: %+v", err, r)
		}
	})
}

// TestProfileOfInterface looks up an interface again after a second, because
// another one may have the same name now. Profiles of other options are made
// once.
func TestProfileOfInterface(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := openFake(t, newFake(t, func(sent) []answer { return nil }), Config{})
		get := func(iface string) *profile {
			t.Helper()
			p.mu.Lock()
			defer p.mu.Unlock()
			prof, err := p.profile(Options{Interface: iface}, FamilyIPv4)
			if err != nil {
				t.Fatal(err)
			}
			return prof
		}
		plain, bound := get(""), get("eth7")
		time.Sleep(time.Second / 2)
		if get("") != plain || get("eth7") != bound {
			t.Error("options are worked out twice in a second")
		}
		time.Sleep(time.Second)
		if get("") != plain {
			t.Error("options without an interface are worked out again")
		}
		if get("eth7") == bound {
			t.Error("an interface is not looked up again after more than a second")
		}
	})
}
