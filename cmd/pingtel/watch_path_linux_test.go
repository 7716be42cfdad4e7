package main

import (
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/pingtel/pingtel/integration/netsim"
	"github.com/pingtel/pingtel/integration/peer"
	"github.com/pingtel/pingtel/integration/tmux"
)

var echoesSoFar = regexp.MustCompile(`  ([0-9]+) echoes`)

// TestWatchPath presses p on the worst of some hosts, and on one that is chosen, in
// terminals of several kinds. Measuring goes on meanwhile.
func TestWatchPath(t *testing.T) {
	netsim.Run(t, behindRouters(), func(t *testing.T, _ *netsim.Net) {
		for _, tt := range []struct {
			name, args string
			env        []string
			verdict    string
		}{
			{"silence", "--socket raw 198.18.1.1 198.18.1.2", nil, "nothing answers beyond hop 3, 198.18.102.3"},
			{"silence, IPv6, datagram socket, no colour", "--socket datagram 2001:db8::1:1 2001:db8::1:2", []string{"NO_COLOR=yes"}, "nothing answers beyond hop 3, 2001:db8:3::2"},
			{"an error, ASCII", "198.18.1.1 198.18.1.4", []string{"LC_ALL=C"}, "hop 2, 198.18.104.2 reports: communication administratively prohibited"},
			{"a file", "--config " + writeConfig(t, "[agent]\ninterval = \"1s\"\n[defaults]\ncount = 4\nping_interval = \"100ms\"\ntimeout = \"500ms\"\n[[targets]]\nhosts = [\"198.18.1.1\", \"198.18.1.2\"]\n"), nil,
				"nothing answers beyond hop 3, 198.18.102.3"},
		} {
			t.Run(tt.name, func(t *testing.T) {
				args := append(append([]string{"env"}, tt.env...), peer.Pingtel(), "watch")
				if !strings.Contains(tt.args, "--config") {
					args = append(args, "-i", "0.1", "-t", "0.5")
				}
				x := tmux.Start(t, 90, 24, nil, append(args, strings.Fields(tt.args)...)...)
				x.AwaitText(" 1 down")
				x.Press("p")
				text := x.AwaitText(tt.verdict)
				if !strings.Contains(text, "path ") || !strings.Contains(text, " ago: not reached, ") || !strings.Contains(text, "\nhop  address ") || !strings.Contains(text, "down: the last ") {
					t.Errorf("the path:\n%s", text)
				}
				echoes := func(text string) int {
					m := echoesSoFar.FindStringSubmatch(text)
					if m == nil {
						return 0
					}
					n, _ := strconv.Atoi(m[1]) // only digits
					return n
				}
				before := echoes(text)
				x.Await("more echoes", func(text string) bool { return strings.Contains(text, tt.verdict) && echoes(text) > before })
				if escaped := x.Escaped(); strings.Contains(escaped, "\x1b[31m") == strings.Contains(strings.Join(tt.env, ""), "NO_COLOR") {
					t.Errorf("red, or none: %q", escaped)
				}
				x.Resize(60, 20)
				x.Await("a narrow path", func(text string) bool {
					return strings.Contains(text, "\nhop  address ") && !strings.Contains(text, "beyond\n") && strings.Contains(text, "p esc back")
				})
				x.Resize(40, 8)
				x.Await("a small path", func(text string) bool { return strings.Contains(text, "\np esc back") && strings.Contains(text, "hop") })
				x.Resize(90, 24)
				x.AwaitText(tt.verdict)
				x.Press("p")
				x.AwaitText("\nhost ")
				x.Press("End", "p") // the one that answers
				x.AwaitText("the target answers, 5 hops away")
				x.Press("Escape")
				x.AwaitText("\nhost ")
				x.Press("q")
				peer.Await(t, "the end", func() bool { _, ended := x.Ended(); return ended })
			})
		}
	})
}
