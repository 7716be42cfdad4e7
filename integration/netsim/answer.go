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

// True is the Answer of a host that works: one true echo reply. Your own Answer
// can call it for the requests that it does not handle.
func True(Request) []Packet { return []Packet{{}} }

// Packets returns an Answer that sends the same packets for every request. Packets
// that are due at the same time are sent in their order.
func Packets(packets ...Packet) Answer {
	return func(Request) []Packet { return packets }
}

// Fail returns an Answer that sends the error e from the address from. The zero
// Addr means the probed address.
func Fail(from netip.Addr, e Error) Answer {
	return Packets(Packet{From: from, Error: &e})
}

// Forged returns an Answer with count forged replies before the true one. All are
// sent when the request arrives. The forged ones are right except for the change
// that edit makes.
func Forged(count int, edit Edit) Answer {
	packets := slices.Repeat([]Packet{{After: AtOnce, Edit: edit}}, count)
	return Packets(append(packets, Packet{})...)
}

// Only returns an Answer that passes the requests with the numbers ns to a, and
// sends a true reply to all others. Numbers are those of Request.N, from 0.
func Only(a Answer, ns ...int) Answer {
	return choose(func(n int) bool { return slices.Contains(ns, n) }, a)
}

// Every returns an Answer that passes every k-th request to a, and sends a true
// reply to all others. The first request that a gets has the number k-1.
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
