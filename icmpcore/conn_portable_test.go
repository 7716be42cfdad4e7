package icmpcore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/icmp"
)

// TestPortableTrouble makes a portable socket fail to receive for good. Its
// series end with the reason, and the other family goes on.
func TestPortableTrouble(t *testing.T) {
	opened, err := openPortable(SocketAuto)
	if err != nil {
		t.Skip(err)
	}
	c := opened.(*portableConn)
	if c.socks[0] == nil || c.socks[1] == nil {
		t.Skip("needs both IP versions")
	}
	p := newPinger(c, Config{}, systemClock())
	results := make(chan PingResult, 1)
	if _, err := p.Go(Target{Addr: netip.IPv6Loopback()}, Options{Count: Forever}, func(r PingResult) { results <- r }); err != nil {
		t.Fatal(err)
	}
	if err := c.socks[1].SetReadDeadline(time.Unix(1, 0)); err != nil { // an error that stays
		t.Fatal(err)
	}
	if r := <-results; !errors.Is(r.Err, os.ErrDeadlineExceeded) {
		t.Errorf("the family's series ended with %v", r.Err)
	}
	if kind := p.Socket(FamilyIPv6); kind != SocketAuto {
		t.Errorf("the family still has a %s socket", kind)
	}
	if r, err := p.Ping(t.Context(), "127.0.0.1", Options{Timeout: time.Minute}); err != nil || r.Received != 1 {
		t.Errorf("the other family: %v", err)
	}
	if err := c.socks[0].SetReadDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Ping(t.Context(), "127.0.0.1", Options{Count: Forever}); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("with no family left: %v", err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}

// TestPortablePermission refuses sockets in the way each system does. The error
// is a PermissionError with the remedy of that system, no matter how the second
// kind of socket failed.
func TestPortablePermission(t *testing.T) {
	noDatagram := os.NewSyscallError("socket", syscall.EPROTONOSUPPORT)
	for _, tt := range []struct {
		system, cure string
		refusal      error
	}{
		{"freebsd", "run it as root", os.NewSyscallError("socket", syscall.EPERM)},
		{"openbsd", "run it as root", os.NewSyscallError("socket", syscall.EACCES)},
		{"windows", "run it as an administrator", os.NewSyscallError("socket", errWSAAccess)},
	} {
		for _, kind := range []SocketKind{SocketAuto, SocketRaw} {
			t.Run(fmt.Sprint(tt.system, " ", kind), func(t *testing.T) {
				_, err := openPortableBy(kind, func(network, _ string) (*icmp.PacketConn, error) {
					if strings.HasPrefix(network, "udp") {
						return nil, noDatagram
					}
					return nil, &net.OpError{Op: "listen", Net: network, Err: tt.refusal}
				})
				refused, ok := errors.AsType[*PermissionError](err)
				if !ok || !errors.Is(err, fs.ErrPermission) || !errors.Is(err, tt.refusal) || errors.Is(err, noDatagram) != (kind == SocketAuto) {
					t.Fatalf("error %v, want a PermissionError of all refusals", err)
				}
				if text := refused.text(tt.system); !strings.Contains(text, tt.cure) || strings.Contains(text, "\n") {
					t.Errorf("on %s: %q, want %q on one line", tt.system, text, tt.cure)
				}
			})
		}
	}
	_, err := openPortableBy(SocketAuto, func(string, string) (*icmp.PacketConn, error) { return nil, noDatagram })
	if _, ok := errors.AsType[*PermissionError](err); ok || !errors.Is(err, noDatagram) {
		t.Errorf("a system without ICMP sockets: %v, want its error and no talk of permission", err)
	}
}

// TestPortableOneFamily has sockets for IPv4 only: for IPv6 there is the reason.
func TestPortableOneFamily(t *testing.T) {
	why := errors.New("no IPv6 here")
	c := &portableConn{errs: [2]error{nil, why}}
	c.socks[0] = &portableSock{family: FamilyIPv4, kind: SocketRaw}
	if kind, err := c.socket(FamilyIPv4); kind != SocketRaw || err != nil {
		t.Errorf("IPv4: %s, %v", kind, err)
	}
	if _, err := c.socket(FamilyIPv6); err != why {
		t.Errorf("IPv6: %v, want %v", err, why)
	}
}

// TestPortableLacks requests a traffic class on a system that does not set it.
func TestPortableLacks(t *testing.T) {
	c := &portableConn{}
	for i := range c.socks {
		c.socks[i] = &portableSock{family: FamilyIPv4 + Family(i)}
	}
	for _, lacking := range []bool{false, true} {
		for _, s := range c.socks {
			s.noDSCP = lacking
			err := c.prepare(&profile{opts: Options{DSCP: 46}}, s.family)
			wrong, refused := errors.AsType[*OptionError](err)
			if refused != lacking || refused && (wrong.Field != "dscp" || wrong.Value != "46" || !strings.Contains(wrong.Want, s.family.String())) {
				t.Errorf("dscp 46 over %s, lacking = %v: %v", s.family, lacking, err)
			}
			if err := c.prepare(&profile{}, s.family); err != nil {
				t.Errorf("no dscp over %s: %v", s.family, err)
			}
		}
	}
}

// TestPortableHeader reads replies with their IPv4 header, which is the way on
// systems without control messages.
func TestPortableHeader(t *testing.T) {
	s, err := openPortableSock(FamilyIPv4, SocketRaw, icmp.ListenPacket)
	if isPermission(err) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.header = true
	prof := &profile{opts: Options{TTL: 33, DSCP: 46}, payload: make([]byte, 16)}
	r := request{addr: netip.MustParseAddr("127.0.0.1"), prof: prof, seq: 7}
	if err := s.send(&r); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, largestMessage)
	for { // skip the request itself, and other pings of this machine
		ev, err := s.read(buf)
		if err != nil {
			t.Fatal(err)
		}
		if ev.kind != eventReply || len(ev.message) < headSize || binary.BigEndian.Uint16(ev.message[4:]) != s.id {
			continue
		}
		if ev.noTOS || ev.tos>>2 != 46 || int(ev.ttl) != s.system || len(ev.message) != headSize+16 || ev.from != r.addr {
			t.Errorf("reply %+v, want DSCP 46 and the TTL of its header", ev)
		}
		return
	}
}

// TestNewID takes the identifier from the port where the system uses it.
func TestNewID(t *testing.T) {
	if id := newID(&net.UDPAddr{Port: 4711}); id != 4711 {
		t.Errorf("of port 4711: %d", id)
	}
	for _, local := range []net.Addr{&net.UDPAddr{}, &net.IPAddr{}} {
		if a, b, c := newID(local), newID(local), newID(local); a == 0 || a == b && b == c {
			t.Errorf("of %#v: %d, %d, %d, want random ones", local, a, b, c)
		}
	}
}
