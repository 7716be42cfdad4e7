package icmpcore

import (
	"errors"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

// fail makes fd a socket that always fails to receive: a stream socket that is
// not connected returns ENOTCONN.
func fail(t *testing.T, fd int) {
	t.Helper()
	stream, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(stream)
	if err := unix.Dup3(stream, fd, unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
}

// TestOneFamilyFails makes the socket of one family fail for good. Its series end
// with the reason, and the other family goes on.
func TestOneFamilyFails(t *testing.T) {
	for _, kind := range []SocketKind{SocketRaw, SocketDatagram} {
		t.Run(kind.String(), func(t *testing.T) {
			inNamespace(t, func(t *testing.T) { failOneFamily(t, kind) })
		})
	}
}

func failOneFamily(t *testing.T, kind SocketKind) {
	opened, err := openConn(kind)
	if err != nil {
		t.Error(err)
		return
	}
	c := opened.(*linuxConn)
	if len(c.order) < 2 {
		t.Skip("needs both IP versions")
	}
	p := newPinger(c, Config{}, systemClock())
	results := make(chan PingResult, 1)
	six := Target{Addr: netip.IPv6Loopback()}
	if _, err := p.Go(six, Options{Count: Forever}, func(r PingResult) { results <- r }); err != nil {
		t.Fatal(err)
	}
	fail(t, c.socks[1].in.fd)
	if r := <-results; !errors.Is(r.Err, unix.ENOTCONN) {
		t.Errorf("the family's series ended with %v", r.Err)
	}
	if _, err := p.Go(six, Options{}, nil); !errors.Is(err, unix.ENOTCONN) {
		t.Errorf("another series of the family: %v", err)
	}
	if r, err := p.Ping(t.Context(), "127.0.0.1", Options{Count: 3, Interval: ms}); err != nil || r.Received != 3 {
		t.Errorf("the other family: %v, %d received", err, r.Received)
	}
	if s := p.Stats(); s.ReceiveErrors < maxTroubles || s.ReceiveErrors > maxTroubles+1 {
		t.Errorf("%d failures to receive", s.ReceiveErrors)
	}
	fail(t, c.socks[0].in.fd)
	if _, err := p.Ping(t.Context(), "127.0.0.1", Options{Count: Forever}); !errors.Is(err, unix.ENOTCONN) {
		t.Errorf("with no family left: %v", err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}
