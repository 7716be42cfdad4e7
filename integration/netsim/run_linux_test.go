package netsim_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/pingtel/pingtel/integration/netsim"
)

// net4 and net6 give the prefixes and addresses of the tests in both families.
func addr(v4 bool, host string) netip.Addr {
	if v4 {
		return netip.MustParseAddr("198.18.1." + host)
	}
	return netip.MustParseAddr("2001:db8:1::" + host)
}

func prefix(v4 bool, host string) netip.Prefix {
	a := addr(v4, host)
	return netip.PrefixFrom(a, a.BitLen())
}

// eachFamily runs f as a subtest for IPv4 and one for IPv6.
func eachFamily(t *testing.T, f func(t *testing.T, v4 bool)) {
	t.Helper()
	t.Run("IPv4", func(t *testing.T) { f(t, true) })
	t.Run("IPv6", func(t *testing.T) { f(t, false) })
}

func TestRunEcho(t *testing.T) {
	rules := []netsim.Rule{
		{Prefix: prefix(true, "1")},
		{Prefix: prefix(false, "1")},
		{Prefix: prefix(true, "2"), Delay: 5 * time.Millisecond},
		{Prefix: prefix(false, "2"), Delay: 5 * time.Millisecond},
	}
	netsim.Run(t, rules, func(t *testing.T, n *netsim.Net) {
		eachFamily(t, func(t *testing.T, v4 bool) {
			p := newProber(t, v4)
			payload := []byte("0123456789abcdef")
			for i, host := range []string{"1", "2"} {
				to := addr(v4, host)
				start := time.Now()
				p.send(to, testID, i, payload)
				r := p.read()
				t.Logf("%s: %v", host, r.at.Sub(start))
				if r.from != to || r.id() != testID || r.seq() != i || string(r.msg[8:]) != string(payload) {
					t.Errorf("reply = %+v, want the true one from %v", r, to)
				}
				if r.ttl != 64 {
					t.Errorf("TTL = %d, want 64", r.ttl)
				}
			}
			if got := r0(n); got.Size == 0 {
				t.Errorf("record = %+v", n.Arrived())
			}
		})
		t.Logf("%+v", n.Stats())
	})
}

func r0(n *netsim.Net) netsim.Request { return n.Arrived()[0] }
