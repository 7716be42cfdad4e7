package icmpcore

import (
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"
)

// answered is the outcome of one half of a lookup, and when it comes.
type answered struct {
	family Family
	after  time.Duration
	addr   netip.Addr
	usable bool
	err    error
}

// play gives a choice its answers until it decides, and returns when that was.
// The verdict is undecided if neither an answer nor a timer is left.
func (c *choice) play(start time.Time, events []answered) (verdict, time.Time) {
	now := start
	v := c.decide(now)
	for !v.decided {
		next := time.Time{} // the timer or the next answer, whichever comes first
		if v.wait > 0 {
			next = now.Add(v.wait)
		}
		if len(events) > 0 && (next.IsZero() || start.Add(events[0].after).Before(next)) {
			e := events[0]
			events, next = events[1:], start.Add(e.after)
			c.answer(e.family, next, e.addr, e.usable, e.err)
		}
		if next.IsZero() {
			break
		}
		now = next
		v = c.decide(now)
	}
	return v, now
}

// TestChoice has each half of a lookup answer, be empty, fail, be slow or never
// end, and checks when the choice is made and what it is.
func TestChoice(t *testing.T) {
	const ms = time.Millisecond
	a4, a6 := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	nxdomain := &net.DNSError{Err: "no such host", IsNotFound: true}
	servfail := &net.DNSError{Err: "server misbehaving", IsTemporary: true}
	timeout := &net.DNSError{Err: "i/o timeout", IsTimeout: true}
	four := func(after time.Duration) answered { return answered{FamilyIPv4, after, a4, true, nil} }
	six := func(after time.Duration) answered { return answered{FamilyIPv6, after, a6, true, nil} }
	no := func(f Family, after time.Duration, err error) answered {
		return answered{f, after, netip.Addr{}, false, err}
	}
	noRoute := func(e answered) answered { e.usable = false; return e }
	const never = time.Duration(-1)
	tests := []struct {
		name     string
		family   Family
		noSocket Family
		events   []answered
		at       time.Duration // of the decision
		addr     netip.Addr
		err      error
	}{
		{name: "both at once", events: []answered{four(0), six(0)}, addr: a4},
		{name: "IPv4 first decides at once", events: []answered{four(3 * ms), six(9 * ms)}, at: 3 * ms, addr: a4},
		{name: "AAAA dropped", events: []answered{four(3 * ms)}, at: 3 * ms, addr: a4},
		{name: "AAAA refused before", events: []answered{no(FamilyIPv6, 0, servfail), four(3 * ms)}, at: 3 * ms, addr: a4},
		{name: "AAAA empty before a slow A", events: []answered{no(FamilyIPv6, 0, nxdomain), four(900 * ms)}, at: 900 * ms, addr: a4},
		{name: "IPv6 first, IPv4 within the delay", events: []answered{six(2 * ms), four(51 * ms)}, at: 51 * ms, addr: a4},
		{name: "IPv6 first, IPv4 too slow", events: []answered{six(2 * ms), four(53 * ms)}, at: 52 * ms, addr: a6},
		{name: "A dropped", events: []answered{six(2 * ms)}, at: 52 * ms, addr: a6},
		{name: "A empty", events: []answered{no(FamilyIPv4, ms, nxdomain), six(2 * ms)}, at: 2 * ms, addr: a6},
		{name: "A empty after IPv6", events: []answered{six(2 * ms), no(FamilyIPv4, 7*ms, nxdomain)}, at: 7 * ms, addr: a6},
		{name: "A fails after IPv6", events: []answered{six(2 * ms), no(FamilyIPv4, 7*ms, servfail)}, at: 7 * ms, addr: a6},
		{name: "no route for IPv4", events: []answered{noRoute(four(ms)), six(80 * ms)}, at: 80 * ms, addr: a6},
		{name: "no route for IPv4, which is all", events: []answered{noRoute(four(ms)), no(FamilyIPv6, 80*ms, nxdomain)}, at: 80 * ms, addr: a4},
		{name: "no route for IPv6", events: []answered{noRoute(six(ms)), four(200 * ms)}, at: 200 * ms, addr: a4},
		{name: "no route for IPv6, which is all", events: []answered{noRoute(six(ms)), no(FamilyIPv4, 80*ms, nxdomain)}, at: 80 * ms, addr: a6},
		{name: "no route for IPv6, A fails", events: []answered{noRoute(six(ms)), no(FamilyIPv4, 80*ms, servfail)}, at: 80 * ms, err: servfail},
		{name: "no route for IPv4, AAAA fails", events: []answered{noRoute(four(ms)), no(FamilyIPv6, 80*ms, servfail)}, at: 80 * ms, addr: a4},
		{name: "no IPv4 socket, AAAA fails", noSocket: FamilyIPv4, events: []answered{noRoute(four(ms)), no(FamilyIPv6, 80*ms, servfail)}, at: 80 * ms, err: servfail},
		{name: "no IPv4 socket, AAAA empty", noSocket: FamilyIPv4, events: []answered{noRoute(four(ms)), no(FamilyIPv6, 80*ms, nxdomain)}, at: 80 * ms, addr: a4},
		{name: "no route for either", events: []answered{noRoute(six(ms)), noRoute(four(2 * ms))}, at: 2 * ms, addr: a4},
		{name: "no IPv4 socket: IPv6 waits for nothing", noSocket: FamilyIPv4, events: []answered{six(2 * ms), noRoute(four(9 * ms))}, at: 2 * ms, addr: a6},
		{name: "no such name", events: []answered{no(FamilyIPv4, ms, nxdomain), no(FamilyIPv6, 2*ms, nxdomain)}, at: 2 * ms, err: nxdomain},
		{name: "A empty, AAAA fails", events: []answered{no(FamilyIPv4, ms, nxdomain), no(FamilyIPv6, 2*ms, servfail)}, at: 2 * ms, err: servfail},
		{name: "A fails, AAAA empty", events: []answered{no(FamilyIPv6, 2*ms, nxdomain), no(FamilyIPv4, 5*ms, servfail)}, at: 5 * ms, err: servfail},
		{name: "both fail", events: []answered{no(FamilyIPv4, ms, timeout), no(FamilyIPv6, 2*ms, servfail)}, at: 2 * ms, err: timeout},
		{name: "both dropped", at: never},
		{name: "A empty, AAAA dropped", events: []answered{no(FamilyIPv4, ms, nxdomain)}, at: never},
		{name: "ipv4", family: FamilyIPv4, events: []answered{four(700 * ms)}, at: 700 * ms, addr: a4},
		{name: "ipv4, no route: as asked", family: FamilyIPv4, events: []answered{noRoute(four(ms))}, at: ms, addr: a4},
		{name: "ipv4 empty", family: FamilyIPv4, events: []answered{no(FamilyIPv4, ms, nxdomain)}, at: ms, err: nxdomain},
		{name: "ipv6", family: FamilyIPv6, events: []answered{six(2 * ms)}, at: 2 * ms, addr: a6},
		{name: "ipv6 fails", family: FamilyIPv6, events: []answered{no(FamilyIPv6, 2*ms, servfail)}, at: 2 * ms, err: servfail},
		{name: "ipv6 dropped", family: FamilyIPv6, at: never},
	}
	start := time.Unix(1_700_000_000, 0)
	for _, tt := range tests {
		c := choice{family: tt.family}
		if tt.noSocket != FamilyAuto {
			c.half(tt.noSocket).noSocket = true
		}
		v, now := c.play(start, tt.events)
		if tt.at == never {
			gaveUp := errors.New("gave up")
			if v.decided {
				t.Errorf("%s: decided %v, %v after %v, want never", tt.name, v.addr, v.err, now.Sub(start))
			}
			c.giveUp(now, gaveUp)
			if v = c.decide(now); !v.decided || !errors.Is(v.err, gaveUp) {
				t.Errorf("%s: given up, %+v", tt.name, v)
			}
			continue
		}
		if !v.decided || v.addr != tt.addr || !errors.Is(v.err, tt.err) || now.Sub(start) != tt.at {
			t.Errorf("%s: %+v after %v, want %v, %v after %v", tt.name, v, now.Sub(start), tt.addr, tt.err, tt.at)
		}
	}
}

// TestChoiceGivenUp ends the time while IPv6 waits for IPv4.
func TestChoiceGivenUp(t *testing.T) {
	var c choice
	now, addr := time.Unix(0, 0), netip.MustParseAddr("2001:db8::1")
	c.answer(FamilyIPv6, now, addr, true, nil)
	c.giveUp(now, errors.New("gave up"))
	if v := c.decide(now); !v.decided || v.addr != addr {
		t.Errorf("%+v, want %v: it is usable", v, addr)
	}
}
