package netsim

import "encoding/binary"

// appendError appends the ICMP message of the error e.
func appendError(b []byte, req *Request, e *Error) []byte {
	v4 := req.Dst.Is4()
	typ, code, info := e.header(v4)
	b = append(b, typ, code, 0, 0)
	b = binary.BigEndian.AppendUint32(b, info)
	at := len(b)
	b = append(b, req.packet[:req.head]...)
	req.age(b[at:])
	room := 1280 - header6 - headerIC - req.head - extensionRoom(e.Quote.Labels)
	if v4 {
		b = quoteOptions(b, at, e.Quote.Options)
		room = 576 - header4 - headerIC - (len(b) - at) - extensionRoom(e.Quote.Labels)
	}
	msg := req.packet[req.head:]
	size := min(len(msg), room)
	if e.Quote.Bytes > 0 {
		size = min(len(msg), e.Quote.Bytes)
	}
	b = append(b, msg[:size]...)
	if e.Quote.Edit != nil {
		b = append(b[:at], e.Quote.Edit(b[at:])...)
	}
	if len(e.Quote.Labels) > 0 {
		b = extend(b, at, v4, &e.Quote)
	}
	return b
}

// plain reports whether q is the zero value.
func (q *Quote) plain() bool {
	return q.Bytes == 0 && q.Options == nil && q.Labels == nil && !q.Unsized && q.Edit == nil
}

// age gives the IP header of the request the TTL and TOS that the request has where
// it is now.
func (r *Request) age(head []byte) {
	if r.ttl == r.TTL && r.tos == r.TOS {
		return
	}
	if !r.Dst.Is4() {
		head[0], head[1] = 0x60|r.tos>>4, r.tos<<4|head[1]&0x0f
		head[7] = r.ttl
		return
	}
	head[1], head[8] = r.tos, r.ttl
	sumHeader4(head)
}

// extensionRoom is how many bytes extend appends at most.
func extensionRoom(labels []Label) int {
	if len(labels) == 0 {
		return 0
	}
	const fill = 7
	return fill + 4 + 4 + 4*len(labels)
}

// extend appends an MPLS label stack to the error at the end of b whose quote begins
// at b[at:].
func extend(b []byte, at int, v4 bool, q *Quote) []byte {
	const least = 128
	unit, field := 4, at-headerIC+5
	if !v4 {
		unit, field = 8, at-headerIC+4
	}
	if q.Unsized {
		b = b[:min(len(b), at+least)]
	}
	for len(b)-at < least || (len(b)-at)%unit != 0 {
		b = append(b, 0)
	}
	if !q.Unsized {
		b[field] = byte((len(b) - at) / unit)
	}
	return appendLabels(b, q.Labels)
}

// quoteOptions adds options to the IPv4 header at b[at:].
func quoteOptions(b []byte, at int, options []byte) []byte {
	if len(options) == 0 {
		return b
	}
	b = append(b, options...)
	for len(b)&3 != at&3 {
		b = append(b, 0)
	}
	head := b[at:]
	added := len(head) - int(head[0]&0x0f)*4
	head[0] = 0x40 | byte(len(head)/4)
	binary.BigEndian.PutUint16(head[2:], binary.BigEndian.Uint16(head[2:])+uint16(added))
	sumHeader4(head)
	return b
}
