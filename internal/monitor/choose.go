package monitor

import (
	"errors"
	"net"
	"net/netip"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
)

// resolutionDelay is how long a series whose name has an IPv6 address waits for
// the first answer about IPv4, which goes first (RFC 8305, section 3).
const resolutionDelay = 50 * time.Millisecond

// half is what is known of a name's addresses of one family.
type half struct {
	looking bool       // a look-up is queued or under way
	ended   time.Time  // of the last look-up; zero: there has been none
	err     error      // of the last look-up
	told    bool       // some look-up was answered, if only by that there is no address
	addr    netip.Addr // the last good answer; invalid where there is none
	usable  bool       // there was a route for addr when it was last looked at
}

// halves are both families of a name: that of IPv4, then that of IPv6. All of
// it reads no clock and waits for nothing.
type halves [2]half

// of returns the halves that are looked up for a target of family f.
func (h *halves) of(f icmpcore.Family) []*half {
	switch f {
	case icmpcore.FamilyIPv4:
		return []*half{&h[0]}
	case icmpcore.FamilyIPv6:
		return []*half{&h[1]}
	}
	return []*half{&h[0], &h[1]}
}

// answer records what a look-up gave. While the resolver fails the last good
// answer stays; that a name has no such address is an answer.
func (h *half) answer(now time.Time, addr netip.Addr, usable bool, err error) {
	h.looking, h.ended, h.err = false, now, err
	h.told = h.told || isAnswer(err)
	switch {
	case err == nil:
		h.addr = addr
	case isAnswer(err):
		h.addr = netip.Addr{}
	}
	h.usable = usable && h.addr.IsValid()
}

// isAnswer reports whether the DNS has answered: with an address, or that there
// is none.
func isAnswer(err error) bool {
	var dns *net.DNSError
	return err == nil || errors.As(err, &dns) && dns.IsNotFound
}

// settled reports whether the look-ups under way can change the address that a
// series should have: a usable one of IPv4 is not waited for by IPv6, one of
// IPv6 waits for the resolution delay. wait, where it is not 0, is how long it
// takes until that has passed.
func (h *halves) settled(f icmpcore.Family, now time.Time) (ok bool, wait time.Duration) {
	four, six := &h[0], &h[1]
	switch f {
	case icmpcore.FamilyIPv4:
		return !four.looking, 0
	case icmpcore.FamilyIPv6:
		return !six.looking, 0
	}
	switch {
	case !four.looking:
		return four.usable || !six.looking, 0
	case six.looking || !six.usable:
		return false, 0
	}
	wait = max(0, resolutionDelay-now.Sub(six.ended))
	return wait == 0, wait
}

// best returns the address to take by what is known, or why there is none, and
// the error of the last look-up of its family.
func (h *halves) best(f icmpcore.Family) (netip.Addr, error) {
	list := h.of(f)
	for _, x := range list {
		if x.usable {
			return x.addr, x.err
		}
	}
	for i, x := range list { // the send says what is missing
		if i > 0 && !list[0].told && list[0].err != nil {
			return netip.Addr{}, list[0].err // it is the DNS that is in the way of the first
		}
		if x.addr.IsValid() {
			return x.addr, x.err
		}
	}
	var err error
	for _, x := range list {
		last := x.err
		if x.ended.IsZero() {
			last = errNoAnswer
		}
		if isAnswer(err) { // one that was not answered says more
			err = last
		}
	}
	return netip.Addr{}, err
}

// untold reports whether a look-up is under way that would be the first of its
// family.
func (h *halves) untold() bool {
	for _, x := range h {
		if x.looking && x.ended.IsZero() {
			return true
		}
	}
	return false
}
