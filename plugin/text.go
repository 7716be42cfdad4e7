package plugin

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// printable returns s in a form that line protocol and a log line can hold:
// control characters are written as in a Go string ("\n"), and bytes that are not
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
		b.WriteRune(c) // U+FFFD for bytes that are not UTF-8
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

// isControl reports whether line protocol forbids c: the ASCII control characters,
// but not those of Latin-1.
func isControl(c rune) bool { return c < 0x20 || c == 0x7f }

// name returns s in a form that can be a measurement, a key or the value of a tag.
// The result may be empty.
func name(s string) string { return strings.TrimRight(printable(s), `\`) }
