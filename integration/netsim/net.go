package netsim

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"sync"
	"time"
)

// Interface is the name of the device behind which the simulated network lies.
// 198.18.0.0/15 and 2001:db8::/32 are routed to it, and fe80::/64 is on it.
// Nothing else but loopback is reachable.
const Interface = "sim0"

// Net is a running simulated network. Its methods may be called from many
// goroutines.
type Net struct {
	// Addr4 and Addr6 are the addresses the host sends from by default.
	Addr4, Addr6 netip.Addr
	// Alt4 and Alt6 are further addresses of the host.
	Alt4, Alt6 netip.Addr

	sim *sim
	dev *device

	mu sync.Mutex // serialises changes of the rules
}

// Stats counts what passed through the simulator.
type Stats struct {
	// Requests is how many whole echo requests with a right checksum arrived.
	Requests uint64
	// Silent is how many of them got no answer: lost by rule, or no rule.
	Silent uint64
	// Other is how many other packets arrived.
	Other uint64
	// Sent is how many packets went to the host, including those of Flood and
	// Inject.
	Sent uint64
	// Failed is how many packets the host's device refused.
	Failed uint64
}

func newNet(sim *sim, dev *device) *Net {
	return &Net{
		Addr4: netip.AddrFrom4([4]byte{198, 18, 0, 1}),
		Alt4:  netip.AddrFrom4([4]byte{198, 18, 0, 2}),
		Addr6: netip.MustParseAddr("2001:db8::1"),
		Alt6:  netip.MustParseAddr("2001:db8::2"),
		sim:   sim,
		dev:   dev,
	}
}

// Set adds rules. A rule with the prefix of an existing one replaces it. The rules
// apply to all requests that arrive after Set has returned; answers on their way
// still come. Set panics if a rule is not valid.
func (n *Net) Set(rules ...Rule) {
	n.mu.Lock()
	defer n.mu.Unlock()
	old := n.sim.rules.Load()
	t, err := newTable(append(old.rules[:len(old.rules):len(old.rules)], rules...))
	if err != nil {
		panic(fmt.Sprintf("netsim: %v", err))
	}
	n.sim.rules.Store(t)
}

// Replace is like Set, but removes all existing rules first.
func (n *Net) Replace(rules ...Rule) {
	n.mu.Lock()
	defer n.mu.Unlock()
	t, err := newTable(rules)
	if err != nil {
		panic(fmt.Sprintf("netsim: %v", err))
	}
	n.sim.rules.Store(t)
}

// Now returns the time since the network began, on the monotonic clock.
func (n *Net) Now() time.Duration { return n.dev.now() }

// Arrived returns a record of the echo requests that arrived, in their order.
func (n *Net) Arrived() []Request { return n.sim.record.all() }

// Await blocks until the record of arrivals holds count requests. It returns
// the error of ctx if that is done before.
func (n *Net) Await(ctx context.Context, count int) error { return n.sim.record.await(ctx, count) }

// Forget empties the record of arrivals and begins to number the requests from
// 0 again.
func (n *Net) Forget() { n.sim.record.reset() }

// Peak returns the largest number of recorded requests that arrived within any time
// window of this length.
func (n *Net) Peak(window time.Duration) int { return peak(n.Arrived(), window) }

// Stats returns the counters.
func (n *Net) Stats() Stats {
	c := &n.sim.stats
	return Stats{
		Requests: c.requests.Load(),
		Silent:   c.silent.Load(),
		Other:    c.other.Load(),
		Sent:     c.sent.Load(),
		Failed:   c.failed.Load(),
	}
}

// Inject sends one IP packet to the host as if it came from the network.
// [Raw] builds such packets.
func (n *Net) Inject(packet []byte) error { return n.dev.inject(packet) }

// Flood injects packets at a rate, in packets per second, until it has sent count
// of them or ctx is done. It returns how many it sent. It blocks, keeps a thread
// busy, and catches up if it falls behind the rate. The call build(i, b) appends the
// i-th packet, from 0, to the empty slice b.
func (n *Net) Flood(ctx context.Context, rate, count int, build func(i int, b []byte) []byte) int {
	return n.dev.flood(ctx, rate, count, build)
}

// Unprivileged makes cmd run without any capability, as uid and gid 1000, in the
// simulated network. The system refuses raw sockets to it; it can access the same
// files as the owner of the test. Call it before cmd starts.
func (n *Net) Unprivileged(cmd *exec.Cmd) { dropPrivileges(cmd) }

// AllowDatagram sets whether ICMP datagram sockets may be opened in the simulated
// network, with net.ipv4.ping_group_range. At first they may. If root did not start
// the test, they cannot be forbidden, and the error wraps errors.ErrUnsupported.
func (n *Net) AllowDatagram(allowed bool) error { return allowDatagram(allowed) }

// SetMTU changes the device's MTU, which is 65535 at first. IPv6 needs 1280.
func (n *Net) SetMTU(mtu int) error { return n.dev.setMTU(mtu) }

// SetUp takes the device down, or up again with its routes.
func (n *Net) SetUp(up bool) error { return n.dev.setUp(up) }

// SetRoutes removes the routes to the simulated network, or adds them again with
// Addr4 and Addr6 as the host's default addresses.
func (n *Net) SetRoutes(there bool) error {
	set := n.dev.unroute
	if there {
		set = n.dev.route
	}
	return errors.Join(set(n.Addr4), set(n.Addr6))
}

// RemoveAddr removes an address from the host. In IPv4 the kernel then also removes
// the route that has it as its source.
func (n *Net) RemoveAddr(a netip.Addr) error { return n.dev.removeAddr(a) }

// AddLAN gives the host an Ethernet device with addresses of 198.19.0.0/16 and
// 2001:db8:1a::/64 on it. No neighbour answers there. The kernel holds packets to a
// neighbour for the three seconds in which it asks for the neighbour. With forever
// it holds them until the test ends, as if the device did not send.
func (n *Net) AddLAN(forever bool) error { return n.dev.addLAN(forever) }

// AddAddr gives the host an address of the simulated network, which becomes its
// default source.
func (n *Net) AddAddr(a netip.Addr) error { return n.dev.addAddr(a) }
