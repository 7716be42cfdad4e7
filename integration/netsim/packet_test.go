package netsim

import (
	"bytes"
	"net/netip"
	"testing"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

var (
	host4  = netip.MustParseAddr("198.18.0.1")
	peer4  = netip.MustParseAddr("198.18.7.7")
	host6  = netip.MustParseAddr("2001:db8::1")
	peer6  = netip.MustParseAddr("2001:db8:7::7")
	phrase = []byte("the quick brown fox jumps over the lazy dog")
)

// request returns an echo request as the host sends it.
func request(t testing.TB, v4 bool, seq int, payload []byte) []byte {
	t.Helper()
	m := icmp.Message{Type: ipv4.ICMPTypeEcho, Body: &icmp.Echo{ID: 77, Seq: seq, Data: payload}}
	raw := Raw{Src: host4, Dst: peer4, TTL: 61, TOS: 0x28}
	if !v4 {
		m.Type = ipv6.ICMPTypeEchoRequest
		raw.Src, raw.Dst = host6, peer6
	}
	var err error
	raw.Message, err = m.Marshal(nil)
	if err != nil {
		t.Fatal(err)
	}
	return raw.Append(nil)
}

func eachFamily(t *testing.T, f func(t *testing.T, v4 bool)) {
	t.Helper()
	t.Run("IPv4", func(t *testing.T) { f(t, true) })
	t.Run("IPv6", func(t *testing.T) { f(t, false) })
}

// plainSum is the Internet checksum as RFC 1071 words it.
func plainSum(b []byte) uint16 {
	var sum uint32
	for i, v := range b {
		sum += uint32(v) << (8 * (1 - i&1))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

func TestFold(t *testing.T) {
	long := bytes.Repeat([]byte{0xff, 0xfe, 0x80, 1, 0xff}, 2000)
	for size := range 100 {
		for _, b := range [][]byte{long[:size], long[:len(long)-size], make([]byte, size)} {
			if got, want := fold(0, b), plainSum(b); got != want {
				t.Errorf("fold(0, %d bytes) = %#04x, want %#04x", len(b), got, want)
			}
		}
	}
}

// TestAppendICMPv6Sum compares the checksum with that of x/net.
func TestAppendICMPv6Sum(t *testing.T) {
	m := icmp.Message{Type: ipv6.ICMPTypeEchoReply, Body: &icmp.Echo{ID: 1, Seq: 2, Data: phrase}}
	want, err := m.Marshal(icmp.IPv6PseudoHeader(peer6.AsSlice(), host6.AsSlice()))
	if err != nil {
		t.Fatal(err)
	}
	raw := Raw{Src: peer6, Dst: host6, Message: want}
	if got := raw.Append(nil)[header6:]; !bytes.Equal(got, want) {
		t.Errorf("message = %x, want %x", got, want)
	}
	raw.BadSum = true
	if got := raw.Append(nil)[header6:]; bytes.Equal(got[2:4], want[2:4]) {
		t.Errorf("BadSum: sum = %x, the right one", got[2:4])
	}
}

func TestAppendHeader4(t *testing.T) {
	raw := Raw{Src: peer4, Dst: host4, TOS: 0xb8, Options: []byte{7, 3, 4, 1, 1}, Message: phrase}
	b := raw.Append([]byte("ahead"))[5:]
	h, err := ipv4.ParseHeader(b)
	if err != nil {
		t.Fatal(err)
	}
	if h.Len != 28 || h.TotalLen != 28+len(phrase) || h.TTL != 64 || h.TOS != 0xb8 || h.Protocol != 1 ||
		h.Src.String() != peer4.String() || h.Dst.String() != host4.String() {
		t.Errorf("header = %v, want 28 bytes, TTL 64, TOS 0xb8", h)
	}
	if sum := plainSum(b[:28]); sum != 0 {
		t.Errorf("header sum = %#x, want 0", sum)
	}
}

func TestAppendHeader6Options(t *testing.T) {
	raw := Raw{Src: peer6, Dst: host6, TOS: 0xb8, TTL: 5, Options: make([]byte, 7), Message: phrase}
	b := raw.Append(nil)
	h, err := ipv6.ParseHeader(b)
	if err != nil {
		t.Fatal(err)
	}
	if h.NextHeader != protoDestOpt || h.PayloadLen != 16+len(phrase) || h.HopLimit != 5 || h.TrafficClass != 0xb8 {
		t.Errorf("header = %v, want next header 60, 16 bytes of it, hop limit 5, class 0xb8", h)
	}
	if b[header6] != protoICMP6 || b[header6+1] != 1 {
		t.Errorf("extension begins %x, want 3a01", b[header6:header6+2])
	}
}

func TestParse(t *testing.T) {
	eachFamily(t, func(t *testing.T, v4 bool) {
		r, ok := parse(append(request(t, v4, 9, phrase), "behind"...))
		if !ok {
			t.Fatal("parse = false for a request")
		}
		src, dst, head := host4, peer4, header4
		if !v4 {
			src, dst, head = host6, peer6, header6
		}
		if r.Src != src || r.Dst != dst || r.ID != 77 || r.Seq != 9 || r.TTL != 61 || r.TOS != 0x28 ||
			r.Size != head+headerIC+len(phrase) || !bytes.Equal(r.Payload, phrase) {
			t.Errorf("parse = %+v", r)
		}
	})
}

// TestParseRefuses changes one thing in a request at a time.
func TestParseRefuses(t *testing.T) {
	eachFamily(t, func(t *testing.T, v4 bool) {
		whole := request(t, v4, 1, phrase)
		for size := range whole {
			if _, ok := parse(whole[:size]); ok {
				t.Errorf("parse = true for the first %d of %d bytes", size, len(whole))
			}
		}
		head, proto, length := header4, 9, 3
		if !v4 {
			head, proto, length = header6, 6, 5
		}
		for name, at := range map[string]int{
			"version": 0, "protocol": proto, "length": length, "type": head, "sum": head + 2, "payload": len(whole) - 1,
		} {
			b := bytes.Clone(whole)
			b[at] ^= 0x81
			if _, ok := parse(b); ok {
				t.Errorf("parse = true with another %s", name)
			}
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add(request(f, true, 1, phrase))
	f.Add(request(f, false, 1, phrase))
	f.Fuzz(func(t *testing.T, b []byte) {
		var a assembler
		if packet := a.add(b); packet != nil {
			b = packet
		}
		r, ok := parse(b)
		if !ok {
			if r.Dst.IsValid() || r.Payload != nil {
				t.Errorf("parse = %+v with false, want the zero value", r)
			}
			return
		}
		if r.Size > len(b) || r.head+headerIC+len(r.Payload) != r.Size {
			t.Errorf("parse: size %d, header %d, payload %d of %d bytes", r.Size, r.head, len(r.Payload), len(b))
		}
		// Every request that parse accepts can be answered.
		s := newSim(func([]byte) {})
		for _, e := range []*Error{nil, {Kind: TimeExceeded}, {Kind: PacketTooBig, Quote: Quote{Bytes: 8}}} {
			s.build(&r, &Rule{}, &Packet{Error: e})
		}
	})
}
