package main

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pingtel/pingtel/integration/netsim"
	"github.com/pingtel/pingtel/integration/peer"
	"github.com/pingtel/pingtel/integration/tmux"
	"github.com/pingtel/pingtel/internal/golden"
)

// watched is a network of hosts that answer after 20 ms, and of three that do
// not, or not always.
func watched() []netsim.Rule {
	rule := func(prefix string, answer netsim.Answer) netsim.Rule {
		return netsim.Rule{Prefix: netip.MustParsePrefix(prefix), Delay: 20 * time.Millisecond, TTL: 60, Answer: answer}
	}
	return []netsim.Rule{
		rule("198.18.0.0/15", nil),
		rule("198.18.100.102/32", netsim.Lost),
		rule("198.18.100.103/32", netsim.Every(4, netsim.Lost)),
		rule("198.18.100.104/32", netsim.Fail(router, netsim.Error{Kind: netsim.DestinationUnreachable, Code: 1})),
	}
}

// tenThousand is a file of hosts whose names all have the same length.
func tenThousand(t *testing.T) string {
	var list strings.Builder
	for i := range 64 {
		fmt.Fprintf(&list, "198.18.%d.100-255\n", 100+i)
	}
	list.WriteString("198.18.164.100-115\n")
	name := filepath.Join(t.TempDir(), "hosts.txt")
	if err := os.WriteFile(name, []byte(list.String()), 0o666); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestWatchCaptures holds what terminals of several sizes show of five hosts
// and of 10,000 against files.
func TestWatchCaptures(t *testing.T) {
	t.Parallel()
	netsim.Run(t, watched(), func(t *testing.T, _ *netsim.Net) {
		for name, args := range map[string]string{
			"five": "-i 0.2 -t 4 198.18.100.101-105",
			"many": "-i 2 -t 4 -f " + tenThousand(t),
		} {
			x := tmux.Start(t, 80, 24, nil, append([]string{peer.Pingtel(), "watch"}, strings.Fields(args)...)...)
			for _, size := range []struct{ width, height int }{{80, 24}, {60, 20}, {200, 50}} {
				x.Resize(size.width, size.height)
				text := x.Await(fmt.Sprintf("a full view of %s, %d x %d", name, size.width, size.height), func(text string) bool {
					lines := strings.Split(text, "\n")
					return len(lines) >= size.height && strings.HasPrefix(lines[size.height-1], "? help") &&
						states[name].MatchString(lines[0]) && measured.MatchString(text) &&
						strings.Contains(text, " error") == (size.width == 200)
				})
				golden.Compare(t, "testdata/"+fmt.Sprintf("watch-%s-%dx%d.txt", name, size.width, size.height), masked(text))
			}
			x.Press("q")
		}
	})
}

// states is what the first line says once every host is what the rules make of
// it. A machine with more to do than it can loses echoes of some of 10,000 hosts
// before they reach the network.
var states = map[string]*regexp.Regexp{
	"five": regexp.MustCompile("  2 down  1 with loss  "),
	"many": regexp.MustCompile("  2 down  [0-9]+ with loss  "),
}

var (
	measured = regexp.MustCompile(`100\.103 .* [1-9][0-9.]*% +[0-9]`) // the host that loses some has lost one
	totals   = regexp.MustCompile(`[0-9]+( with loss  ).*`)
	titles   = regexp.MustCompile(`^host .*(last [0-9.]+ (?:s|min)|history) `)
	digits   = regexp.MustCompile(`[0-9.]`)
	cells    = regexp.MustCompile(`[×▁-█·]`)
)

// masked takes out of a capture what differs from run to run: figures, how far
// histories have come, the heights of bars, and which of the hosts that answer
// stands where. All hosts are as long as the first.
func masked(text string) string {
	const host, loss = len("198.18.100.101"), 7
	lines := strings.Split(text, "\n")
	rows, history := 0, 0 // where the histories end
	for i, line := range lines {
		r := []rune(line)
		switch {
		case i == 0:
			line = totals.ReplaceAllString(line, "#$1~")
		case titles.MatchString(line):
			history = len([]rune(titles.FindString(line))) - 1
			line = string(r[:host]) + strings.Repeat("~", history-host) + string(r[history:])
		case strings.HasPrefix(line, "198.18."):
			name, figures := string(r[:host]), string(r[history+loss:])
			if rows++; rows > 3 {
				name = digits.ReplaceAllString(name, "#")
			}
			if !strings.Contains(figures, "unreachable") {
				figures = digits.ReplaceAllString(figures, "#")
			}
			line = name + strings.Repeat("~", history-host) + strings.Repeat("#", loss) + figures
		case cells.MatchString(line) && !strings.Contains(line, "each cell"):
			line = cells.ReplaceAllString(line, "▇")
		}
		lines[i] = strings.TrimRight(line, " ")
	}
	return strings.Join(lines, "\n")
}

// TestWatchLeaves ends the view in every way that a user or the system has: the
// terminal is then as it was, with what stood there before.
func TestWatchLeaves(t *testing.T) {
	t.Parallel()
	netsim.Run(t, watched(), func(t *testing.T, _ *netsim.Net) {
		signal := func(s syscall.Signal) func(*tmux.Terminal, string) {
			return func(x *tmux.Terminal, pid string) {
				n, err := strconv.Atoi(pid)
				if err == nil {
					err = syscall.Kill(n, s)
				}
				if err != nil {
					t.Error(err)
				}
			}
		}
		press := func(keys ...string) func(*tmux.Terminal, string) {
			return func(x *tmux.Terminal, _ string) { x.Press(keys...) }
		}
		for name, leave := range map[string]func(*tmux.Terminal, string){
			"q": press("q"), "q in a target": press("Enter", "q"), "q in help": press("?", "q"), "Ctrl-C": press("C-c"), "Ctrl-C in the filter": press("/", "a", "C-c"),
			"SIGTERM": signal(syscall.SIGTERM), "SIGINT": signal(syscall.SIGINT), "SIGHUP": signal(syscall.SIGHUP),
		} {
			dir := t.TempDir()
			script := `echo before; stty -a >"$1/before"
sh -c 'echo $$ >"$2/pid"; exec "$1" watch -i 0.1 198.18.100.101 198.18.100.103' - "$0" "$1"
echo status $?; stty -a >"$1/after"; echo done; cat`
			x := tmux.Start(t, 80, 24, nil, "sh", "-c", script, peer.Pingtel(), dir)
			x.AwaitText("198.18.100.103")
			if state := x.State(); !strings.HasPrefix(state, "alternate 1 cursor 0") {
				t.Errorf("%s: while it runs, the terminal is %s", name, state)
			}
			leave(x, strings.TrimSpace(readFile(t, filepath.Join(dir, "pid"))))
			text := x.AwaitText("done")
			if want := "before\nstatus 0\ndone\n"; strings.TrimRight(text, "\n")+"\n" != want {
				t.Errorf("%s: the terminal shows %q, want %q", name, text, want)
			}
			if want := "alternate 0 cursor 1 keypad 0 cursor-keys 0 mouse 0 wrap 1 insert 0 origin 0"; x.State() != want {
				t.Errorf("%s: the terminal is %s, want %s", name, x.State(), want)
			}
			if diff := cmp.Diff(readFile(t, filepath.Join(dir, "before")), readFile(t, filepath.Join(dir, "after"))); diff != "" {
				t.Errorf("%s: stty -a (-before +after)\n%s", name, diff)
			}
		}
	})
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestWatchRefuses starts the view where there can be none, or with flags that
// make none.
func TestWatchRefuses(t *testing.T) {
	config := writeConfig(t, "[[targets]]\nhosts = [\"127.0.0.1\"]\n")
	for args, want := range map[string]string{
		"watch 127.0.0.1":                 "pingtel: watch needs a terminal: use 'pingtel ping -c 0' for lines of text, with -j for JSON\n",
		"watch --config " + config:        "pingtel: watch needs a terminal: use 'pingtel ping -c 0' for lines of text, with -j for JSON\n",
		"watch":                           "pingtel: no host given: want HOST... or --file\n",
		"watch -i 0 127.0.0.1":            "pingtel: --interval \"0\": want 1ms to 24h\n",
		"watch --config f -i 1 127.0.0.1": "pingtel: --config: hosts and options stand in the file: want no --interval, HOST beside it\n",
	} {
		if status, stdout, stderr := runWith(t, "", strings.Fields(args)...); status != statusUnable || stdout != "" || stderr != want {
			t.Errorf("%s: status %d, stdout %q, stderr %q, want %q", args, status, stdout, stderr, want)
		}
	}
	for kind, want := range map[string]int{"dumb": statusUnable, "": statusUnable} {
		t.Setenv("TERM", kind)
		tty, shown := terminal(t)
		if status := run(t.Context(), []string{"watch", "127.0.0.1"}, strings.NewReader(""), tty, tty); status != want {
			t.Errorf("TERM=%s: status %d", kind, status)
		}
		if got := shown(); !strings.HasPrefix(got, "pingtel: watch needs a terminal") || strings.Count(got, "\n") != 1 {
			t.Errorf("TERM=%s: %q", kind, got)
		}
	}
}

// TestWatchConfig shows the targets of a file, by their tags.
func TestWatchConfig(t *testing.T) {
	t.Parallel()
	netsim.Run(t, watched(), func(t *testing.T, _ *netsim.Net) {
		config := writeConfig(t, `[agent]
interval = "1s"
[defaults]
count = 4
ping_interval = "100ms"
timeout = "500ms"
[[targets]]
hosts = ["198.18.100.101", "198.18.100.103"]
tags = { site = "north" }
[[targets]]
hosts = ["198.18.100.104", "no.such.example"]
tags = { site = "south" }
`)
		x := tmux.Start(t, 80, 24, nil, peer.Pingtel(), "watch", "--config", config)
		x.Await("both that are down", func(text string) bool { return strings.Contains(text, "2 down  1 with loss") })
		x.Type("/site=south")
		x.AwaitText("2 shown")
		x.Press("Enter", "Enter")
		text := x.Await("one target", func(text string) bool { return strings.Contains(text, "site=south\n") })
		if !strings.Contains(text, "198.18.100.104  down") && !strings.Contains(text, "no.such.example  cannot be pinged") {
			t.Errorf("the first of site=south:\n%s", text)
		}
		x.Press("Escape")
		x.AwaitText("\nhost ")
		x.Press("Escape")
		x.Await("all again", func(text string) bool { return strings.Contains(text, "198.18.100.101") })
		x.Press("Space")
		x.AwaitText(" FROZEN ")
		x.Press("Space")
		x.Await("thawed", func(text string) bool { return !strings.Contains(text, " FROZEN ") })
		x.Press("q")
		peer.Await(t, "the end", func() bool { _, ended := x.Ended(); return ended })
	})
}

// TestWatchColours looks at what terminals of several kinds get.
func TestWatchColours(t *testing.T) {
	t.Parallel()
	netsim.Run(t, watched(), func(t *testing.T, _ *netsim.Net) {
		for _, tt := range []struct {
			name   string
			env    []string
			red    bool
			marked string // of a column with lost echoes among others
		}{
			{"256 colours", []string{"TERM=screen-256color"}, true, ""},
			{"16 colours", []string{"TERM=screen-16color"}, true, ""},
			{"8 colours", []string{"TERM=screen"}, true, ""},
			{"NO_COLOR", []string{"NO_COLOR=yes"}, false, "!"},
			{"no UTF-8", []string{"LC_ALL=C"}, true, ""},
		} {
			x := tmux.Start(t, 80, 24, nil, append(append([]string{"env"}, tt.env...), peer.Pingtel(), "watch", "-i", "0.05", "-t", "2", "198.18.100.102-103")...)
			lost := "×"
			if tt.name == "no UTF-8" {
				lost = "x"
			}
			x.Await(tt.name, func(text string) bool {
				return strings.Contains(text, lost+lost+lost+lost) && strings.Contains(text, tt.marked)
			})
			text := x.Escaped()
			if got := strings.Contains(text, "\x1b[31m") || strings.Contains(text, ";31m"); got != tt.red {
				t.Errorf("%s: red %v, want %v: %q", tt.name, got, tt.red, text)
			}
			if tt.name == "no UTF-8" && strings.ContainsFunc(text, func(r rune) bool { return r > 126 }) {
				t.Errorf("%s: %q", tt.name, text)
			}
			x.Press("q")
		}
	})
}
