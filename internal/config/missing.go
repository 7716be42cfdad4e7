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
	fault Fault // with an empty Problem
	iface string
	addr  netip.Addr
}

// Missing returns the interfaces and source addresses that the file names and
// this machine does not have now, in the file's order. They are not faults of
// the file, since a machine gets and loses them while it runs. Until one comes,
// the results of its targets have an error that says so.
func (c *Config) Missing() []Fault {
	var missing []Fault
	problems := make(map[string]string) // by interface and address
	for _, n := range c.needs {
		key := n.iface + "%" + n.addr.String()
		problem, known := problems[key]
		if !known {
			problem = n.problem()
			problems[key] = problem
		}
		if problem != "" {
			n.fault.Problem = problem
			missing = append(missing, n.fault)
		}
	}
	return missing
}

// problem returns what is wrong now, "" if nothing is.
func (n *need) problem() string {
	if n.iface != "" {
		if _, err := net.InterfaceByName(n.iface); err != nil {
			if op := (*net.OpError)(nil); errors.As(err, &op) {
				err = op.Err
			}
			return fmt.Sprintf("%q: this machine does not have the interface now (%v): pingtel probes its targets when it comes", n.iface, err)
		}
		return ""
	}
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(n.addr, 0))) // sends nothing
	switch {
	case err == nil:
		c.Close() // it was not used, so an error does not matter
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Sprintf("%s: this machine does not have the address now: pingtel probes its targets when it comes", n.addr)
	}
	return "" // any other error concerns UDP only
}

// interfaceName converts the name of an interface. The interface need not exist.
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
