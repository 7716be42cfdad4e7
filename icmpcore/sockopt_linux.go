package icmpcore

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"
)

// open opens the socket and calls setUp to set its options.
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
		unix.Close(s.fd) // the error of setUp is the one to report
		return fmt.Errorf("set up %s %s socket: %w", s.kind, s.family, err)
	}
	return nil
}

// set sets one option. The error names it.
func (s *sock) set(name string, level, opt, value int) error {
	if err := unix.SetsockoptInt(s.fd, level, opt, value); err != nil {
		return os.NewSyscallError("setsockopt "+name, err)
	}
	return nil
}

// setBuffer requests a buffer of that size: with force, which needs a
// capability, or up to the system's limit for everybody.
func (s *sock) setBuffer(name string, force, opt, size int) error {
	if s.set(name, unix.SOL_SOCKET, force, size) == nil {
		return nil
	}
	return s.set(name, unix.SOL_SOCKET, opt, size)
}

// checkCalls returns an error if the system does not have the calls that the
// engine makes, or does not allow them, as a filter of system calls may do.
func (s *sock) checkCalls() error {
	for name, call := range map[string]uintptr{"sendmmsg": unix.SYS_SENDMMSG, "recvmmsg": unix.SYS_RECVMMSG} {
		if _, _, errno := unix.Syscall6(call, uintptr(s.fd), 0, 0, unix.MSG_DONTWAIT, 0, 0); errno == unix.ENOSYS || errno == unix.EPERM || errno == unix.EACCES {
			return os.NewSyscallError(name, errno)
		}
	}
	return nil
}

// first returns the first error. If the system refuses one option, it often
// refuses the others too.
func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// setUp sets the options of a socket that receives. An option is optional if
// the results are right without it.
func (s *receiver) setUp() error {
	errs := []error{s.identify()}
	switch {
	case s.kind == SocketRaw:
		errs = append(errs, s.filter(filterProgram(s.family, s.id)), s.passTypes())
	case s.family == FamilyIPv4:
		errs = append(errs, s.set("IP_RECVTTL", unix.IPPROTO_IP, unix.IP_RECVTTL, 1), s.set("IP_RECVTOS", unix.IPPROTO_IP, unix.IP_RECVTOS, 1),
			s.set("IP_RECVERR", unix.IPPROTO_IP, unix.IP_RECVERR, 1))
		_ = s.set("IP_RECVERR_RFC4884", unix.IPPROTO_IP, unix.IP_RECVERR_RFC4884, 1) // optional: see queuedError
	default:
		errs = append(errs, s.set("IPV6_RECVERR", unix.IPPROTO_IPV6, unix.IPV6_RECVERR, 1))
		_ = s.set("IPV6_RECVERR_RFC4884", unix.IPPROTO_IPV6, unix.IPV6_RECVERR_RFC4884, 1)
	}
	if s.family == FamilyIPv6 {
		errs = append(errs, s.set("IPV6_RECVHOPLIMIT", unix.IPPROTO_IPV6, unix.IPV6_RECVHOPLIMIT, 1),
			s.set("IPV6_RECVTCLASS", unix.IPPROTO_IPV6, unix.IPV6_RECVTCLASS, 1))
	}
	errs = append(errs, s.setBuffer("SO_RCVBUF", unix.SO_RCVBUFFORCE, unix.SO_RCVBUF, receiveBuffer))
	_ = s.set("SO_RXQ_OVFL", unix.SOL_SOCKET, unix.SO_RXQ_OVFL, 1) // optional: without it drops are not counted
	s.setUpStamps()
	return first(append(errs, s.checkCalls())...)
}

// setUp sets the options of a socket that sends.
func (s *sender) setUp() error {
	original := s.id == 0
	s.df = true // makes setDontFragment set it: the system's default is not known
	errs := []error{s.identify(), s.setDontFragment(false)}
	if s.kind == SocketRaw {
		errs = append(errs, s.passNothing())
	}
	if s.family == FamilyIPv4 {
		errs = append(errs, s.set("SO_BROADCAST", unix.SOL_SOCKET, unix.SO_BROADCAST, 1))
	}
	if !original {
		errs = append(errs, s.setBuffer("SO_SNDBUF", unix.SO_SNDBUFFORCE, unix.SO_SNDBUF, sendBuffer))
	}
	errs = append(errs, s.setBuffer("SO_RCVBUF", unix.SO_RCVBUFFORCE, unix.SO_RCVBUF, stampBuffer))
	s.setUpStamps()
	s.optID = s.source == TimestampsKernel && kernelAtLeast(6, 13)
	return first(append(errs, s.checkCalls())...)
}

// identify gives the socket the identifier s.id, or a new one if that is 0. For
// a datagram socket the kernel chooses it, as the port.
func (s *sock) identify() error {
	if s.kind == SocketRaw {
		var id [2]byte
		for s.id == 0 {
			rand.Read(id[:])
			s.id = binary.BigEndian.Uint16(id[:])
		}
		return nil
	}
	if err := s.set("SO_REUSEADDR", unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
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

// filter makes the kernel drop what the program does not pass.
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
	return os.NewSyscallError("setsockopt SO_ATTACH_FILTER",
		unix.SetsockoptSockFprog(s.fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &fprog))
}

// passNothing removes a raw socket from the kernel's list of sockets that
// receive, by connect(2) to AF_UNSPEC (__udp_disconnect). It can still send,
// arriving packets cost nothing, and nobody can fill its error queue.
func (s *sender) passNothing() error {
	unspecified := unix.RawSockaddr{Family: unix.AF_UNSPEC}
	_, _, errno := unix.RawSyscall(unix.SYS_CONNECT, uintptr(s.fd),
		uintptr(unsafe.Pointer(&unspecified)), unsafe.Sizeof(unspecified))
	if errno != 0 {
		return os.NewSyscallError("connect", errno)
	}
	return nil
}

// passTypes makes a raw socket receive only replies and errors. The kernel
// applies this filter first, before it copies the packet. On loopback that
// saves a copy of every request.
func (s *receiver) passTypes() error {
	if s.family == FamilyIPv4 {
		const icmpFilter = 1 // ICMP_FILTER of linux/icmp.h: a set bit blocks its type
		pass := 1<<ipv4.ICMPTypeEchoReply | 1<<ipv4.ICMPTypeDestinationUnreachable |
			1<<ipv4.ICMPTypeTimeExceeded | 1<<ipv4.ICMPTypeParameterProblem
		return s.set("ICMP_FILTER", unix.SOL_RAW, icmpFilter, ^pass)
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
	return os.NewSyscallError("setsockopt ICMPV6_FILTER",
		unix.SetsockoptICMPv6Filter(s.fd, unix.IPPROTO_ICMPV6, icmp6Filter, &block))
}

// filterProgram passes echo replies with the identifier id, and ICMP errors
// that quote an echo request with it. A raw IPv4 socket gets the IP header, an
// IPv6 one does not. Our requests have no extension headers.
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

// setUpStamps requests kernel timestamps: of requests and replies, otherwise of
// replies, otherwise none.
func (s *sock) setUpStamps() {
	if s.restartStamps() == nil {
		s.source = TimestampsKernel
		return
	}
	if unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1) == nil {
		s.source = TimestampsKernelRX
	}
}

// restartStamps enables timestamps and makes the kernel number them from zero.
func (s *sock) restartStamps() error {
	const flags = stampFlags | unix.SOF_TIMESTAMPING_OPT_ID
	if err := first(s.set("SO_TIMESTAMPING", unix.SOL_SOCKET, unix.SO_TIMESTAMPING, stampFlags),
		s.set("SO_TIMESTAMPING", unix.SOL_SOCKET, unix.SO_TIMESTAMPING, flags)); err != nil {
		return err
	}
	got, err := unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPING)
	if err == nil && got != flags {
		return errIgnored
	}
	return os.NewSyscallError("getsockopt SO_TIMESTAMPING", err)
}

// errIgnored means that the system accepts SO_TIMESTAMPING and does nothing.
var errIgnored = errors.New("SO_TIMESTAMPING is accepted and ignored")

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

// setDontFragment forbids or allows fragmentation for what is sent next. PROBE
// ignores the path MTU that the kernel has stored: a router on the way reports
// the present one. DONT lets routers (IPv4) or the kernel (IPv6) fragment. The
// system's default, path MTU discovery, forbids it and so loses the first
// packet that is too big.
func (s *sender) setDontFragment(on bool) error {
	if s.df == on {
		return nil
	}
	value, flag := unix.IP_PMTUDISC_DONT, 0
	if on {
		value, flag = unix.IP_PMTUDISC_PROBE, 1
	}
	var err error
	if s.family == FamilyIPv4 {
		err = s.set("IP_MTU_DISCOVER", unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, value)
	} else {
		err = first(s.set("IPV6_MTU_DISCOVER", unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, value),
			s.set("IPV6_DONTFRAG", unix.IPPROTO_IPV6, unix.IPV6_DONTFRAG, flag))
	}
	if err == nil {
		s.df = on
	}
	return err
}

// prepare makes the control messages of a profile and sets its split and link.
func (c *linuxConn) prepare(p *profile, f Family) error {
	o, index := p.opts, 0
	if o.Source.IsValid() && f == FamilyIPv6 && c.of(f).in.kind == SocketDatagram {
		// ping_v6_sendmsg always takes the socket's own address
		return &OptionError{Field: "source", Value: o.Source.String(), Want: "a raw socket: on Linux an IPv6 datagram socket cannot choose"}
	}
	if o.Interface != "" {
		link, err := linkIndex(o.Interface)
		if err != nil {
			return linkError("interface", o.Interface, err)
		}
		index, p.link = int(link), link
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
	if f == FamilyIPv6 && o.Flow != 0 && c.labels() {
		b = appendControl(b, level, ipv6Flowinfo, binary.BigEndian.AppendUint32(nil, flowLabel(o.Flow)))
	}
	if o.Mark != 0 {
		b = appendControl(b, unix.SOL_SOCKET, unix.SO_MARK, binary.NativeEndian.AppendUint32(nil, o.Mark))
	}
	p.control = b
	switch {
	case o.DontFragment:
		p.split = splitNever
	case neverSplit(f, o.Size):
		p.split = splitEither
	}
	return nil
}

// neverSplit reports whether a request with a payload of that size is sent with the don't-fragment bit although it is not requested.
// Every link carries 68 bytes unfragmented (RFC 791), so the bit does no harm
// to such a packet. With it the kernel does not generate an IP identification,
// which the packet does not need (RFC 6864). That saves a thirtieth of the time
// of an echo.
func neverSplit(f Family, payload int) bool {
	const everyLink = 68
	return f == FamilyIPv4 && ipv4HeaderSize+icmpHeaderSize+payload <= everyLink
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
