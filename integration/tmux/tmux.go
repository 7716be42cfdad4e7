//go:build unix

// Package tmux runs programs in a real terminal emulator, of a size that the
// test chooses, and tells what they show there.
package tmux

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pingtel/pingtel/integration/peer"
)

// settings has no line of tmux's own on the screen, keeps the screen when the
// program has ended, and passes a lone Esc on at once.
const settings = `
set -g status off
set -g remain-on-exit on
set -g escape-time 0
set -g default-terminal screen-256color
`

// Terminal is a terminal with a program in it.
type Terminal struct {
	t      *testing.T
	config string
	socket string
}

// Start runs a command in a terminal of its own until the test ends. env is
// added to the environment ("NAME=value"). The test skips where there is no
// tmux.
func Start(t *testing.T, width, height int, env []string, command ...string) *Terminal {
	t.Helper()
	if _, err := exec.LookPath("tmux"); err != nil {
		t.Skip("no tmux: install it (apt-get install tmux)")
	}
	dir := t.TempDir()
	x := &Terminal{t: t, config: filepath.Join(dir, "conf"), socket: filepath.Join(dir, "s")}
	t.Cleanup(func() {
		_ = exec.Command("tmux", "-S", x.socket, "kill-server").Run() // has ended by itself where that fails
	})
	if err := os.WriteFile(x.config, []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"new-session", "-d", "-x", fmt.Sprint(width), "-y", fmt.Sprint(height)}
	for _, e := range append([]string{"LC_ALL=C.UTF-8"}, env...) {
		args = append(args, "-e", e)
	}
	x.run(append(append(args, "--"), command...)...)
	return x
}

// run runs a command of tmux and returns what it prints.
func (x *Terminal) run(args ...string) string {
	x.t.Helper()
	cmd := exec.Command("tmux", append([]string{"-u", "-f", x.config, "-S", x.socket}, args...)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	out, err := peer.Output(cmd)
	if err != nil {
		x.t.Fatal(err)
	}
	return out
}

// Text returns what the terminal shows, a line for each of its rows, without
// the blanks at their ends.
func (x *Terminal) Text() string { x.t.Helper(); return x.run("capture-pane", "-p") }

// All is Text with what has scrolled out of sight.
func (x *Terminal) All() string { x.t.Helper(); return x.run("capture-pane", "-p", "-S", "-") }

// Escaped is Text with the escape sequences of colours and other looks.
func (x *Terminal) Escaped() string { x.t.Helper(); return x.run("capture-pane", "-p", "-e") }

// Press types keys by tmux's names ("Enter", "C-c", "q").
func (x *Terminal) Press(keys ...string) {
	x.t.Helper()
	x.run(append([]string{"send-keys", "--"}, keys...)...)
}

// Type types a text as it is.
func (x *Terminal) Type(text string) { x.t.Helper(); x.run("send-keys", "-l", "--", text) }

// Resize gives the terminal another size.
func (x *Terminal) Resize(width, height int) {
	x.t.Helper()
	x.run("resize-window", "-x", fmt.Sprint(width), "-y", fmt.Sprint(height))
}

// State returns the modes of the terminal that a program must leave as they
// were, and what it does: see the formats in tmux(1).
func (x *Terminal) State() string {
	x.t.Helper()
	return strings.TrimSpace(x.run("display-message", "-p", "alternate #{alternate_on} cursor #{cursor_flag} keypad #{keypad_flag} "+
		"cursor-keys #{keypad_cursor_flag} mouse #{mouse_any_flag} wrap #{wrap_flag} insert #{insert_flag} origin #{origin_flag}"))
}

// Ended reports whether the program has ended, and its exit status.
func (x *Terminal) Ended() (status string, ended bool) {
	x.t.Helper()
	dead, status, _ := strings.Cut(strings.TrimSpace(x.run("display-message", "-p", "#{pane_dead} #{pane_dead_status}")), " ")
	return status, dead == "1"
}

// PID returns the number of the process that was started in the terminal.
func (x *Terminal) PID() string {
	x.t.Helper()
	return strings.TrimSpace(x.run("display-message", "-p", "#{pane_pid}"))
}

// Await returns what the terminal shows as soon as done is content with it. The
// test fails where that takes over a minute.
func (x *Terminal) Await(what string, done func(text string) bool) string {
	x.t.Helper()
	text := ""
	defer func() {
		if x.t.Failed() {
			x.t.Logf("the terminal shows\n%s", text)
		}
	}()
	peer.Await(x.t, what, func() bool {
		text = x.Text()
		return done(text)
	})
	return text
}

// AwaitText is Await for a text somewhere on the screen.
func (x *Terminal) AwaitText(want string) string {
	x.t.Helper()
	return x.Await(fmt.Sprintf("%q on the terminal", want), func(text string) bool { return strings.Contains(text, want) })
}
