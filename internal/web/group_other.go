//go:build !unix

package web

import "net/netip"

// isBroadcast cannot tell: the system does not say which addresses are the
// broadcast addresses of its networks.
func isBroadcast(netip.Addr) bool { return false }
