package netsim

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"
)

func TestTable(t *testing.T) {
	rule := func(prefix string, ttl uint8) Rule { return Rule{Prefix: netip.MustParsePrefix(prefix), TTL: ttl} }
	table, err := newTable([]Rule{
		rule("198.18.0.0/15", 1),
		rule("198.18.1.0/24", 2),
		rule("198.18.1.7/32", 3),
		rule("198.18.1.9/24", 4), // the same prefix as the second, which it replaces
		rule("2001:db8::/32", 5),
		rule("2001:db8::7/128", 6),
		rule("0.0.0.0/0", 7),
	})
	if err != nil {
		t.Fatal(err)
	}
	for a, want := range map[string]uint8{
		"198.19.255.255": 1, "198.18.1.1": 4, "198.18.1.7": 3, "2001:db8::8": 5, "2001:db8::7": 6, "10.0.0.1": 7, "2001:db9::1": 0,
	} {
		got := uint8(0)
		if r := table.find(netip.MustParseAddr(a)); r != nil {
			got = r.TTL
		}
		if got != want {
			t.Errorf("find(%s) = rule %d, want %d", a, got, want)
		}
	}
}

func TestTableRefuses(t *testing.T) {
	for name, r := range map[string]Rule{
		"no prefix": {},
		"loss":      {Prefix: netip.MustParsePrefix("::/0"), Loss: 1.01},
	} {
		if _, err := newTable([]Rule{r}); err == nil {
			t.Errorf("%s: newTable = nil, want an error", name)
		}
	}
}

func TestPeak(t *testing.T) {
	var arrived []Request
	for _, at := range []time.Duration{0, 10, 20, 21, 22, 40, 41, 100} {
		arrived = append(arrived, Request{At: at})
	}
	for window, want := range map[time.Duration]int{1: 1, 2: 2, 3: 3, 13: 4, 20: 4, 21: 4, 22: 5, 23: 5, 101: 8} {
		if got := peak(arrived, window); got != want {
			t.Errorf("peak(%v) = %d, want %d", window, got, want)
		}
	}
	if got := peak(nil, time.Second); got != 0 {
		t.Errorf("peak of nothing = %d, want 0", got)
	}
}

func TestAwait(t *testing.T) {
	var r record
	ended := make(chan error)
	go func() { ended <- r.await(t.Context(), chunkSize+1) }()
	for range chunkSize + 1 {
		r.add(&Request{Dst: peer4})
	}
	if err := <-ended; err != nil {
		t.Errorf("await = %v, want nil", err)
	}
	all := r.all()
	if len(all) != chunkSize+1 || all[chunkSize].N != chunkSize {
		t.Errorf("%d requests, want %d in order", len(all), chunkSize+1)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.await(ctx, chunkSize+2); !errors.Is(err, context.Canceled) {
		t.Errorf("await = %v, want canceled", err)
	}
	r.reset()
	r.add(&Request{Dst: peer4})
	if all := r.all(); len(all) != 1 || all[0].N != 0 {
		t.Errorf("after reset: %+v, want one request with number 0", all)
	}
}
