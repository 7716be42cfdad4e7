package config

import (
	"fmt"
	"strings"
)

// keyLines finds the line on which each key and table of a TOML text begins,
// by its dotted path. The library tells positions of syntax errors only. The
// text has been parsed without error before, so that it need not be judged
// again: only what lies in strings and lists has to be stepped over.
func keyLines(text string) map[string]int {
	lines := make(map[string]int)
	counts := make(map[string]int) // of [[tables]]
	table := ""
	s := scanner{}
	for i, line := range strings.Split(text, "\n") {
		inside := s.open()
		s.step(line)
		if inside {
			continue
		}
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "[["):
			name := headerName(line[2:])
			table = fmt.Sprintf("%s[%d]", name, counts[name])
			counts[name]++
			lines[table] = i + 1
			if lines[name] == 0 {
				lines[name] = i + 1
			}
			s = scanner{}
		case strings.HasPrefix(line, "["):
			table = tablePath(headerName(line[1:]), counts)
			lines[table] = i + 1
			s = scanner{}
		default:
			key, _, found := strings.Cut(line, "=")
			if !found || strings.HasPrefix(line, "#") {
				continue
			}
			path := cleanKey(key)
			if table != "" {
				path = table + "." + path
			}
			lines[path] = i + 1
		}
	}
	return lines
}

// headerName returns the name in a table's header.
func headerName(s string) string {
	name, _, _ := strings.Cut(s, "]")
	return cleanKey(name)
}

// cleanKey takes quotes and blanks out of a key.
func cleanKey(s string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("\"' \t", r) {
			return -1
		}
		return r
	}, s)
}

// tablePath names a sub-table of the last [[table]]: "targets.tags" is
// "targets[2].tags".
func tablePath(name string, counts map[string]int) string {
	first, rest, found := strings.Cut(name, ".")
	if n := counts[first]; found && n > 0 {
		return fmt.Sprintf("%s[%d].%s", first, n-1, rest)
	}
	return name
}

// scanner knows whether a line begins inside a list or a long string.
type scanner struct {
	depth int    // of brackets and braces
	long  string // the quotes that end a long string, "" outside one
}

func (s *scanner) open() bool { return s.depth > 0 || s.long != "" }

// step goes through one line.
func (s *scanner) step(line string) {
	for i := 0; i < len(line); i++ {
		rest := line[i:]
		switch {
		case s.long != "":
			if rest[0] == '\\' && s.long[0] == '"' {
				i++
			} else if strings.HasPrefix(rest, s.long) {
				i += 2
				s.long = ""
			}
		case strings.HasPrefix(rest, `"""`), strings.HasPrefix(rest, "'''"):
			s.long = rest[:3]
			i += 2
		case rest[0] == '"' || rest[0] == '\'':
			i += shortString(rest)
		case rest[0] == '#':
			return
		case rest[0] == '[' || rest[0] == '{':
			s.depth++
		case rest[0] == ']' || rest[0] == '}':
			s.depth--
		}
	}
}

// shortString returns the offset of the quote that ends the string s begins with.
func shortString(s string) int {
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && s[0] == '"':
			i++
		case s[i] == s[0]:
			return i
		}
	}
	return len(s)
}
