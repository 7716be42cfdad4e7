package icmpcore

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// The defaults of [Options]: a field that is zero has this value.
const (
	DefaultCount    = 1
	DefaultInterval = 100 * time.Millisecond
	DefaultTimeout  = time.Second
	DefaultSize     = 56
)

// Forever is the [Options.Count] of a series that runs until it is cancelled or
// the Pinger is closed. [PingResult] says what the result holds then. If int
// has 32 bits the series ends after 2^31-1 echoes, the most that a result can
// count: that is 25 days at an interval of 1ms.
const Forever = -1

// The ranges of the options.
const (
	minInterval = time.Millisecond
	maxInterval = 24 * time.Hour
	minTimeout  = time.Millisecond
	maxTimeout  = time.Hour
	minSize     = cookieSize
	minFlowSize = cookieSize + balanceSize
	maxSize     = 65507 // 65535 minus the IPv4 header and the ICMP header
	maxCount    = 1 << 30
)

// Options says how to send one series of echoes. The zero value is ready to use.
// A value out of range is an [*OptionError] before anything is sent.
type Options struct {
	// Count is the number of echo requests, up to 2^30. Zero means DefaultCount,
	// [Forever] means no end.
	Count int

	// Keep is how many round-trip times, errors and lost numbers the result of an
	// endless series ([Forever]) holds: the last ones, 1 to 4096. The memory that
	// the series takes grows with it. A small Keep also shortens how long a reply
	// can be recognized as late, to that many intervals or twice the timeout.
	// Zero means 4096. Other series hold all of theirs.
	Keep int

	// Interval is the time from one echo request to the next, 1ms to 24h. The
	// next request does not wait for a reply. Zero means DefaultInterval.
	Interval time.Duration

	// Timeout is how long to wait for the reply to each request, 1ms to 1h,
	// counted from when that request was sent. A reply that comes later counts
	// as late, not as received. Zero means DefaultTimeout.
	Timeout time.Duration

	// Size is the payload of each request in bytes, 8 to 65507. Zero means
	// DefaultSize.
	Size int

	// TTL is the time to live (IPv4) or hop limit (IPv6) of the requests, 1 to
	// 255. Zero means the system's default.
	TTL int

	// DSCP is the differentiated services code point of the requests, 0 to 63
	// (RFC 2474). The default is zero, best effort.
	DSCP int

	// Family is the IP version to resolve a name to. The zero value,
	// FamilyAuto, takes IPv4 if the host has both and both work here.
	Family Family

	// Source is the local address to send from. With the zero Addr the system
	// chooses.
	Source netip.Addr

	// Interface is the name of the network interface to send from. If it is
	// empty, the routing table decides. An IPv6 address that is valid only on its
	// link (link-local unicast or multicast) needs a zone or an Interface, unless
	// only one link has IPv6.
	Interface string

	// Mark is the firewall mark of the requests (Linux, needs CAP_NET_ADMIN
	// or, since Linux 5.18, CAP_NET_RAW). Zero means none.
	Mark uint32

	// Flow, if not zero, keeps everything the same by which routers choose
	// between paths of equal cost: addresses, ICMP type, code, identifier and
	// checksum, and the IPv6 flow label. All echoes of all series of a Pinger
	// with this Flow take the same path to an address, whatever their sequence
	// number, TTL, DSCP and Size, as long as the path stays the same. Another
	// Flow has another checksum and label, and may take another path. Two bytes
	// after the cookie balance the checksum (as in Paris traceroute, Augustin et
	// al., 2006), so Size must be at least 10. The portable socket leaves the
	// label to the system. Zero means that each echo has a checksum of its own.
	Flow uint16

	// DontFragment forbids fragmentation on the way and ignores the path MTU
	// that the system has stored, so a router that cannot forward the packet
	// reports it. By default requests may be fragmented: over IPv4 by any router,
	// over IPv6 by this system. IPv4 packets of up to 68 bytes are always sent as
	// if DontFragment were set, because every link carries them (RFC 791).
	DontFragment bool

	// OnEcho, if not nil, is called for everything that happens to an echo: its
	// reply, duplicate, late or corrupt reply, error or timeout. Calls come one
	// at a time and in order, before the result of the series. OnEcho may be
	// slow: the measuring does not wait for it. It may call [Run.Cancel] and
	// [Pinger.Go], but it must not wait for its Pinger: see "Callbacks" in the
	// package documentation.
	OnEcho func(Echo)
}

// withDefaults returns o with every zero field that has a default filled in.
func (o Options) withDefaults() Options {
	if o.Count == 0 {
		o.Count = DefaultCount
	}
	if o.Keep == 0 {
		o.Keep = foreverKept
	}
	if o.Interval == 0 {
		o.Interval = DefaultInterval
	}
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	if o.Size == 0 {
		o.Size = DefaultSize
	}
	return o
}

// Validate reports every field that is out of range, each as an [*OptionError],
// joined. It returns nil if there is none. It does not check that Source and
// Interface exist: that is checked when the series starts.
func (o Options) Validate() error {
	o = o.withDefaults()
	var errs []error
	fault := func(field string, value any, want string) {
		errs = append(errs, &OptionError{Field: field, Value: fmt.Sprint(value), Want: want})
	}
	if o.Count != Forever && (o.Count < 1 || o.Count > maxCount) {
		fault("count", o.Count, "1 to 1073741824")
	}
	if o.Keep < 0 || o.Keep > foreverKept {
		fault("keep", o.Keep, "1 to 4096, or 0 for 4096")
	}
	if o.Interval < minInterval || o.Interval > maxInterval {
		fault("interval", o.Interval, "1ms to 24h")
	}
	if o.Timeout < minTimeout || o.Timeout > maxTimeout {
		fault("timeout", o.Timeout, "1ms to 1h")
	}
	if n := o.Timeout / max(o.Interval, minInterval); n >= maxRing && (o.Count == Forever || o.Count > maxRing) {
		fault("timeout", o.Timeout, fmt.Sprintf("less than %d intervals: no more echoes in flight can be told apart", maxRing))
	}
	if o.Size < minSize || o.Size > maxSize {
		fault("size", o.Size, "8 to 65507 bytes of payload")
	} else if o.Flow != 0 && o.Size < minFlowSize {
		fault("size", o.Size, "10 to 65507 bytes of payload with a flow")
	}
	if o.TTL < 0 || o.TTL > 255 {
		fault("ttl", o.TTL, "1 to 255, or 0 for the system's default")
	}
	if o.DSCP < 0 || o.DSCP > 63 {
		fault("dscp", o.DSCP, "0 to 63")
	}
	if o.Family > FamilyIPv6 {
		fault("family", o.Family, "auto, ipv4 or ipv6")
	}
	if o.Source.IsValid() && o.Family != FamilyAuto && familyOf(o.Source.Unmap()) != o.Family {
		fault("source", o.Source, "an address of the family "+o.Family.String())
	}
	return joinFaults(errs)
}

// Family is an IP version.
type Family uint8

// The families. FamilyAuto takes IPv4 if a host has both and both work here.
const (
	FamilyAuto Family = iota
	FamilyIPv4
	FamilyIPv6
)

var familyNames = [...]string{"auto", "ipv4", "ipv6"}

// String returns "auto", "ipv4" or "ipv6".
func (f Family) String() string { return enumName(familyNames[:], int(f)) }

// UnmarshalText accepts what [Family.String] returns.
func (f *Family) UnmarshalText(text []byte) error {
	return parseEnum(f, familyNames[:], "family", text)
}

// familyOf returns the family of addr; an IPv4-mapped IPv6 address is IPv6.
func familyOf(addr netip.Addr) Family {
	if addr.Is4() {
		return FamilyIPv4
	}
	return FamilyIPv6
}

// SocketKind is a kind of socket.
type SocketKind uint8

// The kinds of socket. SocketAuto, the zero value, takes raw if it is allowed,
// otherwise datagram.
const (
	SocketAuto SocketKind = iota
	SocketRaw
	SocketDatagram
)

var socketNames = [...]string{"auto", "raw", "datagram"}

// String returns "auto", "raw" or "datagram".
func (k SocketKind) String() string { return enumName(socketNames[:], int(k)) }

// UnmarshalText accepts what [SocketKind.String] returns.
func (k *SocketKind) UnmarshalText(text []byte) error {
	return parseEnum(k, socketNames[:], "socket", text)
}

// Timestamps is the source of the two times whose difference is a round-trip
// time. The values are in order, from the least to the most exact.
type Timestamps uint8

// The sources of times. If they differ within a series, its result has the least
// exact one.
const (
	// TimestampsNone: there was no round-trip time.
	TimestampsNone Timestamps = iota
	// TimestampsUser: this process took both times.
	TimestampsUser
	// TimestampsKernelRX: the kernel took the time of the reply, this process
	// that of the request.
	TimestampsKernelRX
	// TimestampsKernel: the kernel took both times.
	TimestampsKernel
)

var timestampsNames = [...]string{"none", "user", "kernel-rx", "kernel"}

// String returns "none", "user", "kernel-rx" or "kernel".
func (t Timestamps) String() string { return enumName(timestampsNames[:], int(t)) }

// enumName returns the name of value i, or "unknown(i)".
func enumName(names []string, i int) string {
	if i >= len(names) {
		return fmt.Sprintf("unknown(%d)", i)
	}
	return names[i]
}

// parseEnum sets dst to the value that text names.
func parseEnum[E ~uint8](dst *E, names []string, field string, text []byte) error {
	for i, n := range names {
		if n == string(text) {
			*dst = E(i)
			return nil
		}
	}
	return &OptionError{Field: field, Value: string(text), Want: orList(names)}
}

// orList joins two or more names to "a, b or c".
func orList(names []string) string {
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}
