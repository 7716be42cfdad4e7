package icmpcore

import (
	"errors"
	"net"
	"net/netip"
	"time"
)

// resolutionDelay is how long a usable IPv6 address waits for an IPv4 address,
// which is preferred here. RFC 8305, section 3, prefers IPv6.
const resolutionDelay = 50 * time.Millisecond

// choice decides which address of a name to use, as the answers for its two
// families come in. It reads no clock and does not wait.
type choice struct {
	family Family // the one requested; FamilyAuto means both
	halves [2]half
}

// half is the query for the addresses of one family.
type half struct {
	noSocket bool // there is no socket for this family
	ended    bool
	at       time.Time // when it ended
	addr     netip.Addr
	usable   bool  // there is a route for addr
	err      error // why there is no address
}

// verdict is the present state of a choice.
type verdict struct {
	decided bool
	addr    netip.Addr
	err     error
	wait    time.Duration // until it is decided without another answer, 0 if that does not happen
}

func (c *choice) half(f Family) *half { return &c.halves[f-FamilyIPv4] }

// answer records how the query for family f ended.
func (c *choice) answer(f Family, at time.Time, addr netip.Addr, usable bool, err error) {
	h := c.half(f)
	if h.ended {
		return // we have given up on this query
	}
	h.ended, h.at, h.addr, h.usable, h.err = true, at, addr, usable, err
}

// giveUp ends the queries that are still running with err.
func (c *choice) giveUp(at time.Time, err error) {
	for f := FamilyIPv4; f <= FamilyIPv6; f++ {
		c.answer(f, at, netip.Addr{}, false, err)
	}
}

// decide returns the verdict at the time now.
func (c *choice) decide(now time.Time) verdict {
	if c.family != FamilyAuto {
		h := c.half(c.family)
		return verdict{decided: h.ended, addr: h.addr, err: h.err}
	}
	four, six := c.half(FamilyIPv4), c.half(FamilyIPv6)
	switch {
	case four.usable:
		return verdict{decided: true, addr: four.addr}
	case six.usable:
		wait := resolutionDelay - now.Sub(six.at)
		if four.ended || four.noSocket || wait <= 0 {
			return verdict{decided: true, addr: six.addr}
		}
		return verdict{wait: wait}
	case !four.ended || !six.ended:
		return verdict{}
	case four.addr.IsValid() && !(four.noSocket && six.failed()): // not usable, but sending to it reports what is missing
		return verdict{decided: true, addr: four.addr}
	case six.addr.IsValid() && !four.failed():
		return verdict{decided: true, addr: six.addr}
	case four.failed():
		return verdict{decided: true, err: four.err}
	case six.failed(): // "not answered" says more than "no such address"
		return verdict{decided: true, err: six.err}
	}
	return verdict{decided: true, err: four.err}
}

// failed reports whether the query got no answer at all. "There is no address"
// is an answer. If one family got no answer, an unusable address of the other
// family is not the reason why there is no series.
func (h *half) failed() bool { return h.err != nil && !isNotFound(h.err) }

// isNotFound reports whether err is the answer of the DNS that there is no such
// address.
func isNotFound(err error) bool {
	var dns *net.DNSError
	return errors.As(err, &dns) && dns.IsNotFound
}
