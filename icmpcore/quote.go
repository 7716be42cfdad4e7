package icmpcore

import "encoding/binary"

// Quote is what an ICMP error says about the request that it quotes, as that
// arrived at the host that reports the error.
type Quote struct {
	// TTL is the TTL or hop limit of the request, -1 if that is not known. A
	// router that reports [TimeExceeded] usually got the request with 1.
	TTL int

	// DSCP is the code point of the request, 0 to 63, -1 if that is not known.
	// If it is not [Options.DSCP], it was changed on the way.
	DSCP int

	// Cookie reports whether the quote has the cookie of the request, which proves
	// that whoever reports the error has seen the request. RFC 792 requires only
	// eight bytes of the ICMP message, which do not hold it. Without it anybody
	// could have sent the error, and it counts only if no reply comes in time.
	Cookie bool

	// Labels is the MPLS label stack with which the request arrived, the top
	// first (RFC 4950), nil if the error has none. Anybody on the way back can
	// change it.
	Labels []MPLSLabel
}

// MPLSLabel is one entry of an MPLS label stack (RFC 3032).
type MPLSLabel struct {
	Label  uint32 // 20 bits
	TC     uint8  // traffic class, 0 to 7 (RFC 5462)
	Bottom bool   // the last entry of the stack
	TTL    uint8
}

// Sizes and numbers of RFC 4884 and RFC 4950.
const (
	extensionVersion = 2
	extensionHeader  = 4
	objectHeader     = 4
	mplsClass        = 1
	mplsType         = 1
	labelSize        = 4

	// leastQuote is the least size of a quote before extensions. Devices from
	// before RFC 4884, which do not give the size, have exactly this one.
	leastQuote = 128

	// maxLabels is the most entries of a stack. No network uses as many.
	maxLabels = 16
)

// extension finds the extension structure of an ICMP error (RFC 4884).
type extension struct {
	at    uint16 // where it begins, from the start of the quoted request's payload; 0: there is none
	sized bool   // the error says so
}

// findExtension returns where the extension structure begins. size is how long the
// error says that its quote is, in bytes, 0 if it does not say it. before is how
// much of the quote comes before the payload.
func findExtension(payload []byte, size, before int) extension {
	switch {
	case size == 0:
		return extensionAt(payload, leastQuote-before, false)
	case size < leastQuote:
		return extension{}
	}
	return extensionAt(payload, size-before, true)
}

// extensionAt returns an extension structure that begins at a byte of payload, if
// payload is long enough.
func extensionAt(payload []byte, at int, sized bool) extension {
	if at <= 0 || at+extensionHeader > len(payload) {
		return extension{}
	}
	return extension{uint16(at), sized}
}

// labels returns the MPLS label stack in an ICMP error, nil if there is none or
// anything is wrong with its extension structure.
func (e *icmpError) labels() []MPLSLabel {
	if e.extension.at == 0 {
		return nil
	}
	b := e.request.payload[e.extension.at:]
	if b[0]>>4 != extensionVersion {
		return nil
	}
	// A checksum of zero means that there is none. If the error does not say that
	// there is an extension, only the checksum shows that these bytes are one.
	if given := b[2] != 0 || b[3] != 0; given && !checksumRight(b) || !given && !e.extension.sized {
		return nil
	}
	var found []MPLSLabel
	for b = b[extensionHeader:]; len(b) > 0; {
		if len(b) < objectHeader {
			return nil
		}
		size := int(binary.BigEndian.Uint16(b))
		if size < objectHeader || size > len(b) {
			return nil
		}
		if b[2] == mplsClass && b[3] == mplsType && found == nil {
			if found = parseLabels(b[objectHeader:size]); found == nil {
				return nil
			}
		}
		b = b[size:]
	}
	return found
}

// parseLabels reads a label stack, nil if it is malformed.
func parseLabels(b []byte) []MPLSLabel {
	n := len(b) / labelSize
	if n == 0 || n > maxLabels || len(b)%labelSize != 0 {
		return nil
	}
	labels := make([]MPLSLabel, n)
	for i := range labels {
		v := binary.BigEndian.Uint32(b[i*labelSize:])
		labels[i] = MPLSLabel{Label: v >> 12, TC: uint8(v >> 9 & 7), Bottom: v>>8&1 != 0, TTL: uint8(v)}
	}
	return labels
}

// quote returns what the error says about the request.
func (e *icmpError) quote() *Quote {
	return &Quote{TTL: int(e.ttl), DSCP: int(e.dscp), Cookie: len(e.request.payload) >= cookieSize, Labels: e.labels()}
}
