//go:build !linux

package icmpcore

import (
	"net"
	"net/netip"
)

// linkIndex returns the index of the link with a name.
func linkIndex(name string) (uint32, error) {
	ifi, err := net.InterfaceByName(name)
	if err != nil {
		return 0, errNoLink // net does not report whether the lookup itself failed
	}
	return uint32(ifi.Index), nil
}

// addBroadcastsAnyway does nothing: package net is the only way to the
// addresses here.
func addBroadcastsAnyway(map[netip.Addr]struct{}) {}

// readOwnAddrs returns the IPv6 addresses of this system.
func readOwnAddrs() ([]ownAddr, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	var list []ownAddr
	for _, ifi := range all {
		addrs, err := ifi.Addrs()
		if err != nil {
			return nil, err
		}
		for _, a := range addrs {
			n, ok := a.(*net.IPNet)
			if !ok || n.IP.To4() != nil {
				continue
			}
			if addr, ok := netip.AddrFromSlice(n.IP); ok {
				list = append(list, ownAddr{addr: addr, index: uint32(ifi.Index), link: ifi.Name})
			}
		}
	}
	return list, nil
}
