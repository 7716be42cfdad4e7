package netsim

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

const (
	header4  = 20 // an IPv4 header without options
	header6  = 40 // the fixed IPv6 header
	headerIC = 8  // the header of every ICMP message used here

	protoICMP4   = 1
	protoICMP6   = 58
	protoDestOpt = 60

	echoRequest4 = 8
	echoReply4   = 0
	echoRequest6 = 128
	echoReply6   = 129

	defaultTTL = 64
)

// Raw is one IP packet that carries an ICMP message, written out by Append.
type Raw struct {
	// Src and Dst are addresses of one family, which is the packet's.
	Src, Dst netip.Addr
	// TTL is the TTL or hop limit. Zero means 64.
	TTL uint8
	// TOS is the whole byte: DSCP in the upper six bits, ECN below.
	TOS uint8
	// Options holds IPv4 options, filled up to four bytes with End of Option
	// List; in IPv6 those of a Destination Options header, filled up to eight
	// with Pad1. At most 40 bytes. Up to six zeros are good for both families.
	Options []byte
	// Message is the ICMP message from its type on. Append computes its checksum
	// and ignores the one in Message.
	Message []byte
	// BadSum makes the ICMP checksum wrong.
	BadSum bool
}

// Append appends the packet to b and returns the longer slice.
func (r *Raw) Append(b []byte) []byte {
	start := len(b)
	if r.Dst.Is4() {
		b = r.appendHeader4(b)
	} else {
		b = r.appendHeader6(b)
	}
	at := len(b)
	b = append(b, r.Message...)
	msg := b[at:]
	if len(msg) < 4 {
		return b // too short to have a checksum
	}
	msg[2], msg[3] = 0, 0
	var sum uint64
	if !r.Dst.Is4() {
		sum = pseudoSum6(b[start+8:start+header6], len(msg))
	}
	c := fold(sum, msg)
	if r.BadSum {
		c ^= 0x5a5a
	}
	binary.BigEndian.PutUint16(msg[2:], c)
	return b
}

func (r *Raw) ttl() uint8 {
	if r.TTL == 0 {
		return defaultTTL
	}
	return r.TTL
}

func (r *Raw) appendHeader4(b []byte) []byte {
	start := len(b)
	options := (len(r.Options) + 3) &^ 3
	size := header4 + options + len(r.Message)
	b = append(b, 0x40|byte((header4+options)/4), r.TOS)
	b = binary.BigEndian.AppendUint16(b, uint16(size))
	b = append(b, 0, 0, 0, 0, r.ttl(), protoICMP4, 0, 0)
	src, dst := r.Src.As4(), r.Dst.As4()
	b = append(append(b, src[:]...), dst[:]...)
	b = append(b, r.Options...)
	for len(b) < start+header4+options {
		b = append(b, 0)
	}
	sumHeader4(b[start:])
	return b
}

func (r *Raw) appendHeader6(b []byte) []byte {
	options, next := 0, byte(protoICMP6)
	if len(r.Options) > 0 {
		options, next = (2+len(r.Options)+7)&^7, protoDestOpt
	}
	b = append(b, 0x60|r.TOS>>4, r.TOS<<4, 0, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(options+len(r.Message)))
	b = append(b, next, r.ttl())
	src, dst := r.Src.As16(), r.Dst.As16()
	b = append(append(b, src[:]...), dst[:]...)
	if options == 0 {
		return b
	}
	end := len(b) + options
	b = append(b, protoICMP6, byte(options/8-1))
	b = append(b, r.Options...)
	for len(b) < end {
		b = append(b, 0)
	}
	return b
}

// sumHeader4 writes the checksum of the IPv4 header that b begins with.
func sumHeader4(b []byte) {
	size := int(b[0]&0x0f) * 4
	b[10], b[11] = 0, 0
	binary.BigEndian.PutUint16(b[10:], fold(0, b[:size]))
}

// pseudoSum6 is the sum over the IPv6 pseudo-header (RFC 8200, section 8.1);
// addrs holds the source and the destination.
func pseudoSum6(addrs []byte, size int) uint64 {
	sum := uint64(size) + protoICMP6
	for i := 0; i+1 < len(addrs); i += 2 {
		sum += uint64(binary.BigEndian.Uint16(addrs[i:]))
	}
	return sum
}

// fold returns the Internet checksum (RFC 1071) of b, starting with sum, ready to be
// stored. It is 0 for bytes that contain their right checksum.
func fold(sum uint64, b []byte) uint16 {
	var carry uint64
	for len(b) >= 8 {
		sum, carry = bits.Add64(sum, binary.BigEndian.Uint64(b), carry)
		b = b[8:]
	}
	if len(b) > 0 {
		var last [8]byte
		copy(last[:], b)
		sum, carry = bits.Add64(sum, binary.BigEndian.Uint64(last[:]), carry)
	}
	sum, carry = bits.Add64(sum, 0, carry)
	sum += carry
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// parse reads an echo request from an IP packet. It returns false for anything else,
// including a fragment or a request with a wrong checksum.
func parse(b []byte) (Request, bool) {
	if len(b) < header4 {
		return Request{}, false
	}
	switch b[0] >> 4 {
	case 4:
		return parse4(b)
	case 6:
		return parse6(b)
	}
	return Request{}, false
}

func parse4(b []byte) (Request, bool) {
	head, size := int(b[0]&0x0f)*4, int(binary.BigEndian.Uint16(b[2:]))
	fragment := binary.BigEndian.Uint16(b[6:])
	switch {
	case head < header4, size < head+headerIC, size > len(b):
		return Request{}, false
	case b[9] != protoICMP4, fragment&0x3fff != 0:
		return Request{}, false
	case b[head] != echoRequest4, fold(0, b[head:size]) != 0:
		return Request{}, false
	}
	r := Request{
		Src:    netip.AddrFrom4([4]byte(b[12:16])),
		Dst:    netip.AddrFrom4([4]byte(b[16:20])),
		TOS:    b[1],
		TTL:    b[8],
		DF:     fragment&0x4000 != 0,
		Size:   size,
		packet: b[:size],
		head:   head,
	}
	r.readEcho()
	return r, true
}

func parse6(b []byte) (Request, bool) {
	if len(b) < header6+headerIC {
		return Request{}, false
	}
	size := header6 + int(binary.BigEndian.Uint16(b[4:]))
	switch {
	case size < header6+headerIC, size > len(b), b[6] != protoICMP6:
		return Request{}, false
	case b[header6] != echoRequest6:
		return Request{}, false
	case fold(pseudoSum6(b[8:header6], size-header6), b[header6:size]) != 0:
		return Request{}, false
	}
	r := Request{
		Src:    netip.AddrFrom16([16]byte(b[8:24])),
		Dst:    netip.AddrFrom16([16]byte(b[24:40])),
		TOS:    b[0]<<4 | b[1]>>4,
		Label:  binary.BigEndian.Uint32(b) & 0xfffff,
		TTL:    b[7],
		DF:     true, // only the sender may fragment IPv6
		Size:   size,
		packet: b[:size],
		head:   header6,
	}
	r.readEcho()
	return r, true
}
