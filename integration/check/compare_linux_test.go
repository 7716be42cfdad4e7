package check_test

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/pingtel/pingtel/integration/dns"
	"github.com/pingtel/pingtel/integration/netsim"
	"github.com/pingtel/pingtel/integration/peer"
)

func TestMain(m *testing.M) { os.Exit(peer.MainSideBySide(m)) }

// plugins is where Debian's package monitoring-plugins-basic has check_ping and
// check_icmp.
const plugins = "/usr/lib/nagios/plugins/"

// network has hosts of every kind. Delays and thresholds of the tests leave a
// busy machine seconds.
func network() []netsim.Rule {
	rule := func(prefix string, delay time.Duration, answer netsim.Answer) netsim.Rule {
		return netsim.Rule{Prefix: netip.MustParsePrefix(prefix), Delay: delay, Answer: answer}
	}
	router := netip.MustParseAddr("198.18.0.99")
	return []netsim.Rule{
		rule("198.18.1.1/32", 0, nil),
		rule("198.18.1.2/32", 0, netsim.Every(2, netsim.Lost)),
		rule("198.18.1.3/32", 300*time.Millisecond, nil),
		rule("198.18.1.4/32", 1500*time.Millisecond, nil),
		rule("198.18.1.5/32", 0, netsim.Lost),
		rule("198.18.1.6/32", 0, netsim.Fail(router, netsim.Error{Kind: netsim.DestinationUnreachable, Code: 1})),
		rule("198.18.1.7/32", 0, netsim.Packets(netsim.Packet{}, netsim.Packet{After: time.Millisecond})),
		rule("2001:db8::1/128", 0, nil),
	}
}

func names(name string, _ bool) dns.Reply {
	if name == "up.test" {
		return dns.Addr("198.18.1.1", "2001:db8::1")
	}
	return dns.Reply{Code: dnsmessage.RCodeNameError}
}

// The exit statuses, and none for a plugin that does not know the command line.
const (
	ok, warning, critical, unknown = 0, 1, 2, 3
	none                           = -1
)

// TestSideBySide gives the same command lines to check_ping, check_icmp and
// pingtel check, for the same hosts. Where the states differ, pingtel differs on
// purpose, and docs/check.md says so.
func TestSideBySide(t *testing.T) {
	for _, name := range []string{"check_ping", "check_icmp"} {
		if _, err := os.Stat(plugins + name); errors.Is(err, os.ErrNotExist) {
			t.Skipf("no %s to compare with: install monitoring-plugins-basic", name)
		}
	}
	for _, tt := range []struct {
		name, args       string
		ping, icmp, ours int
	}{
		{"answers", "-H 198.18.1.1 -w 2000.0,20% -c 5000.0,60% -p 2 -t 10", ok, ok, ok},
		{"loss by half", "-H 198.18.1.2 -w 2000.0,20% -c 5000.0,70% -p 4 -t 10", warning, warning, warning},
		{"loss by half, too much", "-H 198.18.1.2 -w 1000.0,20% -c 1000.0,30% -p 2 -t 4", critical, critical, critical},
		{"slow", "-H 198.18.1.3 -w 100.0,20% -c 5000.0,60% -p 2 -t 15", warning, warning, warning},
		{"too slow", "-H 198.18.1.3 -w 100.0,20% -c 200.0,60% -p 2 -t 10", critical, critical, critical},
		{"slower than a second", "-H 198.18.1.4 -w 6000.0,80% -c 8000.0,100% -p 2 -t 20", ok, ok, ok},
		{"slower than a second, too slow", "-H 198.18.1.4 -w 100.0,20% -c 500.0,60% -p 2 -t 10", critical, critical, critical},
		{"dead", "-H 198.18.1.5 -w 100.0,20% -c 500.0,60% -p 2 -t 3", critical, critical, critical},
		{"dead, as a host check", "-H 198.18.1.5 -w 1000,100% -c 1000,100% -p 1 -t 2", critical, critical, critical},
		{"alive, as a host check", "-H 198.18.1.1 -w 5000,100% -c 5000,100% -p 1", ok, ok, ok},
		{"unreachable", "-H 198.18.1.6 -w 100.0,20% -c 500.0,60% -p 2 -t 3", critical, critical, critical},
		{"no route", "-H 192.0.2.1 -w 100.0,20% -c 500.0,60% -p 1 -t 3", critical, critical, critical},
		{"no such name", "-H nosuch.test -w 100.0,20% -c 500.0,60% -p 2 -t 3", unknown, unknown, unknown},
		{"a name over IPv4", "-H up.test -4 -w 2000.0,20% -c 5000.0,60% -p 1", ok, ok, ok},
		{"a name over IPv6", "-6 -H up.test -w 2000.0,20% -c 5000.0,60% -p 1", ok, ok, ok},
		{"an IPv6 address", "-6 -H 2001:db8::1 -w 2000.0,20% -c 5000.0,60% -p 1", ok, ok, ok},
		{"no host", "-w 100.0,20% -c 500.0,60%", unknown, unknown, unknown},
		{"an unknown flag", "-H 198.18.1.1 -Z", unknown, none, unknown},
		{"version", "-V", unknown, unknown, unknown},
		{"help", "--help", unknown, unknown, unknown},

		// What check_icmp has more.
		{"two hosts, one dead", "-H 198.18.1.1 -H 198.18.1.5 -w 1000,20% -c 1000,60% -n 2", none, critical, critical},
		{"two hosts without -H", "-w 1000,20% -c 1000,60% -n 2 198.18.1.1 198.18.1.5", none, critical, critical},
		{"one of two must answer", "-H 198.18.1.1 -H 198.18.1.5 -m 1 -w 1000,20% -c 1000,60% -n 2", none, ok, ok},
		{"two of two must", "-H 198.18.1.1 -H 198.18.1.5 -m 2 -w 1000,20% -c 1000,60% -n 2", none, critical, critical},
		{"two of two do, one slow", "-H 198.18.1.1 -H 198.18.1.3 -m 2 -w 200,20% -c 5000,60% -n 2", none, warning, warning},
		{"a dead one and a name that is none", "-H nosuch.test -H 198.18.1.1 -w 1000,20% -c 1000,60% -n 1", none, unknown, unknown},
		{"TTL, source and size", "-H 198.18.1.1 -l 3 -s 198.18.0.1 -b 100 -n 1 -w 2000,20% -c 5000,60%", none, ok, ok},
		{"a source interface", "-H 198.18.1.1 -s sim0 -n 1 -w 2000,20% -c 5000,60%", none, none, ok}, // Debian builds check_icmp without it,
		{"no percent signs", "-H 198.18.1.1 -w 2000,20 -c 5000,60 -n 1", none, ok, ok},
		{"units", "-H 198.18.1.1 -w 2s,20% -c 5000000us,60% -n 1", none, ok, ok},
		{"verbose", "-v -v -H 198.18.1.1 -n 1 -w 2000,20% -c 5000,60%", none, ok, ok},

		// Differences on purpose.
		{"duplicates", "-H 198.18.1.7 -w 2000.0,20% -c 5000.0,60% -p 2", warning, ok, ok},
		{"no thresholds", "-H 198.18.1.1 -p 1", unknown, ok, ok},
		{"half lost, default thresholds", "-H 198.18.1.2 -n 2", none, warning, warning},
		{"warning above critical", "-H 198.18.1.1 -w 5000,60% -c 2000,20% -p 1", unknown, ok, unknown},
		{"more hosts needed than given", "-H 198.18.1.1 -m 3 -n 1 -w 2000,20% -c 5000,60%", none, ok, unknown},
		{"several -H", "-H 198.18.1.1 -H 198.18.1.5 -w 1000,20% -c 1000,60% -p 1", ok, critical, critical},
		{"a dead one beside a name that is none", "-H 198.18.1.5 -H nosuch.test -w 1000,20% -c 1000,60% -n 1", none, unknown, critical},
		{"a unit of one letter", "-H 198.18.1.1 -w 2000m,20% -c 5000m,60% -n 1", none, ok, unknown},
		{"a loss of zero", "-H 198.18.1.1 -w 2000,0% -c 5000,60% -p 1", warning, warning, unknown},
		{"too little time", "-H 198.18.1.1 -w 2000,20% -c 5000,60% -p 15 -i 20 -t 1", none, ok, unknown},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			netsim.Run(t, network(), func(t *testing.T, n *netsim.Net) {
				dns.Serve(t, names)
				asking := dns.Asking(t, "timeout:5 attempts:1")
				for _, p := range []struct {
					command []string
					want    int
				}{
					{[]string{plugins + "check_ping"}, tt.ping},
					{[]string{plugins + "check_icmp"}, tt.icmp},
					{[]string{peer.Pingtel(), "check"}, tt.ours},
				} {
					if p.want == none {
						continue
					}
					n.Forget() // each is the first to ask
					status, stdout := outcome(t, asking(append(p.command, strings.Fields(tt.args)...)...))
					said := stateWord.FindString(firstLine(stdout))
					if status != p.want || said != "" && said != stateNames[p.want] || p.command[len(p.command)-1] == "check" && said == "" && !strings.HasPrefix(tt.args, "-V") && tt.args != "--help" {
						t.Errorf("%s %s: status %d, state %q, want %d, %s; stdout\n%s", p.command, tt.args, status, said, p.want, stateNames[p.want], stdout)
					}
				}
			})
		})
	}
}

var (
	stateNames = [...]string{"OK", "WARNING", "CRITICAL", "UNKNOWN"}
	stateWord  = regexp.MustCompile(`\b(OK|WARNING|CRITICAL|UNKNOWN)\b`)
)

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// outcome runs a command and returns its exit status and what it wrote to stdout.
func outcome(t *testing.T, cmd *exec.Cmd) (status int, stdout string) {
	t.Helper()
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) || errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("%s: %v", cmd, err)
	}
	if cmd.ProcessState.ExitCode() < 0 {
		t.Fatalf("%s: %v; stderr %q", cmd, cmd.ProcessState, errs.String())
	}
	return cmd.ProcessState.ExitCode(), string(out)
}
