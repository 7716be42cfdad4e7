package icmpcore

import "time"

// clock reads the monotonic and the wall clock together and tells when the
// wall clock has been stepped: kernel stamps are wall time, and a difference
// of two of them means nothing across a step.
type clock struct {
	read   func() (mono, wall int64)
	mono   int64 // at the last reading
	offset int64 // wall - mono at the last reading
	epoch  uint32
}

// The wall clock may run faster or slower than the monotonic one by this much
// without having been stepped: time daemons slew by 500 ppm.
const (
	clockSlack   = int64(50 * time.Microsecond)
	clockPPM     = 1000
	clockRetries = 3
)

// systemClock returns a reader of the system's clocks.
func systemClock() func() (mono, wall int64) {
	base := time.Now()
	return func() (int64, int64) {
		t := time.Now()
		return int64(t.Sub(base)), t.UnixNano()
	}
}

func newClock(read func() (mono, wall int64)) *clock {
	c := &clock{read: read}
	mono, wall := read()
	c.mono, c.offset = mono, wall-mono
	return c
}

// now reads the clocks and returns the monotonic time. Where the wall clock
// seems to have jumped it looks again, since this thread may only have lost
// the processor between the two readings.
func (c *clock) now() int64 {
	for try := 0; ; try++ {
		mono, wall := c.read()
		moved := wall - mono - c.offset
		if moved < 0 {
			moved = -moved
		}
		if moved > clockSlack+(mono-c.mono)*clockPPM/1e6 {
			if try < clockRetries {
				continue
			}
			c.epoch++
		}
		c.mono, c.offset = mono, wall-mono
		return mono
	}
}

// roundTrip returns the round-trip time of a reply to e and where its ends
// were taken: the kernel's stamps where both may be believed, else the best
// there is. stamp is the kernel's receive stamp, 0 where there is none, now
// the monotonic time after the reply was read. No result is longer than the
// time between the send and now.
func (c *clock) roundTrip(e *echo, stamp, now int64) (int64, Timestamps) {
	longest := now - e.sent
	if stamp != 0 && e.epoch == c.epoch {
		if rtt := stamp - e.stamp; e.stamp != 0 && rtt >= 0 && rtt <= longest {
			return rtt, TimestampsKernel
		}
		if rtt := stamp - c.offset - e.sent; rtt > 0 && rtt <= longest {
			return rtt, TimestampsKernelRX
		}
	}
	return longest, TimestampsUser
}
