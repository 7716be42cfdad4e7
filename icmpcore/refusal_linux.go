package icmpcore

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// explain adds the cause to the error by which the system refused r, if the
// cause is the source or the route. The system's own error is often just
// "invalid argument", or "network is unreachable" for a source that this system
// does not have.
func (c *linuxConn) explain(err error, r *request) error {
	var errno unix.Errno
	if !errors.As(err, &errno) {
		return err
	}
	cause := ""
	switch errno {
	case unix.EINVAL, unix.ENETUNREACH, unix.EADDRNOTAVAIL, unix.EACCES:
		if source := r.prof.opts.Source.Unmap(); source.IsValid() {
			cause = c.sourceFault(source)
		}
	}
	if cause == "" && (errno == unix.EINVAL || errno == unix.EACCES) {
		cause = routeFault(r, errno)
	}
	if cause == "" {
		return err
	}
	return &refusal{cause, err}
}

// sourceFault returns what is wrong with a source address, "" if nothing is
// known to be wrong.
func (c *linuxConn) sourceFault(source netip.Addr) string {
	if source.Is4() {
		if errors.Is(bindTo(source), unix.EADDRNOTAVAIL) {
			return fmt.Sprintf("the source %s is not an address of this host", source)
		}
		return ""
	}
	list, err := c.own.get()
	if err != nil {
		return ""
	}
	fault := fmt.Sprintf("the source %s is not an address of this host", source)
	for _, o := range list {
		switch {
		case o.addr != source.WithZone(""):
		case o.failed:
			fault = fmt.Sprintf("the source %s cannot be used: another host has it (duplicate address detection failed)", source)
		case o.tentative:
			fault = fmt.Sprintf("the source %s cannot be used yet: duplicate address detection is still running", source)
		default:
			return ""
		}
	}
	return fault
}

// bindTo tries whether a socket can be bound to an IPv4 address.
func bindTo(addr netip.Addr) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Bind(fd, &unix.SockaddrInet4{Addr: addr.As4()})
}

// routeFault returns what is wrong with the route of r, "" if that is not known
// to be the reason why the system refused r with errno. Connecting a UDP socket
// looks up the route and sends nothing, so no firewall is involved.
func routeFault(r *request, errno unix.Errno) string {
	domain := unix.AF_INET
	var to unix.Sockaddr
	const discard = 9 // any port will do
	if r.addr.Is4() {
		to = &unix.SockaddrInet4{Port: discard, Addr: r.addr.As4()}
	} else {
		domain, to = unix.AF_INET6, &unix.SockaddrInet6{Port: discard, Addr: r.addr.As16(), ZoneId: r.zone}
	}
	fd, err := unix.Socket(domain, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return ""
	}
	defer unix.Close(fd)
	if mark := r.prof.opts.Mark; mark != 0 && unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, int(mark)) != nil {
		return "" // without the mark the route may be a different one
	}
	// without SO_BROADCAST a broadcast address would be refused for another
	// reason
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BROADCAST, 1) != nil || !errors.Is(unix.Connect(fd, to), errno) {
		return ""
	}
	if errno == unix.EACCES {
		return fmt.Sprintf("the route to %s is prohibited (ip route get %s)", r.addr, r.addr.WithZone(""))
	}
	return fmt.Sprintf("the route to %s is a blackhole (ip route get %s)", r.addr, r.addr.WithZone(""))
}
