package icmpcore

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestTimeoutExact sends replies at the very end of the timeout and a nanosecond
// later.
func TestTimeoutExact(t *testing.T) {
	for _, tt := range []struct {
		after    time.Duration
		received int
	}{{100 * ms, 1}, {100*ms + 1, 0}} {
		synctest.Test(t, func(t *testing.T) {
			p := openFake(t, newFake(t, after(tt.after, sent.reply)), Config{})
			r, err := p.Ping(t.Context(), "198.18.0.1", Options{Timeout: 100 * ms})
			if err != nil || r.Received != tt.received {
				t.Errorf("a reply after %v: %d received, want %d", tt.after, r.Received, tt.received)
			}
		})
	}
}

// TestZone sends replies from the right link-local address, on the right link and
// on another one.
func TestZone(t *testing.T) {
	for _, tt := range []struct {
		zone     uint32
		received int
	}{{7, 1}, {8, 0}} {
		synctest.Test(t, func(t *testing.T) {
			p := openFake(t, newFake(t, after(ms, func(r sent) event {
				ev := r.reply()
				ev.from, ev.zone = r.addr.WithZone(""), tt.zone
				return ev
			})), Config{})
			r, err := p.Ping(t.Context(), "fe80::1%7", Options{})
			if s := p.Stats(); err != nil || r.Received != tt.received || s.Foreign != uint64(1-tt.received) {
				t.Errorf("a reply from link %d: %v, %d received, %d foreign", tt.zone, err, r.Received, s.Foreign)
			}
		})
	}
}

// TestEchoCode sends a reply with a code, which an echo reply never has (RFC
// 792).
func TestEchoCode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := openFake(t, newFake(t, after(ms, func(r sent) event { return r.altered(1) })), Config{})
		if r, err := p.Ping(t.Context(), "198.18.0.1", Options{}); err != nil || r.Received != 0 || p.Stats().Foreign != 1 {
			t.Errorf("%v: %s", err, r)
		}
	})
}

// TestNeighbours starts several series to one address at once. Their echoes have
// different sequence numbers, so an error without a cookie finds its echo.
func TestNeighbours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFake(t, after(ms, func(r sent) event { return r.errored(11, 0, 0) }))
		p := openFake(t, c, Config{})
		const n, count = 5, 3
		results := make(chan PingResult, n)
		for range n {
			o := Options{Count: count, Interval: 10 * ms, Timeout: 50 * ms}
			if _, err := p.Go(Target{Addr: netip.MustParseAddr("198.18.0.1")}, o, func(r PingResult) { results <- r }); err != nil {
				t.Fatal(err)
			}
		}
		for range n {
			if r := <-results; len(r.Errors) != count {
				t.Errorf("%d errors, want %d", len(r.Errors), count)
			}
		}
		seqs := make(map[uint16]bool)
		for _, r := range c.requests() {
			seqs[r.seq] = true
		}
		if len(seqs) != n*count {
			t.Errorf("%d sequence numbers for %d echoes", len(seqs), n*count)
		}
	})
}

// TestNoBurst stops the process for many intervals. It does not catch up in a
// burst.
func TestNoBurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFake(t, after(ms, sent.reply))
		c.refuse = func(r sent) error {
			if r.number == 5 {
				time.Sleep(time.Second)
			}
			return nil
		}
		p := openFake(t, c, Config{})
		if _, err := p.Ping(t.Context(), "198.18.0.1", Options{Count: 20, Interval: 20 * ms}); err != nil {
			t.Fatal(err)
		}
		all := c.requests()
		for i, r := range all[7:] { // number 6 is the one that was late
			if gap := r.at.Sub(all[i+6].at); gap < 19*ms { // the wheel ticks 66 µs apart
				t.Errorf("request %d comes %v after the one before", r.number, gap)
			}
		}
	})
}

// TestLeastExactStamp removes the transmit timestamp of one echo. The result
// names the least exact source among its echoes.
func TestLeastExactStamp(t *testing.T) {
	for _, bare := range []int{0, 2, 4} {
		synctest.Test(t, func(t *testing.T) {
			c := newFake(t, after(ms, sent.reply))
			c.refuse = func(r sent) error {
				c.unstamped.Store(r.number == bare)
				return nil
			}
			p := openFake(t, c, Config{})
			r, err := p.Ping(t.Context(), "198.18.0.1", Options{Count: 5})
			if err != nil || r.Received != 5 || r.Timestamps != TimestampsKernelRX {
				t.Errorf("without the stamp of %d: %v, %s", bare, err, r.Timestamps)
			}
			if synctest.Wait(); p.engine.batch != maxBatch {
				t.Errorf("one stamp is missing, and requests are sent %d at a time", p.engine.batch)
			}
		})
	}
}

// TestErrorsWithoutProof floods a series with errors that anybody could have
// sent. Only the newest for each echo is kept.
func TestErrorsWithoutProof(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p *Pinger
		c := newFake(t, func(r sent) []answer {
			if s := p.slots.at(0); r.number == 1 && len(s.rare.unproven) > 1 { // no race: the engine calls this
				t.Errorf("%d errors kept for one echo", len(s.rare.unproven))
			}
			var flood []answer
			for i := range 1000 {
				ev := r.errored(3, i%3, 0)
				ev.from = netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)})
				flood = append(flood, answer{time.Duration(i+1) * 10 * time.Microsecond, ev})
			}
			return flood
		})
		p = openFake(t, c, Config{})
		r, err := p.Ping(t.Context(), "198.18.0.1", Options{Count: 2, Interval: 50 * ms, Timeout: 100 * ms})
		if err != nil || len(r.Errors) != 2 {
			t.Fatalf("%v: %d errors", err, len(r.Errors))
		}
		for _, e := range r.Errors {
			if want := netip.AddrFrom4([4]byte{198, 18, 999 >> 8, 999 & 0xff}); e.From != want || e.Code != 0 {
				t.Errorf("error of echo %d: code %d from %s, want the newest, from %s", e.Seq, e.Code, e.From, want)
			}
		}
	})
}

// TestErrorDisproved sends a reply after an error without a cookie. The error
// does not count, not even at the timeout.
func TestErrorDisproved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p *Pinger
		c := newFake(t, func(r sent) []answer {
			if s := p.slots.at(0); r.number > 0 && len(s.rare.unproven) > 0 {
				t.Errorf("%d disproved errors are kept", len(s.rare.unproven))
			}
			return []answer{{ms, r.errored(3, 1, 0)}, {10 * ms, r.reply()}}
		})
		p = openFake(t, c, Config{})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if r, _ := p.Ping(ctx, "198.18.0.1", Options{Count: Forever}); len(r.Errors) != 0 || r.Received < 99 { // ended early
			t.Errorf("%s, %d errors", r, len(r.Errors))
		}
	})
}

// TestJSONQuotes checks each kind of byte that JSON must escape.
func TestJSONQuotes(t *testing.T) {
	for in, want := range map[string]string{
		`a\b`: `"a\\b"`, `a"b`: `"a\"b"`, "a\nb": `"a\nb"`, "a\x7fb": "\"a\x7fb\"", "ü": `"ü"`, "a~ b": `"a~ b"`,
		"\n": `"\n"`, `"`: `"\""`, `\`: `"\\"`, "\xff": `"\ufffd"`,
	} {
		r := PingResult{Host: in}
		if got := string(r.AppendJSON(nil)); !strings.Contains(got, `"host":`+want+`,`) {
			t.Errorf("host %q: %s", in, got)
		}
	}
}
