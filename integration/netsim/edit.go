package netsim

import "slices"

// cookieSize is how many bytes at the start of the payload WrongCookie alters.
const cookieSize = 8

// WrongID is an Edit of an echo reply: another identifier.
func WrongID(msg []byte) []byte { return flip(msg, 4, 6) }

// WrongSeq is an Edit of an echo reply: another sequence number, far off.
func WrongSeq(msg []byte) []byte { return flip(msg, 6, 7) }

// WrongCookie is an Edit of an echo reply: the first eight bytes of the
// payload are altered.
func WrongCookie(msg []byte) []byte { return flip(msg, headerIC, headerIC+cookieSize) }

// WrongPayload is an Edit of an echo reply: the bytes of the payload behind
// the first eight are altered. It changes nothing if there are none.
func WrongPayload(msg []byte) []byte { return flip(msg, headerIC+cookieSize, len(msg)) }

// Reflected is an Edit of an echo reply: it becomes an echo request again.
func Reflected(msg []byte) []byte {
	switch msg[0] {
	case echoReply4:
		msg[0] = echoRequest4
	case echoReply6:
		msg[0] = echoRequest6
	}
	return msg
}

// Keep returns an Edit that keeps the first n bytes of a message, whose header has
// eight bytes, or of a quote.
func Keep(n int) Edit {
	return func(b []byte) []byte { return b[:min(n, len(b))] }
}

// Grow returns an Edit that appends n bytes.
func Grow(n int) Edit {
	return func(b []byte) []byte {
		return append(b, slices.Repeat([]byte{0xa5}, n)...)
	}
}

// OtherDst is an Edit of a quote: the quoted packet went to another address.
func OtherDst(quote []byte) []byte {
	if quote[0]>>4 == 6 {
		return flip(quote, 39, 40)
	}
	quote = flip(quote, 19, 20)
	sumHeader4(quote)
	return quote
}

// OtherID is an Edit of a quote: the quoted echo has another identifier.
func OtherID(quote []byte) []byte {
	at := quotedHeader(quote)
	return flip(quote, at+4, at+6)
}

// OtherSeq is an Edit of a quote: the quoted echo has another sequence number, 256
// away.
func OtherSeq(quote []byte) []byte {
	at := quotedHeader(quote)
	return flip(quote, at+6, at+7)
}

// quotedHeader returns the length of the IP header at the start of a quote.
func quotedHeader(quote []byte) int {
	if quote[0]>>4 == 6 {
		return header6
	}
	return int(quote[0]&0x0f) * 4
}

// flip alters the bytes from..to-1, as far as b has them, each by another pattern.
func flip(b []byte, from, to int) []byte {
	for i := from; i < min(to, len(b)); i++ {
		b[i] ^= 0x81 + byte(i-from)<<1&0x7e
	}
	return b
}
