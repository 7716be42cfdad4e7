package icmpcore

import "encoding/binary"

// balanceSize is the size of the balance word, which follows the cookie in the
// requests of a flow.
const balanceSize = 2

// longHead is the size of the longest head: that of a request of a flow.
const longHead = headSize + balanceSize

// headSize returns the size of what differs from echo to echo.
func (p *profile) headSize() int {
	if p.opts.Flow != 0 {
		return longHead
	}
	return headSize
}

// putHead writes what differs from echo to echo into b, as far as headSize.
func (p *profile) putHead(b *[longHead]byte, f Family, id, seq uint16, cookie uint64) {
	sum := p.sum
	if p.opts.Flow != 0 {
		word := p.balance(f, id, seq, cookie)
		binary.BigEndian.PutUint16(b[headSize:], word)
		sum += uint32(word)
	}
	putHead((*[headSize]byte)(b[:]), f, id, seq, cookie, sum)
}

// balance returns the word that gives a request of a flow its checksum, whatever
// its sequence number, cookie and size. Over IPv4 that is the number of the flow.
// Over IPv6 it also depends on the addresses, which the pseudo-header holds. The
// length that is there too is balanced (RFC 8200, section 8.1).
func (p *profile) balance(f Family, id, seq uint16, cookie uint64) uint16 {
	sum := p.sum + headSum(f, id, seq, cookie)
	if f == FamilyIPv6 {
		sum += uint32(icmpHeaderSize + p.opts.Size)
	}
	// The checksum is the complement of the sum, and 0xffff is none: the sum
	// of a message is never 0.
	want := 0xffff - uint32(p.opts.Flow)%0xffff
	return fold(want + uint32(^fold(sum)))
}

// brought reports whether the payload of a reply is what was sent.
func (p *profile) brought(f Family, m echoMessage, cookie uint64) bool {
	rest := m.payload[cookieSize:]
	if p.opts.Flow != 0 {
		if len(rest) < balanceSize || binary.BigEndian.Uint16(rest) != p.balance(f, m.id, m.seq, cookie) {
			return false
		}
		rest = rest[balanceSize:]
	}
	return string(rest) == string(p.payload)
}

// flowLabel returns the IPv6 flow label of a flow. The upper half of the labels
// is for flows that no host keeps track of, as in Linux' flowlabel_state_ranges.
func flowLabel(flow uint16) uint32 { return 1<<19 | uint32(flow) }
