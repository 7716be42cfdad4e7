package web

import "net/netip"

// isGroup reports whether more than one host would answer an echo to an address, so
// that a request of few bytes would have many replies.
func isGroup(a netip.Addr) bool {
	return a.IsMulticast() || a.IsUnspecified() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255}) || a.Is4() && isBroadcast(a)
}
