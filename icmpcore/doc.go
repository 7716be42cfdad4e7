// Package icmpcore measures networks with ICMP echo (RFC 792, RFC 4443).
//
// One call pings one host:
//
//	res, err := icmpcore.Ping(ctx, "192.0.2.1", icmpcore.Options{Count: 5})
//
// For more than that, open a [Pinger]. It owns a few sockets for each IP version
// and serves any number of series at once, whatever their targets and options:
// [Pinger.Ping] waits for a series, [Pinger.Go] does not, so that 100,000
// targets need no 100,000 goroutines.
//
// # Loss is data
//
// Three levels are kept apart. A lost, late or refused echo is a number in the
// [PingResult]. What kept one target from being probed (a name that does not
// resolve, no route, a cancelled context) is [PingResult.Err]. What keeps
// everything from running (no permission, sockets gone) is an error of [Open],
// or ends every series with that error.
//
// # What counts as a reply
//
// A reply counts only if it came from the address probed (a multicast or
// broadcast address aside), carries the identifier, sequence number and payload
// of an echo that waits for it, has a right checksum and is the first for its
// echo. The first eight bytes of the payload are a cookie: the echo's number
// enciphered under a random key of the Pinger, so that nobody who has not seen
// the request can make one. All else is counted, never measured: as duplicate,
// late or corrupt in the result, as foreign in [Pinger.Stats].
//
// An ICMP error counts only if the packet it quotes is one of ours in flight.
// An error that quotes too little to hold the cookie is believed only when the
// echo's timeout has passed without a reply, since anybody could have sent it.
//
// # Sockets and permission
//
// Raw sockets need CAP_NET_RAW. Datagram ("ping") sockets need the process's
// group to lie within the sysctl net.ipv4.ping_group_range, which rules IPv6
// as well. [Open] tries raw first; where neither is allowed its error is a
// [*PermissionError] that names both cures.
//
// Both kinds give the same results but for what Linux does not let a datagram
// socket have: the kernel checks its packets' checksums and drops what is wrong
// (as it does for IPv6 on both kinds), so that such a reply is lost there and
// corrupt on a raw IPv4 socket; it is not told of IPv4's "fragment reassembly
// time exceeded" and of unreachable codes above 15; and over IPv6 it cannot
// choose [Options.Source], which is then an error, and is not told when a
// firewall of its own host refuses a request, which is then lost.
//
// # Clocks
//
// A round-trip time is the difference of two kernel stamps of one clock: when
// the request was handed to the device and when the reply came in. Kernel
// stamps are wall time, so a pair is believed only while the wall clock runs
// evenly with the monotonic one and the difference lies inside the monotonic
// bounds taken around it; else the monotonic times are used.
// [PingResult.Timestamps] tells which it was.
package icmpcore
