package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pingtel/pingtel/integration/peer"
)

// process is the real program while it runs.
type process struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout *bufio.Reader
	reader *os.File // below stdout
	stderr bytes.Buffer
}

// startProcess runs the program with pipes for stdin and stdout. It is killed
// at the end of the test if it still runs.
func startProcess(t *testing.T, args ...string) *process {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	p := startProcessOn(t, w, args...)
	p.stdout, p.reader = bufio.NewReader(r), r
	return p
}

// startProcessOn is startProcess with the test's own stdout. It closes that stdout in
// this process.
func startProcessOn(t *testing.T, stdout *os.File, args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.CommandContext(t.Context(), peer.Pingtel(), args...)}
	p.cmd.Stdout, p.cmd.Stderr = stdout, &p.stderr
	var err error
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := stdout.Close(); err != nil {
		t.Fatal(err)
	}
	return p
}

// signal sends signals back to back.
func (p *process) signal(t *testing.T, signals ...os.Signal) {
	t.Helper()
	for _, s := range signals {
		if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Fatal(err)
		}
	}
}

// end returns the rest of the output, and how the program ends.
func (p *process) end(t *testing.T) (rest string, state *os.ProcessState) {
	t.Helper()
	b, err := io.ReadAll(p.stdout)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Wait(); err != nil && p.cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(b), p.cmd.ProcessState
}

// awaitLine waits for a line on stdout, which shows that the program runs.
func (p *process) awaitLine(t *testing.T) {
	t.Helper()
	if line, err := p.stdout.ReadString('\n'); err != nil {
		t.Fatalf("%q, %v, stderr %q", line, err, p.stderr.String())
	}
}

// awaitReading writes more to stdin than a pipe holds, which shows that the
// program reads it.
func (p *process) awaitReading(t *testing.T, hosts string) {
	t.Helper()
	if _, err := io.WriteString(p.stdin, hosts+strings.Repeat("# not a host\n", 20_000)); err != nil {
		t.Fatal(err)
	}
}

// TestTwoSignals stops commands like timeout(1), with two signals in a row.
func TestTwoSignals(t *testing.T) {
	needSocket(t)
	config := writeConfig(t, "[agent]\ninterval = \"100ms\"\n[defaults]\ncount = 1\ntimeout = \"50ms\"\n[[targets]]\nhosts = [\"127.0.0.1\"]\n")
	for _, tt := range []struct {
		name, args, stdin string
		status            int
		want              string // in the rest of stdout
	}{
		{"ping", "ping -c 0 -i 0.01 --show-rtts 127.0.0.1", "", 0, " answered, 0% loss\n  packets "},
		{"check", "check -n 3 -i 20 -t 60 -f -", "127.0.0.1\n", 3, "PING UNKNOWN - "},
		{"telegraf", "telegraf --config " + config, "", 0, ""},
		{"otel", "otel --stdout --config " + config, "", 0, `{"resourceMetrics":`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := startProcess(t, strings.Fields(tt.args)...)
			if tt.stdin == "" {
				p.awaitLine(t)
			} else {
				p.awaitReading(t, tt.stdin)
			}
			p.signal(t, syscall.SIGTERM, os.Interrupt)
			rest, state := p.end(t)
			if state.ExitCode() != tt.status || !strings.Contains(rest, tt.want) || rest != "" && !strings.HasSuffix(rest, "\n") {
				t.Errorf("%v, want status %d and %q; stderr %q, the rest of stdout\n%s", state, tt.status, tt.want, p.stderr.String(), rest)
			}
		})
	}
}

// TestLaterSignalEndsAtOnce gives the program a full stdout that nobody reads, so it
// cannot end by itself.
func TestLaterSignalEndsAtOnce(t *testing.T) {
	needSocket(t)
	unread, stdout, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer unread.Close()
	size, err := unix.FcntlInt(unread.Fd(), unix.F_SETPIPE_SZ, 4096)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stdout.Write(make([]byte, size)); err != nil {
		t.Fatal(err)
	}
	p := startProcessOn(t, stdout, "ping", "-c", "0", "-4", "-f", "-")
	p.awaitReading(t, "::1\n127.0.0.1\n") // the first is refused: a row that has to be written
	ended := make(chan error, 1)
	go func() { ended <- p.cmd.Wait() }() // ends with the program
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	first := time.Now()
	for {
		p.signal(t, os.Interrupt)
		select {
		case <-ended:
			status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
			if took := time.Since(first); !ok || !status.Signaled() || status.Signal() != syscall.SIGINT || took < secondSignal {
				t.Errorf("%v after %v, want the signal to end it after %v", p.cmd.ProcessState, took, secondSignal)
			}
			return
		case <-tick.C:
		}
	}
}

// TestHangupEndsPing: SIGHUP prints the figures, unless nohup(1) started it.
func TestHangupEndsPing(t *testing.T) {
	needSocket(t)
	p := startProcess(t, strings.Fields("ping -c 0 -i 0.01 127.0.0.1")...)
	p.awaitLine(t)
	p.signal(t, syscall.SIGHUP)
	if rest, state := p.end(t); state.ExitCode() != 0 || !strings.Contains(rest, " answered, 0% loss\n  packets ") {
		t.Errorf("%v, stderr %q, the rest of stdout\n%s", state, p.stderr.String(), rest)
	}

	signal.Ignore(syscall.SIGHUP) // a child inherits it, as that of nohup(1)
	p = startProcess(t, strings.Fields("ping -c 0 -i 0.01 127.0.0.1")...)
	signal.Reset(syscall.SIGHUP)
	p.awaitLine(t)
	p.signal(t, syscall.SIGHUP)
	for range 20 {
		p.awaitLine(t)
	}
	p.signal(t, os.Interrupt)
	if _, state := p.end(t); state.ExitCode() != 0 {
		t.Errorf("%v, stderr %q", state, p.stderr.String())
	}
}

// TestQuitShowsTheFiguresSoFar sends SIGQUIT, at which the Go runtime would print all
// goroutines by default.
func TestQuitShowsTheFiguresSoFar(t *testing.T) {
	needSocket(t)
	p := startProcess(t, strings.Fields("ping -c 0 -i 0.01 127.0.0.1")...)
	p.awaitLine(t)
	for range 2 {
		p.signal(t, syscall.SIGQUIT)
		for range 20 {
			p.awaitLine(t) // it goes on
		}
	}
	p.signal(t, syscall.SIGTERM)
	rest, state := p.end(t)
	if state.ExitCode() != 0 || !strings.Contains(rest, " answered, 0% loss\n  packets ") {
		t.Errorf("%v, the rest of stdout\n%s", state, rest)
	}
	lines := strings.Split(strings.TrimSuffix(p.stderr.String(), "\n"), "\n")
	for _, line := range lines {
		if !strings.HasPrefix(line, "127.0.0.1: ") || !strings.Contains(line, " received, 0% loss, min ") {
			t.Errorf("stderr %q", lines)
		}
	}
	if len(lines) != 2 {
		t.Errorf("%d lines on stderr, want 2", len(lines))
	}
}

// TestDeadline ends an endless run.
func TestDeadline(t *testing.T) {
	needSocket(t)
	status, stdout, stderr := runWith(t, "", strings.Fields("ping -c 0 -i 0.01 -w 0.3 127.0.0.1")...)
	if status != 0 || stderr != "" || !strings.Contains(stdout, "127.0.0.1: seq=2 reply ttl=") || !strings.Contains(stdout, " answered, 0% loss\n  packets ") {
		t.Errorf("status %d, stderr %q, stdout\n%s", status, stderr, stdout)
	}
}
