// Package icmpcore measures networks with ICMP echo (RFC 792, RFC 4443).
//
// One call pings one host:
//
//	res, err := icmpcore.Ping(ctx, "192.0.2.1", icmpcore.Options{Count: 5})
//
// For more, open a [Pinger]. It owns a few sockets for each IP version and runs
// any number of series at once, each with its own target and options.
// [Pinger.Ping] waits until a series ends, [Pinger.Go] does not: 100,000 targets
// need no 100,000 goroutines.
//
// # Loss is data
//
// The package keeps three levels apart. A lost, late or refused echo is a number
// in the [PingResult]. The reason why one target could not be probed (a name that
// does not resolve, no route, a cancelled context) is [PingResult.Err]. The reason
// why nothing can run (no permission, sockets lost) is an error of [Open], or ends
// every series with that error.
//
// [PingResult.Failure] sums a series up in one error. An [EchoError] is the error
// of one echo; its kinds are [DestinationUnreachable], [TimeExceeded],
// [PacketTooBig], [ParameterProblem] and [SendFailed].
//
// # Callbacks
//
// A Pinger calls [Options.OnEcho] and the function given to [Pinger.Go] on one
// goroutine of its own, one call at a time. Within a series the echoes come in the
// order in which they were decided, and the result comes last. A slow callback
// delays the callbacks after it, whose results wait in memory, but it never delays
// the measuring.
//
// A callback may call [Pinger.Go], [Run.Cancel], [Pinger.Resolve],
// [Pinger.HasRoute], [Pinger.Stats], [Pinger.Socket] and [Pinger.Timestamps], and
// every method of another Pinger. It must not wait for its own Pinger:
// [Pinger.Ping] and [Pinger.Close] return an error there, and to wait for another
// goroutine that is in one of them would take forever. To close the Pinger from a
// callback, start a goroutine that calls Close. A callback must not end its
// goroutine ([runtime.Goexit], which FailNow and SkipNow of package testing call):
// the Pinger makes no callback after that.
//
// # What counts as a reply
//
// A reply counts only if all of this is true: it came from the address probed
// (except for a multicast or broadcast address); it has the identifier, sequence
// number and payload of an echo that is waiting for it; its checksum is right; and
// it is the first for its echo. The first eight bytes of the payload are a cookie:
// the number of the echo, encrypted with a random key of the Pinger. Only a host
// that has seen the request can send it back. Everything else is counted but never
// measured: as duplicate, late or corrupt in the result, as foreign in
// [Pinger.Stats].
//
// An ICMP error counts only if it quotes a packet of ours that is in flight. An
// error whose quote is too short for the cookie could come from anybody, so the
// Pinger believes it only when the echo's timeout has passed without a reply.
//
// # Paths
//
// With a small [Options.TTL] an echo ends on the way, and the router there reports
// it as [TimeExceeded]. With one [Options.Flow] the echoes of all TTLs take the same
// path, also where routers spread packets over several. [Echo] has the time of each
// report, and its [EchoError] the [Quote] of the request. A router may limit its
// reports, delay them or send none: that says nothing about what it forwards.
//
// # Sockets and permission
//
// A raw socket needs CAP_NET_RAW. A datagram ("ping") socket needs the group of
// the process to be within the sysctl net.ipv4.ping_group_range, which applies to
// IPv6 too. [Open] tries raw first. If the system allows neither, the error is a
// [*PermissionError] whose text names both remedies.
//
// Both kinds give the same results, except for what Linux does not give a datagram
// socket:
//   - The kernel verifies the checksums itself and drops wrong packets, as it does
//     for IPv6 on both kinds. Such a reply is lost; on a raw IPv4 socket it is
//     corrupt.
//   - It gets no IPv4 error "fragment reassembly time exceeded" and none with an
//     unreachable code above 15.
//   - It gets no TTL and no DSCP of the request that an error quotes: see [Quote].
//   - Over IPv6 it cannot choose [Options.Source], which is then an error.
//   - Over IPv6 it does not learn that a firewall of its own host refused a
//     request, which is then lost.
//
// # Clocks
//
// A round-trip time is the difference of two kernel timestamps of one clock: when
// the request was handed to the device, and when the reply came in. Kernel
// timestamps are wall-clock time, so the Pinger uses a pair only while the wall
// clock runs evenly with the monotonic one and only if the difference is within the
// monotonic times taken around it. Otherwise it uses the monotonic times.
// [PingResult.Timestamps] says which it was.
package icmpcore
