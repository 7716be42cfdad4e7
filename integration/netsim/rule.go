package netsim

import (
	"encoding/binary"
	"net/netip"
	"time"
)

// Rule says how the addresses of a prefix behave. The zero behaviour is a host
// that answers every request truly and at once.
type Rule struct {
	// Prefix holds the addresses that the rule is for. Of several that hold an
	// address the longest wins; an address in none never answers.
	Prefix netip.Prefix
	// Delay is the time from the arrival of a request to its answer.
	Delay time.Duration
	// Jitter is the largest time added to Delay, evenly distributed. What each
	// request gets depends on its destination and number alone: the same in
	// every run.
	Jitter time.Duration
	// Loss is the part of the requests that is lost, from 0 to 1, as
	// repeatable as Jitter. Answer gives exact losses.
	Loss float64
	// TTL is what the host sends its packets with. Zero means 64. They arrive
	// with as many less as there are Hops.
	TTL uint8
	// TOS replaces the TOS or traffic class byte of the echo replies. Nil
	// sends back that of the request.
	TOS *uint8
	// Hops are the routers in front of the host, the nearest first. A request
	// whose TTL does not outlast them is answered with Time Exceeded by the
	// one where it ends, or not at all where that address is the zero Addr.
	Hops []netip.Addr
	// Answer says what is sent for a request. Nil is the true reply.
	Answer Answer
}

// Answer returns the packets that answer a request: none where it is lost. It
// is called on the simulator's thread, for one request at a time: it must not
// block, keep Payload, or touch what the test uses without synchronisation.
// The packets it returns are not changed.
type Answer func(Request) []Packet

// Request is an echo request that came out of the host.
type Request struct {
	// At is when it arrived, on the clock of [Net.Now].
	At time.Duration
	// N is its number among the requests to Dst, from 0, since the network
	// began or [Net.Forget] was called.
	N int
	// Src and Dst are its addresses.
	Src, Dst netip.Addr
	// ID and Seq are those of its ICMP header.
	ID, Seq uint16
	// TOS and TTL are the IPv4 bytes, or traffic class and hop limit.
	TOS, TTL uint8
	// DF tells whether IPv4's Don't Fragment was set. In IPv6 it always is.
	DF bool
	// Size is the length of the IP packet in bytes, header and all.
	Size int
	// Payload holds the bytes behind the ICMP header. It is valid only during
	// the call of an Answer, and nil in the record of arrivals.
	Payload []byte

	packet []byte // the whole packet, valid as long as Payload
	head   int    // where in packet the ICMP message begins
}

// readEcho takes over what the ICMP header holds.
func (r *Request) readEcho() {
	msg := r.packet[r.head:]
	r.ID = binary.BigEndian.Uint16(msg[4:])
	r.Seq = binary.BigEndian.Uint16(msg[6:])
	r.Payload = msg[headerIC:]
}

// Packet is one packet in answer to a request. The zero value is the true
// echo reply.
type Packet struct {
	// After is added to the rule's delay. A negative one brings the packet
	// forward, at most to the arrival of the request.
	After time.Duration
	// Behind holds the packet back until the answer to the request that comes
	// so many requests later to the same address has been written or queued:
	// with 1 two replies change places, whatever the pace. A packet whose time
	// never comes is never sent.
	Behind int
	// From is the packet's source. The zero Addr is the address probed.
	From netip.Addr
	// TTL is the TTL with which the packet arrives. Zero means that of the
	// rule, less its hops.
	TTL uint8
	// TOS is the TOS or traffic class byte. Nil means that of the rule.
	TOS *uint8
	// Options are put behind the IPv4 header, or into a Destination Options
	// header of IPv6; see [Raw].
	Options []byte
	// BadSum makes the ICMP checksum wrong.
	BadSum bool
	// Error makes the packet an ICMP error instead of an echo reply.
	Error *Error
	// Edit, if not nil, changes the ICMP message before its checksum is
	// worked out, an error's as well as a reply's.
	Edit Edit
}

// Edit changes bytes in place and returns what is left of them, or more. It is
// used on ICMP messages (eight bytes of header, then payload) and on what an
// error quotes (IP header, then ICMP message).
type Edit func(b []byte) []byte

// Kind is an ICMP error by its meaning, the same for both families.
type Kind uint8

// The kinds of ICMP errors, with their types in IPv4 and IPv6.
const (
	DestinationUnreachable Kind = iota + 1 // 3 and 1
	PacketTooBig                           // 3 with code 4, and 2
	TimeExceeded                           // 11 and 3
	ParameterProblem                       // 12 and 4
)

// Error is an ICMP error.
type Error struct {
	// Kind gives the type for the family of the request. Zero: Type does.
	Kind Kind
	// Type is the ICMP type of errors that have no Kind.
	Type uint8
	// Code is the ICMP code, sent as it is. For PacketTooBig in IPv4 it is 4.
	Code uint8
	// Info is the MTU of PacketTooBig, the pointer of ParameterProblem, and
	// the four bytes behind the checksum of any other.
	Info uint32
	// Quote says how the request is quoted.
	Quote Quote
}

// Quote says how an error quotes the request. The zero value quotes as much
// as a packet of 576 bytes (IPv4) or 1280 (IPv6) holds.
type Quote struct {
	// Bytes is how much of the ICMP message is quoted behind the IP header.
	// Zero means as much as there is room for; 8 is what old routers send.
	Bytes int
	// Options are IPv4 options in the quoted header, which the request itself
	// did not have. IPv6 has no such thing.
	Options []byte
	// Edit, if not nil, changes the quote in the end.
	Edit Edit
}

// header returns type, code and the four bytes that follow the checksum.
func (e *Error) header(v4 bool) (typ, code uint8, info uint32) {
	typ, code, info = e.Type, e.Code, e.Info
	switch {
	case e.Kind == 0:
	case !v4:
		typ = uint8(e.Kind)
	case e.Kind == DestinationUnreachable:
		typ = 3
	case e.Kind == PacketTooBig:
		typ, code, info = 3, 4, info&0xffff
	case e.Kind == TimeExceeded:
		typ = 11
	case e.Kind == ParameterProblem:
		typ, info = 12, info<<24
	}
	return typ, code, info
}
