package sweep_test

import (
	"errors"
	"net"
	"net/netip"
	"testing"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/sweep"
)

// TestLend: a sweep that is interrupted ends its series and hands over their results, and
// the Pinger goes on for others.
func TestLend(t *testing.T) {
	p, err := icmpcore.Open(icmpcore.Config{})
	var denied *icmpcore.PermissionError
	if errors.As(err, &denied) {
		t.Skipf("no socket: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	target := icmpcore.Target{Addr: netip.MustParseAddr("127.0.0.1")}
	forever := icmpcore.Options{Count: icmpcore.Forever}
	lent := sweep.Lend(p)
	result := make(chan icmpcore.PingResult, 1)
	if _, err := lent.Go(target, forever, func(r icmpcore.PingResult) { result <- r }); err != nil {
		t.Fatal(err)
	}
	if err := lent.Close(); err != nil {
		t.Error(err)
	}
	select {
	case r := <-result:
		if r.Err == nil {
			t.Errorf("a series that was interrupted has no error: %+v", r)
		}
	default:
		t.Error("Close returned before the result was handed over")
	}
	if _, err := lent.Go(target, forever, nil); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a series after Close: %v", err)
	}
	other := make(chan icmpcore.PingResult, 1)
	if _, err := p.Go(target, icmpcore.Options{Count: 1}, func(r icmpcore.PingResult) { other <- r }); err != nil {
		t.Fatal(err)
	}
	if r := <-other; r.Sent != 1 {
		t.Errorf("the Pinger after a sweep: %v", &r)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}
