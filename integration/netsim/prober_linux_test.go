package netsim_test

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const (
	testID  = 0x4242
	fenceID = 0x7e7e
)

// reply is an ICMP message from a raw socket.
type reply struct {
	from     netip.Addr
	ttl, tos int
	options  int // bytes of IPv4 options
	msg      []byte
	at       time.Time
}

func (r *reply) typ() int  { return int(r.msg[0]) }
func (r *reply) code() int { return int(r.msg[1]) }
func (r *reply) id() int   { return int(binary.BigEndian.Uint16(r.msg[4:])) }
func (r *reply) seq() int  { return int(binary.BigEndian.Uint16(r.msg[6:])) }
func (r *reply) info() int { return int(binary.BigEndian.Uint32(r.msg[4:])) }

// prober is a raw socket of one family.
type prober struct {
	t  *testing.T
	fd int
	v4 bool
}

func newProber(t *testing.T, v4 bool) *prober {
	t.Helper()
	family, proto := unix.AF_INET, unix.IPPROTO_ICMP
	if !v4 {
		family, proto = unix.AF_INET6, unix.IPPROTO_ICMPV6
	}
	fd, err := unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC, proto)
	if err != nil {
		t.Fatalf("socket: %v", err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	p := &prober{t, fd, v4}
	// This only ends a test that hangs; no result depends on its length.
	tv := unix.NsecToTimeval(int64(10 * time.Second))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv); err != nil {
		t.Fatal(err)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64<<20); err != nil {
		t.Logf("receive buffer: %v", err)
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 64<<20)
	}
	if !v4 {
		p.set(unix.IPPROTO_IPV6, unix.IPV6_RECVHOPLIMIT, 1)
		p.set(unix.IPPROTO_IPV6, unix.IPV6_RECVTCLASS, 1)
	}
	return p
}

func (p *prober) set(level, opt, value int) {
	p.t.Helper()
	if err := unix.SetsockoptInt(p.fd, level, opt, value); err != nil {
		p.t.Fatalf("setsockopt(%d, %d, %d): %v", level, opt, value, err)
	}
}

func (p *prober) setTTL(ttl int) {
	p.t.Helper()
	if p.v4 {
		p.set(unix.IPPROTO_IP, unix.IP_TTL, ttl)
	} else {
		p.set(unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS, ttl)
	}
}

func (p *prober) setTOS(tos int) {
	p.t.Helper()
	if p.v4 {
		p.set(unix.IPPROTO_IP, unix.IP_TOS, tos)
	} else {
		p.set(unix.IPPROTO_IPV6, unix.IPV6_TCLASS, tos)
	}
}

// message is an echo request; the kernel fills in the sum of ICMPv6 only.
func (p *prober) message(id, seq int, payload []byte) []byte {
	b := make([]byte, 8, 8+len(payload))
	b[0] = 128
	if p.v4 {
		b[0] = 8
	}
	binary.BigEndian.PutUint16(b[4:], uint16(id))
	binary.BigEndian.PutUint16(b[6:], uint16(seq))
	b = append(b, payload...)
	if p.v4 {
		binary.BigEndian.PutUint16(b[2:], plainSum(b))
	}
	return b
}

// plainSum is the Internet checksum the slow way.
func plainSum(b []byte) uint16 {
	var sum uint32
	for i, v := range b {
		sum += uint32(v) << (8 * (1 - i&1))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

func (p *prober) send(to netip.Addr, id, seq int, payload []byte) {
	p.t.Helper()
	var sa unix.Sockaddr = &unix.SockaddrInet6{Addr: to.As16()}
	if p.v4 {
		sa = &unix.SockaddrInet4{Addr: to.As4()}
	}
	if err := unix.Sendto(p.fd, p.message(id, seq, payload), 0, sa); err != nil {
		p.t.Fatalf("sending to %v: %v", to, err)
	}
}

// read returns the next message that is not a request of the prober's own.
func (p *prober) read() reply {
	p.t.Helper()
	buf, oob := make([]byte, 1<<17), make([]byte, 512)
	n, oobn, _, sa, err := unix.Recvmsg(p.fd, buf, oob, 0)
	for errors.Is(err, unix.EINTR) {
		n, oobn, _, sa, err = unix.Recvmsg(p.fd, buf, oob, 0)
	}
	if err != nil {
		p.t.Fatalf("receiving: %v", err)
	}
	r := reply{at: time.Now(), ttl: -1, tos: -1}
	if p.v4 {
		head := int(buf[0]&0x0f) * 4
		r.from = netip.AddrFrom4(sa.(*unix.SockaddrInet4).Addr)
		r.tos, r.ttl, r.options, r.msg = int(buf[1]), int(buf[8]), head-20, buf[head:n]
		return r
	}
	r.from, r.msg = netip.AddrFrom16(sa.(*unix.SockaddrInet6).Addr), buf[:n]
	messages, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil {
		p.t.Fatal(err)
	}
	for _, m := range messages {
		value := int(binary.NativeEndian.Uint32(m.Data))
		switch m.Header.Type {
		case unix.IPV6_HOPLIMIT:
			r.ttl = value
		case unix.IPV6_TCLASS:
			r.tos = value
		}
	}
	return r
}

// collect sends a request to the fence, an address whose reply comes after all expected
// replies. It returns the replies that came before that.
func (p *prober) collect(fence netip.Addr) []reply {
	p.t.Helper()
	p.send(fence, fenceID, 0, nil)
	var out []reply
	for range 1 << 20 {
		r := p.read()
		if r.from == fence && r.id() == fenceID {
			return out
		}
		out = append(out, r)
	}
	p.t.Fatal("the fence never answered")
	return nil
}
