//go:build unix

package web

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
)

// isBroadcast reports whether an IPv4 address is the broadcast address of a network
// of this host. The kernel knows: it refuses to connect a socket without
// SO_BROADCAST to one. That sends nothing.
func isBroadcast(a netip.Addr) bool {
	d := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		if control := c.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_BROADCAST, 0) }); control != nil {
			return control
		}
		return err
	}}
	const discard = 9 // any port will do
	c, err := d.Dial("udp4", netip.AddrPortFrom(a, discard).String())
	if err != nil {
		return errors.Is(err, syscall.EACCES) // any other refusal is one of its route, which the series reports
	}
	c.Close() // the error does not matter: nothing was sent
	return false
}
