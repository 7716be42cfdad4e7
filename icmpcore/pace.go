package icmpcore

import (
	"math"
	"time"
)

// pacer spreads sends evenly under a rate. A sender that is late may catch up,
// but only to a limit: at 50,000 a second no millisecond has more than two and
// a half times its share. At lower rates, requests that are due together may be
// sent together.
type pacer struct {
	gap    int64 // ns from one send to the next, 0 for no limit
	makeUp int64 // ns of delay that it may catch up on
	next   int64 // monotonic ns from which on the next send is allowed
}

const (
	pacerLeast = int64(1500 * time.Microsecond)
	pacerMost  = int64(5 * time.Millisecond)
	// pacerBurst is how many sends may go out together, within these two bounds.
	pacerBurst = 64
	// pacerNap is the shortest sleep while sends wait for the rate. To wake up
	// for each of 50,000 sends a second would cost more than the sends.
	pacerNap = int64(time.Millisecond)
)

func newPacer(rate int) pacer {
	if rate < 0 {
		return pacer{}
	}
	gap := max(int64(time.Second)/int64(rate), 1)
	return pacer{gap: gap, makeUp: min(max(pacerLeast, pacerBurst*gap), pacerMost)}
}

// allowed returns how many sends are allowed at the time now.
func (p *pacer) allowed(now int64) int {
	if p.gap == 0 {
		return math.MaxInt
	}
	if p.next > now {
		return 0
	}
	p.next = max(p.next, now-p.makeUp)
	return int((now-p.next)/p.gap) + 1
}

// took records n sends.
func (p *pacer) took(n int) { p.next += int64(n) * p.gap }

// wait returns when to wake up for the next sends.
func (p *pacer) wait(now int64) int64 { return max(p.next, now+pacerNap) }
