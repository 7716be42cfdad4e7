package netsim

import "encoding/binary"

const (
	protoFragment  = 44
	fragmentHeader = 8 // of IPv6
	// maxPartial limits the number of incomplete packets.
	maxPartial = 64
)

// assembler reassembles fragments (RFC 791, section 3.2, and RFC 8200, section
// 4.5). It is for packets of the host's own kernel, so it does not look for
// fragments that overlap. It drops incomplete packets when there are too many.
type assembler struct {
	partial map[fragmentKey]*partial
}

// fragmentKey names the packet that a fragment belongs to.
type fragmentKey struct {
	addrs [32]byte // source and destination
	id    uint32
}

// partial is an incomplete packet.
type partial struct {
	head  []byte // the IP header, once the first fragment came
	data  []byte
	have  int // bytes of data that came
	total int // length of data, 0 until the last fragment came
}

// fragment is a part of a packet.
type fragment struct {
	key    fragmentKey
	head   []byte
	data   []byte
	offset int
	more   bool
}

// add takes an IP packet and returns it, or, if it is a fragment, the packet
// that it completes. It returns nil for other fragments.
func (a *assembler) add(packet []byte) []byte {
	f, ok := readFragment(packet)
	if !ok {
		return packet
	}
	if a.partial == nil || len(a.partial) > maxPartial {
		a.partial = map[fragmentKey]*partial{}
	}
	p := a.partial[f.key]
	if p == nil {
		p = &partial{}
		a.partial[f.key] = p
	}
	if !p.add(f) {
		return nil
	}
	delete(a.partial, f.key)
	return p.packet()
}

// add adds a fragment and reports whether the packet is complete.
func (p *partial) add(f fragment) bool {
	end := f.offset + len(f.data)
	if f.offset == 0 {
		p.head = append([]byte(nil), f.head...)
	}
	if !f.more {
		p.total = end
	}
	if end > len(p.data) {
		p.data = append(p.data, make([]byte, end-len(p.data))...)
	}
	copy(p.data[f.offset:], f.data)
	p.have += len(f.data)
	return p.head != nil && p.total > 0 && p.have >= p.total
}

// packet returns the whole packet, with the header of an unfragmented one.
func (p *partial) packet() []byte {
	b := append(p.head, p.data[:p.total]...)
	if b[0]>>4 == 6 {
		binary.BigEndian.PutUint16(b[4:], uint16(p.total))
		b[6] = protoICMP6
		return b
	}
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	b[6], b[7] = 0, 0
	sumHeader4(b)
	return b
}

// readFragment reads a fragment of an ICMP message. It returns false for any other
// packet.
func readFragment(b []byte) (fragment, bool) {
	switch {
	case len(b) >= header4 && b[0]>>4 == 4:
		return readFragment4(b)
	case len(b) >= header6+fragmentHeader && b[0]>>4 == 6 && b[6] == protoFragment:
		return readFragment6(b)
	}
	return fragment{}, false
}

func readFragment4(b []byte) (fragment, bool) {
	field := binary.BigEndian.Uint16(b[6:])
	head, size := int(b[0]&0x0f)*4, int(binary.BigEndian.Uint16(b[2:]))
	if field&0x3fff == 0 || b[9] != protoICMP4 || head < header4 || size < head || size > len(b) {
		return fragment{}, false
	}
	f := fragment{
		head:   b[:head],
		data:   b[head:size],
		offset: int(field&0x1fff) * 8,
		more:   field&0x2000 != 0,
	}
	copy(f.key.addrs[:], b[12:20])
	f.key.id = uint32(binary.BigEndian.Uint16(b[4:]))
	return f, f.offset+head+len(f.data) <= 0xffff
}

func readFragment6(b []byte) (fragment, bool) {
	size := header6 + int(binary.BigEndian.Uint16(b[4:]))
	ext := b[header6:]
	if ext[0] != protoICMP6 || size < header6+fragmentHeader || size > len(b) {
		return fragment{}, false
	}
	field := binary.BigEndian.Uint16(ext[2:])
	f := fragment{
		head:   b[:header6],
		data:   b[header6+fragmentHeader : size],
		offset: int(field &^ 7),
		more:   field&1 != 0,
	}
	copy(f.key.addrs[:], b[8:40])
	f.key.id = binary.BigEndian.Uint32(ext[4:])
	return f, f.offset+len(f.data) <= 0xffff
}
