package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"unicode"
)

// need is an interface or a source address that a file names.
type need struct {
	fault Fault // without its problem
	iface string
	addr  netip.Addr
}

// Missing returns what the file names and this machine lacks at the moment:
// interfaces and source addresses, in the file's order. They are no fault of the
// file, since a machine gets and loses them as it runs: until they come, the
// results of their targets say so.
func (c *Config) Missing() []Fault {
	var missing []Fault
	found := make(map[string]string) // what was looked for: what is wrong with it
	for _, n := range c.needs {
		key := n.iface + "%" + n.addr.String()
		problem, known := found[key]
		if !known {
			problem = n.problem()
			found[key] = problem
		}
		if problem != "" {
			n.fault.Problem = problem
			missing = append(missing, n.fault)
		}
	}
	return missing
}

// problem says what is wrong at the moment, "" if nothing is.
func (n *need) problem() string {
	if n.iface != "" {
		if _, err := net.InterfaceByName(n.iface); err != nil {
			if op := (*net.OpError)(nil); errors.As(err, &op) {
				err = op.Err
			}
			return fmt.Sprintf("%q: not found on this machine now (%v): its targets are probed when it comes", n.iface, err)
		}
		return ""
	}
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(n.addr, 0))) // sends nothing
	switch {
	case err == nil:
		c.Close() // was not used
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Sprintf("%s: no address of this machine now: its targets are probed when it comes", n.addr)
	}
	return "" // any other refusal is about UDP
}

// interfaceName converts the name of an interface, which need not be there.
func (r *reader) interfaceName(v any) (string, error) {
	s, err := r.text(v)
	if err != nil || s == "" {
		return "", err
	}
	if _, err := netip.ParseAddr(s); err == nil {
		return "", fmt.Errorf("%q is an address: want the name of a network interface, or source = %q", s, s)
	}
	odd := strings.ContainsFunc(s, func(c rune) bool { return unicode.IsSpace(c) || unicode.IsControl(c) || c == '/' })
	if odd || s == "." || s == ".." {
		return "", fmt.Errorf("%q: want the name of a network interface", s)
	}
	return s, nil
}
