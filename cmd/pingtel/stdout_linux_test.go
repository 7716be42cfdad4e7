package main

import (
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/pingtel/pingtel/integration/peer"
)

// TestUnwrittenResult runs the program from a shell: a result that could not be written
// is not a success.
func TestUnwrittenResult(t *testing.T) {
	needSocket(t)
	config := writeConfig(t, "[defaults]\ncount = 1\n[[targets]]\nhosts = [\"127.0.0.1\"]\n")
	for _, args := range []string{
		"ping -c 1 127.0.0.1", "ping -c 1 -j 127.0.0.1", "check -n 1 127.0.0.1", "telegraf --once --config " + config,
		"version", "config check " + config,
	} {
		for redirection, reason := range map[string]string{
			">&-":            "stdout is closed",
			">&- </dev/null": "stdout is closed",
			">/dev/full":     "no space left on device",
		} {
			want := statusUnable
			if strings.HasPrefix(args, "check") {
				want = 3
			}
			status, stderr := shell(t, args+" "+redirection)
			if status != want || !strings.Contains(stderr, reason) || strings.Count(stderr, "\n") != 1 {
				t.Errorf("%s %s: status %d, stderr %q, want %d and %q", args, redirection, status, stderr, want, reason)
			}
		}
		for _, redirection := range []string{">/dev/null", "1<>/dev/null 2>&1", "0<>/dev/null 1<>/dev/null 2<>/dev/null"} {
			if status, stderr := shell(t, args+" "+redirection); status != 0 {
				t.Errorf("%s %s: status %d, stderr %q, want 0", args, redirection, status, stderr)
			}
		}
	}
	if status, stderr := shell(t, "check -q -n 1 127.0.0.1 >&-"); status != 0 || stderr != "" {
		t.Errorf("nothing to write: status %d, stderr %q, want 0", status, stderr)
	}
}

// TestReaderLeaves has a reader that reads one line and leaves.
func TestReaderLeaves(t *testing.T) {
	needSocket(t)
	config := writeConfig(t, "[agent]\ninterval = \"100ms\"\nlog_level = \"warn\"\n[defaults]\ncount = 1\ntimeout = \"50ms\"\n[[targets]]\nhosts = [\"127.0.0.1\"]\n")
	for _, args := range []string{
		"ping -c 0 -i 0.01 --show-rtts 127.0.0.1", "telegraf --config " + config, "otel --stdout --config " + config,
	} {
		p := startProcess(t, strings.Fields(args)...)
		p.awaitLine(t)
		p.reader.Close()
		err := p.cmd.Wait()
		if got := p.cmd.ProcessState.ExitCode(); got != statusReaderLeft || p.stderr.Len() > 0 {
			t.Errorf("%s: %v, stderr %q, want status %d and no word", args, err, p.stderr.String(), statusReaderLeft)
		}
	}
}

// TestCheckQuit sends the signals that make the Go runtime end a process with
// the status of CRITICAL, while the list of hosts is read.
func TestCheckQuit(t *testing.T) {
	needSocket(t)
	for _, s := range []syscall.Signal{syscall.SIGQUIT, syscall.SIGABRT} {
		p := startProcess(t, "check", "-n", "3", "-i", "20", "-t", "60", "-f", "-")
		p.awaitReading(t, "127.0.0.1\n")
		p.signal(t, s)
		if stdout, state := p.end(t); state.ExitCode() != 3 || stdout != "PING UNKNOWN - ended before the list of hosts was complete\n" {
			t.Errorf("%v: %v, stdout %q, stderr %q, want UNKNOWN", s, state, stdout, p.stderr.String())
		}
	}
}

// shell runs pingtel with arguments and redirections, and returns its exit
// status and what it writes to stderr.
func shell(t *testing.T, command string) (status int, stderr string) {
	t.Helper()
	var said strings.Builder
	cmd := exec.CommandContext(t.Context(), "sh", "-c", `exec "$0" `+command, peer.Pingtel())
	cmd.Stderr = &said
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), said.String()
}
