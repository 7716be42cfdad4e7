package icmpcore

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"runtime"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// stampData is what SCM_TIMESTAMPING holds: three times.
func stampData(ns int64) []byte {
	ts := [3]unix.Timespec{unix.NsecToTimespec(ns)}
	return append([]byte(nil), unsafe.Slice((*byte)(unsafe.Pointer(&ts)), unsafe.Sizeof(ts))...)
}

// errorData is struct sock_extended_err with the address of the reporter.
func errorData(origin, typ, code uint8, info, data uint32, from netip.Addr) []byte {
	b := binary.NativeEndian.AppendUint32(nil, 0)
	b = append(b, origin, typ, code, 0)
	b = binary.NativeEndian.AppendUint32(b, info)
	b = binary.NativeEndian.AppendUint32(b, data)
	addr := make([]byte, unix.SizeofSockaddrInet6)
	if from.Is4() {
		binary.NativeEndian.PutUint16(addr, unix.AF_INET)
		copy(addr[4:], from.AsSlice())
	} else if from.IsValid() {
		binary.NativeEndian.PutUint16(addr, unix.AF_INET6)
		copy(addr[8:], from.AsSlice())
	}
	return append(b, addr...)
}

func TestParseControl(t *testing.T) {
	word := func(v uint32) []byte { return binary.NativeEndian.AppendUint32(nil, v) }
	var b []byte
	b = appendControl(b, unix.SOL_SOCKET, unix.SCM_TIMESTAMPING, stampData(1700000000123456789))
	b = appendControl(b, unix.IPPROTO_IP, unix.IP_TTL, word(57))
	b = appendControl(b, unix.IPPROTO_IP, unix.IP_TOS, []byte{184})
	b = appendControl(b, unix.SOL_SOCKET, unix.SO_RXQ_OVFL, word(12))
	b = appendControl(b, unix.IPPROTO_IP, unix.IP_RECVERR,
		errorData(unix.SO_EE_ORIGIN_ICMP, 3, 4, 1400, 0, testAddr4))
	c := parseControl(b)
	want := control{stamp: 1700000000123456789, ttl: 57, tos: 184, drops: 12,
		err: extendedError{present: true, origin: unix.SO_EE_ORIGIN_ICMP, typ: 3, code: 4, info: 1400, from: testAddr4}}
	if c != want {
		t.Errorf("parseControl = %+v, want %+v", c, want)
	}
	six := appendControl(nil, unix.IPPROTO_IPV6, unix.IPV6_HOPLIMIT, word(60))
	six = appendControl(six, unix.IPPROTO_IPV6, unix.IPV6_TCLASS, word(40))
	six = appendControl(six, unix.IPPROTO_IPV6, unix.IPV6_RECVERR, errorData(unix.SO_EE_ORIGIN_ICMP6, 1, 0, 0, 0, testAddr6))
	if c := parseControl(six); c.ttl != 60 || c.tos != 40 || c.err.from != testAddr6 {
		t.Errorf("parseControl of IPv6 = %+v", c)
	}
	for n := range b { // truncated anywhere, it returns what is complete and does not fail
		if c := parseControl(b[:n]); c.stamp != 0 && c.stamp != want.stamp {
			t.Errorf("cut to %d bytes: stamp %d", n, c.stamp)
		}
	}
}

func FuzzParseControl(f *testing.F) {
	f.Add(appendControl(nil, unix.SOL_SOCKET, unix.SCM_TIMESTAMPING, stampData(1)))
	f.Add(appendControl(nil, unix.IPPROTO_IP, unix.IP_RECVERR, errorData(2, 3, 1, 0, 0, testAddr4)))
	f.Fuzz(func(t *testing.T, in []byte) {
		b := append(make([]byte, 0, len(in)+8), in...) // aligned, as the kernel's buffer is
		c := parseControl(b)
		if !c.err.present && c.err != (extendedError{}) {
			t.Errorf("no error, and yet %+v", c.err)
		}
	})
}

// FuzzPacket gives the parser whole packets, such as a raw socket receives.
func FuzzPacket(f *testing.F) {
	reply := append(quoted4([]byte{1, 1, 1, 0}, "12345678")[:24], 0, 0, 0, 0, 0x12, 0x34, 0, 7, 1, 2, 3, 4, 5, 6, 7, 8)
	f.Add(reply, false)
	f.Add([]byte{129, 0, 0, 0, 0x12, 0x34, 0, 7, 1, 2, 3, 4, 5, 6, 7, 8}, true)
	f.Add(append([]byte{1, 0, 0, 0, 0, 0, 0, 0}, quoted6("12345678")...), true)
	f.Fuzz(func(t *testing.T, data []byte, six bool) {
		s := &receiver{sock: sock{family: FamilyIPv4, kind: SocketRaw}}
		if six {
			s.family = FamilyIPv6
		}
		ev := s.packet(data, control{}, &unix.RawSockaddrInet6{Family: unix.AF_INET6})
		switch ev.kind {
		case eventReply:
			if !bytes.HasSuffix(data, ev.message) || len(ev.message) == 0 || ev.message[0] != replyType(s.family) {
				t.Errorf("reply %x of %x", ev.message, data)
			}
		case eventError:
			if familyOf(ev.err.to) != s.family {
				t.Errorf("error about %s", ev.err.to)
			}
		case eventForeign:
		default:
			t.Errorf("kind %d", ev.kind)
		}
	})
}

// FuzzDatagram gives the parser what a datagram socket receives: replies, and
// from the error queue errors with the request that they are about.
func FuzzDatagram(f *testing.F) {
	refused := appendControl(nil, unix.IPPROTO_IP, unix.IP_RECVERR, errorData(2, 3, 1, 0, 0, testAddr4))
	f.Add([]byte{8, 0, 0, 0, 0x12, 0x34, 0, 7, 1, 2, 3, 4, 5, 6, 7, 8}, refused, false)
	f.Add([]byte{128, 0, 0, 0, 0x12, 0x34, 0, 7}, refused, true)
	f.Add([]byte{129}, []byte(nil), true)
	f.Fuzz(func(t *testing.T, data, ctl []byte, six bool) {
		s := &receiver{sock: sock{family: FamilyIPv4, kind: SocketDatagram}}
		if six {
			s.family = FamilyIPv6
		}
		c := parseControl(append(make([]byte, 0, len(ctl)+8), ctl...)) // aligned, as the kernel's buffer is
		name := &unix.RawSockaddrInet6{Family: unix.AF_INET6}
		if ev := s.packet(data, c, name); ev.kind != eventReply || !bytes.Equal(ev.message, data) {
			t.Errorf("packet %+v of %x", ev, data)
		}
		ev := s.queuedError(data, c.err, c.stamp, name)
		quoted, ok := parseEcho(data, requestType(s.family))
		if ok && len(ev.err.labels()) > maxLabels {
			t.Errorf("labels %+v of %x", ev.err.labels(), data)
		}
		if ok != (ev.kind == eventError) || ok && (ev.err.request.seq != quoted.seq || ev.family != s.family) {
			t.Errorf("error %+v of %x", ev, data)
		}
	})
}

func TestKernelAtLeast(t *testing.T) {
	if !kernelAtLeast(2, 6) || kernelAtLeast(99, 0) {
		t.Error("kernelAtLeast does not read this kernel's release")
	}
}

// TestFirstEchoIsStamped opens Pingers and pings at once. The kernel takes
// times only some time after a socket has requested it, and the first echo of a
// new Pinger must not come before that.
func TestFirstEchoIsStamped(t *testing.T) {
	for range 50 {
		p, err := Open(Config{})
		if err != nil {
			t.Skip("no ICMP socket: ", err)
		}
		r, err := p.Ping(t.Context(), "127.0.0.1", Options{Count: 1})
		if err != nil || r.Timestamps != TimestampsKernel {
			t.Errorf("timestamps %v, %v", r.Timestamps, err)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestNumbersOfStamps makes the kernel number timestamps itself, as Linux did
// before 6.13, and refuse requests in between. No timestamp is assigned to
// another echo.
func TestNumbersOfStamps(t *testing.T) {
	c, err := openConn(SocketAuto)
	if err != nil {
		t.Skip("no ICMP socket: ", err)
	}
	l := c.(*linuxConn)
	s := l.of(FamilyIPv4)
	if s == nil || s.out[0].source != TimestampsKernel {
		t.Fatalf("no IPv4 socket with kernel stamps: %+v, %v", s, l.errs)
	}
	for _, w := range s.out {
		w.optID = false
	}
	p := newPinger(c, Config{MaxRate: -1}, systemClock())
	defer p.Close()
	results := make(chan PingResult, 300)
	for i := range 300 {
		o := Options{Count: 5, Interval: ms}
		if i%10 == 0 {
			o.Source = testAddr4 // not an address of this system: refused
		}
		if _, err := p.Go(loopbackTarget(i), o, func(r PingResult) { results <- r }); err != nil {
			t.Fatal(err)
		}
	}
	refused := 0
	for range 300 {
		r := <-results
		if r.Sent+len(r.Errors) != 5 || r.Received != r.Sent {
			t.Errorf("%s: sent %d received %d errors %d", r.Addr, r.Sent, r.Received, len(r.Errors))
		}
		refused += len(r.Errors)
		if r.Received > 0 && (r.Min <= 0 || r.Timestamps != TimestampsKernel) {
			t.Errorf("%s: RTT %v by %s stamps", r.Addr, r.Min, r.Timestamps)
		}
	}
	if refused != 150 {
		t.Errorf("%d requests refused, want 150", refused)
	}
}

// TestEchoAllocatesNothing compares series that differ only in their length.
func TestEchoAllocatesNothing(t *testing.T) {
	p, err := Open(Config{MaxRate: -1})
	if err != nil {
		t.Skip("no ICMP socket: ", err)
	}
	defer p.Close()
	allocations := func(count int) int {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		r, err := p.Ping(t.Context(), "127.0.0.1", Options{Count: count, Interval: ms})
		runtime.ReadMemStats(&after)
		if err != nil || r.Received != count {
			t.Fatalf("%d of %d, %v", r.Received, count, err)
		}
		return int(after.Mallocs - before.Mallocs)
	}
	allocations(10) // everything that is allocated only once
	short, long := allocations(10), allocations(500)
	if long > short+50 { // a longer series has a longer ring and list of RTTs, and the runtime has its timers
		t.Errorf("%d allocations for 500 echoes, %d for 10", long, short)
	}
	t.Logf("%d allocations for 500 echoes, %d for 10", long, short)
}

// TestErrorChecksum gives a raw socket an ICMP error with a right and with a
// wrong checksum. For an IPv4 socket the kernel does not verify it.
func TestErrorChecksum(t *testing.T) {
	s := &receiver{sock: sock{family: FamilyIPv4, kind: SocketRaw}}
	quoted := append([]byte{0x45, 0, 0, 36, 0, 0, 0, 0, 64, 1, 0, 0, 198, 18, 0, 9, 198, 18, 0, 1}, 8, 0, 0, 0, 0x12, 0x34, 0, 7)
	message := append([]byte{3, 1, 0, 0, 0, 0, 0, 0}, quoted...)
	binary.BigEndian.PutUint16(message[2:], ^fold(sum16(message)))
	header := []byte{0x45, 0, 0, byte(20 + len(message)), 0, 0, 0, 0, 64, 1, 0, 0, 198, 18, 255, 1, 198, 18, 0, 9}
	packet := append(header, message...)
	name := &unix.RawSockaddrInet6{}
	if ev := s.packet(packet, control{}, name); ev.kind != eventError || ev.err.typ != 3 || ev.err.to != testAddr4 {
		t.Errorf("an error of ours is %+v", ev)
	}
	packet[len(packet)-1] ^= 1
	if ev := s.packet(packet, control{}, name); ev.kind != eventForeign {
		t.Errorf("an error with a wrong checksum is %+v", ev)
	}
}

// TestQueuedError checks what a datagram socket reports about an ICMP error
// besides its type and code: the MTU, or which byte of the packet is wrong.
func TestQueuedError(t *testing.T) {
	tests := []struct {
		family       Family
		typ, code    uint8
		info         uint32
		mtu, pointer int
	}{
		{FamilyIPv4, 3, 4, 1400, 1400, 0},
		{FamilyIPv4, 3, 1, 7, 0, 0},
		{FamilyIPv4, 12, 0, 20, 0, 20},
		{FamilyIPv6, 2, 0, 1280, 1280, 0},
		{FamilyIPv6, 4, 1, 40, 0, 40},
	}
	for _, tt := range tests {
		s := &receiver{sock: sock{family: tt.family, kind: SocketDatagram}}
		request := []byte{requestType(tt.family), 0, 0, 0, 0x12, 0x34, 0, 7}
		ev := s.queuedError(request, extendedError{typ: tt.typ, code: tt.code, info: tt.info}, 0, &unix.RawSockaddrInet6{})
		e := newEchoError(&ev, 0)
		if e.MTU != tt.mtu || e.Pointer != tt.pointer {
			t.Errorf("%s type %d code %d: MTU %d, pointer %d, want %d, %d", tt.family, tt.typ, tt.code, e.MTU, e.Pointer, tt.mtu, tt.pointer)
		}
	}
}
