package icmpcore

import (
	"context"
	"net"
	"net/netip"
)

// DefaultMaxRate is how many echo requests a second a [Pinger] sends at most,
// unless its Config says otherwise.
const DefaultMaxRate = 10000

// Config says how a [Pinger] is opened. The zero value is ready to use.
type Config struct {
	// Socket is the kind of socket to use. The zero value, SocketAuto, takes
	// raw where it is allowed, else datagram.
	Socket SocketKind

	// MaxRate is the limit of echo requests a second over all series. Zero
	// means DefaultMaxRate, a negative value no limit.
	MaxRate int

	// Resolver looks names up. Nil means [net.DefaultResolver].
	Resolver *net.Resolver

	// Portable uses the socket of golang.org/x/net/icmp that other systems
	// than Linux have, on Linux too. It has no kernel stamps and gives no
	// ICMP errors on datagram sockets.
	Portable bool
}

// Target is a host and the address that is probed for it.
type Target struct {
	Host string     // for the result; empty means Addr's text
	Addr netip.Addr // with a zone where it is link-local
}

// Ping opens a Pinger, sends one series to host and closes it. See
// [Pinger.Ping].
func Ping(ctx context.Context, host string, opts Options) (PingResult, error) {
	p, err := Open(Config{})
	if err != nil {
		return PingResult{Host: host, Err: err}, err
	}
	res, err := p.Ping(ctx, host, opts)
	if cerr := p.Close(); err == nil {
		err = cerr
	}
	return res, err
}

// Stats are counts of a [Pinger] since it was opened, over all series.
type Stats struct {
	Sent          uint64 // echo requests handed to the system
	Received      uint64 // replies in time
	Timeouts      uint64 // requests without reply or error in time
	Duplicates    uint64 // further replies to one request
	Late          uint64 // replies after their timeout, those after their series' end included
	Corrupt       uint64 // replies to our requests with wrong checksum, payload or length
	Foreign       uint64 // packets that looked like ours and were not: forged, replayed, other pingers'
	Errors        uint64 // ICMP errors about our requests
	SendErrors    uint64 // requests that the system refused to send
	SendWaits     uint64 // times that a full queue (ENOBUFS, EAGAIN) was waited for
	ReceiveErrors uint64 // failures of the socket to receive, survived
	KernelDrops   uint64 // packets that the kernel dropped for want of receive buffer
	ClockSteps    uint64 // steps of the wall clock seen
	Series        int    // running now
}
