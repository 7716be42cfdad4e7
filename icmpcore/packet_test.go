package icmpcore

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// TestPutHead compares putHead with the encoder of golang.org/x/net/icmp.
func TestPutHead(t *testing.T) {
	for _, size := range []int{8, 9, 56, 1001, maxSize} {
		p := newProfile(Options{Size: size}.withDefaults())
		var head [headSize]byte
		putHead(&head, FamilyIPv4, 0xabcd, 0xfffe, 0xf0e1d2c3b4a59687, p.sum)
		got := append(head[:], p.payload...)

		data := binary.BigEndian.AppendUint64(nil, 0xf0e1d2c3b4a59687)
		m := icmp.Message{Type: ipv4.ICMPTypeEcho, Body: &icmp.Echo{ID: 0xabcd, Seq: 0xfffe, Data: append(data, p.payload...)}}
		want, err := m.Marshal(nil)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("size %d: head = %x, want %x", size, got[:headSize], want[:headSize])
		}
		if !checksumRight(got) {
			t.Errorf("size %d: checksumRight = false", size)
		}
		got[headSize-1] ^= 1
		if checksumRight(got) {
			t.Errorf("size %d: checksumRight = true for a changed message", size)
		}
	}
}

func TestPutHeadIPv6(t *testing.T) {
	var head [headSize]byte
	putHead(&head, FamilyIPv6, 1, 2, 3, 99)
	want := []byte{128, 0, 0, 0, 0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3}
	if !bytes.Equal(head[:], want) {
		t.Errorf("head = %x, want %x", head, want)
	}
}

var (
	testAddr4 = netip.MustParseAddr("198.18.0.1")
	testAddr6 = netip.MustParseAddr("2001:db8::1")
)

// quoted4 returns the IPv4 packet of an echo request to testAddr4, with options
// after the first 20 bytes of the IP header.
func quoted4(options []byte, payload string) []byte {
	ip := make([]byte, ipv4HeaderSize, 100)
	ip[0], ip[8], ip[9] = byte(4<<4|(ipv4HeaderSize+len(options))/4), 1, protocolICMP
	copy(ip[16:], testAddr4.AsSlice())
	return append(append(append(ip, options...), 8, 0, 0, 0, 0x12, 0x34, 0, 7), payload...)
}

func quoted6(payload string) []byte {
	ip := make([]byte, ipv6HeaderSize, 100)
	ip[0], ip[6] = 6<<4, protocolICMPv6
	copy(ip[24:], testAddr6.AsSlice())
	return append(append(ip, 128, 0, 0, 0, 0x12, 0x34, 0, 7), payload...)
}

func TestParseICMPError(t *testing.T) {
	head := func(b ...byte) []byte { return append(b, make([]byte, 8-len(b))...) }
	cat := func(a, b []byte) []byte { return append(append([]byte(nil), a...), b...) }
	tests := []struct {
		name            string
		in              []byte
		family          Family
		typ, code, info int
		payload         string
		ok              bool
	}{
		{name: "unreachable, cookie quoted", in: cat(head(3, 1), quoted4(nil, "12345678")), family: FamilyIPv4, typ: 3, code: 1, payload: "12345678", ok: true},
		{name: "unreachable, eight bytes quoted", in: cat(head(3, 13), quoted4(nil, "")), family: FamilyIPv4, typ: 3, code: 13, ok: true},
		{name: "options in the quoted header", in: cat(head(11, 0), quoted4([]byte{1, 1, 1, 0}, "abc")), family: FamilyIPv4, typ: 11, payload: "abc", ok: true},
		{name: "fragmentation needed", in: cat([]byte{3, 4, 0, 0, 0, 0, 5, 120}, quoted4(nil, "")), family: FamilyIPv4, typ: 3, code: 4, info: 1400, ok: true},
		{name: "parameter problem", in: cat([]byte{12, 0, 0, 0, 20, 9, 9, 9}, quoted4(nil, "")), family: FamilyIPv4, typ: 12, info: 20, ok: true},
		{name: "redirect is no error", in: cat(head(5, 1), quoted4(nil, "")), family: FamilyIPv4},
		{name: "source quench is no error", in: cat(head(4, 0), quoted4(nil, "")), family: FamilyIPv4},
		{name: "quote cut in the ICMP header", in: cat(head(3, 1), quoted4(nil, "")[:27]), family: FamilyIPv4},
		{name: "quote cut in the IP header", in: cat(head(3, 1), quoted4(nil, "")[:19]), family: FamilyIPv4},
		{name: "later fragment", in: cat(head(3, 1), fragment(quoted4(nil, ""))), family: FamilyIPv4},
		{name: "error about an error", in: cat(head(3, 1), cat(quoted4(nil, "")[:20], head(3, 1))), family: FamilyIPv4},
		{name: "only a header", in: head(3, 1), family: FamilyIPv4},
		{name: "nothing", family: FamilyIPv4},
		{name: "IPv6 no route", in: cat(head(1, 0), quoted6("12345678")), family: FamilyIPv6, typ: 1, payload: "12345678", ok: true},
		{name: "IPv6 too big", in: cat([]byte{2, 0, 0, 0, 0, 0, 5, 0}, quoted6("")), family: FamilyIPv6, typ: 2, info: 1280, ok: true},
		{name: "IPv6 hop limit", in: cat(head(3, 0), quoted6("")), family: FamilyIPv6, typ: 3, ok: true},
		{name: "IPv6 parameter problem", in: cat([]byte{4, 1, 0, 0, 0, 0, 1, 6}, quoted6("")), family: FamilyIPv6, typ: 4, code: 1, info: 262, ok: true},
		{name: "IPv6 quote cut", in: cat(head(1, 0), quoted6("")[:47]), family: FamilyIPv6},
		{name: "IPv4 quoted in IPv6", in: cat(head(1, 0), quoted4(nil, "                    ")), family: FamilyIPv6},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e, ok := parseICMPError(tt.in, tt.family)
			if ok != tt.ok {
				t.Fatalf("ok = %v, want %v", ok, tt.ok)
			}
			if !ok {
				if e.request.payload != nil || e.to.IsValid() {
					t.Errorf("refused, and yet gives %+v", e)
				}
				return
			}
			to := map[Family]netip.Addr{FamilyIPv4: testAddr4, FamilyIPv6: testAddr6}[tt.family]
			if e.typ != tt.typ || e.code != tt.code || e.info != tt.info || e.to != to {
				t.Errorf("got type %d code %d info %d to %s, want %d %d %d %s", e.typ, e.code, e.info, e.to, tt.typ, tt.code, tt.info, to)
			}
			if e.request.id != 0x1234 || e.request.seq != 7 || string(e.request.payload) != tt.payload {
				t.Errorf("quoted request = %+v, want id 0x1234 seq 7 payload %q", e.request, tt.payload)
			}
		})
	}
}

// fragment turns an IPv4 packet into a later fragment.
func fragment(b []byte) []byte {
	b[7] = 1
	return b
}

// TestDescribe checks codes of every error type.
func TestDescribe(t *testing.T) {
	tests := []struct {
		family    Family
		typ, code int
		kind      ErrorKind
		message   string
	}{
		{FamilyIPv4, 3, 0, DestinationUnreachable, "network unreachable"},
		{FamilyIPv4, 3, 1, DestinationUnreachable, "host unreachable"},
		{FamilyIPv4, 3, 3, DestinationUnreachable, "port unreachable"},
		{FamilyIPv4, 3, 4, PacketTooBig, "fragmentation needed and DF set"},
		{FamilyIPv4, 3, 13, DestinationUnreachable, "communication administratively prohibited"},
		{FamilyIPv4, 3, 15, DestinationUnreachable, "precedence cutoff in effect"},
		{FamilyIPv4, 3, 16, DestinationUnreachable, "destination unreachable, code 16"},
		{FamilyIPv4, 11, 0, TimeExceeded, "time to live exceeded in transit"},
		{FamilyIPv4, 12, 0, ParameterProblem, "parameter problem: pointer indicates the error, at byte 0"},
		{FamilyIPv4, 12, 3, ParameterProblem, "parameter problem, code 3"},
		{FamilyIPv6, 1, 0, DestinationUnreachable, "no route to destination"},
		{FamilyIPv6, 1, 7, DestinationUnreachable, "error in source routing header"},
		{FamilyIPv6, 1, 200, DestinationUnreachable, "destination unreachable, code 200"},
		{FamilyIPv6, 2, 0, PacketTooBig, "packet too big"},
		{FamilyIPv6, 3, 1, TimeExceeded, "fragment reassembly time exceeded"},
		{FamilyIPv6, 4, 2, ParameterProblem, "parameter problem: unrecognized IPv6 option, at byte 0"},
	}
	for _, tt := range tests {
		kind, message, ok := describe(tt.family, tt.typ, tt.code, 0)
		if !ok || kind != tt.kind || message != tt.message {
			t.Errorf("describe(%s, %d, %d) = %s %q %v, want %s %q", tt.family, tt.typ, tt.code, kind, message, ok, tt.kind, tt.message)
		}
	}
	if _, _, ok := describe(FamilyIPv6, int(ipv6.ICMPTypeEchoReply), 0, 0); ok {
		t.Error("an echo reply is an error")
	}
	if _, m, _ := describe(FamilyIPv6, 2, 0, 1400); m != "packet too big, MTU 1400" {
		t.Errorf("with MTU: %q", m)
	}
}

func FuzzParseICMPError(f *testing.F) {
	f.Add(append([]byte{3, 1, 0, 0, 0, 0, 0, 0}, quoted4([]byte{1, 1, 1, 0}, "12345678")...), false)
	f.Add(append([]byte{2, 0, 0, 0, 0, 0, 5, 0}, quoted6("12345678")...), true)
	for _, family := range []Family{FamilyIPv4, FamilyIPv6} {
		f.Add(extended(family, 128, 128, stack(mpls(2))), family == FamilyIPv6)
		f.Add(extended(family, 256, 256, stack(object(2, 4, 1, 2, 3, 4), mpls(17))), family == FamilyIPv6)
		f.Add(extended(family, 128, 0, stack(mpls(1))), family == FamilyIPv6)
	}
	f.Fuzz(func(t *testing.T, b []byte, six bool) {
		family := FamilyIPv4
		if six {
			family = FamilyIPv6
		}
		e, ok := parseICMPError(b, family)
		if !ok {
			if e.to.IsValid() || e.request.payload != nil {
				t.Errorf("refused, and yet gives %+v", e)
			}
			return
		}
		if familyOf(e.to) != family || !bytes.HasSuffix(b, e.request.payload) {
			t.Errorf("to %s, payload %x, of %x", e.to, e.request.payload, b)
		}
		if _, _, isError := describe(family, e.typ, e.code, e.info); !isError {
			t.Errorf("type %d is no error", e.typ)
		}
		q := e.quote()
		if q.TTL < 0 || q.TTL > 255 || q.DSCP < 0 || q.DSCP > 63 || q.Cookie != (len(e.request.payload) >= cookieSize) {
			t.Errorf("quote %+v of %x", q, b)
		}
		if n := len(q.Labels); n > maxLabels || n > 0 && len(b) < icmpHeaderSize+leastQuote+extensionHeader+objectHeader+n*labelSize {
			t.Errorf("%d labels in %d bytes", n, len(b))
		}
		for _, l := range q.Labels {
			v := l.Label<<12 | uint32(l.TC)<<9 | uint32(l.TTL)
			if l.Bottom {
				v |= 1 << 8
			}
			if !bytes.Contains(b[icmpHeaderSize+leastQuote:], binary.BigEndian.AppendUint32(nil, v)) {
				t.Errorf("label %+v is not in %x", l, b)
			}
		}
	})
}

func FuzzParseEcho(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 1, 2, 3, 4, 5}, byte(0))
	f.Fuzz(func(t *testing.T, b []byte, typ byte) {
		m, ok := parseEcho(b, typ)
		if ok != (len(b) >= 8 && b[0] == typ && b[1] == 0) {
			t.Errorf("ok = %v for %x", ok, b)
		}
		if ok && !bytes.Equal(m.payload, b[8:]) {
			t.Errorf("payload = %x of %x", m.payload, b)
		}
	})
}
