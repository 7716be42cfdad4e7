// Package netsim is a simulated network for tests. It answers ICMP echo requests
// over IPv4 and IPv6 by rules: late, twice, wrongly, with errors, or not at all.
// The requests go through the real kernel and real sockets. Only the wire is
// replaced: behind the device there is a simulator.
//
//	func TestLoss(t *testing.T) {
//		netsim.Run(t, []netsim.Rule{
//			{Prefix: netip.MustParsePrefix("198.18.1.0/24"), Delay: 5 * time.Millisecond},
//			{Prefix: netip.MustParsePrefix("198.18.2.1/32"), Answer: netsim.Only(netsim.Lost, 1, 3)},
//		}, func(t *testing.T, n *netsim.Net) {
//			// 198.18.1.1 answers after 5 ms, 198.18.2.1 leaves out its second
//			// and fourth answer, 198.18.3.1 never answers.
//		})
//	}
//
// # How it runs
//
// [Run] starts the test binary again, for that test only, in its own network
// namespace. Everything that the test opens or starts there, also other programs,
// sees only loopback and the device sim0. The code of the test before Run runs in
// both processes; the function given to Run runs only in the second one. On Linux
// this needs no privileges if users may make namespaces and open /dev/net/tun. The
// first process does not see variables that the function sets: to keep something,
// write it to a file.
//
// go test -cover also counts the coverage of the second process: both write to the
// same place.
//
// # Rules
//
// The rule with the longest prefix answers for an address. It has delay,
// jitter, random loss, TTL, TOS and the routers on the way. Its [Answer], a function
// from a request to the packets sent for it, decides everything else. Tests usually
// need one of these, in one line each:
//
//	nil                                                 // true replies
//	netsim.Lost                                         // a host that is down
//	netsim.Only(netsim.Lost, 2, 5)                      // loss of echoes 2 and 5
//	netsim.Every(3, netsim.Lost)                        // loss of one in three
//	netsim.Packets(Packet{}, Packet{After: ms})         // a duplicate 1 ms later
//	netsim.Only(netsim.Packets(Packet{After: 2*s}), 0)  // the first one late
//	netsim.Only(netsim.Packets(Packet{Behind: 1}), 1)   // 1 and 2 change places
//	netsim.Forged(200, netsim.WrongCookie)              // 200 forged, then the true one
//	netsim.Packets(Packet{Edit: netsim.WrongID})        // wrong id; see Edit's functions
//	netsim.Packets(Packet{From: other})                 // another host replies
//	netsim.Packets(Packet{BadSum: true})                // wrong checksum
//	netsim.Packets(Packet{Options: []byte{0, 0, 0, 0}}) // IP options
//	netsim.Fail(router, Error{Kind: netsim.DestinationUnreachable, Code: 1})
//	netsim.Fail(router, Error{Kind: netsim.PacketTooBig, Info: 1400})
//	netsim.Fail(router, Error{Kind: netsim.TimeExceeded, Quote: Quote{Bytes: 8}})
//
// The routers on the way have a [Hop] each. They can be silent or slow, lose
// requests or answers, limit their errors, change the code point, refuse packets or
// find them too big, and split the path in branches:
//
//	Hops: netsim.Routers(a, b, c)                      // three routers
//	Hops: []netsim.Hop{{Addr: a}, {}, {Addr: c}}       // the second is silent
//	Hops: []netsim.Hop{{Addr: a}, {Addr: b, Loss: 1}}  // all ends at a
//	netsim.Hop{Addr: a, Rate: 10, Burst: 3}            // ten errors a second
//	netsim.Hop{Addr: a, MTU: 1400, Blackhole: true}    // larger packets are lost
//	netsim.Hop{Addr: a, Refuse: &netsim.Error{Kind: netsim.DestinationUnreachable, Code: 13}}
//	netsim.Hop{Addr: a, Branches: [][]netsim.Hop{{{Addr: b}}, {{Addr: c}, {Addr: d}}}}
//
// [Net.Set] changes the path while the network runs.
//
// The network counts the echoes to each address from 0 ([Request.N]), with any id
// and seq. For anything else, write your own function:
//
//	func(r netsim.Request) []netsim.Packet {
//		if r.TOS != 46<<2 {
//			return nil
//		}
//		return netsim.True(r)
//	}
//
// # Record
//
// [Net.Arrived] returns every request that left the host, with its time,
// destination, TTL, TOS and size. [Net.Peak] returns the most requests within a
// time window, for tests of pacing.
package netsim
