package netsim_test

import (
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/pingtel/pingtel/integration/netsim"
)

// addr returns the address of a simulated host.
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

// TestRunEcho has an answer at once and a late one, in subtests.
func TestRunEcho(t *testing.T) {
	const delay = 5 * time.Millisecond
	rules := []netsim.Rule{
		{Prefix: prefix(true, "1")},
		{Prefix: prefix(false, "1")},
		{Prefix: prefix(true, "2"), Delay: delay},
		{Prefix: prefix(false, "2"), Delay: delay},
	}
	netsim.Run(t, rules, func(t *testing.T, n *netsim.Net) {
		eachFamily(t, func(t *testing.T, v4 bool) {
			p := newProber(t, v4)
			payload := []byte("0123456789abcdef")
			for seq, host := range []string{"1", "2"} {
				start := time.Now()
				p.send(addr(v4, host), testID, seq, payload)
				r := p.read()
				if got, want := describe(p, r, addr(v4, host), payload), of("seq %d")[seq]; got != want {
					t.Errorf("reply of %s: %s, want %s", host, got, want)
				}
				if rtt := r.at.Sub(start); host == "2" && rtt < delay {
					t.Errorf("RTT = %v, want at least %v", rtt, delay)
				}
			}
		})
		want := netsim.Stats{Requests: 4, Sent: 4}
		if got := n.Stats(); got != want {
			t.Errorf("Stats = %+v, want %+v", got, want)
		}
	})
}

// TestRunHelper ends in the simulated network in the ways that TestRunEnds checks.
func TestRunHelper(t *testing.T) {
	what := os.Getenv(helperEnv)
	if what == "" {
		t.Log("nothing to do: only TestRunEnds starts this with something to do")
		return
	}
	netsim.Run(t, nil, func(t *testing.T, _ *netsim.Net) {
		switch what {
		case "fail":
			t.Error("an error inside")
		case "subtest":
			t.Run("sub", func(t *testing.T) { t.Error("an error inside") })
		case "skip":
			t.Skip("a reason inside")
		case "panic":
			panic("a panic inside")
		case "exit":
			os.Exit(0)
		}
	})
	t.Log("not reached in either process when it fails")
}

func TestRunEnds(t *testing.T) {
	for _, tt := range []struct {
		what   string
		failed bool
		want   []string
	}{
		{"well", false, []string{"--- PASS: TestRunHelper "}},
		{"fail", true, []string{"--- FAIL: TestRunHelper ", "an error inside", "netsim: inside the namespaces: exit status 1"}},
		{"subtest", true, []string{"--- FAIL: TestRunHelper ", "--- FAIL: TestRunHelper/sub ", "an error inside"}},
		{"skip", false, []string{"--- SKIP: TestRunHelper ", "a reason inside"}},
		{"panic", true, []string{"--- FAIL: TestRunHelper ", "panic: a panic inside"}},
		{"exit", true, []string{"--- FAIL: TestRunHelper "}},
	} {
		t.Run(tt.what, func(t *testing.T) {
			cmd := exec.Command(os.Args[0], "-test.run=^TestRunHelper$", "-test.v")
			cmd.Env = append(os.Environ(), helperEnv+"="+tt.what)
			out, err := cmd.CombinedOutput()
			if (err != nil) != tt.failed {
				t.Errorf("the tests end with %v, want a failure: %t", err, tt.failed)
			}
			for _, want := range tt.want {
				if !strings.Contains(string(out), want) {
					t.Errorf("the tests say:\n%s\nwant: %s", out, want)
				}
			}
		})
	}
}
