package report

import (
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/pingtel/pingtel/internal/path"
)

// TestPathNames: a name from a stranger controls no terminal, makes no line of its own,
// and pushes neither the address nor the figures out of the table.
func TestPathNames(t *testing.T) {
	tr := &path.Trace{Host: "h", Addr: netip.MustParseAddr("2001:db8::1"), Sent: 6, Reached: true, EndSent: 3, EndReceived: 3}
	for i, a := range []string{"198.18.200.1", "2001:db8:1111:2222:3333:4444:5555:6666"} {
		tr.Hops = append(tr.Hops, path.Hop{TTL: i + 1, Sent: 3, Answers: 3, DSCP: -1, RTTs: []time.Duration{1e6, 2e6, 3e6},
			From: []path.Address{{Addr: netip.MustParseAddr(a), Answers: 3}}})
	}
	for _, name := range []string{
		"core1.example.net", "\x1b[2J\x1b]0;owned\a", "\x9b31m", "\u202egnp.exe\u2066", "\xff\xfe", "a|b=0ms;;;0", "x\n  9  198.18.9.9  3/3", "a\tb\r",
		strings.Repeat("n", 253), strings.Repeat("日本", 60), strings.Repeat("e\u0301", 120), strings.Repeat("\x1b", 60),
	} {
		for _, width := range []int{0, 40, 60, 80, 120, 200} {
			text := string(Style{Width: width}.AppendHops(nil, tr, func(netip.Addr) string { return name }))
			lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
			if len(lines) != 3 || !utf8.ValidString(text) {
				t.Errorf("%q, %d wide: %q", name, width, text)
			}
			for i, line := range lines {
				if width > 0 && cells(line) > width {
					t.Errorf("%q, %d wide: %d cells: %q", name, width, cells(line), line)
				}
				if strings.ContainsFunc(line, func(c rune) bool {
					return c < ' ' || c >= 0x7f && c < 0xa0 || c == 0x202e || c == 0x2066 || c == utf8.RuneError
				}) {
					t.Errorf("%q: %q", name, line)
				}
				if i == 1 && width >= 60 && (!strings.Contains(line, "(198.18.200.1) ?") || !strings.Contains(line+" ", " 3/3 ")) {
					t.Errorf("%q, %d wide: the first hop has lost its address or its answers: %q", name, width, line)
				}
				if i == 1 && width >= 120 && !strings.HasSuffix(line, "0%") {
					t.Errorf("%q, %d wide: the first hop has lost its figures: %q", name, width, line)
				}
			}
		}
	}
}
