package icmpcore

import (
	"errors"
	"net"
	"net/netip"
	"time"
)

// resolutionDelay is how long a usable IPv6 address waits for one of IPv4, which
// goes first (RFC 8305, section 3, has it the other way round).
const resolutionDelay = 50 * time.Millisecond

// choice decides which address of a name is taken, while the answers for its
// two families come in. It reads no clock and waits for nothing.
type choice struct {
	family Family // asked for; FamilyAuto is both
	halves [2]half
}

// half is the query for the addresses of one family.
type half struct {
	noSocket bool // no address of this family can be used
	ended    bool
	at       time.Time // when it ended
	addr     netip.Addr
	usable   bool  // there is a route for addr
	err      error // why there is no address
}

// verdict is what a choice has come to.
type verdict struct {
	decided bool
	addr    netip.Addr
	err     error
	wait    time.Duration // until the choice decides without another answer, 0 where it does not
}

func (c *choice) half(f Family) *half { return &c.halves[f-FamilyIPv4] }

// answer records how the query for family f ended.
func (c *choice) answer(f Family, at time.Time, addr netip.Addr, usable bool, err error) {
	h := c.half(f)
	if h.ended {
		return // given up
	}
	h.ended, h.at, h.addr, h.usable, h.err = true, at, addr, usable, err
}

// giveUp ends the queries under way with err.
func (c *choice) giveUp(at time.Time, err error) {
	for f := FamilyIPv4; f <= FamilyIPv6; f++ {
		c.answer(f, at, netip.Addr{}, false, err)
	}
}

// decide returns the verdict at a time.
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
	case four.addr.IsValid() && !(four.noSocket && six.failed()): // the send says what is missing
		return verdict{decided: true, addr: four.addr}
	case six.addr.IsValid() && !four.failed():
		return verdict{decided: true, addr: six.addr}
	case four.failed():
		return verdict{decided: true, err: four.err}
	case six.failed(): // one that was not answered says more than that there is none
		return verdict{decided: true, err: six.err}
	}
	return verdict{decided: true, err: four.err}
}

// failed reports whether the query was not answered, not even that there is no
// address: an address of the other family that cannot be used is not the reason
// why there is no series.
func (h *half) failed() bool { return h.err != nil && !isNotFound(h.err) }

// isNotFound reports whether err is an answer of the DNS: there is no such
// address.
func isNotFound(err error) bool {
	var dns *net.DNSError
	return errors.As(err, &dns) && dns.IsNotFound
}
