package check_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/pingtel/pingtel/integration/netsim"
	"github.com/pingtel/pingtel/integration/peer"
)

// installed is where the examples have the binary.
const installed = "/usr/bin/pingtel"

// examples returns the blocks of docs/check.md in one language, with the binary
// under test in the place of the installed one.
func examples(t *testing.T, language string) (blocks []string) {
	t.Helper()
	doc, err := os.ReadFile(filepath.Join("..", "..", "docs", "check.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(string(doc), -1) {
		blocks = append(blocks, strings.ReplaceAll(m[1], installed, peer.Pingtel()))
	}
	if len(blocks) == 0 {
		t.Fatalf("docs/check.md has no example for %s", language)
	}
	return blocks
}

// tool returns the path of a program, or skips the test.
func tool(t *testing.T, name, debian string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("no %s to read the example with: install %s", name, debian)
	}
	return path
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestNagiosExample lets Nagios verify the example, and runs its command lines.
func TestNagiosExample(t *testing.T) {
	block := examples(t, "nagios")[0]
	dir := t.TempDir()
	objects := block + `
define contact {
    contact_name                   operator
    host_notifications_enabled     0
    service_notifications_enabled  0
    host_notification_period       24x7
    service_notification_period    24x7
    host_notification_options      n
    service_notification_options   n
    host_notification_commands     pingtel
    service_notification_commands  pingtel
}
define timeperiod {
    timeperiod_name  24x7
    alias            always
    monday           00:00-24:00
}
`
	write(t, filepath.Join(dir, "objects.cfg"), objects)
	write(t, filepath.Join(dir, "nagios.cfg"), fmt.Sprintf("nagios_user=root\nnagios_group=root\nillegal_macro_output_chars=`~$&|<>\ncfg_file=%s/objects.cfg\nlog_file=%[1]s/log\ncheck_result_path=%[1]s\ntemp_path=%[1]s\nlock_file=%[1]s/lock\ntemp_file=%[1]s/temp\n", dir))
	if out, err := peer.Output(exec.Command(tool(t, "nagios4", "nagios4-core"), "-v", filepath.Join(dir, "nagios.cfg"))); err != nil || !strings.Contains(out, "Total Errors:   0") || !strings.Contains(out, "Total Warnings: 0") {
		t.Errorf("nagios4 -v: %v\n%s", err, out)
	}
	lines := regexp.MustCompile(`command_line +(.*)`).FindAllStringSubmatch(block, -1)
	if len(lines) != 2 {
		t.Fatalf("%d command lines, want 2", len(lines))
	}
	netsim.Run(t, network(), func(t *testing.T, _ *netsim.Net) {
		for host, want := range map[string]int{"198.18.1.1": ok, "198.18.1.6": critical} {
			for _, line := range lines {
				command := strings.NewReplacer("$HOSTADDRESS$", host, "$ARG1$", "100.0,20%", "$ARG2$", "5000.0,60%").Replace(line[1])
				if status, stdout := outcome(t, exec.Command("sh", "-c", command)); status != want {
					t.Errorf("%s: status %d, want %d; %s", command, status, want, stdout)
				}
			}
		}
	})
}

// TestIcingaExample lets Icinga validate the example, and Icinga's own commands
// for check_ping and check_icmp run pingtel.
func TestIcingaExample(t *testing.T) {
	conf := filepath.Join(t.TempDir(), "icinga2.conf")
	write(t, conf, "include <itl>\n"+examples(t, "icinga")[0])
	icinga(t, conf, "Instantiated 1 Service.", "Instantiated 1 Host.")
}

// icinga validates a configuration.
func icinga(t *testing.T, conf string, wants ...string) {
	t.Helper()
	dir := t.TempDir()
	args := []string{"daemon", "-C", "-c", conf, "-DRunAsUser=root", "-DRunAsGroup=root"}
	for _, name := range []string{"DataDir", "LogDir", "CacheDir", "InitRunDir", "SpoolDir"} {
		args = append(args, "-D"+name+"="+dir)
	}
	out, err := peer.Output(exec.Command(tool(t, "icinga2", "icinga2-bin"), args...))
	if err != nil || strings.Contains(out, "warning/") || strings.Contains(out, "critical/") {
		t.Errorf("icinga2 daemon -C: %v\n%s", err, out)
	}
	for _, want := range wants {
		if !strings.Contains(out, want) {
			t.Errorf("icinga2 daemon -C does not say %q:\n%s", want, out)
		}
	}
}

// TestIcingaCommands gives the command lines of Icinga's own commands to pingtel:
// they are what its template library makes for a host.
func TestIcingaCommands(t *testing.T) {
	t.Parallel()
	netsim.Run(t, network(), func(t *testing.T, _ *netsim.Net) {
		for args, want := range map[string]int{
			"-4 -H 198.18.1.1 -c 5000,15% -w 1000,5%":                                                                                ok,       // ping4
			"-6 -H 2001:db8::1 -c 5000,15% -w 1000,5%":                                                                               ok,       // ping6
			"-H 198.18.1.6 -c 5000,100% -w 3000,80%":                                                                                 critical, // hostalive
			"-H 198.18.1.1 -I 0 -b 68 -c 5000,15% -i 80ms -l 64 -n 5 -t 10 -w 1000,5%":                                               unknown,  // icmp with a time between hosts
			"-H 198.18.1.1 198.18.1.6 -b 68 -c 5000,15% -l 64 -m 1 -n 5 -s 198.18.0.1 -t 10 -w 1000,5%":                              ok,       // icmp with several hosts
			"-H 198.18.1.1 -H 198.18.1.6 -w 1000,20% -c 5000,60% -p 5 -t 10 -m 2 -s 198.18.0.1 --crit-jitter 3000 -4":                critical, // the example
			"--hostname=198.18.1.1 --warning=1000,20% --critical=5000,60% --packets=2 --timeout=10 --use-ipv4":                       ok,       // check_ping's long flags
			"-H 198.18.1.1 -w 1000.0ms,20% -c 5s,60% -n 2 -t 10 --warn-max 3000 --crit-max 4000 --warn-jitter 3000 --echo-timeout 6": ok,
		} {
			if status, stdout := outcome(t, exec.Command(peer.Pingtel(), append([]string{"check"}, strings.Fields(args)...)...)); status != want {
				t.Errorf("check %s: status %d, want %d; %s", args, status, want, stdout)
			}
		}
	})
}

// TestCronExample runs the command of the crontab: it says nothing when all is
// well, and names the host when not.
func TestCronExample(t *testing.T) {
	t.Parallel()
	hosts := filepath.Join(t.TempDir(), "hosts.txt")
	lines := strings.Split(strings.TrimSpace(examples(t, "cron")[0]), "\n")
	if len(lines) != 2 || !strings.HasPrefix(lines[0], "MAILTO=") {
		t.Fatalf("the example is %q", lines)
	}
	m := regexp.MustCompile(`^(?:[0-9*/,-]+ ){5}[a-z]+ (/.*)$`).FindStringSubmatch(lines[1])
	if m == nil || strings.Contains(m[1], "%") {
		t.Fatalf("%q is no line of a system's crontab", lines[1])
	}
	command := strings.ReplaceAll(m[1], "/etc/pingtel/hosts.txt", hosts)
	netsim.Run(t, network(), func(t *testing.T, _ *netsim.Net) {
		// The parent's folder is another one: each process has its own.
		write(t, hosts, "198.18.1.1\n")
		if status, stdout := outcome(t, exec.Command("sh", "-c", command)); status > warning || status == ok && stdout != "" {
			t.Errorf("all is well: status %d, %q", status, stdout)
		}
		write(t, hosts, "198.18.1.1\n198.18.1.6 # broken\n")
		status, stdout := outcome(t, exec.Command("sh", "-c", command))
		if status != critical || !strings.Contains(stdout, "\n198.18.1.6 CRITICAL ") || strings.Contains(stdout, "|") {
			t.Errorf("a host in trouble: status %d, %q", status, stdout)
		}
	})
}

// TestSystemdExample lets systemd verify both units, and runs the command of the
// service.
func TestSystemdExample(t *testing.T) {
	t.Parallel()
	analyze := tool(t, "systemd-analyze", "systemd")
	dir := t.TempDir()
	units := examples(t, "systemd")
	if len(units) != 2 {
		t.Fatalf("%d units, want 2", len(units))
	}
	var paths []string
	for _, unit := range units {
		name := regexp.MustCompile(`^# /etc/systemd/system/(\S+)\n`).FindStringSubmatch(unit)
		if name == nil {
			t.Fatalf("no file name in %q", unit)
		}
		paths = append(paths, filepath.Join(dir, name[1]))
		write(t, paths[len(paths)-1], unit)
	}
	cmd := exec.Command(analyze, append([]string{"verify", "--man=no"}, paths...)...)
	cmd.Env = append(os.Environ(), "SYSTEMD_UNIT_PATH="+dir+":")
	out, err := peer.Output(cmd)
	if err != nil || strings.Contains(out, "pingtel-check") {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	start := regexp.MustCompile(`(?m)^ExecStart=(.*)$`).FindStringSubmatch(units[0])
	if start == nil {
		t.Fatal("no ExecStart")
	}
	hosts := filepath.Join(t.TempDir(), "hosts.txt")
	command := strings.Fields(strings.NewReplacer("%%", "%", "/etc/pingtel/hosts.txt", hosts).Replace(start[1]))
	netsim.Run(t, network(), func(t *testing.T, _ *netsim.Net) {
		write(t, hosts, "198.18.1.1\n198.18.1.6\n")
		if status, stdout := outcome(t, exec.Command(command[0], command[1:]...)); status != critical || !strings.Contains(stdout, "198.18.1.6 CRITICAL ") {
			t.Errorf("%q: status %d, %s", command, status, stdout)
		}
	})
}
