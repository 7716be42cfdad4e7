package icmpcore

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// portableConn is the conn over golang.org/x/net/icmp. It handles one packet a
// call and has one reader for each socket. This process takes the times.
type portableConn struct {
	socks  [2]*portableSock // IPv4, IPv6; nil if there is none
	errs   [2]error         // why there is none
	ready  chan struct{}    // holds one element if something has come in or wake was called
	reader sync.WaitGroup   // ends when the sockets are closed; close waits for it
	once   sync.Once
	closed error // the error of close

	mu      sync.Mutex // guards the fields below
	arrived []event
	given   []event // what receive returned last, for reuse
	readers int     // sockets that still receive
	ended   error   // why none does
}

// portableSock is one socket of x/net/icmp.
type portableSock struct {
	*icmp.PacketConn
	family   Family
	kind     SocketKind
	id       uint16
	ttl, tos int  // as set on the socket now
	system   int  // the system's TTL
	noDSCP   bool // the system does not set the traffic class, or does not put it into the packet
	header   bool // IPv4: replies are read with their header, because the system reports the TTL in no other way
	buf      []byte
	lost     atomic.Pointer[error] // why it receives nothing any more
}

// openPortable opens the sockets: of the requested kind, or raw and otherwise
// datagram.
func openPortable(kind SocketKind) (conn, error) { return openPortableBy(kind, icmp.ListenPacket) }

// listen opens one socket, as [icmp.ListenPacket] does.
type listen func(network, address string) (*icmp.PacketConn, error)

func openPortableBy(kind SocketKind, open listen) (conn, error) {
	c := &portableConn{ready: make(chan struct{}, 1)}
	opened := 0
	for i := range c.socks {
		s, err := openPortableSock(FamilyIPv4+Family(i), kind, open)
		if err != nil {
			c.errs[i] = err
			continue
		}
		c.socks[i] = s
		opened++
		c.mu.Lock()
		c.readers++
		c.mu.Unlock()
		c.reader.Go(func() { c.readAll(s) })
	}
	if opened > 0 {
		return c, nil
	}
	for _, err := range c.errs {
		if socketRefused(err) {
			return nil, newPermissionError(kind, err)
		}
	}
	return nil, errors.Join(c.errs[:]...)
}

func openPortableSock(f Family, kind SocketKind, open listen) (*portableSock, error) {
	if kind == SocketAuto {
		return openEither(func(kind SocketKind) (*portableSock, error) { return openPortableSock(f, kind, open) })
	}
	network, any := "ip4:icmp", "0.0.0.0"
	if f == FamilyIPv6 {
		network, any = "ip6:ipv6-icmp", "::"
	}
	if kind == SocketDatagram {
		network = map[Family]string{FamilyIPv4: "udp4", FamilyIPv6: "udp6"}[f]
	}
	pc, err := open(network, any)
	if err != nil {
		return nil, err
	}
	s := &portableSock{PacketConn: pc, family: f, kind: kind, id: newID(pc.LocalAddr())}
	if err := s.setUp(); err != nil {
		pc.Close() // the error of setUp is the one to report
		return nil, err
	}
	return s, nil
}

// newID returns the identifier of a socket's requests: its port if the system
// uses the port as the identifier, otherwise a random one.
func newID(local net.Addr) uint16 {
	if u, ok := local.(*net.UDPAddr); ok && u.Port != 0 {
		return uint16(u.Port)
	}
	var id [2]byte
	for id == [2]byte{} {
		rand.Read(id[:])
	}
	return binary.BigEndian.Uint16(id[:])
}

// portableBuffer is the requested size of the receive buffer. A system may give
// less or refuse. Replies are then lost in a burst.
const portableBuffer = 4 << 20

// setUp requests room for bursts and the TTL of replies, and finds out what the
// system does not support. Windows has no control messages here, and accepts an
// IPv4 type of service without putting it into the packet.
func (s *portableSock) setUp() (err error) {
	enlarge := func(under net.PacketConn) {
		if b, ok := under.(interface{ SetReadBuffer(int) error }); ok {
			_ = b.SetReadBuffer(portableBuffer)
		}
	}
	if s.family == FamilyIPv4 {
		p := s.IPv4PacketConn()
		enlarge(p.PacketConn)
		_, raw := p.PacketConn.(*net.IPConn)
		s.header = p.SetControlMessage(ipv4.FlagTTL, true) != nil && raw
		s.noDSCP = runtime.GOOS == "windows"
		s.system, err = p.TTL()
	} else {
		p := s.IPv6PacketConn()
		enlarge(p.PacketConn)
		_ = p.SetControlMessage(ipv6.FlagHopLimit|ipv6.FlagTrafficClass, true) // if this fails, results do not have them
		_, unknown := p.TrafficClass()
		s.noDSCP = unknown != nil
		s.system, err = p.HopLimit()
	}
	s.ttl = s.system
	return err
}

func (c *portableConn) sock(f Family) *portableSock { return c.socks[f-FamilyIPv4] }

func (c *portableConn) socket(f Family) (SocketKind, error) {
	if s := c.sock(f); s != nil {
		if why := s.lost.Load(); why != nil {
			return SocketAuto, *why
		}
		return s.kind, nil
	}
	return SocketAuto, c.errs[f-FamilyIPv4]
}

func (c *portableConn) id(f Family) uint16 {
	if s := c.sock(f); s != nil {
		return s.id
	}
	return 0
}

func (c *portableConn) stamps() Timestamps { return TimestampsUser }

// prepare refuses the options that need control messages, because not every
// system has them.
func (c *portableConn) prepare(p *profile, f Family) error {
	var errs []error
	refuse := func(field, value string, set bool) {
		if set {
			errs = append(errs, &OptionError{Field: field, Value: value, Want: "none: the portable socket does not support it"})
		}
	}
	o := p.opts
	if s := c.sock(f); s != nil && s.noDSCP && o.DSCP != 0 {
		errs = append(errs, &OptionError{Field: "dscp", Value: strconv.Itoa(o.DSCP),
			Want: fmt.Sprintf("none: this system does not set it in %s packets", f)})
	}
	refuse("source", o.Source.String(), o.Source.IsValid())
	refuse("interface", o.Interface, o.Interface != "")
	refuse("mark", strconv.FormatUint(uint64(o.Mark), 10), o.Mark != 0)
	refuse("dont-fragment", "true", o.DontFragment)
	return joinFaults(errs)
}

func (c *portableConn) send(f Family, _ bool, reqs []request) (int, error) {
	s := c.sock(f)
	for i := range reqs {
		err := s.send(&reqs[i])
		switch {
		case err == nil:
		case isFull(err):
			return i, errFull
		default:
			return i, err
		}
	}
	return len(reqs), nil
}

func (s *portableSock) send(r *request) error {
	if err := s.setHeader(r.prof.opts); err != nil {
		return err
	}
	var head [longHead]byte
	r.prof.putHead(&head, s.family, s.id, r.seq, r.cookie)
	s.buf = append(append(s.buf[:0], head[:r.prof.headSize()]...), r.prof.payload...)
	zone := ""
	if r.zone != 0 {
		zone = r.addr.Zone()
	}
	ip := net.IPAddr{IP: r.addr.AsSlice(), Zone: zone}
	var to net.Addr = &ip
	if s.kind == SocketDatagram {
		to = &net.UDPAddr{IP: ip.IP, Zone: zone}
	}
	_, err := s.WriteTo(s.buf, to)
	return err
}

// setHeader sets the socket's TTL and traffic class if they differ from those
// of the request.
func (s *portableSock) setHeader(o Options) error {
	ttl, tos := o.TTL, o.DSCP<<2
	if ttl == 0 {
		ttl = s.system
	}
	var errs [2]error
	if ttl != s.ttl {
		if s.family == FamilyIPv4 {
			errs[0] = s.IPv4PacketConn().SetTTL(ttl)
		} else {
			errs[0] = s.IPv6PacketConn().SetHopLimit(ttl)
		}
	}
	if tos != s.tos && !s.noDSCP {
		if s.family == FamilyIPv4 {
			errs[1] = s.IPv4PacketConn().SetTOS(tos)
		} else {
			errs[1] = s.IPv6PacketConn().SetTrafficClass(tos)
		}
	}
	if err := errors.Join(errs[:]...); err != nil {
		return err
	}
	s.ttl, s.tos = ttl, tos
	return nil
}

// readAll queues what comes in until the socket is closed or fails for good.
func (c *portableConn) readAll(s *portableSock) {
	buf := make([]byte, largestMessage)
	for troubles := 0; ; {
		ev, err := s.read(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			troubles = 0
		} else if ev = (event{kind: eventTrouble}); troubles == maxTroubles {
			c.lose(s, err)
			return
		} else {
			troubles++
		}
		if ev.kind == eventReply && len(ev.message) == 0 {
			continue // a raw socket also gets requests to its own host
		}
		c.mu.Lock()
		c.arrived = append(c.arrived, ev)
		c.mu.Unlock()
		c.wake()
	}
}

// lose records that a socket no longer receives. With the last one the conn ends.
func (c *portableConn) lose(s *portableSock, err error) {
	s.lost.Store(&err)
	c.mu.Lock()
	c.arrived = append(c.arrived, event{kind: eventLost, family: s.family, fault: err})
	if c.readers--; c.readers == 0 {
		c.ended = err
	}
	c.mu.Unlock()
	c.wake()
}

// largestMessage is the size of the longest possible ICMP message.
const largestMessage = 1 << 16

func (s *portableSock) read(buf []byte) (event, error) {
	ev := event{kind: eventReply, family: s.family, noTOS: true, unverified: s.family == FamilyIPv4}
	var n int
	var from net.Addr
	var err error
	switch {
	case s.header:
		n, from, err = s.readHeader(buf, &ev)
	case s.family == FamilyIPv4:
		var cm *ipv4.ControlMessage
		if n, cm, from, err = s.IPv4PacketConn().ReadFrom(buf); cm != nil {
			ev.ttl = uint8(cm.TTL)
		}
	default:
		var cm *ipv6.ControlMessage
		if n, cm, from, err = s.IPv6PacketConn().ReadFrom(buf); cm != nil {
			ev.ttl, ev.tos, ev.noTOS = uint8(cm.HopLimit), uint8(cm.TrafficClass), false
		}
	}
	ev.stamp = time.Now().UnixNano()
	if err != nil {
		return event{}, err
	}
	if ev.from, ev.zone, err = addrOf(from); err != nil {
		return event{}, err
	}
	if n > 0 && buf[0] == requestType(s.family) {
		return event{}, nil
	}
	message := append([]byte(nil), buf[:n]...)
	if n > 0 && message[0] == replyType(s.family) {
		ev.message = message
		return ev, nil
	}
	var ok bool
	if ev.err, ok = parseICMPError(message, s.family); !ok || ev.unverified && !checksumRight(message) {
		return event{kind: eventForeign}, nil
	}
	ev.kind = eventError
	return ev, nil
}

// readHeader reads an IPv4 packet into buf, takes the values of its header, and
// leaves only the message in buf. If the system strips the header there are no
// values.
func (s *portableSock) readHeader(buf []byte, ev *event) (int, net.Addr, error) {
	n, _, _, from, err := s.IPv4PacketConn().PacketConn.(*net.IPConn).ReadMsgIP(buf, nil)
	if err != nil {
		return 0, nil, err
	}
	const least = 20
	length := int(buf[0]&0xf) * 4
	if n < least || buf[0]>>4 != 4 || length < least || n < length { // not a message with a header: ICMP types 64 to 79 are unassigned
		return n, from, nil
	}
	ev.tos, ev.ttl, ev.noTOS = buf[1], buf[8], false
	return copy(buf, buf[length:n]), from, nil
}

// addrOf splits an address of package net into ours.
func addrOf(a net.Addr) (netip.Addr, uint32, error) {
	ip, zone := net.IP(nil), ""
	switch a := a.(type) {
	case *net.IPAddr:
		ip, zone = a.IP, a.Zone
	case *net.UDPAddr:
		ip, zone = a.IP, a.Zone
	}
	addr, ok := netip.AddrFromSlice(ip)
	if !ok {
		return netip.Addr{}, 0, errors.New("packet without a source address")
	}
	index, err := zoneIndex(addr.WithZone(zone))
	return addr.Unmap(), index, err
}

func (c *portableConn) receive() (evs []event, more bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.given)
	evs, c.arrived = c.arrived, c.given[:0]
	c.given = evs
	return evs, false, c.ended
}

func (c *portableConn) wait(d time.Duration, _ bool) {
	if d < 0 {
		<-c.ready
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-c.ready:
	case <-timer.C:
	}
}

func (c *portableConn) wake() {
	select {
	case c.ready <- struct{}{}:
	default: // a wake is pending already
	}
}

func (c *portableConn) close() error {
	c.once.Do(func() {
		var errs []error
		for _, s := range c.socks {
			if s != nil {
				errs = append(errs, s.Close())
			}
		}
		c.reader.Wait()
		c.closed = errors.Join(errs...)
	})
	return c.closed
}
