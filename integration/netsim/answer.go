package netsim

import (
	"math"
	"net/netip"
	"slices"
	"time"
)

// AtOnce as Packet.After sends the packet when the request arrives, whatever
// delay the rule has.
const AtOnce = time.Duration(math.MinInt64)

// Lost is the Answer of a host that is down: nothing.
func Lost(Request) []Packet { return nil }

// True is the Answer of a sound host: one true echo reply. It is meant for the
// other cases in an Answer of one's own.
func True(Request) []Packet { return []Packet{{}} }

// Packets returns an Answer that sends the same packets for every request, in
// their order where they are due at the same time.
func Packets(packets ...Packet) Answer {
	return func(Request) []Packet { return packets }
}

// Fail returns an Answer that sends the error e from the address from, the
// zero Addr being the address probed.
func Fail(from netip.Addr, e Error) Answer {
	return Packets(Packet{From: from, Error: &e})
}

// Forged returns an Answer with count forged replies ahead of the true one,
// all sent when the request arrives. They are right in all but what edit
// changes.
func Forged(count int, edit Edit) Answer {
	packets := slices.Repeat([]Packet{{After: AtOnce, Edit: edit}}, count)
	return Packets(append(packets, Packet{})...)
}

// Only returns an Answer that gives the requests with the numbers ns to a, and
// a true reply to all others. Numbers are those of Request.N, from 0.
func Only(a Answer, ns ...int) Answer {
	return choose(func(n int) bool { return slices.Contains(ns, n) }, a)
}

// Every returns an Answer that gives every k-th request to a, the first of
// them with number k-1, and a true reply to all others.
func Every(k int, a Answer) Answer {
	return choose(func(n int) bool { return n%k == k-1 }, a)
}

func choose(chosen func(n int) bool, a Answer) Answer {
	sound := Packets(Packet{})
	return func(r Request) []Packet {
		if chosen(r.N) {
			return a(r)
		}
		return sound(r)
	}
}
