package icmpcore

import (
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/unix"
)

// From linux/in6.h: the control message with a flow label, and the option that
// lets addresses have one.
const (
	ipv6Flowinfo     = 11
	ipv6FlowinfoSend = 33
)

// labelsAllowed reports whether the system lets a request choose its flow label.
// It refuses that to a raw socket if the label is not leased, before Linux 5.3
// always and since then while anybody in the network namespace has an exclusive
// label (fl6_sock_lookup). Without a label of ours the system derives one from the
// addresses, so it is also the same for all requests to an address. Connecting a
// UDP socket makes the same check and sends nothing.
func labelsAllowed() bool {
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	if unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, ipv6FlowinfoSend, 1) != nil {
		return false
	}
	const discard = 9 // any port will do
	to := unix.RawSockaddrInet6{Family: unix.AF_INET6, Addr: [16]byte{15: 1}}
	binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(&to.Port))[:], discard)
	binary.BigEndian.PutUint32((*[4]byte)(unsafe.Pointer(&to.Flowinfo))[:], flowLabel(1))
	_, _, errno := unix.RawSyscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&to)), unsafe.Sizeof(to))
	return errno == 0
}
