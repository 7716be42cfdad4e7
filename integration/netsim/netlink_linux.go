package netsim

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// linkChange is what setLink changes; zero values stay as they are.
type linkChange struct {
	up         *bool
	mtu, queue int
}

// setLink changes the interface with the index.
func setLink(index int, c linkChange) error {
	info := unix.IfInfomsg{Family: unix.AF_UNSPEC, Index: int32(index)}
	if c.up != nil {
		info.Change = unix.IFF_UP
		if *c.up {
			info.Flags = unix.IFF_UP
		}
	}
	b := appendStruct(nil, info)
	if c.mtu > 0 {
		b = appendNumber(b, unix.IFLA_MTU, c.mtu)
	}
	if c.queue > 0 {
		b = appendNumber(b, unix.IFLA_TXQLEN, c.queue)
	}
	return routeRequest(unix.RTM_NEWLINK, 0, b)
}

// addAddr gives the interface an address. In IPv6 it turns duplicate address
// detection off.
func addAddr(index int, p netip.Prefix) error {
	return routeRequest(unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_EXCL, addrMessage(index, p))
}

// removeAddr removes an address from the interface.
func removeAddr(index int, p netip.Prefix) error {
	return routeRequest(unix.RTM_DELADDR, 0, addrMessage(index, p))
}

func addrMessage(index int, p netip.Prefix) []byte {
	b := appendStruct(nil, unix.IfAddrmsg{
		Family:    familyOf(p.Addr()),
		Prefixlen: uint8(p.Bits()),
		Flags:     unix.IFA_F_NODAD | unix.IFA_F_PERMANENT,
		Index:     uint32(index),
	})
	b = appendAttr(b, unix.IFA_LOCAL, p.Addr().AsSlice())
	return appendAttr(b, unix.IFA_ADDRESS, p.Addr().AsSlice())
}

// setRoute routes a prefix to the interface, and replaces an existing route. source
// is the default source of the host.
func setRoute(index int, p netip.Prefix, source netip.Addr) error {
	b := appendAttr(routeMessage(index, p), unix.RTA_PREFSRC, source.AsSlice())
	return routeRequest(unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, b)
}

// removeRoute removes the route of a prefix.
func removeRoute(index int, p netip.Prefix) error {
	return routeRequest(unix.RTM_DELROUTE, 0, routeMessage(index, p))
}

func routeMessage(index int, p netip.Prefix) []byte {
	b := appendStruct(nil, unix.RtMsg{
		Family:   familyOf(p.Addr()),
		Dst_len:  uint8(p.Bits()),
		Table:    unix.RT_TABLE_MAIN,
		Protocol: unix.RTPROT_STATIC,
		Scope:    unix.RT_SCOPE_UNIVERSE,
		Type:     unix.RTN_UNICAST,
	})
	b = appendAttr(b, unix.RTA_DST, p.Addr().AsSlice())
	return appendNumber(b, unix.RTA_OIF, index)
}

func familyOf(a netip.Addr) uint8 {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// appendStruct appends a message header of a fixed size.
func appendStruct(b []byte, v any) []byte {
	b, err := binary.Append(b, binary.NativeEndian, v)
	if err != nil {
		panic("netsim: internal error: " + err.Error())
	}
	return b
}

// appendNumber appends an attribute of four bytes.
func appendNumber(b []byte, typ uint16, value int) []byte {
	return appendAttr(b, typ, binary.NativeEndian.AppendUint32(nil, uint32(value)))
}

// appendAttr appends an attribute, filled up to four bytes.
func appendAttr(b []byte, typ uint16, value []byte) []byte {
	b = appendStruct(b, unix.RtAttr{Len: uint16(unix.SizeofRtAttr + len(value)), Type: typ})
	b = append(b, value...)
	for len(b)%unix.NLMSG_ALIGNTO != 0 {
		b = append(b, 0)
	}
	return b
}

// routeRequest sends a routing message and waits for the kernel's answer. An error
// is a unix.Errno.
func routeRequest(typ, flags uint16, body []byte) error {
	_, err := exchange(typ, flags|unix.NLM_F_ACK, body)
	return err
}

// isLocal reports whether packets to the address a of the interface are delivered
// to this host.
func isLocal(index int, a netip.Addr) (bool, error) {
	b := appendStruct(nil, unix.RtMsg{Family: familyOf(a), Dst_len: uint8(a.BitLen())})
	b = appendAttr(b, unix.RTA_DST, a.AsSlice())
	if a.IsLinkLocalUnicast() {
		b = appendNumber(b, unix.RTA_OIF, index)
	}
	reply, err := exchange(unix.RTM_GETROUTE, 0, b)
	if err != nil {
		return false, err
	}
	const at = unix.SizeofNlMsghdr + int(unsafe.Offsetof(unix.RtMsg{}.Type))
	if len(reply) <= at {
		return false, errors.New("netlink: a route without a type")
	}
	return reply[at] == unix.RTN_LOCAL, nil
}

// exchange sends a routing message and returns the answer or the kernel's error.
func exchange(typ, flags uint16, body []byte) ([]byte, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	b := appendStruct(nil, unix.NlMsghdr{
		Len:   uint32(unix.SizeofNlMsghdr + len(body)),
		Type:  typ,
		Flags: flags | unix.NLM_F_REQUEST,
		Seq:   1,
	})
	b = append(b, body...)
	if err := unix.Sendto(fd, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, os.NewSyscallError("sendto", err)
	}
	buf := make([]byte, 4096)
	for {
		n, _, err := unix.Recvfrom(fd, buf, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, os.NewSyscallError("recvfrom", err)
		}
		return buf[:n], verdict(buf[:n])
	}
}

// verdict returns the error in an answer, if there is one.
func verdict(b []byte) error {
	const end = unix.SizeofNlMsghdr + 4
	if len(b) < end {
		return errors.New("netlink: answer cut short")
	}
	if binary.NativeEndian.Uint16(b[4:]) != unix.NLMSG_ERROR {
		return nil
	}
	if code := int32(binary.NativeEndian.Uint32(b[unix.SizeofNlMsghdr:])); code != 0 {
		return unix.Errno(-code)
	}
	return nil
}
