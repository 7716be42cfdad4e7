package icmpcore

import (
	"encoding/binary"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// control holds the values in the control messages of a received packet.
type control struct {
	stamp    int64 // wall ns, 0: none
	ttl, tos uint8
	drops    uint32 // packets dropped so far, 0: not reported
	err      extendedError
}

// extendedError is struct sock_extended_err of linux/errqueue.h, with the
// address of the reporter that follows it.
type extendedError struct {
	present   bool
	origin    uint8
	typ, code uint8
	info      uint32
	data      uint32
	extension uint16 // of an ICMP error: where in the data its extension structure begins, 0: not known
	from      netip.Addr
	zone      uint32
}

// parseControl reads control messages. It ignores truncated and unknown ones.
func parseControl(b []byte) control {
	var c control
	head := unix.CmsgLen(0)
	for len(b) >= head {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
		length := int(h.Len)
		if length < head || length > len(b) {
			return c
		}
		c.add(h.Level, h.Type, b[head:length])
		b = b[min(unix.CmsgSpace(length-head), len(b)):]
	}
	return c
}

// add stores the value of one control message.
func (c *control) add(level, typ int32, data []byte) {
	switch {
	case level == unix.SOL_SOCKET && (typ == unix.SCM_TIMESTAMPING || typ == unix.SCM_TIMESTAMPNS):
		// SCM_TIMESTAMPING holds three times; the first is the software timestamp
		if len(data) >= int(unsafe.Sizeof(unix.Timespec{})) {
			c.stamp = (*unix.Timespec)(unsafe.Pointer(&data[0])).Nano()
		}
	case len(data) < 4 && !(level == unix.IPPROTO_IP && typ == unix.IP_TOS && len(data) == 1):
	case level == unix.SOL_SOCKET && typ == unix.SO_RXQ_OVFL:
		c.drops = binary.NativeEndian.Uint32(data)
	case level == unix.IPPROTO_IP && typ == unix.IP_TTL, level == unix.IPPROTO_IPV6 && typ == unix.IPV6_HOPLIMIT:
		c.ttl = uint8(binary.NativeEndian.Uint32(data))
	case level == unix.IPPROTO_IP && typ == unix.IP_TOS:
		c.tos = data[0]
	case level == unix.IPPROTO_IPV6 && typ == unix.IPV6_TCLASS:
		c.tos = uint8(binary.NativeEndian.Uint32(data))
	case level == unix.IPPROTO_IP && typ == unix.IP_RECVERR, level == unix.IPPROTO_IPV6 && typ == unix.IPV6_RECVERR:
		c.err = parseExtendedError(data)
	}
}

func parseExtendedError(b []byte) extendedError {
	const size = int(unsafe.Sizeof(unix.SockExtendedErr{}))
	if len(b) < size {
		return extendedError{}
	}
	e := extendedError{
		present: true, origin: b[4], typ: b[5], code: b[6],
		info: binary.NativeEndian.Uint32(b[8:]), data: binary.NativeEndian.Uint32(b[12:]),
	}
	if e.origin == unix.SO_EE_ORIGIN_ICMP || e.origin == unix.SO_EE_ORIGIN_ICMP6 {
		e.extension = binary.NativeEndian.Uint16(b[12:]) // struct sock_ee_data_rfc4884, in the place of data
	}
	e.from, e.zone = parseSockaddr(b[size:])
	return e
}

// parseSockaddr reads a socket address of either family. Without one it returns
// the zero Addr.
func parseSockaddr(b []byte) (netip.Addr, uint32) {
	if len(b) < 2 {
		return netip.Addr{}, 0
	}
	switch f := binary.NativeEndian.Uint16(b); {
	case f == unix.AF_INET && len(b) >= unix.SizeofSockaddrInet4:
		return netip.AddrFrom4([4]byte(b[4:8])), 0
	case f == unix.AF_INET6 && len(b) >= unix.SizeofSockaddrInet6:
		return netip.AddrFrom16([16]byte(b[8:24])), binary.NativeEndian.Uint32(b[24:])
	}
	return netip.Addr{}, 0
}

// nameOf returns the address that came with a message.
func nameOf(n *unix.RawSockaddrInet6) (netip.Addr, uint32) {
	if n.Family == unix.AF_INET {
		return netip.AddrFrom4((*unix.RawSockaddrInet4)(unsafe.Pointer(n)).Addr), 0
	}
	return netip.AddrFrom16(n.Addr), n.Scope_id
}

// appendReplies turns the first n messages read into events.
func (s *receiver) appendReplies(evs []event, n int) []event {
	for i := range n {
		data, ctl, name := s.in.message(i)
		c := parseControl(ctl)
		if c.drops != 0 {
			evs = s.appendDrops(evs, c.drops)
		}
		evs = append(evs, s.packet(data, c, name))
	}
	if n > 0 && s.kind == SocketDatagram {
		evs = s.appendDrops(evs, s.memDrops())
	}
	return evs
}

// appendDrops appends an event with the number of packets that the kernel has
// dropped since the last one. drops is the kernel's count of all.
func (s *receiver) appendDrops(evs []event, drops uint32) []event {
	if drops == s.drops {
		return evs
	}
	evs = append(evs, event{kind: eventDrops, number: drops - s.drops})
	s.drops = drops
	return evs
}

// memDrops returns the kernel's count of packets dropped because there was no
// room. A datagram socket does not report it with its packets (SO_RXQ_OVFL).
func (s *receiver) memDrops() uint32 {
	if info, ok := s.memInfo(); ok {
		return info[skMeminfoDrops]
	}
	return s.drops
}

// memInfo returns the kernel's figures of the socket's memory. Linux has had
// them since 4.12.
func (s *sock) memInfo() (info [skMeminfoVars]uint32, ok bool) {
	size := uint32(unsafe.Sizeof(info))
	_, _, errno := unix.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(s.fd), unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
	return info, errno == 0 && size >= uint32(unsafe.Sizeof(info))
}

// From linux/sock_diag.h: the number of figures, and the index of those used
// here.
const (
	skMeminfoVars      = 9
	skMeminfoWmemAlloc = 2
	skMeminfoSndbuf    = 3
	skMeminfoDrops     = 8
)

// packet turns a packet into an event: a reply, or an ICMP error, which only a
// raw socket receives as a packet.
func (s *receiver) packet(data []byte, c control, name *unix.RawSockaddrInet6) event {
	ev := event{kind: eventReply, family: s.family, stamp: c.stamp, ttl: c.ttl, tos: c.tos, message: data}
	ev.from, ev.zone = nameOf(name)
	if s.kind == SocketDatagram {
		return ev
	}
	if s.family == FamilyIPv4 {
		offset, ok := ipv4PayloadOffset(data)
		if !ok {
			return event{kind: eventForeign}
		}
		ev.ttl, ev.tos, ev.message, ev.unverified = data[8], data[1], data[offset:], true
	}
	if len(ev.message) > 0 && ev.message[0] == replyType(s.family) {
		return ev
	}
	var ok bool
	if ev.err, ok = parseICMPError(ev.message, s.family); !ok || ev.unverified && !checksumRight(ev.message) {
		return event{kind: eventForeign}
	}
	ev.kind, ev.message = eventError, nil
	return ev
}

// appendStamps turns the first n messages of a sender's error queue into
// events.
func (s *sender) appendStamps(evs []event, n int) []event {
	for i := range n {
		_, ctl, _ := s.queue.message(i)
		c := parseControl(ctl)
		back := s.key - c.err.data
		if !c.err.present || c.err.origin != unix.SO_EE_ORIGIN_TIMESTAMPING || s.blind || back-1 >= stampKeys {
			continue
		}
		k := s.stamped[c.err.data%stampKeys]
		evs = append(evs, event{kind: eventStamp, slot: k.slot, gen: k.gen, number: k.number, stamp: c.stamp})
	}
	return evs
}

// appendErrors turns the first n messages of the error queue into events. A
// datagram socket gets its ICMP errors there.
func (s *receiver) appendErrors(evs []event, n int) []event {
	for i := range n {
		data, ctl, name := s.queue.message(i)
		c := parseControl(ctl)
		if c.err.present && (c.err.origin == unix.SO_EE_ORIGIN_ICMP || c.err.origin == unix.SO_EE_ORIGIN_ICMP6) {
			evs = append(evs, s.queuedError(data, c.err, c.stamp, name))
		}
	}
	return evs
}

// queuedError turns an ICMP error of the error queue into an event. data is our
// own message as the error quotes it, and what follows in the error: the kernel has
// cut off the quoted IP header. stamp is when the error came in, name is the address
// that the message was sent to.
func (s *receiver) queuedError(data []byte, x extendedError, stamp int64, name *unix.RawSockaddrInet6) event {
	request, ok := parseEcho(data, requestType(s.family))
	if !ok {
		return event{kind: eventForeign}
	}
	to, _ := nameOf(name)
	q := icmpError{typ: int(x.typ), code: int(x.code), to: to, request: request, ttl: -1, dscp: -1}
	if x.extension != 0 {
		q.extension = extensionAt(request.payload, int(x.extension)-icmpHeaderSize, true)
	} else {
		q.extension = findExtension(request.payload, 0, ipHeaderSize(s.family)+icmpHeaderSize)
	}
	if kind, _, _ := describe(s.family, q.typ, q.code, 0); kind == PacketTooBig || kind == ParameterProblem {
		q.info = int(x.info)
	}
	return event{kind: eventError, family: s.family, from: x.from, zone: x.zone, stamp: stamp, err: q}
}
