package netsim

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	pathGroups   = "/proc/sys/net/ipv4/ping_group_range"
	deviceMTU    = 65535
	deviceQueue  = 10000 // packets; the default of 500 drops a burst of requests
	prefixRoute4 = "198.18.0.0/15"
	prefixRoute6 = "2001:db8::/32"
)

// openNetwork sets up the network namespace and its device.
func openNetwork() (*device, error) {
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		return nil, err
	}
	if err := setLink(lo.Index, linkChange{up: new(true)}); err != nil {
		return nil, fmt.Errorf("taking lo up: %w", err)
	}
	dev, err := openTUN(Interface)
	if err != nil {
		return nil, err
	}
	if err := dev.configure(); err != nil {
		unix.Close(dev.fd)
		unix.Close(dev.wake)
		return nil, err
	}
	return dev, nil
}

// configure gives the device its settings, addresses and routes.
func (d *device) configure() error {
	link, err := net.InterfaceByName(Interface)
	if err != nil {
		return err
	}
	d.index = link.Index
	if err := writeSettings(); err != nil {
		return err
	}
	err = setLink(d.index, linkChange{mtu: deviceMTU, queue: deviceQueue})
	if err != nil {
		return fmt.Errorf("setting MTU and queue of %s: %w", Interface, err)
	}
	return d.setUp(true)
}

// writeSettings writes the sysctls of the namespace.
func writeSettings() error {
	dev4, dev6 := "net/ipv4/conf/"+Interface, "net/ipv6/conf/"+Interface
	for _, s := range []struct {
		name, value string
		optional    bool // some kernels or namespaces do not have it
	}{
		{"net/ipv4/conf/all/rp_filter", "0", false}, // replies from wrong sources must come through
		{dev4 + "/rp_filter", "0", false},
		{"net/ipv4/icmp_ratelimit", "0", false},
		{"net/ipv4/icmp_msgs_per_sec", "1000000", true},
		{"net/ipv4/icmp_msgs_burst", "1000000", true},
		{"net/ipv6/icmp/ratelimit", "0", false},
		{"net/ipv6/conf/all/disable_ipv6", "0", false},
		{"net/ipv6/conf/lo/disable_ipv6", "0", false},
		{dev6 + "/disable_ipv6", "0", false},
		{dev6 + "/accept_ra", "0", false},
		{dev6 + "/accept_dad", "0", false},
		{dev6 + "/router_solicitations", "0", false},
		{dev6 + "/addr_gen_mode", "1", true},     // no link-local address but ours
		{dev6 + "/keep_addr_on_down", "1", true}, // IPv4 keeps them anyway
	} {
		err := os.WriteFile("/proc/sys/"+s.name, []byte(s.value), 0)
		if err != nil && !(s.optional && errors.Is(err, os.ErrNotExist)) {
			return fmt.Errorf("%w: /proc/sys/net must be writable and IPv6 be there "+
				"(in a container --privileged or --security-opt systempaths=unconfined)", err)
		}
	}
	return allowDatagram(true)
}

// allowDatagram opens ICMP datagram sockets to all groups that the user
// namespace has, or to none.
func allowDatagram(allowed bool) error {
	if !allowed {
		err := os.WriteFile(pathGroups, []byte("1 0"), 0)
		if errors.Is(err, unix.EINVAL) {
			return fmt.Errorf("%w: only root can close datagram sockets again: "+
				"group 1, which an empty range names, is not in this user namespace", errors.ErrUnsupported)
		}
		return err
	}
	err := os.WriteFile(pathGroups, []byte("0 2147483647"), 0)
	if err == nil {
		return nil
	}
	// Groups that are not mapped are refused; ours is 0, the only one.
	return os.WriteFile(pathGroups, []byte("0 0"), 0)
}

// awaitLocal returns when packets to the address a are delivered. The kernel does not
// wait for that: it inserts the route of an IPv6 address from a work queue
// (addrconf_dad_work), even without duplicate address detection.
func awaitLocal(index int, a netip.Addr) error {
	const tries, pause = 5000, time.Millisecond
	for range tries {
		local, err := isLocal(index, a)
		if err != nil && !errors.Is(err, unix.ENETUNREACH) {
			return fmt.Errorf("looking up the route to %v: %w", a, err)
		}
		if local {
			return nil
		}
		time.Sleep(pause)
	}
	return fmt.Errorf("the kernel does not make the address %v its own", a)
}

// setMTU changes the device's MTU.
func (d *device) setMTU(mtu int) error { return setLink(d.index, linkChange{mtu: mtu}) }

// setUp takes the device up, with addresses and routes, or down.
func (d *device) setUp(up bool) error {
	if err := setLink(d.index, linkChange{up: &up}); err != nil {
		return fmt.Errorf("taking %s up or down: %w", Interface, err)
	}
	if !up {
		return nil
	}
	for a := range strings.FieldsSeq("198.18.0.1/32 198.18.0.2/32 2001:db8::1/128 2001:db8::2/128 fe80::1/64") {
		p := netip.MustParsePrefix(a)
		err := addAddr(d.index, p)
		if err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("adding the address %s: %w", a, err)
		}
		if err := awaitLocal(d.index, p.Addr()); err != nil {
			return err
		}
	}
	for _, source := range []string{"198.18.0.1", "2001:db8::1"} {
		if err := d.route(netip.MustParseAddr(source)); err != nil {
			return err
		}
	}
	return nil
}

// routePrefix is the simulated network of the family of a.
func routePrefix(a netip.Addr) netip.Prefix {
	if a.Is4() {
		return netip.MustParsePrefix(prefixRoute4)
	}
	return netip.MustParsePrefix(prefixRoute6)
}

// route routes the simulated network of source's family to the device.
func (d *device) route(source netip.Addr) error {
	if err := setRoute(d.index, routePrefix(source), source); err != nil {
		return fmt.Errorf("setting the route to %s: %w", routePrefix(source), err)
	}
	return nil
}

// unroute removes the route of the family of a.
func (d *device) unroute(a netip.Addr) error {
	if err := removeRoute(d.index, routePrefix(a)); err != nil {
		return fmt.Errorf("removing the route to %s: %w", routePrefix(a), err)
	}
	return nil
}

// addAddr gives the device an address and makes it the source of its family.
func (d *device) addAddr(a netip.Addr) error {
	if err := addAddr(d.index, netip.PrefixFrom(a, a.BitLen())); err != nil {
		return fmt.Errorf("adding the address %s: %w", a, err)
	}
	if err := awaitLocal(d.index, a); err != nil {
		return err
	}
	return d.route(a)
}

// removeAddr removes an address from the device.
func (d *device) removeAddr(a netip.Addr) error {
	if err := removeAddr(d.index, netip.PrefixFrom(a, a.BitLen())); err != nil {
		return fmt.Errorf("removing the address %s: %w", a, err)
	}
	return nil
}
