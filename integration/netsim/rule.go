package netsim

import (
	"encoding/binary"
	"net/netip"
	"time"
)

// Rule says how the addresses of a prefix behave. The zero behaviour is a host
// that answers every request truly and at once.
type Rule struct {
	// Prefix is the addresses of the rule. If several prefixes contain an
	// address, the longest wins. An address without a rule never answers.
	Prefix netip.Prefix
	// Delay is the time from the arrival of a request to its answer.
	Delay time.Duration
	// Jitter is the largest time added to Delay, evenly distributed. The time of
	// a request depends only on its destination and number, so it is the same
	// in every run.
	Jitter time.Duration
	// Loss is the part of the requests that is lost, from 0 to 1. It is the same
	// in every run, like Jitter. For exact losses, use Answer.
	Loss float64
	// TTL is the TTL with which the host sends. Zero means 64. Packets arrive
	// with that TTL less the number of Hops.
	TTL uint8
	// TOS replaces the TOS or traffic class byte of the echo replies. Nil
	// sends back that of the request.
	TOS *uint8
	// Hops are the routers in front of the host, the nearest first. If the TTL
	// of a request runs out, the router where it does answers with Time
	// Exceeded. Delay and Jitter also delay their answers.
	Hops []Hop
	// Answer returns the packets for a request. Nil sends the true reply.
	Answer Answer
}

// Answer returns the packets that answer a request, none if it is lost. The
// simulator calls it on its thread, for one request at a time. It must not block,
// keep Payload, or use variables of the test without synchronisation. The simulator
// does not change the packets.
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
	// ID, Seq and Sum, the checksum, are those of its ICMP header.
	ID, Seq, Sum uint16
	// Label is the IPv6 flow label, 20 bits, 0 in IPv4.
	Label uint32
	// TOS and TTL are the IPv4 bytes, or traffic class and hop limit.
	TOS, TTL uint8
	// DF is true if IPv4's Don't Fragment was set. In IPv6 it is always true.
	DF bool
	// Size is the length of the IP packet in bytes, with its header.
	Size int
	// Payload holds the bytes behind the ICMP header. It is valid only during
	// the call of an Answer, and nil in the record of arrivals.
	Payload []byte

	packet []byte // the whole packet, valid as long as Payload
	head   int    // where in packet the ICMP message begins

	ttl, tos uint8 // as they are where the request is now
	lost     bool  // answers from there do not come back
}

// readEcho copies the fields of the ICMP header.
func (r *Request) readEcho() {
	msg := r.packet[r.head:]
	r.Sum = binary.BigEndian.Uint16(msg[2:])
	r.ID = binary.BigEndian.Uint16(msg[4:])
	r.Seq = binary.BigEndian.Uint16(msg[6:])
	r.Payload = msg[headerIC:]
	r.ttl, r.tos = r.TTL, r.TOS
}

// Packet is one packet in answer to a request. The zero value is the true
// echo reply.
type Packet struct {
	// After is added to the rule's delay. A negative value sends the packet
	// earlier, at most at the arrival of the request.
	After time.Duration
	// Behind holds the packet back for this many requests to the same address:
	// until the answer to the last of them has been written or queued. With 1
	// two replies change places, at any pace. If these requests never come, the
	// packet is never sent.
	Behind int
	// From is the packet's source. The zero Addr means the probed address.
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
	// Edit, if not nil, changes the ICMP message, a reply or an error, before its
	// checksum is computed.
	Edit Edit
}

// Edit changes bytes in place and returns them, possibly fewer or more. It gets ICMP
// messages (eight bytes of header, then payload) or the quotes of errors (IP header,
// then ICMP message).
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
	// Kind sets the type, by the family of the request. Zero: use Type.
	Kind Kind
	// Type is the ICMP type of errors that have no Kind.
	Type uint8
	// Code is the ICMP code, sent as it is. For PacketTooBig in IPv4 it is 4.
	Code uint8
	// Info is the MTU of PacketTooBig, the pointer of ParameterProblem, and
	// the four bytes behind the checksum of any other.
	Info uint32
	// Quote says how to quote the request.
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
	// Labels, if there are any, is an MPLS label stack that follows the quote,
	// which is then filled up to 128 bytes (RFC 4884).
	Labels []Label
	// Unsized makes the quote before Labels 128 bytes long and does not say so, as
	// devices from before RFC 4884 do.
	Unsized bool
	// Edit, if not nil, changes the finished quote.
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
