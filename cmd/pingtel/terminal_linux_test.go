package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pingtel/pingtel/integration/peer"
)

func TestMain(m *testing.M) {
	if family := os.Getenv(withoutFamilyEnv); family != "" {
		fmt.Fprintln(os.Stderr, runWithoutFamily(family))
		os.Exit(125)
	}
	os.Exit(peer.MainSideBySide(m))
}

// terminal opens a pseudo-terminal: a file for the program, and a function that
// closes it and returns what the program has shown.
func terminal(t *testing.T) (*os.File, func() string) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	number := 0
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil { // unlocks it
		t.Fatal(err)
	}
	if number, err = unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN); err != nil {
		t.Fatal(err)
	}
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	shown := make(chan string)
	go func() {
		b, _ := io.ReadAll(master) // EIO: the other side is closed
		shown <- string(b)
	}()
	return tty, func() string {
		tty.Close()
		defer master.Close()
		return <-shown
	}
}

// TestTerminal checks for output that only a terminal gets: colours on stdout, progress
// on stderr.
func TestTerminal(t *testing.T) {
	needSocket(t)
	const colour, erase = "\x1b[3", "\x1b[K"
	for _, tt := range []struct {
		name, term, noColour string
		colour, progress     bool
	}{
		{"usual", "xterm", "", true, true},
		{"NO_COLOR", "xterm", "1", false, true},
		{"dumb", "dumb", "", false, false},
		{"TERM is not set", "", "", false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("NO_COLOR", tt.noColour)
			t.Setenv("TERM", tt.term)
			if tt.term == "" {
				if err := os.Unsetenv("TERM"); err != nil { // t.Setenv restores it at the end
					t.Fatal(err)
				}
			}
			stdout, out := terminal(t)
			stderr, errs := terminal(t)
			args := []string{"ping", "-c", "20", "-i", "0.05", "127.0.0.1", "127.0.0.2"}
			if status := run(t.Context(), args, strings.NewReader(""), stdout, stderr); status != 0 {
				t.Errorf("status %d", status)
			}
			if got := out(); strings.Contains(got, colour) != tt.colour || strings.Contains(got, erase) {
				t.Errorf("stdout %q", got)
			}
			if got := errs(); strings.Contains(got, erase) != tt.progress || !tt.progress && got != "" {
				t.Errorf("stderr %q", got)
			}
			status, plain, errors := runWith(t, "", args...)
			if status != 0 || strings.Contains(plain, "\x1b") || errors != "" {
				t.Errorf("without a terminal: status %d, stdout %q, stderr %q", status, plain, errors)
			}
		})
	}
}

// TestInterrupt sends the signal of Ctrl-C to the running program.
func TestInterrupt(t *testing.T) {
	needSocket(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, peer.Pingtel(), "ping", "-c", "0", "-i", "0.01", "--show-rtts", "127.0.0.1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	first := make([]byte, 1)
	if _, err := io.ReadFull(out, first); err != nil { // the first reply
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(out)
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil || !strings.Contains(string(rest), " answered, 0% loss\n  packets ") {
		t.Errorf("%v, output %q", err, rest)
	}
}
