package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pingtel/pingtel/integration/netsim"
)

// router reports the errors of the simulated network.
var router = netip.MustParseAddr("198.18.0.9")

// simulated is the network of these tests: each host has another fault.
func simulated() []netsim.Rule {
	rule := func(prefix string, answer netsim.Answer) netsim.Rule {
		return netsim.Rule{Prefix: netip.MustParsePrefix(prefix), Answer: answer}
	}
	// The simulator shares the machine with other work, so the timeouts and
	// thresholds of hosts that answer allow for seconds.
	return []netsim.Rule{
		rule("198.18.1.1/32", nil),
		rule("198.18.1.2/32", netsim.Lost),
		rule("198.18.1.3/32", netsim.Only(netsim.Lost, 0, 2, 4)),
		rule("198.18.1.4/32", netsim.Fail(router, netsim.Error{Kind: netsim.DestinationUnreachable, Code: 1})),
		rule("198.18.1.5/32", netsim.Packets(netsim.Packet{}, netsim.Packet{After: time.Millisecond})),
		rule("198.18.1.6/32", netsim.Only(netsim.Packets(netsim.Packet{After: 1500 * time.Millisecond}), 0)),
		rule("198.18.1.8/32", netsim.Only(netsim.Lost, 0, 2, 4)),
		rule("198.18.1.7/32", netsim.Packets(netsim.Packet{Edit: netsim.WrongCookie})),
		rule("198.18.1.9/32", netsim.Packets(netsim.Packet{Edit: netsim.Keep(8 + 32)})), // 32 bytes of payload, whatever was asked for
		rule("2001:db8::4/128", netsim.Fail(netip.MustParseAddr("2001:db8::ff"), netsim.Error{Kind: netsim.DestinationUnreachable, Code: 1})),
	}
}

func TestPingFaults(t *testing.T) {
	t.Parallel()
	netsim.Run(t, simulated(), func(t *testing.T, _ *netsim.Net) {
		tests := []struct {
			name, args string
			status     int
			want       []string
		}{
			{"silence", "-c 2 -t 0.1 --show-rtts 198.18.1.2", 1, []string{
				"198.18.1.2: seq=1 timeout\n", "198.18.1.2: 0 of 2 answered, 100% loss\n", "\n  No replies received.\n"}},
			{"loss", "-c 5 -t 2 -i 0.01 198.18.1.3", 0, []string{"198.18.1.3: 2 of 5 answered, 60% loss\n", "5 sent, 2 received, 3 lost\n"}},
			{"unreachable", "-c 2 -i 0.01 --show-rtts 198.18.1.4", 1, []string{
				"198.18.1.4: seq=2 error host unreachable, reported by 198.18.0.9\n",
				"  No replies received. Reason: host unreachable, reported by 198.18.0.9\n",
				"  error        2 x host unreachable, reported by 198.18.0.9\n"}},
			{"unreachable, IPv6", "-c 1 2001:db8::4", 1, []string{"Reason: communication administratively prohibited, reported by 2001:db8::ff\n"}},
			{"duplicates", "-c 2 -i 1 --show-rtts 198.18.1.5", 0, []string{"198.18.1.5: seq=1 duplicate ttl=", ", 1 duplicate\n"}},
			{"late", "-c 2 -i 2 -t 1 --show-rtts 198.18.1.6", 0, []string{"198.18.1.6: seq=1 late ttl=", "2 sent, 1 received, 1 lost, 1 late\n"}},
			{"forged", "-c 1 -t 0.1 198.18.1.7", 1, []string{"No replies received.\n"}},
			{"corrupt", "-c 2 -i 2 -t 2 -s 100 198.18.1.9", 1, []string{
				"2 sent, 0 received, 2 lost, 2 corrupt\n  No replies received. Reason: 2 corrupt replies\n"}},
		}
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				status, stdout, stderr := runWith(t, "", append([]string{"ping"}, strings.Fields(tt.args)...)...)
				if status != tt.status || stderr != "" {
					t.Errorf("status %d, stderr %q, want %d", status, stderr, tt.status)
				}
				for _, want := range tt.want {
					if !strings.Contains(stdout, want) {
						t.Errorf("stdout %q\nwant %q in it", stdout, want)
					}
				}
			})
		}
	})
}

// echoLine is what -j --show-rtts prints for one event.
type echoLine struct {
	Host, Address, Outcome string
	Seq                    int
	Time                   time.Time
	RTT                    *float64
	TTL                    *int
	From, Type, Message    *string
	Code                   *int
}

// TestPingEchoesInJSON: each outcome has its line, in the order of events and before the
// result of its host.
func TestPingEchoesInJSON(t *testing.T) {
	t.Parallel()
	netsim.Run(t, simulated(), func(t *testing.T, _ *netsim.Net) {
		for _, tt := range []struct{ args, want string }{
			{"-c 2 -i 1 198.18.1.5", "1 reply, 1 duplicate, 2 reply, result"},
			{"-c 2 -i 2 -t 1 198.18.1.6", "1 timeout, 1 late, 2 reply, result"},
			{"-c 1 -t 0.1 198.18.1.2", "1 timeout, result"},
			{"-c 1 198.18.1.4", "1 error destination_unreachable 1 host unreachable 198.18.0.9, result"},
			{"-c 1 -t 2 -s 100 198.18.1.9", "1 corrupt, 1 timeout, result"},
		} {
			_, stdout, stderr := runWith(t, "", append([]string{"ping", "-j", "--show-rtts"}, strings.Fields(tt.args)...)...)
			var got []string
			for line := range strings.Lines(stdout) {
				if strings.HasPrefix(line, `{"sent":`) {
					got = append(got, "result")
					continue
				}
				var e echoLine
				dec := json.NewDecoder(strings.NewReader(line))
				dec.DisallowUnknownFields()
				if err := dec.Decode(&e); err != nil || strings.Count(line, ":") < 11 {
					t.Fatalf("%v, line %s", err, line)
				}
				text := fmt.Sprint(e.Seq, " ", e.Outcome)
				if e.Type != nil {
					text += fmt.Sprint(" ", *e.Type, " ", *e.Code, " ", *e.Message, " ", *e.From)
				}
				got = append(got, text)
				replied := e.Outcome == "reply" || e.Outcome == "duplicate" || e.Outcome == "late"
				timed := replied || e.Outcome == "error"
				if e.Host != e.Address || (e.RTT != nil) != timed || timed && *e.RTT <= 0 || replied && *e.TTL != 64 || time.Since(e.Time) > time.Minute {
					t.Errorf("line %s", line)
				}
			}
			if strings.Join(got, ", ") != tt.want || stderr != "" {
				t.Errorf("%s: %q, want %q; stderr %q", tt.args, got, tt.want, stderr)
			}
		}
	})
}

// TestPingUntilReply: a host gets no more echoes once it has answered.
func TestPingUntilReply(t *testing.T) {
	t.Parallel()
	netsim.Run(t, simulated(), func(t *testing.T, n *netsim.Net) {
		requests := func(host string) (sent int) {
			for _, r := range n.Arrived() {
				if r.Dst == netip.MustParseAddr(host) {
					sent++
				}
			}
			return sent
		}
		status, stdout, stderr := runWith(t, "", strings.Fields("ping --until-reply -c 100 -i 3 -t 2 198.18.1.1 198.18.1.3")...)
		if status != 0 || stderr != "" || !strings.Contains(stdout, "2 hosts: 2 answered; 2 of 3 echoes, 33.3% loss") {
			t.Errorf("status %d, stderr %q, stdout\n%s", status, stderr, stdout)
		}
		if a, b := requests("198.18.1.1"), requests("198.18.1.3"); a != 1 || b != 2 {
			t.Errorf("%d and %d requests arrived, want 1 and 2", a, b)
		}
	})
}

// TestPingLists prints only hosts, in the given order, from prefixes and files.
func TestPingLists(t *testing.T) {
	t.Parallel()
	netsim.Run(t, simulated(), func(t *testing.T, _ *netsim.Net) {
		for args, want := range map[string]string{
			"--alive": "198.18.1.1\n198.18.1.3\n198.18.1.5\n",
			"--dead":  "198.18.1.2\n198.18.1.4\n",
		} {
			status, stdout, stderr := runWith(t, "198.18.1.3-5\n", append(strings.Fields("ping -c 2 -i 2 -t 1.5 -f - 198.18.1.1-2"), args)...)
			if status != statusNoAnswer || stdout != want || stderr != "" {
				t.Errorf("%s: status %d, stderr %q, stdout %q, want %q", args, status, stderr, stdout, want)
			}
		}
	})
}

func TestPingTableOfFaults(t *testing.T) {
	t.Parallel()
	netsim.Run(t, simulated(), func(t *testing.T, _ *netsim.Net) {
		status, stdout, _ := runWith(t, "198.18.1.4\n198.18.1.2", "ping", "-q", "-c", "1", "-t", "2", "-f", "-", "198.18.1.1")
		want := `198.18.1.4  1  0  100%  host unreachable, reported by 198.18.0.9
198.18.1.2  1  0  100%  no replies
3 hosts: 1 answered, 2 did not; 1 of 3 echoes, 66.7% loss, E s
`
		_, rows, _ := strings.Cut(steady(stdout), "\n")
		if diff := cmp.Diff(want, rows); diff != "" || status != 1 {
			t.Errorf("status %d, rows (-want +got)\n%s", status, diff)
		}
	})
}

func TestCheckFaults(t *testing.T) {
	t.Parallel()
	netsim.Run(t, simulated(), func(t *testing.T, _ *netsim.Net) {
		tests := []struct {
			args   string
			status int
			want   string
		}{
			{"-n 5 -i 0.01 -w 2s,20% -c 2s,60% 198.18.1.3", 2, "PING CRITICAL - 198.18.1.3: loss 60% >= 60%; rta T ms, jitter T ms | rta=Tms;2000;2000;0 pl=60%;20;60;0;100 rtmin=Tms;;;0 rtmax=Tms;;;0 jitter=Tms;;;0\n"},
			{"-n 5 -i 0.01 -w 2s,20% -c 2s,61% 198.18.1.8", 1, "PING WARNING - 198.18.1.8: loss 60% >= 20%; rta T ms, jitter T ms | rta=Tms;2000;2000;0 pl=60%;20;61;0;100 rtmin=Tms;;;0 rtmax=Tms;;;0 jitter=Tms;;;0\n"},
			{"-n 2 -i 2 --echo-timeout 2 -b 100 198.18.1.9", 2, "PING CRITICAL - 198.18.1.9: loss 100% >= 60% (2 corrupt replies) | rta=U;100;500;0 pl=100%;20;60;0;100 rtmin=U;;;0 rtmax=U;;;0 jitter=U;;;0\n"},
			{"-n 1 -i 0.01 198.18.1.4", 2, "PING CRITICAL - 198.18.1.4: loss 100% >= 60% (host unreachable, reported by 198.18.0.9) | rta=U;100;500;0 pl=100%;20;60;0;100 rtmin=U;;;0 rtmax=U;;;0 jitter=U;;;0\n"},
		}
		for _, tt := range tests {
			status, stdout, stderr := runWith(t, "", append([]string{"check"}, strings.Fields(tt.args)...)...)
			if steady(stdout) != tt.want || status != tt.status || stderr != "" {
				t.Errorf("check %s: status %d, stderr %q, stdout\n got %s\nwant %s", tt.args, status, stderr, stdout, tt.want)
			}
		}
	})
}

// TestCheckEndsInTime has an echo without a reply when the check has to end. Nobody knows
// whether a reply would have come, and the check must say so.
func TestCheckEndsInTime(t *testing.T) {
	t.Parallel()
	var ended atomic.Pointer[context.CancelFunc]
	ends := func(netsim.Request) []netsim.Packet {
		(*ended.Load())()
		return nil
	}
	netsim.Run(t, append(simulated(), netsim.Rule{Prefix: netip.MustParsePrefix("198.18.2.0/24"), Answer: ends}), func(t *testing.T, _ *netsim.Net) {
		ctx, cancel := context.WithCancel(t.Context())
		ended.Store(&cancel)
		var stdout, stderr bytes.Buffer
		status := run(ctx, strings.Fields("check -n 1 --echo-timeout 1h -t 2h 198.18.2.1"), strings.NewReader(""), &stdout, &stderr)
		if want := "PING UNKNOWN - 198.18.2.1: nothing was measured in time | "; !strings.HasPrefix(stdout.String(), want) || status != 3 {
			t.Errorf("status %d, stderr %q, stdout %q, want %q", status, stderr.String(), stdout.String(), want)
		}
	})
}
