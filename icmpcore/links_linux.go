package icmpcore

import (
	"errors"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// withSocket calls f with a socket of any family that the system allows. The
// calls about links work on all of them.
func withSocket(f func(fd int) error) error {
	var refused error
	for _, domain := range []int{unix.AF_INET, unix.AF_INET6, unix.AF_UNIX} {
		fd, err := unix.Socket(domain, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			refused = os.NewSyscallError("socket", err)
			continue
		}
		defer unix.Close(fd)
		return f(fd)
	}
	return refused
}

// linkIndex returns the index of the link with a name. Package net would
// request a list of all links from netlink, which may be long or forbidden.
func linkIndex(name string) (index uint32, err error) {
	req, err := unix.NewIfreq(name)
	if err != nil || name == "" {
		return 0, errNoLink // not a possible name of a link
	}
	err = withSocket(func(fd int) error {
		err := unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, req)
		if errors.Is(err, unix.ENODEV) {
			return errNoLink
		}
		return os.NewSyscallError("ioctl SIOCGIFINDEX", err)
	})
	return req.Uint32(), err
}

// addBroadcastsAnyway adds the broadcast addresses if netlink is not allowed.
// Addresses that cannot be read are left out: only pings of a subnet's
// broadcast address need them.
func addBroadcastsAnyway(set map[netip.Addr]struct{}) {
	_ = withSocket(func(fd int) error {
		list := make([]unix.Ifreq, 64)
		for {
			size := len(list) * int(unsafe.Sizeof(list[0]))
			conf := struct {
				size int32
				list *unix.Ifreq
			}{int32(size), &list[0]}
			if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCGIFCONF, uintptr(unsafe.Pointer(&conf))); errno != 0 {
				return errno
			}
			if int(conf.size) < size {
				list = list[:int(conf.size)/int(unsafe.Sizeof(list[0]))]
				break
			}
			list = make([]unix.Ifreq, 2*len(list)) // there may be more
		}
		for i := range list { // each has the name of its link and an address, and the call is about that address
			if unix.IoctlIfreq(fd, unix.SIOCGIFBRDADDR, &list[i]) != nil {
				continue
			}
			if b, err := list[i].Inet4Addr(); err == nil && [4]byte(b) != [4]byte{} {
				set[netip.AddrFrom4([4]byte(b))] = struct{}{}
			}
		}
		return nil
	})
}

// readOwnAddrs returns the IPv6 addresses of this system, in the network
// namespace of this thread.
func readOwnAddrs() ([]ownAddr, error) {
	b, err := os.ReadFile("/proc/thread-self/net/if_inet6")
	if err != nil {
		return nil, err
	}
	return parseOwnAddrs(string(b)), nil
}

// parseOwnAddrs reads lines that have an address, the index of its link, the
// prefix length, the scope and the flags, all in hexadecimal digits, and the
// name of the link. It ignores other lines.
func parseOwnAddrs(text string) []ownAddr {
	var list []ownAddr
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) != 6 || len(f[0]) != 32 {
			continue
		}
		high, errHigh := strconv.ParseUint(f[0][:16], 16, 64)
		low, errLow := strconv.ParseUint(f[0][16:], 16, 64)
		index, errIndex := strconv.ParseUint(f[1], 16, 32)
		flags, errFlags := strconv.ParseUint(f[4], 16, 32)
		if errHigh != nil || errLow != nil || errIndex != nil || errFlags != nil || index == 0 {
			continue
		}
		var addr [16]byte
		for i := range 8 {
			addr[i], addr[8+i] = byte(high>>(56-8*i)), byte(low>>(56-8*i))
		}
		list = append(list, ownAddr{
			addr: netip.AddrFrom16(addr), index: uint32(index), link: f[5],
			tentative: flags&unix.IFA_F_TENTATIVE != 0 && flags&unix.IFA_F_OPTIMISTIC == 0,
			failed:    flags&unix.IFA_F_DADFAILED != 0,
		})
	}
	return list
}
