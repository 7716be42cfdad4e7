package icmpcore

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// Sizes and offsets of RFC 791, RFC 792, RFC 8200 and RFC 4443.
const (
	icmpHeaderSize = 8
	ipv4HeaderSize = 20
	ipv6HeaderSize = 40
	protocolICMP   = 1
	protocolICMPv6 = 58
)

// headSize is the size of the ICMP header and the cookie.
const headSize = icmpHeaderSize + cookieSize

// putHead writes the ICMP header and the cookie of an echo request into b. sum
// is the unfolded sum of the payload after the cookie. For ICMPv6 it
// leaves the checksum zero: the kernel computes it, because only the kernel
// knows the source address.
func putHead(b *[headSize]byte, f Family, id, seq uint16, cookie uint64, sum uint32) {
	b[0], b[1], b[2], b[3] = requestType(f), 0, 0, 0
	binary.BigEndian.PutUint16(b[4:], id)
	binary.BigEndian.PutUint16(b[6:], seq)
	binary.BigEndian.PutUint64(b[8:], cookie)
	if f == FamilyIPv4 {
		binary.BigEndian.PutUint16(b[2:], ^fold(sum+headSum(f, id, seq, cookie)))
	}
}

// headSum adds up the ICMP header of an echo request, without its checksum, and
// the cookie in 16-bit words, unfolded.
func headSum(f Family, id, seq uint16, cookie uint64) uint32 {
	return uint32(requestType(f))<<8 + uint32(id) + uint32(seq) +
		uint32(cookie>>48) + uint32(cookie>>32&0xffff) + uint32(cookie>>16&0xffff) + uint32(cookie&0xffff)
}

// sum16 adds up b in 16-bit words (RFC 1071), unfolded. b is at most 64 KiB
// long, so the sum does not overflow.
func sum16(b []byte) uint32 {
	var sum uint32
	for len(b) >= 2 {
		sum += uint32(b[0])<<8 | uint32(b[1])
		b = b[2:]
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	return sum
}

// fold folds a sum to 16 bits.
func fold(sum uint32) uint16 {
	sum = sum>>16 + sum&0xffff
	return uint16(sum>>16 + sum)
}

// checksumRight reports whether the checksum in an ICMP message is right.
func checksumRight(message []byte) bool { return fold(sum16(message)) == 0xffff }

// pattern returns the payload after the cookie: bytes that differ, so that a
// path that changes or shifts them is noticed.
func pattern(size int) []byte {
	b := make([]byte, size-cookieSize)
	for i := range b {
		b[i] = byte(i + cookieSize)
	}
	return b
}

// echoMessage is an echo reply, or the echo request that an error quotes.
type echoMessage struct {
	id, seq uint16
	payload []byte
}

// parseEcho reads an echo message of the given type. ok is false if b is
// something else or too short for an ICMP header.
func parseEcho(b []byte, typ byte) (m echoMessage, ok bool) {
	if len(b) < icmpHeaderSize || b[0] != typ || b[1] != 0 {
		return echoMessage{}, false
	}
	return echoMessage{
		id:      binary.BigEndian.Uint16(b[4:]),
		seq:     binary.BigEndian.Uint16(b[6:]),
		payload: b[icmpHeaderSize:],
	}, true
}

// requestType and replyType return the ICMP types of the family.
func requestType(f Family) byte {
	if f == FamilyIPv4 {
		return byte(ipv4.ICMPTypeEcho)
	}
	return byte(ipv6.ICMPTypeEchoRequest)
}

func replyType(f Family) byte {
	if f == FamilyIPv4 {
		return byte(ipv4.ICMPTypeEchoReply)
	}
	return byte(ipv6.ICMPTypeEchoReply)
}

// icmpError is an ICMP error about an echo request.
type icmpError struct {
	typ, code int
	info      int         // MTU of the next link, or pointer of a parameter problem
	to        netip.Addr  // the address that the quoted request was sent to
	request   echoMessage // the quoted request; its payload may be truncated, and what follows it in the error is there too
	ttl, dscp int16       // of the quoted request, -1: not known
	extension extension   // in the payload of request
}

// ipHeaderSize returns the size of an IP header without options.
func ipHeaderSize(f Family) int {
	if f == FamilyIPv4 {
		return ipv4HeaderSize
	}
	return ipv6HeaderSize
}

// parseICMPError reads an ICMP error that quotes an echo request. ok is false
// for any other message, and if the quote is too short for the identifier and
// sequence number.
func parseICMPError(b []byte, f Family) (e icmpError, ok bool) {
	if len(b) < icmpHeaderSize {
		return icmpError{}, false
	}
	e = icmpError{typ: int(b[0]), code: int(b[1])}
	if _, _, isError := describe(f, e.typ, e.code, 0); !isError {
		return icmpError{}, false
	}
	var size int // as far as the error says it, of the quoted packet, in bytes (RFC 4884)
	if f == FamilyIPv4 {
		size = int(b[5]) * 4
		switch {
		case e.typ == int(ipv4.ICMPTypeDestinationUnreachable) && e.code == 4:
			e.info = int(binary.BigEndian.Uint16(b[6:])) // RFC 1191
		case e.typ == int(ipv4.ICMPTypeParameterProblem):
			e.info = int(b[4]) // RFC 792
		}
		ok = e.quote4(b[icmpHeaderSize:])
	} else {
		if e.typ == int(ipv6.ICMPTypeDestinationUnreachable) || e.typ == int(ipv6.ICMPTypeTimeExceeded) {
			size = int(b[4]) * 8
		}
		if e.typ == int(ipv6.ICMPTypePacketTooBig) || e.typ == int(ipv6.ICMPTypeParameterProblem) {
			e.info = int(binary.BigEndian.Uint32(b[4:])) // RFC 4443
		}
		ok = e.quote6(b[icmpHeaderSize:])
	}
	if !ok {
		return icmpError{}, false
	}
	payload := e.request.payload
	e.extension = findExtension(payload, size, len(b)-icmpHeaderSize-len(payload))
	return e, true
}

// quote4 reads a quoted IPv4 packet. ok is false if it is not a first fragment of
// an echo request.
func (e *icmpError) quote4(b []byte) (ok bool) {
	size, ok := ipv4PayloadOffset(b)
	if !ok || b[9] != protocolICMP || binary.BigEndian.Uint16(b[6:])&0x1fff != 0 {
		return false
	}
	e.to = netip.AddrFrom4([4]byte(b[16:20]))
	e.ttl, e.dscp = int16(b[8]), int16(b[1]>>2)
	e.request, ok = parseEcho(b[size:], byte(ipv4.ICMPTypeEcho))
	return ok
}

// quote6 is quote4 for IPv6. Our requests have no extension headers, so a quote
// with extension headers is not ours.
func (e *icmpError) quote6(b []byte) (ok bool) {
	if len(b) < ipv6HeaderSize || b[0]>>4 != 6 || b[6] != protocolICMPv6 {
		return false
	}
	e.to = netip.AddrFrom16([16]byte(b[24:40]))
	e.ttl, e.dscp = int16(b[7]), int16(b[0]&0xf<<2|b[1]>>6)
	e.request, ok = parseEcho(b[ipv6HeaderSize:], byte(ipv6.ICMPTypeEchoRequest))
	return ok
}

// ipv4PayloadOffset returns the length of the IPv4 header at the start of b,
// including options, and whether b holds all of it.
func ipv4PayloadOffset(b []byte) (int, bool) {
	if len(b) < ipv4HeaderSize || b[0]>>4 != 4 {
		return 0, false
	}
	size := int(b[0]&0xf) * 4
	return size, size >= ipv4HeaderSize && size <= len(b)
}
