package icmpcore

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// asciiName returns the form of a name that the DNS uses. A name in ASCII stays
// as it is, because IDNA refuses underscores and there are names with
// underscores.
func asciiName(host string) (string, error) {
	if strings.IndexFunc(host, func(r rune) bool { return r >= utf8.RuneSelf }) < 0 {
		return host, nil
	}
	if !utf8.ValidString(host) {
		return "", errors.New("not a name in UTF-8")
	}
	name, err := idna.Lookup.ToASCII(host)
	if err != nil {
		return "", fmt.Errorf("not a valid international name (%s)", strings.TrimPrefix(err.Error(), "idna: "))
	}
	return name, nil
}

// explained adds the true cause to an error of the resolver, if package net has
// put it only into the text: without a file descriptor it cannot query a
// server.
func explained(dns *net.DNSError) *net.DNSError {
	for _, errno := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE} {
		if dns.UnwrapErr == nil && strings.HasSuffix(dns.Err, errno.Error()) {
			e := *dns
			e.UnwrapErr, e.IsTemporary = errno, true
			return &e
		}
	}
	return dns
}

// descriptorsOfLookup is how many file descriptors a lookup may need at once: a
// file or a socket for each query, and the same for another lookup at the same
// time.
const descriptorsOfLookup = 4

// noDescriptor returns the system's error if there are not enough file
// descriptors for a lookup. Without them package net cannot read its
// configuration. It then reports "no such host", although it has sent no query.
func noDescriptor() error {
	for range descriptorsOfLookup {
		f, err := os.Open(os.DevNull)
		var errno syscall.Errno
		switch {
		case err == nil:
			defer func() { _ = f.Close() }() // all stay open until the last one is open; nothing was written
		case errors.As(err, &errno) && (errno == syscall.EMFILE || errno == syscall.ENFILE):
			return errno
		default:
			return nil
		}
	}
	return nil
}

// lookupText says how a lookup failed, in words that stay the same every time.
// The text of the resolver contains the source port of the query.
func lookupText(err error, f Family) string {
	var dns *net.DNSError
	var errno syscall.Errno
	switch {
	case errors.Is(err, errNoAddress) && f == FamilyIPv4:
		return "not an IPv4 address"
	case errors.Is(err, errNoAddress):
		return "not an IPv6 address"
	case !errors.As(err, &dns):
		return err.Error()
	}
	server := "the DNS"
	if dns.Server != "" {
		server = "the DNS server " + dns.Server
		if host, port, err := net.SplitHostPort(dns.Server); err == nil && port == "53" {
			server = "the DNS server " + host
		}
	}
	cause := dns.Err
	if i := strings.LastIndex(cause, ": "); i >= 0 { // what a system call returned: read udp A->B: read: connection refused
		cause = cause[i+2:]
	}
	switch {
	case errors.As(dns.UnwrapErr, &errno):
		return "cannot query the DNS: " + errno.Error()
	case dns.IsNotFound && f == FamilyIPv4:
		return "no IPv4 address"
	case dns.IsNotFound && f == FamilyIPv6:
		return "no IPv6 address"
	case dns.IsNotFound:
		return "no such host"
	case errors.Is(dns, context.Canceled):
		return context.Canceled.Error()
	case dns.IsTimeout:
		return server + " did not answer in time"
	case cause == "server misbehaving":
		return server + " answered with a failure"
	case cause != dns.Err:
		return "cannot query " + server + ": " + cause
	}
	return server + ": " + cause
}
