package plugin

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// printable returns s such that line protocol and a log line can hold it:
// control characters become what Go writes for them ("\n"), bytes that are no
// UTF-8 become U+FFFD.
func printable(s string) string {
	if isPrintable(s) {
		return s
	}
	var b strings.Builder
	for _, c := range s {
		if isControl(c) {
			quoted := strconv.QuoteRune(c)
			b.WriteString(quoted[1 : len(quoted)-1])
			continue
		}
		b.WriteRune(c) // U+FFFD for what is no UTF-8
	}
	return b.String()
}

func isPrintable(s string) bool {
	for i := 0; i < len(s); i++ {
		if isControl(rune(s[i])) {
			return false
		}
	}
	return utf8.ValidString(s)
}

// isControl tells what line protocol forbids: the ASCII control characters.
// Those of Latin-1 it allows.
func isControl(c rune) bool { return c < 0x20 || c == 0x7f }

// name returns s such that it can be a measurement, key or tag value. What is
// left may be empty.
func name(s string) string { return strings.TrimRight(printable(s), `\`) }
