package icmpcore

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFake(t, after(10*ms, sent.reply))
		p := newPinger(c, Config{}, systemClock())
		results := make(chan PingResult, 2)
		start := func(o Options) Run {
			run, err := p.Go(Target{Addr: netip.MustParseAddr("198.18.0.1")}, o, func(r PingResult) { results <- r })
			if err != nil {
				t.Fatal(err)
			}
			return run
		}
		Run{}.Cancel() // does nothing
		endless := start(Options{Count: Forever, Interval: 100 * ms})
		time.Sleep(250 * ms)
		endless.Cancel()
		endless.Cancel()
		if r := <-results; !errors.Is(r.Err, context.Canceled) || r.Sent != 3 || r.Received != 3 {
			t.Errorf("cancelled: %v, %+v", r.Err, r)
		}
		synctest.Wait()
		next := start(Options{Count: 3, Interval: 100 * ms})
		if next.slot != endless.slot {
			t.Error("the slot is not used again, so that this shows nothing")
		}
		endless.Cancel() // it has ended: the series that has its slot now goes on
		if r := <-results; r.Err != nil || r.Received != 3 {
			t.Errorf("the next series: %v, %d received", r.Err, r.Received)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		next.Cancel()
		if n := len(p.inbox.cancelled); n > 0 {
			t.Errorf("%d cancellations wait for an engine that has ended", n)
		}
	})
}

// TestCancelAfterManySeries cancels a series that has ended, after its slot was
// taken so often that the count in a cookie starts again.
func TestCancelAfterManySeries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := openFake(t, newFake(t, after(10*ms, sent.reply)), Config{})
		result := make(chan PingResult, 1)
		target := Target{Addr: netip.MustParseAddr("198.18.0.1")}
		old, err := p.Go(target, Options{}, func(r PingResult) { result <- r })
		if err != nil {
			t.Fatal(err)
		}
		<-result
		synctest.Wait()
		p.slots.at(old.slot).gen += 1<<16 - 1
		if _, err := p.Go(target, Options{}, func(r PingResult) { result <- r }); err != nil {
			t.Fatal(err)
		}
		old.Cancel()
		if r := <-result; r.Err != nil || r.Received != 1 {
			t.Errorf("the other series: %v, %d received", r.Err, r.Received)
		}
	})
}

// TestInCallback makes calls that would wait for themselves. A callback of
// another Pinger may wait, and so may another goroutine while a callback runs.
func TestInCallback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := openFake(t, newFake(t, after(10*ms, sent.reply)), Config{})
		b := openFake(t, newFake(t, after(10*ms, sent.reply)), Config{})
		target := Target{Addr: netip.MustParseAddr("198.18.0.1")}
		var all sync.WaitGroup
		callback := func() {
			if _, err := a.Ping(t.Context(), "198.18.0.2", Options{}); !errors.Is(err, errInCallback) {
				t.Errorf("Ping in a callback: %v", err)
			}
			if err := a.Close(); !errors.Is(err, errInCallback) {
				t.Errorf("Close in a callback: %v", err)
			}
			if r, err := b.Ping(t.Context(), "198.18.0.2", Options{}); err != nil || r.Received != 1 {
				t.Errorf("Ping of another Pinger: %v", err)
			}
			all.Go(func() {
				if r, err := a.Ping(t.Context(), "198.18.0.3", Options{}); err != nil || r.Received != 1 {
					t.Errorf("Ping of another goroutine: %v", err)
				}
			})
			time.Sleep(time.Second) // the callback runs while the other goroutine begins
		}
		all.Add(2)
		o := Options{OnEcho: func(Echo) { callback(); all.Done() }}
		if _, err := a.Go(target, o, func(PingResult) { callback(); all.Done() }); err != nil {
			t.Fatal(err)
		}
		all.Wait()
	})
}

// TestOddValues gives public calls values that they do not expect.
func TestOddValues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := openFake(t, newFake(t, after(10*ms, sent.reply)), Config{})
		for _, f := range []Family{FamilyAuto, 3, 255} {
			if k := p.Socket(f); k != SocketAuto {
				t.Errorf("Socket(%s) = %s", f, k)
			}
		}
		var option *OptionError
		if _, err := p.Resolve(t.Context(), "localhost", 3); !errors.As(err, &option) || option.Field != "family" {
			t.Errorf("Resolve to family 3: %v", err)
		}
		if _, err := p.Go(Target{Addr: netip.MustParseAddr("198.18.0.1")}, Options{}, nil); err != nil {
			t.Errorf("Go without a callback: %v", err)
		}
		var none context.Context
		if r, err := p.Ping(none, "198.18.0.1", Options{}); err != nil || r.Received != 1 {
			t.Errorf("Ping without a context: %v", err)
		}
		var zero Pinger
		if _, err := zero.Go(Target{}, Options{}, nil); !errors.Is(err, errNotOpen) {
			t.Errorf("Go of no Pinger: %v", err)
		}
		if _, err := zero.Ping(t.Context(), "x", Options{}); !errors.Is(err, errNotOpen) {
			t.Errorf("Ping of no Pinger: %v", err)
		}
		if _, err := zero.Resolve(t.Context(), "x", 0); !errors.Is(err, errNotOpen) {
			t.Errorf("Resolve of no Pinger: %v", err)
		}
		if zero.Socket(FamilyIPv4) != SocketAuto || zero.Timestamps() != TimestampsNone || zero.Stats() != (Stats{}) {
			t.Error("no Pinger has a socket, stamps or counts")
		}
		if err := zero.Close(); !errors.Is(err, errNotOpen) {
			t.Errorf("Close of no Pinger: %v", err)
		}
	})
}

// FuzzPinger calls a Pinger from several goroutines, with options, targets and an
// order that come from the bytes. Nothing panics or hangs. Each series that was
// started has one result, and nothing of it stays in the tables.
func FuzzPinger(f *testing.F) {
	f.Add([]byte("\x00\x01\x02\x03\x04\x05\x06\x07"), uint8(0))
	f.Add([]byte("\x10\xff\x80\x7f\x33\x21\x05\x44\x91\xa7\xb6\xc5\xd4\xe3\xf2\x01\x18\x28\x38\x48"), uint8(0x15))
	f.Add([]byte("the quick brown fox jumps over the lazy dog, twice and again: 0123456789"), uint8(0xe7))
	f.Fuzz(func(t *testing.T, script []byte, network uint8) {
		script = script[:min(len(script), 256)]
		synctest.Test(t, func(t *testing.T) { callAnyhow(t, script, network) })
	})
}

// callAnyhow does what script says. network says how the network behaves.
func callAnyhow(t *testing.T, script []byte, network uint8) {
	c := newFake(t, func(r sent) []answer {
		switch (r.n + int(network)) % 6 {
		case 0:
			return nil
		case 1:
			return []answer{{10 * ms, r.errored(3, 1, int(network)%9)}, {20 * ms, r.reply()}}
		case 2:
			return []answer{{ms, r.altered(int(network) % len(r.message))}, {time.Second, r.reply()}}
		}
		return []answer{{0, r.reply()}, {ms, r.reply()}}
	})
	c.source = Timestamps(1 + network%3)
	if network&0x10 != 0 {
		c.refuse = func(r sent) error { return []error{nil, errFull, net.ErrWriteToConnected}[r.n%3] }
	}
	p := newPinger(c, Config{MaxRate: int(int8(network)) * 100}, systemClock())
	var callers, open sync.WaitGroup
	for i := range 3 {
		part := script[i*len(script)/3 : (i+1)*len(script)/3]
		callers.Go(func() { callPart(t, p, part, &open) })
	}
	callers.Wait()
	p.inbox.close(net.ErrClosed) // what Close does, which another goroutine may have called
	open.Wait()
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if err := leftovers(p); err != nil {
		t.Error(err)
	}
}

// callPart makes the calls of one goroutine: six bytes each.
func callPart(t *testing.T, p *Pinger, part []byte, open *sync.WaitGroup) {
	hosts := []string{"198.18.0.1", "2001:db8::1", "fe80::1%1", "::ffff:198.18.0.1", "ff02::1", "255.255.255.255", "::", ""}
	var runs []Run
	for ; len(part) >= 6; part = part[6:] {
		b, odd := part, func(i int, values ...int64) int64 { return values[int(part[i])%len(values)] }
		host := hosts[b[1]%8]
		addr, _ := netip.ParseAddr(host) // may be invalid
		o := Options{
			Count: int(odd(2, 0, 1, 3, Forever, -9, 1<<40)), Interval: time.Duration(odd(3, 0, 1e6, 5e6, -1, 1<<62)),
			Timeout: time.Duration(odd(4, 0, 1e6, 3e7, -1, 1<<62)), Size: int(odd(5, 0, 8, 100, 65507, -1, 1<<40)),
			TTL: int(odd(3, 0, 1, 255, 256, -1)), DSCP: int(odd(4, 0, 46, 63, 64, -1)), Family: Family(odd(5, 0, 1, 2, 3, 255)),
			DontFragment: b[2]&1 != 0, Mark: uint32(b[3]),
		}
		if b[4]&8 != 0 {
			o.OnEcho = func(e Echo) { _ = e.Outcome.String() }
		}
		switch b[0] % 8 {
		case 0, 1, 2:
			open.Add(1)
			inner := runs
			run, err := p.Go(Target{Host: host, Addr: addr}, o, func(r PingResult) {
				defer open.Done()
				_, _ = r.String(), r.AppendJSON(nil)
				for _, run := range inner {
					run.Cancel()
				}
			})
			if err != nil {
				open.Done()
			}
			runs = append(runs, run)
		case 3:
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(b[2])*ms)
			if _, err := p.Ping(ctx, host, o); err == nil && ctx.Err() != nil && o.Count == Forever {
				t.Error("an endless series has ended well")
			}
			cancel()
		case 4:
			for _, run := range runs {
				run.Cancel()
			}
		case 5:
			time.Sleep(time.Duration(b[2]) * ms)
		case 6:
			_, _, _ = p.Socket(Family(b[1])), p.Stats(), p.Timestamps()
			_ = Percentile([]time.Duration{1, 2}, float64(int8(b[2])))
		case 7:
			if b[2] < 32 {
				if err := p.Close(); err != nil {
					t.Error(err)
				}
			}
		}
	}
}
