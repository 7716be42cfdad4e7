package icmpcore

import (
	"math"
	"time"
)

// pacer spreads sends evenly under a rate. A sender that comes late may make
// up for at most a millisecond, so that no millisecond ever sees more than
// about twice its share.
type pacer struct {
	gap  int64 // ns from one send to the next, 0 for no limit
	next int64 // monotonic ns from which the next send is allowed
}

const (
	pacerCatchUp = int64(time.Millisecond)
	// pacerNap is the least time slept while sends wait for the rate: a
	// wake-up for each of 50,000 sends a second would cost more than the sends.
	pacerNap = int64(200 * time.Microsecond)
)

func newPacer(rate int) pacer {
	if rate < 0 {
		return pacer{}
	}
	return pacer{gap: max(int64(time.Second)/int64(rate), 1)}
}

// allowed returns how many sends may be made at now.
func (p *pacer) allowed(now int64) int {
	if p.gap == 0 {
		return math.MaxInt
	}
	if p.next > now {
		return 0
	}
	p.next = max(p.next, now-pacerCatchUp)
	return int((now-p.next)/p.gap) + 1
}

// took notes n sends.
func (p *pacer) took(n int) { p.next += int64(n) * p.gap }

// wait returns until when to sleep before the next sends.
func (p *pacer) wait(now int64) int64 { return max(p.next, now+pacerNap) }
