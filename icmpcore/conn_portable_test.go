package icmpcore

import (
	"errors"
	"net/netip"
	"os"
	"testing"
	"time"
)

// TestPortableTrouble has a portable socket fail to receive for good: its series
// end with the reason, and the other family goes on.
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
	if err := c.socks[1].SetReadDeadline(time.Unix(1, 0)); err != nil { // stands for any error that stays
		t.Fatal(err)
	}
	if r := <-results; !errors.Is(r.Err, os.ErrDeadlineExceeded) {
		t.Errorf("the family's series ended with %v", r.Err)
	}
	if kind := p.Socket(FamilyIPv6); kind != SocketAuto {
		t.Errorf("the family still has a %s socket", kind)
	}
	if r, err := p.Ping(t.Context(), "127.0.0.1", Options{}); err != nil || r.Received != 1 {
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
