package main

import (
	"cmp"
	"fmt"
	"net/netip"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pingtel/pingtel/integration/netsim"
	"github.com/pingtel/pingtel/integration/peer"
	"github.com/pingtel/pingtel/integration/tmux"
	"github.com/pingtel/pingtel/internal/golden"
)

// onScreen is the network of the captures. Round-trip times are so long that a
// busy machine does not change how many digits they have.
func onScreen() []netsim.Rule {
	rule := func(prefix string, answer netsim.Answer) netsim.Rule {
		return netsim.Rule{Prefix: netip.MustParsePrefix(prefix), Delay: 200 * time.Millisecond, Answer: answer}
	}
	return []netsim.Rule{
		rule("198.18.1.0/24", nil),
		rule("198.18.1.2/32", netsim.Lost),
		rule("198.18.1.4/32", netsim.Fail(router, netsim.Error{Kind: netsim.DestinationUnreachable, Code: 1})),
		rule("2001:db8:1234:5678:9abc:def0:1234:5678/128", nil),
	}
}

const longAddress = "2001:db8:1234:5678:9abc:def0:1234:5678"

// TestPingCaptures holds what terminals of several sizes show against files.
func TestPingCaptures(t *testing.T) {
	t.Parallel()
	netsim.Run(t, onScreen(), func(t *testing.T, _ *netsim.Net) {
		const five = " 198.18.1.1 localhost 198.18.1.2 198.18.1.4 " + longAddress
		t.Run("sizes", func(t *testing.T) { // ends when all of its parallel tests have
			for _, c := range []capture{
				{name: "one", args: "-c 3 -i 0.3 198.18.1.1"},
				{name: "address", args: "-c 3 -i 0.3 --show-rtts --timestamps " + longAddress},
				{name: "silent", args: "-c 1 -t 0.5 --show-rtts 198.18.1.2"},
				{name: "endless", args: "-c 0 -i 0.3 198.18.1.1", until: "seq=3 reply", stop: true},
				{name: "several", args: "-c 3 -i 0.3 -t 1.5" + five},
				{name: "table", args: "-c 0 -i 0.8 -t 0.7" + five, until: figuresOfAll},
				{name: "table-end", args: "-c 0 -i 0.8 -t 0.7" + five, until: figuresOfAll, stop: true},
				{name: "many", args: "-c 0 -i 30 198.18.1.64/26", until: "62 answered"},
			} {
				for _, size := range []struct{ width, height int }{{80, 24}, {60, 20}, {200, 50}} {
					t.Run(fmt.Sprintf("ping-%s-%dx%d", c.name, size.width, size.height), func(t *testing.T) {
						t.Parallel()
						c.run(t, size.width, size.height)
					})
				}
			}
		})
	})
}

// capture is a run whose terminal is held against a golden file.
type capture struct {
	name, args string
	until      string // a pattern: what the terminal shows then is compared; "": at the end
	stop       bool   // then Ctrl-C is pressed, and the end compared
}

// figuresOfAll is a table in which three hosts have two replies and two have loss.
const figuresOfAll = `(?s)\n198.18.1.1 +\d+ +([2-9]|\d\d+) .*\nlocalhost .*?\) +\d+ +([2-9]|\d\d+) .*100%.*100%.*:5678 +\d+ +([2-9]|\d\d+) `

func (c *capture) run(t *testing.T, width, height int) {
	shell := `stty -echoctl; trap : INT; "$0" ping "$@"; echo "[$?]"; exec sleep 1000`
	x := tmux.Start(t, width, height, nil, append([]string{"sh", "-c", shell, peer.Pingtel()}, strings.Fields(c.args)...)...)
	end := `(?m)^\[\d\]$`
	text := x.Await("figures", regexp.MustCompile(cmp.Or(c.until, end)).MatchString)
	if c.stop {
		x.Press("C-c")
		text = x.Await("the end", regexp.MustCompile(end).MatchString)
	}
	compareCapture(t, filepath.Base(t.Name()), text)
}

var (
	rttInCell  = regexp.MustCompile(`  +\d+\.\d{3}`)
	countCell  = regexp.MustCompile(`  +\d+\b`)
	rttInText  = regexp.MustCompile(`\d+\.\d{3} ms|\b(min|avg|max|median|jitter|p\d\d) \d+\.\d{3}`)
	timeOfEcho = regexp.MustCompile(`\d{4}-\d\d-\d\dT[0-9:.]+Z`)
	tallies    = regexp.MustCompile(`\d+ of \d+ (answered|echo(es)?)|\d+ (sent|received)`)
	tail       = regexp.MustCompile(`(N of N echoes|N error)s?[,:].*`)
	another    = regexp.MustCompile(`seq=([4-9]|\d\d)|^  (\d+% loss, )?\d+\.\d s$`)
)

// steadyCapture takes out of a capture what differs from run to run, and leaves
// what stands where.
func steadyCapture(text string) string {
	var lines []string
	table := false
	for line := range strings.Lines(strings.TrimRight(text, "\n")) {
		line = strings.TrimSuffix(line, "\n")
		if another.MatchString(line) {
			continue // how many echoes come before Ctrl-C, and where the totals are broken, is chance
		}
		if strings.HasPrefix(line, "host ") {
			table = true
		}
		if table && !strings.Contains(line, " hosts: ") {
			line = sameWidth(rttInCell, line, "T")
			line = sameWidth(countCell, line, "N")
		}
		line = timeOfEcho.ReplaceAllStringFunc(line, func(s string) string { return strings.Repeat("T", len(s)) })
		line = rttInText.ReplaceAllStringFunc(line, func(s string) string { return regexp.MustCompile(`\d+\.\d{3}`).ReplaceAllString(s, "T") })
		line = tallies.ReplaceAllStringFunc(line, func(s string) string {
			return regexp.MustCompile(`\d+`).ReplaceAllString(s, "N")
		})
		lines = append(lines, tail.ReplaceAllString(line, "$1 ~"))
	}
	return strings.Join(lines, "\n") + "\n"
}

// sameWidth puts a letter in place of a number, right-aligned as it is.
func sameWidth(number *regexp.Regexp, line, letter string) string {
	return number.ReplaceAllStringFunc(line, func(s string) string { return strings.Repeat(" ", len(s)-1) + letter })
}

// compareCapture holds a capture against its golden file.
func compareCapture(t *testing.T, name, text string) {
	t.Helper()
	golden.Compare(t, filepath.Join("testdata", "captures", name+".txt"), steadyCapture(text))
}
