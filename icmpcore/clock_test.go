package icmpcore

import (
	"testing"
	"time"
)

// TestClockEpoch distinguishes steps of the wall clock from slewing, and from a
// thread that lost the processor between two readings.
func TestClockEpoch(t *testing.T) {
	const s = int64(time.Second)
	type reading struct{ mono, wall int64 }
	tests := []struct {
		name     string
		readings []reading // the first is that of newClock
		epoch    uint32
	}{
		{"even", []reading{{50, 100}, {s, s + 50}, {2 * s, 2*s + 50}}, 0},
		{"slewed by 500 ppm", []reading{{0, 0}, {s, s + s/2000}, {2 * s, 2*s + 2*s/2000}}, 0},
		{"stepped forward", []reading{{0, 0}, {s, 2 * s}, {s, 2 * s}, {s, 2 * s}, {s, 2 * s}, {s + 1, 2*s + 1}}, 1},
		{"stepped back", []reading{{0, 0}, {s, 0}, {s, 0}, {s, 0}, {s, 0}, {s + 1, 1}}, 1},
		{"stepped by a millisecond after a day", []reading{{0, 0}, {86400 * s, 86400 * s}, {86401 * s, 86401*s + s/500}, {86401 * s, 86401*s + s/500},
			{86401 * s, 86401*s + s/500}, {86401 * s, 86401*s + s/500}, {86401*s + 1, 86401*s + s/500 + 1}}, 1},
		{"as much as may be", []reading{{0, 0}, {s, s + clockSlack + s/1000}}, 0},
		{"a nanosecond more", []reading{{0, 0}, {s, s + clockSlack + s/1000 + 1}, {s, s + clockSlack + s/1000 + 1}, {s, s + clockSlack + s/1000 + 1},
			{s, s + clockSlack + s/1000 + 1}}, 1},
		{"lost the processor once", []reading{{0, 0}, {s, s + s/100}, {s + s/100, s + s/100}}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			i := -1
			c := newClock(func() (int64, int64) {
				i++
				return tt.readings[i].mono, tt.readings[i].wall
			})
			if offset := tt.readings[0].wall - tt.readings[0].mono; c.offset != offset {
				t.Errorf("offset = %d, want %d", c.offset, offset)
			}
			for i < len(tt.readings)-1 {
				c.now()
			}
			if c.epoch != tt.epoch {
				t.Errorf("epoch = %d, want %d", c.epoch, tt.epoch)
			}
		})
	}
}

func TestRoundTrip(t *testing.T) {
	const offset = int64(1e18)
	tests := []struct {
		name   string
		e      echo
		stamp  int64
		now    int64
		rtt    int64
		source Timestamps
	}{
		{"both stamps", echo{sent: 1000, stamp: offset + 1100}, offset + 5000, 6000, 3900, TimestampsKernel},
		{"no transmit stamp", echo{sent: 1000}, offset + 5000, 6000, 4000, TimestampsKernelRX},
		{"no receive stamp", echo{sent: 1000, stamp: offset + 1100}, 0, 6000, 5000, TimestampsUser},
		{"no stamp", echo{sent: 1000}, 0, 6000, 5000, TimestampsUser},
		{"transmit stamp of another epoch", echo{sent: 1000, stamp: offset + 1100, epoch: 1}, offset + 5000, 6000, 5000, TimestampsUser},
		{"longer than can be", echo{sent: 1000, stamp: offset - 9000}, offset + 5000, 6000, 4000, TimestampsKernelRX},
		{"received before sent", echo{sent: 1000, stamp: offset + 1100}, offset + 900, 6000, 5000, TimestampsUser},
	}
	for _, tt := range tests {
		c := clock{offset: offset}
		rtt, source := c.roundTrip(&tt.e, tt.stamp, tt.now)
		if rtt != tt.rtt || source != tt.source {
			t.Errorf("%s: %d %s, want %d %s", tt.name, rtt, source, tt.rtt, tt.source)
		}
	}
}

// TestPacer counts the sends that a sender gets if it asks at odd times.
func TestPacer(t *testing.T) {
	p := newPacer(1000)
	sends := 0
	for now := int64(0); now < int64(time.Second); now += int64(137 * time.Microsecond) {
		n := p.allowed(now)
		if n > 2 {
			t.Fatalf("%d allowed at once", n)
		}
		p.took(n)
		sends += n
	}
	if sends < 999 || sends > 1001 {
		t.Errorf("%d sends in a second, want 1000", sends)
	}
	for rate, want := range map[int]int{10: 1, 1000: 6, 10_000: 51, 50_000: 76, 1_000_000: 1501} {
		p := newPacer(rate)
		if n := p.allowed(int64(time.Hour)); n != want {
			t.Errorf("%d allowed after an hour's pause at %d a second, want %d", n, rate, want)
		}
	}
	p = newPacer(1000)
	if at := p.wait(int64(time.Hour)); at != int64(time.Hour)+pacerNap {
		t.Errorf("with nothing to wait for it sleeps %v, want %v", time.Duration(at-int64(time.Hour)), time.Duration(pacerNap))
	}
	if n := func() int { p := newPacer(-1); return p.allowed(0) }(); n < 1e9 {
		t.Errorf("no limit allows %d", n)
	}
}
