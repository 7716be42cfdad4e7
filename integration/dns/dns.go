//go:build unix

// Package dns is a DNS server for tests. It answers each question by a rule: with
// addresses, with an error, late, or not at all.
package dns

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// Reply is the server's answer about a name.
type Reply struct {
	Addrs []netip.Addr     // the answer has those of the requested family; without one it is empty
	Hosts []string         // of SRV records, for a question for these
	Name  string           // the answer for an address, as it stands in the packet: with any bytes, and a dot at its end
	Code  dnsmessage.RCode // of a failure
	Drop  bool             // no answer
	After time.Duration
}

// Addr is the reply with addresses.
func Addr(addrs ...string) Reply {
	var r Reply
	for _, a := range addrs {
		r.Addrs = append(r.Addrs, netip.MustParseAddr(a))
	}
	return r
}

// Rule returns the answer to a question for the IPv4 or IPv6 addresses of a name, for its
// SRV records, or for the name of an address (1.200.18.198.in-addr.arpa). The name has no
// dot at the end. Calls come one at a time.
type Rule func(name string, ipv6 bool) Reply

// Server is a DNS server on port 53 of loopback, in the network namespace of the
// test.
type Server struct {
	t testing.TB

	mu   sync.Mutex // guards what follows
	conn net.PacketConn
	rule Rule
}

// Serve starts a server. It ends with the test.
func Serve(t testing.TB, rule Rule) *Server {
	t.Helper()
	s := &Server{t: t, rule: rule}
	s.Start()
	t.Cleanup(s.Stop)
	return s
}

// Start opens the port again after Stop.
func (s *Server) Start() {
	s.t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:53")
	if err != nil {
		s.t.Fatal(err)
	}
	s.mu.Lock()
	s.conn = conn
	s.mu.Unlock()
	go s.serve(conn) // ends when conn is closed
}

// Stop closes the port: from now on the system refuses questions.
func (s *Server) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.conn.Close() // closed already, at the end of the test
}

// Say changes the rule.
func (s *Server) Say(rule Rule) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rule = rule
}

func (s *Server) serve(conn net.PacketConn) {
	buf := make([]byte, 1500)
	for {
		n, from, err := conn.ReadFrom(buf)
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				s.t.Error(err)
			}
			return
		}
		var m dnsmessage.Message
		if err := m.Unpack(buf[:n]); err != nil || len(m.Questions) != 1 {
			s.t.Errorf("a DNS question of %d bytes: %v", n, err)
			continue
		}
		q := m.Questions[0]
		s.mu.Lock()
		r := s.rule(strings.TrimSuffix(q.Name.String(), "."), q.Type == dnsmessage.TypeAAAA)
		s.mu.Unlock()
		if r.Drop {
			continue
		}
		b, err := response(&m, r)
		if err != nil {
			s.t.Errorf("DNS reply to %s: %v", q.Name, err)
			continue
		}
		time.AfterFunc(r.After, func() { _, _ = conn.WriteTo(b, from) }) // fails only if the port is closed, as it should
	}
}

// response returns the answer to m.
func response(m *dnsmessage.Message, r Reply) ([]byte, error) {
	q := m.Questions[0]
	reply := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: m.ID, Response: true, RecursionDesired: true, RecursionAvailable: true, RCode: r.Code},
		Questions: m.Questions,
	}
	answer := func(body dnsmessage.ResourceBody) {
		reply.Answers = append(reply.Answers, dnsmessage.Resource{
			Header: dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET, TTL: 1}, Body: body})
	}
	for _, a := range r.Addrs {
		switch {
		case a.Is4() && q.Type == dnsmessage.TypeA:
			answer(&dnsmessage.AResource{A: a.As4()})
		case a.Is6() && q.Type == dnsmessage.TypeAAAA:
			answer(&dnsmessage.AAAAResource{AAAA: a.As16()})
		}
	}
	for _, h := range r.Hosts {
		host, err := dnsmessage.NewName(h + ".")
		if err != nil {
			return nil, err
		}
		if q.Type == dnsmessage.TypeSRV {
			answer(&dnsmessage.SRVResource{Target: host, Port: 9473})
		}
	}
	if r.Name != "" && q.Type == dnsmessage.TypePTR {
		name, err := dnsmessage.NewName(r.Name)
		if err != nil {
			return nil, err
		}
		answer(&dnsmessage.PTRResource{PTR: name})
	}
	return reply.Pack()
}

// Asking returns a function that wraps a command so that it asks the test's server.
// The command gets its own resolv.conf, with options, in its own mount namespace.
func Asking(t testing.TB, options string) func(args ...string) *exec.Cmd {
	t.Helper()
	conf := filepath.Join(t.TempDir(), "resolv.conf")
	if err := os.WriteFile(conf, []byte("nameserver 127.0.0.1\noptions "+options+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	const script = `mount --bind "$1" /etc/resolv.conf && shift && exec "$@"`
	return func(args ...string) *exec.Cmd {
		return exec.Command("unshare", append([]string{"--mount", "sh", "-c", script, "sh", conf}, args...)...)
	}
}
