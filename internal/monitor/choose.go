package monitor

import (
	"errors"
	"net"
	"net/netip"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
)

// resolutionDelay is how long a series waits for the first answer about IPv4
// when the name's IPv6 address is known (RFC 8305, section 3, with the families
// exchanged).
const resolutionDelay = 50 * time.Millisecond

// half holds what is known of a name's addresses of one family.
type half struct {
	looking  bool       // a look-up is queued or running
	ended    time.Time  // when the last look-up ended; zero: there has been none
	err      error      // of the last look-up
	answered bool       // the DNS has answered, even if it was that there is no address
	addr     netip.Addr // the last good answer; invalid if there is none
	usable   bool       // addr had a route when that was last checked
}

// halves holds both families of a name: IPv4, then IPv6. Its methods read no
// clock and never block.
type halves [2]half

// of returns the halves that a target of family f needs.
func (h *halves) of(f icmpcore.Family) []*half {
	switch f {
	case icmpcore.FamilyIPv4:
		return []*half{&h[0]}
	case icmpcore.FamilyIPv6:
		return []*half{&h[1]}
	}
	return []*half{&h[0], &h[1]}
}

// answer records the result of a look-up. The last good answer stays while the
// resolver fails. That a name has no such address is an answer.
func (h *half) answer(now time.Time, addr netip.Addr, usable bool, err error) {
	h.looking, h.ended, h.err = false, now, err
	h.answered = h.answered || isAnswer(err)
	switch {
	case err == nil:
		h.addr = addr
	case isAnswer(err):
		h.addr = netip.Addr{}
	}
	h.usable = usable && h.addr.IsValid()
}

// isAnswer reports whether the DNS has answered, with an address or with the
// statement that there is none.
func isAnswer(err error) bool {
	var dns *net.DNSError
	return err == nil || errors.As(err, &dns) && dns.IsNotFound
}

// settled reports whether the running look-ups can no longer change the address
// that a series should have. A usable IPv4 address does not wait for the IPv6
// look-up; a usable IPv6 address waits for the resolution delay. wait is how
// much of that delay is left, 0 if the series does not wait for it.
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

// best returns the best known address, with the error of the last look-up of its
// family. If there is no address, the error says why.
func (h *halves) best(f icmpcore.Family) (netip.Addr, error) {
	list := h.of(f)
	for _, x := range list {
		if x.usable {
			return x.addr, x.err
		}
	}
	for i, x := range list { // no address has a route: the error of the send says so
		if i > 0 && !list[0].answered && list[0].err != nil {
			return netip.Addr{}, list[0].err // the first family failed because of the DNS
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
		if isAnswer(err) { // the error of a failed look-up says more
			err = last
		}
	}
	return netip.Addr{}, err
}

// firstRunning reports whether a look-up is running that is the first of its
// family.
func (h *halves) firstRunning() bool {
	for _, x := range h {
		if x.looking && x.ended.IsZero() {
			return true
		}
	}
	return false
}
