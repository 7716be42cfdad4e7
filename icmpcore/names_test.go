package icmpcore

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"
	"testing"
)

func TestASCIIName(t *testing.T) {
	for host, want := range map[string]string{
		"b.test": "b.test", "B.Test": "B.Test", "_my_host.test.": "_my_host.test.", "r3---sn.test": "r3---sn.test", "": "",
		"xn--mnchen-3ya.test": "xn--mnchen-3ya.test", "münchen.test": "xn--mnchen-3ya.test", "MÜNCHEN.test": "xn--mnchen-3ya.test",
		"mu\u0308nchen.test": "xn--mnchen-3ya.test", // with a combining mark
		"straße.test":        "xn--strae-oqa.test",  // IDNA 2008: not strasse
		"例え。テスト":             "xn--r8jz45g.xn--zckzah",
	} {
		if got, err := asciiName(host); got != want || err != nil {
			t.Errorf("asciiName(%q) = %q, %v, want %q", host, got, err, want)
		}
	}
	for _, host := range []string{"a b.münchen", "ü\u200b\u2028", "-ü.test", "\xff.test", "☃/x"} {
		if got, err := asciiName(host); err == nil {
			t.Errorf("asciiName(%q) = %q, want an error", host, got)
		}
	}
}

// TestLookupText checks the texts of failures. None has the source port of a
// query, and none has the name twice.
func TestLookupText(t *testing.T) {
	const server = "127.0.0.53:53"
	for _, tt := range []struct {
		err    error
		family Family
		want   string
	}{
		{&net.DNSError{Err: "no such host", Name: "b.test", Server: server, IsNotFound: true}, FamilyAuto, "no such host"},
		{&net.DNSError{Err: "no such host", Name: "b.test", IsNotFound: true}, FamilyIPv4, "no IPv4 address"},
		{&net.DNSError{Err: "no such host", Name: "b.test", IsNotFound: true}, FamilyIPv6, "no IPv6 address"},
		{&net.DNSError{Err: "read udp 127.0.0.1:40123->127.0.0.53:53: i/o timeout", Server: server, IsTimeout: true}, FamilyAuto,
			"the DNS server 127.0.0.53 did not answer in time"},
		{&net.DNSError{Err: "i/o timeout", Server: "[2001:db8::53]:53", IsTimeout: true}, FamilyAuto, "the DNS server 2001:db8::53 did not answer in time"},
		{&net.DNSError{Err: "i/o timeout", Server: "127.0.0.1:5353", IsTimeout: true}, FamilyAuto, "the DNS server 127.0.0.1:5353 did not answer in time"},
		{&net.DNSError{Err: "read udp 127.0.0.1:40123->127.0.0.53:53: read: connection refused", Server: server, IsTemporary: true}, FamilyIPv4,
			"cannot query the DNS server 127.0.0.53: connection refused"},
		{&net.DNSError{Err: "server misbehaving", Server: server, IsTemporary: true}, FamilyAuto, "the DNS server 127.0.0.53 answered with a failure"},
		{&net.DNSError{Err: "lame referral", Server: server}, FamilyAuto, "the DNS server 127.0.0.53: lame referral"},
		{unanswered("b.test", context.DeadlineExceeded), FamilyAuto, "the DNS did not answer in time"},
		{unanswered("b.test", context.Canceled), FamilyAuto, "context canceled"},
		{explained(&net.DNSError{Err: "dial udp 127.0.0.53:53: socket: too many open files", Server: server}), FamilyIPv6, "cannot query the DNS: too many open files"},
		{errNoAddress, FamilyIPv4, "not an IPv4 address"},
		{errNoAddress, FamilyIPv6, "not an IPv6 address"},
		{errors.New("odd"), FamilyAuto, "odd"},
	} {
		e := &ResolveError{Host: "b.test", Family: tt.family, Err: tt.err}
		if got := e.Error(); got != "lookup b.test: "+tt.want {
			t.Errorf("%v (%s): %q, want %q", tt.err, tt.family, got, tt.want)
		}
	}
	if err := unanswered("b.test", context.DeadlineExceeded); !errors.Is(err, context.DeadlineExceeded) || !err.IsTimeout {
		t.Errorf("%#v is no timeout", err)
	}
}

// TestExplained checks that a cause that is only in the text of the resolver's
// error is found.
func TestExplained(t *testing.T) {
	for text, want := range map[string]error{
		"dial udp 127.0.0.53:53: socket: too many open files": syscall.EMFILE,
		"socket: too many open files in system":               syscall.ENFILE,
		"server misbehaving":                                  nil,
	} {
		before := &net.DNSError{Err: text, Name: "b.test"}
		got := explained(before)
		if want == nil && got != before || want != nil && (!errors.Is(got, want) || before.UnwrapErr != nil) {
			t.Errorf("%q: %#v, want one that wraps %v", text, got, want)
		}
	}
	if already := explained(&net.DNSError{Err: "too many open files", UnwrapErr: os.ErrClosed}); errors.Is(already, syscall.EMFILE) {
		t.Error("an error that has its cause gets another")
	}
}
