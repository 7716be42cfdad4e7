package main

import (
	"strings"
	"testing"
	"time"

	"github.com/pingtel/pingtel/integration/netsim"
	"github.com/pingtel/pingtel/internal/nagios"
)

// TestCheckConfig judges two hosts with the same loss by their own thresholds.
func TestCheckConfig(t *testing.T) {
	t.Parallel()
	netsim.Run(t, simulated(), func(t *testing.T, _ *netsim.Net) {
		path := writeConfig(t, `
[defaults]
count = 5
ping_interval = "10ms"
timeout = "2s"
warning = "10s,20%"
critical = "20s,60%"

[[targets]]
hosts = ["198.18.1.3"]
warning = "10s,60%"
critical = "15s,80%"

[[targets]]
hosts = ["198.18.1.8"]

[[targets]]
hosts = ["198.18.1.1"]
count = 1
`)
		status, stdout, stderr := runWith(t, "", "check", "--config", path)
		want := "PING CRITICAL - 1 of 3 hosts ok, 1 critical, 1 warning: 198.18.1.8 CRITICAL loss 60% >= 60%; 198.18.1.3 WARNING loss 60% >= 60% |" +
			" '198.18.1.3 rta'=Tms;10000;15000;0 '198.18.1.3 pl'=60%;60;80;0;100 '198.18.1.3 rtmin'=Tms;;;0 '198.18.1.3 rtmax'=Tms;;;0 '198.18.1.3 jitter'=Tms;;;0" +
			" '198.18.1.8 rta'=Tms;10000;20000;0 '198.18.1.8 pl'=60%;20;60;0;100 '198.18.1.8 rtmin'=Tms;;;0 '198.18.1.8 rtmax'=Tms;;;0 '198.18.1.8 jitter'=Tms;;;0" +
			" '198.18.1.1 rta'=Tms;10000;20000;0 '198.18.1.1 pl'=0%;20;60;0;100 '198.18.1.1 rtmin'=Tms;;;0 '198.18.1.1 rtmax'=Tms;;;0 '198.18.1.1 jitter'=U;;;0\n" +
			"198.18.1.8 CRITICAL loss 60% >= 60%\n198.18.1.3 WARNING loss 60% >= 60%\n"
		if steady(stdout) != want || status != 2 || stderr != "" {
			t.Errorf("status %d, stderr %q, stdout\n got %s\nwant %s", status, stderr, steady(stdout), want)
		}
	})
}

// TestCheckConfigTwins checks one host as several targets: each has its own name
// in the text and in the performance data.
func TestCheckConfigTwins(t *testing.T) {
	needSocket(t)
	path := writeConfig(t, `
[defaults]
count = 1
[[targets]]
hosts = ["localhost", "127.0.0.1"]
family = "both"
warning = "0.000001ms"
critical = "1s"
[[targets]]
hosts = ["127.0.0.1"]
dscp = "EF"
tags = { site = "lab 1" }
warning = "0.000001ms"
critical = "1s"
[[targets]]
hosts = ["127.0.0.1"]
dscp = "EF"
tags = { site = "lab 2" }
warning = "0.000001ms"
critical = "1s"
`)
	status, stdout, stderr := runWith(t, "", "check", "--config", path)
	first, below, _ := strings.Cut(stdout, "\n")
	if status != 1 || stderr != "" {
		t.Errorf("status %d, stderr %q", status, stderr)
	}
	names := []string{"localhost ipv4", "localhost ipv6", "127.0.0.1", "127.0.0.1 dscp 46 site lab 1", "127.0.0.1 dscp 46 site lab 2"}
	for _, name := range names {
		if strings.Count(first, "'"+name+" rta'=") != 1 || strings.Count("\n"+below, "\n"+name+" WARNING rta ")+strings.Count("\n"+below, "\n"+name+" UNKNOWN ") != 1 {
			t.Errorf("%q is not in\n%s", name, stdout)
		}
	}
}

// TestMissingInterface: what the machine lacks keeps the other targets from
// nothing, and 'config check' warns and succeeds.
func TestMissingInterface(t *testing.T) {
	t.Parallel()
	netsim.Run(t, simulated(), func(t *testing.T, _ *netsim.Net) {
		path := writeConfig(t, "[[targets]]\nhosts = [\"198.18.1.1\"]\ncount = 1\n[[targets]]\nhosts = [\"198.18.1.2\"]\ninterface = \"vpn0\"\n")
		const warning = `:6: targets[1].interface: "vpn0": this machine does not have the interface now`
		status, stdout, stderr := runWith(t, "", "check", "--config", path)
		if status != 3 || !strings.HasPrefix(stdout, "PING UNKNOWN - 1 of 2 hosts ok, 1 unknown: 198.18.1.2 UNKNOWN interface vpn0") || !strings.Contains(stderr, warning) {
			t.Errorf("check: status %d, stdout %q, stderr %q", status, stdout, stderr)
		}
		status, stdout, stderr = runWith(t, "", "config", "check", path)
		if status != 0 || !strings.Contains(stdout, warning) || stderr != "" {
			t.Errorf("config check: status %d, stdout %q, stderr %q", status, stdout, stderr)
		}
	})
}

func TestCheckConfigRefuses(t *testing.T) {
	good := writeConfig(t, "[[targets]]\nhosts = [\"127.0.0.1\"]\n")
	slow := writeConfig(t, "[[targets]]\nhosts = [\"127.0.0.1\"]\ncount = 1000\nping_interval = \"100ms\"\n[agent]\ninterval = \"10m\"\n")
	wrong := writeConfig(t, "[[targets]]\nhosts = [\"127.0.0.1\"]\nttl = 999\nbogus = 1\n")
	for args, wants := range map[string][]string{
		"check --config " + good + " -n 3 -w 20% h": {"want no --count, --warning, HOST with it"},
		"check --config " + slow:                    {"--timeout 10s is too short"},
		"check --config " + wrong:                   {"ttl", "bogus"},
		"check --config /nonexistent":               {"no such file"},
	} {
		status, stdout, stderr := runWith(t, "", strings.Fields(args)...)
		lines := strings.Count(stderr, "\n") // one for each fault
		if status != 3 || !strings.HasPrefix(stdout, "PING UNKNOWN - ") || strings.Count(stdout, "\n") > 2 ||
			strings.Count("\n"+stderr, "\npingtel: ") != lines || lines > len(wants) {
			t.Errorf("%s: status %d, stdout %q, stderr %q", args, status, stdout, stderr)
		}
		for _, want := range wants {
			if !strings.Contains(stderr, want) {
				t.Errorf("%s: stderr %q, want %q in it", args, stderr, want)
			}
		}
	}
}

func TestJudgedByKeepsTheFilesThresholds(t *testing.T) {
	const ms = time.Millisecond
	th := func(warn, crit nagios.Level) nagios.Thresholds { return nagios.Thresholds{Warn: warn, Crit: crit} }
	tests := []struct {
		name      string
		got, want nagios.Thresholds
	}{
		{"nothing in the file", th(nagios.Level{}, nagios.Level{}), th(nagios.Level{RTT: 100 * ms, Loss: 20}, nagios.Level{RTT: 500 * ms, Loss: 60})},
		{"high warning", th(nagios.Level{RTT: time.Second, Loss: 80}, nagios.Level{}), th(nagios.Level{RTT: time.Second, Loss: 80}, nagios.Level{RTT: time.Second, Loss: 80})},
		{"low critical", th(nagios.Level{}, nagios.Level{RTT: 5 * ms, Loss: 10}), th(nagios.Level{RTT: 5 * ms, Loss: 10}, nagios.Level{RTT: 5 * ms, Loss: 10})},
		{"jitter is left alone", th(nagios.Level{RTT: ms, Loss: 1, Jitter: ms}, nagios.Level{RTT: 2 * ms, Loss: 2}), th(nagios.Level{RTT: ms, Loss: 1, Jitter: ms}, nagios.Level{RTT: 2 * ms, Loss: 2})},
	}
	for _, tt := range tests {
		if got := judgedBy(tt.got); got != tt.want {
			t.Errorf("%s: judgedBy = %+v, want %+v", tt.name, got, tt.want)
		}
	}
}
