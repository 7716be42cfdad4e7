package icmpcore_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
)

func openOrSkip(t *testing.T, cfg icmpcore.Config) *icmpcore.Pinger {
	t.Helper()
	p, err := icmpcore.Open(cfg)
	var refused *icmpcore.PermissionError
	if errors.As(err, &refused) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return p
}

func TestResolve(t *testing.T) {
	p := openOrSkip(t, icmpcore.Config{})
	tests := []struct {
		host   string
		family icmpcore.Family
		want   string
		err    bool
	}{
		{host: "127.0.0.1", want: "127.0.0.1"},
		{host: "::1", want: "::1"},
		{host: "::ffff:127.0.0.1", want: "127.0.0.1"},
		{host: "fe80::1%lo", want: "fe80::1%lo"},
		{host: "localhost", family: icmpcore.FamilyIPv4, want: "127.0.0.1"},
		{host: "127.0.0.1", family: icmpcore.FamilyIPv6, err: true},
		{host: "::1", family: icmpcore.FamilyIPv4, err: true},
		{host: "", err: true},
		{host: "no.such.host.invalid", err: true},
		{host: "127.0.0.1.", err: true},
	}
	for _, tt := range tests {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		got, err := p.Resolve(ctx, tt.host, tt.family)
		cancel()
		if tt.err {
			var resolve *icmpcore.ResolveError
			if !errors.As(err, &resolve) || resolve.Host != tt.host {
				t.Errorf("Resolve(%q, %s) = %v, %v, want a ResolveError", tt.host, tt.family, got, err)
			}
			continue
		}
		if err != nil || got.Addr != netip.MustParseAddr(tt.want) || got.Host != tt.host {
			t.Errorf("Resolve(%q, %s) = %v, %v, want %s", tt.host, tt.family, got, err, tt.want)
		}
	}
}

// TestResolveContext has a resolver that never answers and a context that ends.
func TestResolveContext(t *testing.T) {
	hang := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	p := openOrSkip(t, icmpcore.Config{Resolver: hang})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r, err := p.Ping(ctx, "name.example", icmpcore.Options{})
	var resolve *icmpcore.ResolveError
	if !errors.As(err, &resolve) || r.Err != err || r.Sent != 0 || r.Host != "name.example" {
		t.Errorf("Ping = %+v, %v, want a ResolveError", r, err)
	}
}

func TestRefusedBeforeSending(t *testing.T) {
	p := openOrSkip(t, icmpcore.Config{})
	never := func(icmpcore.PingResult) { t.Error("done is called") }
	tests := []struct {
		name   string
		target icmpcore.Target
		opts   icmpcore.Options
		field  string
	}{
		{"no address", icmpcore.Target{Host: "x"}, icmpcore.Options{}, "address"},
		{"unspecified", icmpcore.Target{Addr: netip.IPv4Unspecified()}, icmpcore.Options{}, "address"},
		{"size", icmpcore.Target{Addr: netip.MustParseAddr("127.0.0.1")}, icmpcore.Options{Size: 1}, "size"},
		{"source of the other family", icmpcore.Target{Addr: netip.MustParseAddr("127.0.0.1")}, icmpcore.Options{Source: netip.MustParseAddr("::1")}, "source"},
		{"interface", icmpcore.Target{Addr: netip.MustParseAddr("127.0.0.1")}, icmpcore.Options{Interface: "nowhere0"}, "interface"},
	}
	for _, tt := range tests {
		_, err := p.Go(tt.target, tt.opts, never)
		var option *icmpcore.OptionError
		if !errors.As(err, &option) || option.Field != tt.field {
			t.Errorf("%s: %v, want an OptionError of %s", tt.name, err, tt.field)
		}
	}
	if _, err := icmpcore.Open(icmpcore.Config{Socket: 9}); err == nil {
		t.Error("Open accepts an unknown kind of socket")
	}
	if s := p.Stats(); s.Sent != 0 {
		t.Errorf("%d requests sent", s.Sent)
	}
}
