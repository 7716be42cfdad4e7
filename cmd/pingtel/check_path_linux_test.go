package main

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/integration/netsim"
	"github.com/pingtel/pingtel/internal/nagios"
	"github.com/pingtel/pingtel/internal/path"
)

// behindRouters are hosts behind four routers each, over IPv4 and IPv6: 1 is well, 2 does
// not answer, behind the third router of 3 half is lost, the second router of 4 reports
// an error, as the third one does for the hosts of 198.18.2.0/24.
func behindRouters() []netsim.Rule {
	var rules []netsim.Rule
	for _, base := range []string{"198.18.1.%d", "2001:db8::1:%d"} {
		for n := 1; n <= 4; n++ {
			host := netip.MustParseAddr(fmt.Sprintf(base, n))
			hops := netsim.Routers(routersTo(host)...)
			rule := netsim.Rule{Prefix: netip.PrefixFrom(host, host.BitLen()), Hops: hops, Delay: 4 * time.Millisecond}
			switch n {
			case 2:
				hops[3].Loss = 1
			case 3:
				hops[3].Loss = 0.5
			case 4:
				code := uint8(13)
				if host.Is6() {
					code = 1
				}
				hops[1].Refuse = &netsim.Error{Kind: netsim.DestinationUnreachable, Code: code}
			}
			rules = append(rules, rule)
		}
	}
	many := netsim.Routers(routersTo(netip.MustParseAddr("198.18.1.5"))...)
	many[2].Refuse = &netsim.Error{Kind: netsim.DestinationUnreachable, Code: 1}
	return append(rules, netsim.Rule{Prefix: netip.MustParsePrefix("198.18.2.0/24"), Hops: many})
}

// routersTo returns the routers before a host.
func routersTo(host netip.Addr) (list []netip.Addr) {
	for hop := byte(1); hop <= 4; hop++ {
		if host.Is4() {
			list = append(list, netip.AddrFrom4([4]byte{198, 18, 100 + host.As4()[3], hop}))
			continue
		}
		a := host.As16()
		a[5], a[13] = hop, 0
		list = append(list, netip.AddrFrom16(a))
	}
	return list
}

// TestCheckPath: what --path adds stands below the first line. The first line, its
// performance data and the status are those of a check without it.
func TestCheckPath(t *testing.T) {
	const levels = "-i 0.01 -t 60 -w 2000,10% -c 2000,60% --echo-timeout 2 "
	const dead = "-w 200 -c 200 --echo-timeout 0.2 " // no reply is waited for
	for _, socket := range []string{"raw", "datagram"} {
		t.Run(socket, func(t *testing.T) {
			t.Parallel()
			netsim.Run(t, behindRouters(), func(t *testing.T, n *netsim.Net) {
				for _, tt := range []struct {
					name, args string
					status     int
					below      string
				}{
					{"silence", dead + "198.18.1.2", 2, "path: nothing answers beyond hop 3, 198.18.102.3\n"},
					{"silence, IPv6", dead + "2001:db8::1:2", 2, "path: nothing answers beyond hop 3, 2001:db8:3::2\n"},
					{"an error", dead + "198.18.1.4", 2, "path: hop 2, 198.18.104.2 reports: communication administratively prohibited\n"},
					{"an error, IPv6", dead + "2001:db8::1:4", 2, "path: hop 2, 2001:db8:2::4 reports: communication administratively prohibited\n"},
					{"nothing is wrong", "198.18.1.1", 0, ""},
					{"slow only", "-w 0.001 198.18.1.1", 1, ""},
					{"no such host", "host.invalid", 3, ""},
					{"several", "198.18.1.1 198.18.1.2 2001:db8::1:4 host.invalid", 2,
						"198.18.1.2 CRITICAL loss 100% >= 60%; path: nothing answers beyond hop 3, 198.18.102.3\n" +
							"2001:db8::1:4 CRITICAL loss 100% >= 60% (communication administratively prohibited, reported by 2001:db8:2::4); path: hop 2, 2001:db8:2::4 reports: communication administratively prohibited\n" +
							"host.invalid UNKNOWN name not resolved: "},
					{"two are enough", "-m 1 198.18.1.1 198.18.1.4 -w 2000,100% -c 2000,100% -p 1", 0, ""},
					{"one is missing", "-m 2 198.18.1.1 198.18.1.4 -p 1", 2, "198.18.1.4 CRITICAL loss 100% >= 60% (communication administratively prohibited, reported by 198.18.104.2); path: hop 2, 198.18.104.2 reports"},
					{"all is well enough, and quiet", "-q -m 1 198.18.1.1 198.18.1.4 -p 1", 0, ""},
					{"figures of each", dead + "-v 198.18.1.2", 2, "path: nothing answers beyond hop 3, 198.18.102.3\n198.18.1.2 CRITICAL: 0 of 5 echoes answered\n"},
				} {
					args := strings.Fields("check --path --socket " + socket + " " + levels + tt.args)
					status, stdout, stderr := runWith(t, "", args...)
					first, below, _ := strings.Cut(stdout, "\n")
					if status != tt.status || !strings.HasPrefix(below, tt.below) || tt.below == "" && below != "" && !strings.Contains(tt.args, "-m 1") || stderr != "" {
						t.Errorf("%s %s: status %d, stderr %q, below the first line\n%s\nwant %d and\n%s", socket, tt.name, status, stderr, below, tt.status, tt.below)
					}
					if strings.Contains(first, "path") || tt.status == 0 && strings.Contains(tt.args, "198.18.1.1") && !strings.Contains(tt.args, "-m") && strings.Contains(stdout, "path") {
						t.Errorf("%s %s: %s", socket, tt.name, stdout)
					}
					without, plain, _ := runWith(t, "", append([]string{"check"}, args[2:]...)...)
					if plain, _, _ = strings.Cut(plain, "\n"); without != status || steady(plain) != steady(first) && !strings.Contains(tt.args, "-m") {
						t.Errorf("%s %s: status %d and\n%s\nwithout --path %d and\n%s", socket, tt.name, status, first, without, plain)
					}
				}
				t.Run("partial loss", func(t *testing.T) {
					_, stdout, stderr := runWith(t, "", strings.Fields("check --path --socket "+socket+" -n 40 "+levels+"198.18.1.3")...)
					if !strings.Contains(stdout, "\npath: ") || !strings.Contains(stdout, " % of the echoes beyond hop 3, 198.18.103.3, get no answer, at every later hop and at the target") {
						t.Errorf("stderr %q, stdout\n%s", stderr, stdout)
					}
				})
				t.Run("a healthy host gets no more echoes", func(t *testing.T) {
					n.Forget()
					runWith(t, "", strings.Fields("check --path -n 3 --socket "+socket+" "+levels+"198.18.1.1 198.18.1.2")...)
					well, ill := 0, 0
					for _, r := range n.Arrived() {
						if r.Dst == netip.MustParseAddr("198.18.1.1") {
							well++
						} else {
							ill++
						}
					}
					if well != 3 || ill <= 3 || ill > 3+60 {
						t.Errorf("%d echoes to the healthy host, want 3; %d to the other, want those of a trace too", well, ill)
					}
				})
			})
		})
	}
}

// TestCheckPathOfMany traces no more hosts than the output has room for, and stays within
// it and within the rate.
func TestCheckPathOfMany(t *testing.T) {
	netsim.Run(t, behindRouters(), func(t *testing.T, n *netsim.Net) {
		for _, perfdata := range []string{"main", "none", "all"} {
			n.Forget()
			status, stdout, stderr := runWith(t, "", "check", "--path", "-n", "1", "-t", "60", "--perfdata", perfdata, "198.18.2.0/24")
			_, below, _ := strings.Cut(stdout, "\n")
			if status != 2 || stderr != "" || perfdata != "all" && len(stdout) > 8<<10 || len(below) > 8<<10 || strings.Count(below, "|") > 0 {
				t.Errorf("%s: status %d, stderr %q, %d bytes", perfdata, status, stderr, len(stdout))
			}
			if got, lines := strings.Count(below, "; path: hop 3, 198.18.105.3 reports: host unreachable\n"), strings.Count(below, "\n"); got < min(lines-1, maxTraced) || got > maxTraced {
				t.Errorf("%s: %d verdicts in %d lines", perfdata, got, lines)
			}
			traced := make(map[netip.Addr]int)
			for _, r := range n.Arrived() {
				traced[r.Dst]++
			}
			several := 0
			for _, echoes := range traced {
				if echoes > 1 {
					several++
				}
			}
			if several != maxTraced {
				t.Errorf("%s: %d hosts got more echoes than one, want %d", perfdata, several, maxTraced)
			}
		}
	})
}

// TestCheckPathOfFile traces the hosts of a file, each with its own options.
func TestCheckPathOfFile(t *testing.T) {
	netsim.Run(t, behindRouters(), func(t *testing.T, n *netsim.Net) {
		file := writeConfig(t, `
[defaults]
count = 2
ping_interval = "10ms"
timeout = "1s"
[[targets]]
hosts = ["198.18.1.1", "198.18.1.2"]
dscp = "EF"
`)
		status, stdout, stderr := runWith(t, "", "check", "--path", "--config", file)
		if _, below, _ := strings.Cut(stdout, "\n"); status != 2 || stderr != "" || below != "198.18.1.2 CRITICAL loss 100% >= 60%; path: nothing answers beyond hop 3, 198.18.102.3\n" {
			t.Errorf("status %d, stderr %q, stdout\n%s", status, stderr, stdout)
		}
		for _, r := range n.Arrived() {
			if r.TOS>>2 != 46 {
				t.Errorf("an echo with the code point %d", r.TOS>>2)
			}
		}
	})
}

// deaf is a Prober whose series never end.
type deaf struct{ begun *int }

func (d deaf) Go(icmpcore.Target, icmpcore.Options, func(icmpcore.PingResult)) (icmpcore.Run, error) {
	*d.begun++
	return icmpcore.Run{}, nil
}

// TestExplainEndsInTime: a trace that does not end claims nothing, and the check does not
// wait for it beyond its time.
func TestExplainEndsInTime(t *testing.T) {
	for _, tt := range []struct {
		name  string
		left  time.Duration
		rate  int
		begun int
		takes time.Duration
		want  []string
	}{
		{"time enough", 9 * time.Second, 10000, 3, 9 * time.Second, []string{"its trace did not end", "its trace did not end", "its trace did not end"}},
		{"a low rate", 9 * time.Second, 10, 1, 9 * time.Second, []string{"its trace did not end", "", ""}},
		{"hardly any", 140 * time.Millisecond, 10000, 0, 0, []string{noTimeForTrace, noTimeForTrace, noTimeForTrace}},
		{"none", -time.Second, 10000, 0, 0, []string{noTimeForTrace, noTimeForTrace, noTimeForTrace}},
	} {
		synctest.Test(t, func(t *testing.T) {
			var r nagios.Report
			var aims []aim
			for i := range 3 {
				res := icmpcore.PingResult{Host: "h", Addr: netip.AddrFrom4([4]byte{198, 18, 1, byte(i)}), Sent: 5, Loss: 100}
				r.Verdicts = append(r.Verdicts, nagios.Judge(res, judgedBy(nagios.Thresholds{}), false))
				aims = append(aims, aim{host: "h"})
			}
			start, begun := time.Now(), 0
			explain(context.Background(), deaf{&begun}, start.Add(tt.left), tt.rate, aims, &r)
			if begun != tt.begun || time.Since(start) != tt.takes {
				t.Errorf("%s: %d traces and %v, want %d and %v", tt.name, begun, time.Since(start), tt.begun, tt.takes)
			}
			for i, want := range tt.want {
				if got := r.Verdicts[i].Path; !strings.HasPrefix(got, want) || want == "" && got != "" {
					t.Errorf("%s: %q, want %q", tt.name, got, want)
				}
			}
		})
	}
}

// TestShows: a trace that had less time than usual says so if it found that something
// gets no answer.
func TestShows(t *testing.T) {
	dead := &path.Trace{Sent: 30, EndSent: 30}
	well := &path.Trace{Sent: 3, EndSent: 3, EndReceived: 3, Reached: true, Hops: []path.Hop{{TTL: 1, Sent: 3, Answers: 3, Target: true}}}
	for _, tt := range []struct {
		t    *path.Trace
		had  time.Duration
		want string
	}{
		{dead, time.Second, "nothing answers, not even a first hop"},
		{dead, 300 * time.Millisecond, "nothing answers, not even a first hop (within 300ms)"},
		{well, 300 * time.Millisecond, "the target answers, 1 hop away; this trace lost nothing, so the loss of 3 of 5 echoes before it is over or rare"},
	} {
		if got := shows(tt.t, &icmpcore.PingResult{Sent: 5, Received: 2}, tt.had); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}
