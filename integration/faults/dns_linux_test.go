package faults

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

// answer is what the resolver says of a name.
type answer struct {
	addr   netip.Addr       // IPv4
	addr6  netip.Addr       // IPv6, if it has one
	code   dnsmessage.RCode // of a failure
	silent bool             // nothing is said
	after  time.Duration
}

// resolver is a DNS server of the test's own, on port 53 of its namespace.
type resolver struct {
	t *testing.T

	mu     sync.Mutex // guards what follows
	conn   net.PacketConn
	answer func(name string) answer
}

// startResolver starts a resolver. It ends with stop, or with the test.
func startResolver(t *testing.T, f func(name string) answer) *resolver {
	t.Helper()
	r := &resolver{t: t, answer: f}
	r.start()
	t.Cleanup(r.stop)
	return r
}

func (r *resolver) start() {
	r.t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:53")
	if err != nil {
		r.t.Fatal(err)
	}
	r.mu.Lock()
	r.conn = conn
	r.mu.Unlock()
	go r.serve(conn) // ends when conn is closed
}

// stop closes the port: requests are refused from now on.
func (r *resolver) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conn.Close() // again at the end of the test
}

// say changes the answers.
func (r *resolver) say(f func(name string) answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = f
}

func (r *resolver) serve(conn net.PacketConn) {
	buf := make([]byte, 1500)
	for {
		n, from, err := conn.ReadFrom(buf)
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				r.t.Error(err)
			}
			return
		}
		var m dnsmessage.Message
		if err := m.Unpack(buf[:n]); err != nil || len(m.Questions) != 1 {
			r.t.Errorf("a request of %d bytes: %v", n, err)
			continue
		}
		r.mu.Lock()
		a := r.answer(strings.TrimSuffix(m.Questions[0].Name.String(), "."))
		r.mu.Unlock()
		if a.silent {
			continue
		}
		reply := response(&m, a)
		time.AfterFunc(a.after, func() { _, _ = conn.WriteTo(reply, from) }) // fails only where the port is closed, as it should be then
	}
}

// response makes the message that answers m.
func response(m *dnsmessage.Message, a answer) []byte {
	q := m.Questions[0]
	reply := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: m.ID, Response: true, RecursionDesired: true, RecursionAvailable: true, RCode: a.code},
		Questions: m.Questions,
	}
	if a.addr.IsValid() && q.Type == dnsmessage.TypeA {
		reply.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET, TTL: 1},
			Body:   &dnsmessage.AResource{A: a.addr.As4()},
		}}
	}
	if a.addr6.IsValid() && q.Type == dnsmessage.TypeAAAA {
		reply.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET, TTL: 1},
			Body:   &dnsmessage.AAAAResource{AAAA: a.addr6.As16()},
		}}
	}
	b, err := reply.Pack()
	if err != nil {
		panic("resolver: internal error: " + err.Error())
	}
	return b
}

// resolving returns a function that wraps a command so that it asks the test's
// resolver: it gets a resolv.conf of its own, in a mount namespace of its own.
func resolving(t *testing.T) func(args ...string) *exec.Cmd {
	t.Helper()
	conf := filepath.Join(t.TempDir(), "resolv.conf")
	if err := os.WriteFile(conf, []byte("nameserver 127.0.0.1\noptions timeout:3 attempts:1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	const script = `mount --bind "$1" /etc/resolv.conf && shift && exec "$@"`
	return func(args ...string) *exec.Cmd {
		return exec.Command("unshare", append([]string{"--mount", "sh", "-c", script, "sh", conf}, args...)...)
	}
}
