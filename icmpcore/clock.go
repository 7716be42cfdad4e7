package icmpcore

import "time"

// clock reads the monotonic and the wall clock together and notices when the
// wall clock was stepped. Kernel timestamps are wall-clock time, so the
// difference of two of them means nothing across a step.
type clock struct {
	read   func() (mono, wall int64)
	mono   int64  // at the last reading
	offset int64  // wall - mono at the last reading
	epoch  uint32 // how many steps so far
}

// A difference of this much between the two clocks is not yet a step: time
// daemons make the wall clock faster or slower by up to 500 ppm.
const (
	clockSlack   = int64(50 * time.Microsecond)
	clockPPM     = 1000
	clockRetries = 3
)

// systemClock returns a function that reads the system's clocks.
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

// now reads the clocks and returns the monotonic time. If the wall clock seems to
// have jumped it reads them again, because this thread may just have lost the
// processor between the two readings.
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

// roundTrip returns the round-trip time of a reply to e, and the source of its
// two times: the kernel's if both can be trusted, else the best that there are.
// stamp is the kernel's receive timestamp, 0 if there is none. now is the
// monotonic time after the reply was read. No result is longer than the time
// between the send and now.
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
