package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/pingtel/pingtel/internal/nagios"
)

// TestCheckHints: flags that other plugins have and that mean nothing here, or
// something else, get a line with what to write.
func TestCheckHints(t *testing.T) {
	for args, want := range map[string]string{
		"-I 50ms":             `--interface "50ms": -I is the network interface, and not check_icmp's time between hosts: want --rate, in echoes per second`,
		"-I 0":                "want --rate",
		"-I nosuch0":          "want a network interface of this machine",
		"-s 56":               "-s 56: -s is the source, as in check_icmp: want -b 56 or --size 56 for the payload",
		"-s nosuch0":          `-s "nosuch0": want an IP address or a network interface of this machine`,
		"-i 80":               "--timeout 10s is too short: 5 echoes take up to 5m20.5s: want a longer one; -i is in seconds here, milliseconds are -i 80ms",
		"-b 4":                `--size "4": want a whole number from 8`,
		"-l 0":                `--ttl "0": want a whole number from 1`,
		"-m 0":                `--need "0": want a whole number from 1`,
		"-m 2":                "-m 2: want at most the number of hosts, which is 1",
		"-L":                  "-L: check prints no HTML: leave it out",
		"-T 500":              "-T: how long to wait for each reply is --echo-timeout: want --echo-timeout 500ms",
		"-a":                  "-a: any reply is enough for a host check: want -w 5000,100% -c 5000,100%",
		"-R 100,200":          "-R: mean RTTs are in -w and -c",
		"-P 20,40":            "-P: losses are in -w and -c",
		"-J 5,9":              "--warn-jitter and --crit-jitter: want them instead of 5,9",
		"-O":                  "-O: reordered replies are not judged: leave it out",
		"--extra-opts=@x.ini": "--extra-opts: check reads no ini file: want the flags of @x.ini here",
		"-w 100m,20%":         `--warning "100m,20%": the unit m is not clear: want ms`,
		"--crit-max 2h":       `--crit-max "2h": want at most 1h`,
		"--warn-max -1":       `--warn-max "-1": want milliseconds, as 100, or a number with a unit, as 100ms`,
		"-t 1 -n 20":          "--timeout 1s is too short: 20 echoes take up to 2.4s",
		"-4 -6":               "-4 and -6: want one of them",
		"--warn-max 2s --crit-max 1s --warn-jitter 2s --crit-jitter 1s": "warning longest RTT 2s is above critical 1s: want it at or below; warning jitter 2s is above",
		"--echo-timeout 1 --crit-max 2s":                                "critical RTT 2s is never reached: want it at or below --echo-timeout, 1s",
	} {
		needSocket(t)
		status, stdout, stderr := runWith(t, "", append([]string{"check", "127.0.0.1"}, strings.Fields(args)...)...)
		if status != 3 || !strings.HasPrefix(stdout, "PING UNKNOWN - ") || !strings.Contains(stderr, want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: status %d, stdout %q, stderr\n got %s\nwant %s", args, status, stdout, stderr, want)
		}
	}
}

// TestCheckRefusesManyHosts: a run that cannot end in its time sends nothing.
func TestCheckRefusesManyHosts(t *testing.T) {
	needSocket(t)
	var list strings.Builder
	for i := range 30_000 {
		fmt.Fprintf(&list, "127.9.%d.%d\n", i/250, i%250+1)
	}
	for _, tt := range []struct{ args, stdin, want string }{
		{"check -f -", list.String(), "--timeout 10s is too short: 5 echoes to each of 30000 hosts take up to 15.4999s: want a longer one"},
		{"check -H 127.8.0.0/17 -p 10", "", "--timeout 10s is too short: 10 echoes to each of 32766 hosts take up to 33.2659s: want a longer one"},
		{"check -r 10 -p 5 -t 5 -H 127.0.0.1 -H 127.0.0.2-11", "", "5 echoes to each of 11 hosts take up to 5.9s: want a longer one"},
	} {
		status, stdout, stderr := runWith(t, tt.stdin, strings.Fields(tt.args)...)
		if status != 3 || !strings.HasPrefix(stdout, "PING UNKNOWN - ") || !strings.Contains(stderr, tt.want) {
			t.Errorf("%s: status %d, stdout %q, stderr\n got %s\nwant %s", tt.args, status, stdout, stderr, tt.want)
		}
	}
}

// TestCheckGivesWay: the default of a level gives way to what is given.
func TestCheckGivesWay(t *testing.T) {
	needSocket(t)
	for args, want := range map[string]string{
		"-c 50,10%":              "rta=Tms;50;50;0 pl=0%;10;10;0;100 ",
		"-w 1000,70%":            "rta=Tms;1000;1000;0 pl=0%;70;70;0;100 ",
		"-w 30% -c 700":          "rta=Tms;100;700;0 pl=0%;30;60;0;100 ",
		"-w 90 -w 30%":           "rta=Tms;90;500;0 pl=0%;30;60;0;100 ",
		"--warn-max 80":          "rtmax=Tms;80;;0 jitter=U;;;0",
		"--crit-max 2s -p 1":     "rtmax=Tms;;2000;0 jitter=U;;;0",
		"-p 1 --packets 1 -n 1":  "pl=0%;20;60;0;100 ",
		"--use-ipv4 --timeout 9": "pl=0%;20;60;0;100 ",
	} {
		status, stdout, stderr := runWith(t, "", append([]string{"check", "-H", "127.0.0.1", "-p", "1"}, strings.Fields(args)...)...)
		if !strings.Contains(steady(stdout), want) || stderr != "" || status == 3 {
			t.Errorf("%s: status %d, stderr %q, stdout\n got %s\nwant %s", args, status, stderr, steady(stdout), want)
		}
	}
}

func TestCheckVersion(t *testing.T) {
	status, stdout, stderr := runWith(t, "", "check", "-V")
	if status != int(nagios.Unknown) || !strings.HasPrefix(stdout, "pingtel ") || strings.Count(stdout, "\n") != 1 || stderr != "" {
		t.Errorf("status %d, stderr %q, stdout %q", status, stderr, stdout)
	}
}

func TestCheckVerbose(t *testing.T) {
	needSocket(t)
	status, stdout, _ := runWith(t, "", "check", "-v", "-v", "-p", "1", "-w", "9000", "-c", "9000", "127.0.0.1", "127.0.0.2")
	want := "127.0.0.1 OK: 1 of 1 echoes answered, rta T ms, rtmin T ms, rtmax T ms, ttl 64\n" +
		"127.0.0.2 OK: 1 of 1 echoes answered, rta T ms, rtmin T ms, rtmax T ms, ttl 64\n"
	if _, below, _ := strings.Cut(steady(stdout), "\n"); below != want || status != 0 {
		t.Errorf("status %d, lines\n got %s\nwant %s", status, below, want)
	}
}
