package icmpcore

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"
)

// open opens the socket and sets its options by setUp.
func (s *sock) open(setUp func() error) (err error) {
	domain, protocol, typ := unix.AF_INET, unix.IPPROTO_ICMP, unix.SOCK_RAW
	if s.family == FamilyIPv6 {
		domain, protocol = unix.AF_INET6, unix.IPPROTO_ICMPV6
	}
	if s.kind == SocketDatagram {
		typ = unix.SOCK_DGRAM
	}
	s.fd, err = unix.Socket(domain, typ|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, protocol)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	if err := setUp(); err != nil {
		unix.Close(s.fd) // the set-up's error is the one that tells
		return fmt.Errorf("set up %s %s socket: %w", s.kind, s.family, err)
	}
	return nil
}

func (s *sock) set(level, opt, value int) error {
	return os.NewSyscallError("setsockopt", unix.SetsockoptInt(s.fd, level, opt, value))
}

// setBuffer asks for a buffer of that size: by force, which takes a right, or as
// far as the system's limit lets everybody.
func (s *sock) setBuffer(force, opt, size int) error {
	if s.set(unix.SOL_SOCKET, force, size) == nil {
		return nil
	}
	return s.set(unix.SOL_SOCKET, opt, size)
}

// setUp sets the options of a socket that receives. What a kernel may refuse
// without harm to the figures is asked for and not insisted on.
func (s *receiver) setUp() error {
	errs := []error{s.identify()}
	switch {
	case s.kind == SocketRaw:
		errs = append(errs, s.filter(filterProgram(s.family, s.id)), s.passTypes())
	case s.family == FamilyIPv4:
		errs = append(errs, s.set(unix.IPPROTO_IP, unix.IP_RECVTTL, 1), s.set(unix.IPPROTO_IP, unix.IP_RECVTOS, 1),
			s.set(unix.IPPROTO_IP, unix.IP_RECVERR, 1))
	default:
		errs = append(errs, s.set(unix.IPPROTO_IPV6, unix.IPV6_RECVERR, 1))
	}
	if s.family == FamilyIPv6 {
		errs = append(errs, s.set(unix.IPPROTO_IPV6, unix.IPV6_RECVHOPLIMIT, 1),
			s.set(unix.IPPROTO_IPV6, unix.IPV6_RECVTCLASS, 1))
	}
	errs = append(errs, s.setBuffer(unix.SO_RCVBUFFORCE, unix.SO_RCVBUF, receiveBuffer))
	_ = s.set(unix.SOL_SOCKET, unix.SO_RXQ_OVFL, 1) // without it drops are not counted
	s.setUpStamps()
	return errors.Join(errs...)
}

// setUp sets the options of a socket that sends.
func (s *sender) setUp() error {
	first := s.id == 0
	errs := []error{s.identify(), s.rememberDontFragment()}
	if s.kind == SocketRaw {
		errs = append(errs, s.passNothing())
	}
	if s.family == FamilyIPv4 {
		errs = append(errs, s.set(unix.SOL_SOCKET, unix.SO_BROADCAST, 1))
	}
	if !first {
		errs = append(errs, s.setBuffer(unix.SO_SNDBUFFORCE, unix.SO_SNDBUF, sendBuffer))
	}
	errs = append(errs, s.setBuffer(unix.SO_RCVBUFFORCE, unix.SO_RCVBUF, stampBuffer))
	s.setUpStamps()
	s.optID = s.source == TimestampsKernel && kernelAtLeast(6, 13)
	return errors.Join(errs...)
}

// identify gives the socket the identifier s.id, or a new one where that is 0.
// The kernel picks that of a datagram socket, as its port.
func (s *sock) identify() error {
	if s.kind == SocketRaw {
		var id [2]byte
		for s.id == 0 {
			rand.Read(id[:])
			s.id = binary.BigEndian.Uint16(id[:])
		}
		return nil
	}
	if err := s.set(unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return err
	}
	var address unix.Sockaddr = &unix.SockaddrInet4{Port: int(s.id)}
	if s.family == FamilyIPv6 {
		address = &unix.SockaddrInet6{Port: int(s.id)}
	}
	if err := unix.Bind(s.fd, address); err != nil {
		return os.NewSyscallError("bind", err)
	}
	bound, err := unix.Getsockname(s.fd)
	switch b := bound.(type) {
	case *unix.SockaddrInet4:
		s.id = uint16(b.Port)
	case *unix.SockaddrInet6:
		s.id = uint16(b.Port)
	}
	return os.NewSyscallError("getsockname", err)
}

// filter lets the kernel keep from the socket what the program does not pass.
func (s *receiver) filter(program []bpf.Instruction) error {
	raw, err := bpf.Assemble(program)
	if err != nil {
		return err
	}
	prog := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		prog[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	fprog := unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]}
	return os.NewSyscallError("setsockopt",
		unix.SetsockoptSockFprog(s.fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &fprog))
}

// passNothing takes a raw socket off the kernel's list of those that get what
// comes in, which is what connect(2) to AF_UNSPEC does to it (__udp_disconnect):
// it can still send, costs arriving packets nothing, and nobody can fill its
// error queue.
func (s *sender) passNothing() error {
	unspecified := unix.RawSockaddr{Family: unix.AF_UNSPEC}
	_, _, errno := unix.RawSyscall(unix.SYS_CONNECT, uintptr(s.fd),
		uintptr(unsafe.Pointer(&unspecified)), unsafe.Sizeof(unspecified))
	if errno != 0 {
		return os.NewSyscallError("connect", errno)
	}
	return nil
}

// passTypes lets a raw socket have replies and errors. This filter comes first
// in the kernel, before it copies the packet: on loopback that spares a copy of
// every request.
func (s *receiver) passTypes() error {
	if s.family == FamilyIPv4 {
		const icmpFilter = 1 // ICMP_FILTER of linux/icmp.h: a set bit blocks its type
		pass := 1<<ipv4.ICMPTypeEchoReply | 1<<ipv4.ICMPTypeDestinationUnreachable |
			1<<ipv4.ICMPTypeTimeExceeded | 1<<ipv4.ICMPTypeParameterProblem
		return s.set(unix.SOL_RAW, icmpFilter, ^pass)
	}
	var block unix.ICMPv6Filter
	for i := range block.Data {
		block.Data[i] = ^uint32(0)
	}
	for _, t := range []ipv6.ICMPType{ipv6.ICMPTypeEchoReply, ipv6.ICMPTypeDestinationUnreachable,
		ipv6.ICMPTypePacketTooBig, ipv6.ICMPTypeTimeExceeded, ipv6.ICMPTypeParameterProblem} {
		block.Data[t/32] &^= 1 << (t % 32)
	}
	const icmp6Filter = 1 // ICMPV6_FILTER of linux/icmpv6.h
	return os.NewSyscallError("setsockopt",
		unix.SetsockoptICMPv6Filter(s.fd, unix.IPPROTO_ICMPV6, icmp6Filter, &block))
}

// filterProgram passes echo replies with the identifier id, and ICMP errors
// that quote an echo request with it. A raw IPv4 socket sees the IP header, an
// IPv6 one does not, and our requests have no extension headers.
func filterProgram(f Family, id uint16) []bpf.Instruction {
	if f == FamilyIPv6 {
		return []bpf.Instruction{
			bpf.LoadAbsolute{Off: 0, Size: 1},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(ipv6.ICMPTypeEchoReply), SkipFalse: 2},
			bpf.LoadAbsolute{Off: 4, Size: 2},
			bpf.Jump{Skip: 1},
			bpf.LoadAbsolute{Off: icmpHeaderSize + ipv6HeaderSize + 4, Size: 2},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(id), SkipFalse: 1},
			bpf.RetConstant{Val: largestPacket},
			bpf.RetConstant{Val: 0},
		}
	}
	return []bpf.Instruction{
		bpf.LoadMemShift{Off: 0}, // X = length of the IP header
		bpf.LoadIndirect{Off: 0, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(ipv4.ICMPTypeEchoReply), SkipFalse: 2},
		bpf.LoadIndirect{Off: 4, Size: 2},
		bpf.Jump{Skip: 6},
		bpf.LoadIndirect{Off: icmpHeaderSize, Size: 1}, // of the quoted packet
		bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0xf},
		bpf.ALUOpConstant{Op: bpf.ALUOpShiftLeft, Val: 2},
		bpf.ALUOpX{Op: bpf.ALUOpAdd},
		bpf.TAX{},
		bpf.LoadIndirect{Off: icmpHeaderSize + 4, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(id), SkipFalse: 1},
		bpf.RetConstant{Val: largestPacket},
		bpf.RetConstant{Val: 0},
	}
}

const stampFlags = unix.SOF_TIMESTAMPING_SOFTWARE | unix.SOF_TIMESTAMPING_RX_SOFTWARE |
	unix.SOF_TIMESTAMPING_TX_SOFTWARE | unix.SOF_TIMESTAMPING_OPT_TSONLY

// setUpStamps asks for kernel stamps: of both ends, else of replies, else none.
func (s *sock) setUpStamps() {
	if s.restartStamps() == nil {
		s.source = TimestampsKernel
		return
	}
	if unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1) == nil {
		s.source = TimestampsKernelRX
	}
}

// restartStamps switches stamps on and makes the kernel count them from zero.
func (s *sock) restartStamps() error {
	err := unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPING, stampFlags)
	if err == nil {
		err = unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPING, stampFlags|unix.SOF_TIMESTAMPING_OPT_ID)
	}
	return os.NewSyscallError("setsockopt", err)
}

// kernelAtLeast reports whether the kernel's release is major.minor or later.
func kernelAtLeast(major, minor int) bool {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return false
	}
	parts := strings.SplitN(unix.ByteSliceToString(u.Release[:]), ".", 3)
	if len(parts) < 2 {
		return false
	}
	digits := strings.TrimRightFunc(parts[1], func(r rune) bool { return r < '0' || r > '9' })
	a, errA := strconv.Atoi(parts[0])
	b, errB := strconv.Atoi(digits)
	return errA == nil && errB == nil && (a > major || a == major && b >= minor)
}

// rememberDontFragment notes the system's setting, to be able to go back to it.
func (s *sock) rememberDontFragment() (err error) {
	level, opt := unix.IPPROTO_IP, unix.IP_MTU_DISCOVER
	if s.family == FamilyIPv6 {
		level, opt = unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER
	}
	s.dfOff, err = unix.GetsockoptInt(s.fd, level, opt)
	return os.NewSyscallError("getsockopt", err)
}

// setDontFragment forbids or allows fragmentation for what is sent next. PROBE
// ignores what the kernel believes of the path's MTU: a router on the way says
// what is true today.
func (s *sender) setDontFragment(on bool) error {
	if s.df == on {
		return nil
	}
	value, flag := s.dfOff, 0
	if on {
		value, flag = unix.IP_PMTUDISC_PROBE, 1
	}
	var err error
	if s.family == FamilyIPv4 {
		err = unix.SetsockoptInt(s.fd, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, value)
	} else {
		err = errors.Join(unix.SetsockoptInt(s.fd, unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, value),
			unix.SetsockoptInt(s.fd, unix.IPPROTO_IPV6, unix.IPV6_DONTFRAG, flag))
	}
	if err == nil {
		s.df = on
	}
	return os.NewSyscallError("setsockopt", err)
}

// prepare makes the control messages of a profile and settles its fragmentation.
func (c *linuxConn) prepare(p *profile, f Family) error {
	o, index := p.opts, 0
	if o.Source.IsValid() && f == FamilyIPv6 && c.of(f).in.kind == SocketDatagram {
		// ping_v6_sendmsg takes the socket's own address whatever it is told
		return &OptionError{Field: "source", Value: o.Source.String(), Want: "a raw socket: Linux lets an IPv6 datagram socket not choose"}
	}
	if o.Interface != "" {
		ifi, err := net.InterfaceByName(o.Interface)
		if err != nil {
			return &OptionError{Field: "interface", Value: o.Interface, Want: "the name of a network interface"}
		}
		index = ifi.Index
	}
	level, ttl, tos := unix.IPPROTO_IP, unix.IP_TTL, unix.IP_TOS
	if f == FamilyIPv6 {
		level, ttl, tos = unix.IPPROTO_IPV6, unix.IPV6_HOPLIMIT, unix.IPV6_TCLASS
	}
	b := make([]byte, 0, controlSize)
	if o.TTL != 0 {
		b = appendControl(b, level, ttl, binary.NativeEndian.AppendUint32(nil, uint32(o.TTL)))
	}
	if o.DSCP != 0 {
		b = appendControl(b, level, tos, binary.NativeEndian.AppendUint32(nil, uint32(o.DSCP)<<2))
	}
	if o.Source.IsValid() || index != 0 {
		b = appendPacketInfo(b, f, o, index)
	}
	if o.Mark != 0 {
		b = appendControl(b, unix.SOL_SOCKET, unix.SO_MARK, binary.NativeEndian.AppendUint32(nil, o.Mark))
	}
	p.control = b
	switch {
	case o.DontFragment:
		p.split = splitNever
	case c.of(f).out[0].neverSplit(len(p.payload)):
		p.split = splitEither
	}
	return nil
}

// neverSplit reports whether a request with a payload of that size behind the
// cookie is sent with fragmentation forbidden though nobody asked for it: every
// link carries 68 bytes whole (RFC 791), so that it takes no packet its way, and
// by default Linux sets the don't-fragment bit itself, but on a path whose MTU
// somebody fixed or that is said to be below net.ipv4.route.min_pmtu. The kernel
// then does not look for an IP identification, of which such a packet has no
// need (RFC 6864), and that takes a thirtieth of the time of an echo.
func (s *sock) neverSplit(payload int) bool {
	const everyLink = 68
	return s.family == FamilyIPv4 && s.dfOff == unix.IP_PMTUDISC_WANT && ipv4HeaderSize+headSize+payload <= everyLink
}

// appendPacketInfo appends the source address and interface of a request.
func appendPacketInfo(b []byte, f Family, o Options, index int) []byte {
	if f == FamilyIPv6 {
		info := binary.NativeEndian.AppendUint32(make([]byte, 16, 20), uint32(index))
		if o.Source.IsValid() {
			addr := o.Source.As16()
			copy(info, addr[:])
		}
		return appendControl(b, unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, info)
	}
	info := append(binary.NativeEndian.AppendUint32(nil, uint32(index)), make([]byte, 8)...)
	if o.Source.IsValid() {
		addr := o.Source.Unmap().As4()
		copy(info[4:], addr[:])
	}
	return appendControl(b, unix.IPPROTO_IP, unix.IP_PKTINFO, info)
}

// appendControl appends one control message (cmsg(3)).
func appendControl(b []byte, level, typ int, data []byte) []byte {
	start := len(b)
	b = append(b, make([]byte, unix.CmsgSpace(len(data)))...)
	h := (*unix.Cmsghdr)(unsafe.Pointer(&b[start]))
	h.Level, h.Type = int32(level), int32(typ)
	h.SetLen(unix.CmsgLen(len(data)))
	copy(b[start+unix.CmsgLen(0):], data)
	return b
}
