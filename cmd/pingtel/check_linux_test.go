package main

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pingtel/pingtel/integration/netsim"
)

// TestCheckEndsWhenCertain has a minute between the echoes of a host, and 100 seconds
// for each reply: what does not end early takes minutes, and says so.
func TestCheckEndsWhenCertain(t *testing.T) {
	const live, live2, live3, dead, refuses = "198.18.1.1 ", "198.18.3.1 ", "198.18.3.2 ", "198.18.1.2 ", "198.18.1.4 "
	up := netsim.Rule{Prefix: netip.MustParsePrefix("198.18.3.0/24")}
	for _, tt := range []struct {
		name, args string
		status     int
		want       string
		echoes     int // that may be sent
	}{
		{"a live host", "-p 5 -w 100000,100% -c 100000,100% " + live, 0, "PING OK - 198.18.1.1: rta T ms, loss 0%; certain after 1 of 5 echoes", 1},
		{"several live hosts", "-p 5 -w 100000,100% -c 100000,100% " + live + live2, 0, "PING OK - 2 of 2 hosts ok", 2},
		{"one of two", "-m 1 -p 5 -w 100000,100% -c 100000,100% " + dead + live, 0, "PING OK - 1 of 2 hosts ok (1 needed), 1 not waited for", 2},
		{"two of four", "-m 2 -p 1 " + dead + live + live2 + dead, 0, "PING OK - 2 of 4 hosts ok (2 needed), 2 not waited for", 4},
		{"a slow one is enough for a warning", "-m 1 -p 1 -w 0.001 -c 60000 " + live, 1, "PING WARNING - 198.18.1.1: rta T ms >= T ms; loss 0%", 1},
		{"too many do not answer", "-m 2 -p 3 -w 5000,20% -c 5000,30% " + refuses + refuses + live, 2,
			"PING CRITICAL - 0 of 3 hosts ok (2 needed), 2 critical, 1 not waited for: 198.18.1.4 CRITICAL loss 100% >= 30% (host unreachable, reported by 1...; ", 3},
		{"a name that is none", "-m 2 -p 1 host.invalid " + live, 3, "PING UNKNOWN - 1 of 2 hosts ok (2 needed), 1 unknown: host.invalid UNKNOWN ", 1},
		{"enough with a name that is none", "-m 1 -p 1 host.invalid " + live, 0, "PING OK - 1 of 2 hosts ok (1 needed), 1 ", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			netsim.Run(t, append(simulated(), up), func(t *testing.T, n *netsim.Net) {
				args := append([]string{"check", "-i", "1m", "--echo-timeout", "100", "-t", "3h", "--perfdata", "none"}, strings.Fields(tt.args)...)
				status, stdout, stderr := runWith(t, "", args...)
				if status != tt.status || !strings.HasPrefix(steady(stdout), tt.want) || stderr != "" {
					t.Errorf("status %d, want %d; stderr %q, stdout\n got %s\nwant %s", status, tt.status, stderr, steady(stdout), tt.want)
				}
				if got := len(n.Arrived()); got > tt.echoes {
					t.Errorf("%d echoes, want at most %d", got, tt.echoes)
				}
			})
		})
	}
}

// TestCheckRunsToItsEnd: figures of a check that is not for the host alone are of
// the whole series, however certain its state may be.
func TestCheckRunsToItsEnd(t *testing.T) {
	t.Parallel()
	netsim.Run(t, simulated(), func(t *testing.T, n *netsim.Net) {
		status, stdout, stderr := runWith(t, "", strings.Fields("check -p 5 -i 0.01 -w 5000,80% -c 5000,90% 198.18.1.1")...)
		if got := len(n.Arrived()); got != 5 || status != 0 || stderr != "" || strings.Contains(stdout, "certain") {
			t.Errorf("status %d, stderr %q, %d echoes, %s", status, stderr, got, stdout)
		}
	})
}

// TestCheckFlagsReachThePackets: what the letters of check_icmp set is on the
// wire.
func TestCheckFlagsReachThePackets(t *testing.T) {
	t.Parallel()
	netsim.Run(t, simulated(), func(t *testing.T, n *netsim.Net) {
		for _, tt := range []struct{ args, src string }{{"-s 198.18.0.1", "198.18.0.1"}, {"-s sim0", "198.18.0.1"}, {"--source 198.18.0.1 -I sim0", "198.18.0.1"}} {
			n.Forget()
			status, stdout, stderr := runWith(t, "", strings.Fields("check -H 198.18.1.1 -H 198.18.1.0/31 -p 1 -l 7 -b 100 -4 -w 9000 -c 9000,60% "+tt.args)...)
			var to []string
			for _, r := range n.Arrived() {
				to = append(to, r.Dst.String())
				if r.TTL != 7 || r.Size != 20+8+100 || r.Src.String() != tt.src {
					t.Errorf("%s: TTL %d, %d bytes, from %v", tt.args, r.TTL, r.Size, r.Src)
				}
			}
			slices.Sort(to)
			if diff := cmp.Diff([]string{"198.18.1.0", "198.18.1.1", "198.18.1.1"}, to); diff != "" {
				t.Errorf("%s: status %d, stderr %q, %s, requests (-want +got)\n%s", tt.args, status, stderr, stdout, diff)
			}
		}
	})
}

// TestCheckWaitsForSlowReplies: a reply slower than a second counts where the
// critical RTT is longer.
func TestCheckWaitsForSlowReplies(t *testing.T) {
	t.Parallel()
	slow := netsim.Rule{Prefix: netip.MustParsePrefix("198.18.3.1/32"), Delay: 1200 * time.Millisecond}
	netsim.Run(t, append(simulated(), slow), func(t *testing.T, _ *netsim.Net) {
		status, stdout, stderr := runWith(t, "", strings.Fields("check -p 1 -t 60 -w 30000,80% -c 50000,100% 198.18.3.1")...)
		if !strings.HasPrefix(steady(stdout), "PING OK - 198.18.3.1: rta T ms, loss 0% |") || status != 0 {
			t.Errorf("status %d, stderr %q, %s", status, stderr, stdout)
		}
	})
}
