package config

import (
	"strings"
)

// keyLines holds the lines on which the keys and tables of a TOML text begin, by
// dotted path. The library reports positions of syntax errors only. The library
// has parsed the text without error before, so keyLines checks only what the
// library overlooks; otherwise it only has to step over strings and lists.
type keyLines struct {
	text string
	keys map[string]int // of all keys except those in [[targets]]

	// targets are the lines of the [[targets]] headers.
	targets []int

	// again are the tables that a header or a dotted key defines a second time.
	again []redefinition

	all map[string]int // of all keys, made when one in [[targets]] is first needed
}

// redefinition is a table that is defined twice, which TOML forbids.
type redefinition struct {
	path        string
	line, first int
}

// findLines scans a text. Most files have no fault, and a file may have very many
// targets, so the lines of their keys are found only when one is needed.
func findLines(text string) *keyLines {
	k := &keyLines{text: text}
	k.keys = k.scan(false)
	return k
}

// of returns the line of a key, or of the table that it belongs in.
func (k *keyLines) of(path string) int {
	for path != "" {
		if n := k.exactly(path); n > 0 {
			return n
		}
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
	}
	return 0
}

// exactly returns the line of a key, 0 if it is not found.
func (k *keyLines) exactly(path string) int {
	if !strings.HasPrefix(path, "targets[") {
		return k.keys[path]
	}
	if k.all == nil {
		k.all = k.scan(true)
	}
	return k.all[path]
}

// target returns the line of the table targets[i].
func (k *keyLines) target(i int) int {
	if i < len(k.targets) {
		return k.targets[i]
	}
	return k.of("targets[" + itoa(i) + "]") // an inline table
}

// scan finds the lines of all keys, or of all except those in [[targets]]. It
// also notes tables that are defined twice, and where the tables of targets
// begin.
func (k *keyLines) scan(all bool) map[string]int {
	lines := make(map[string]int)
	k.targets, k.again = nil, nil
	counts := make(map[string]int) // of [[tables]]
	defined := definitions{headers: make(map[string]int), dotted: make(map[string]int)}
	table := "" // path of the current table
	skip := false
	s := scanner{}
	n := 0
	for line := range strings.SplitSeq(k.text, "\n") {
		n++
		inside := s.open()
		s.step(line)
		if inside {
			continue
		}
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "[["):
			s = scanner{}
			parts := headerParts(line[2:])
			name := strings.Join(parts, ".")
			imply(lines, "", parts, n)
			if lines[name] == 0 {
				lines[name] = n
			}
			table = name + "[" + itoa(counts[name]) + "]"
			counts[name]++
			if name == "targets" {
				k.targets = append(k.targets, n)
				defined.forget()
			}
			if skip = name == "targets" && !all; !skip {
				lines[table] = n
			}
		case strings.HasPrefix(line, "["):
			s = scanner{}
			parts := headerParts(line[1:])
			if c := counts[parts[0]]; c > 0 {
				parts[0] += "[" + itoa(c-1) + "]"
			}
			table = strings.Join(parts, ".")
			if first := defined.header(table, n); first > 0 {
				k.again = append(k.again, redefinition{table, n, first})
			}
			if skip = strings.HasPrefix(table, "targets[") && !all; !skip {
				imply(lines, "", parts, n)
				lines[table] = n
			}
		default:
			key, _, found := strings.Cut(line, "=")
			if !found || strings.HasPrefix(line, "#") {
				continue
			}
			parts := keyParts(key)
			for i := 1; i < len(parts); i++ {
				path := join(table, strings.Join(parts[:i], "."))
				if first := defined.dottedKey(path, n); first > 0 {
					k.again = append(k.again, redefinition{path, n, first})
				}
			}
			path := join(table, strings.Join(parts, "."))
			defined.headers[path] = n
			if !skip {
				imply(lines, table, parts, n)
				lines[path] = n
			}
		}
	}
	return lines
}

// imply notes the tables that a name of several parts implies and that have no
// line of their own yet.
func imply(lines map[string]int, table string, parts []string, line int) {
	for i := 1; i < len(parts); i++ {
		if path := join(table, strings.Join(parts[:i], ".")); lines[path] == 0 {
			lines[path] = line
		}
	}
}

func join(table, key string) string {
	if table == "" {
		return key
	}
	return table + "." + key
}

// definitions are the lines of the definitions so far, by path. In TOML a header
// cannot add to a table that a dotted key has defined, nor the other way round,
// and neither can add to an inline table.
type definitions struct {
	headers map[string]int // tables by their header, and keys
	dotted  map[string]int // tables by a dotted key
}

// header notes a header. It returns the line of the dotted key that defined the
// same table before, or 0.
func (d *definitions) header(path string, line int) int {
	d.headers[path] = line
	return d.dotted[path]
}

// dottedKey notes a table that a dotted key defines. It returns the line of the
// header that defined it before, or 0.
func (d *definitions) dottedKey(path string, line int) int {
	if d.dotted[path] == 0 {
		d.dotted[path] = line
	}
	return d.headers[path]
}

// forget begins a new table of an array: nothing can add to the previous one.
func (d *definitions) forget() {
	for _, m := range []map[string]int{d.headers, d.dotted} {
		for path := range m {
			if strings.HasPrefix(path, "targets[") {
				delete(m, path)
			}
		}
	}
}

// headerParts returns the parts of the name in a table's header.
func headerParts(s string) []string {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"', '\'':
			i += shortString(s[i:])
		case ']':
			return keyParts(s[:i])
		}
	}
	return keyParts(s)
}

// keyParts splits a dotted key, and removes quotes and blanks from its parts.
func keyParts(s string) []string {
	var parts []string
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '"', '\'':
			end := min(i+shortString(s[i:]), len(s))
			b.WriteString(s[i+1 : max(end, i+1)])
			i = end
		case '.':
			parts = append(parts, b.String())
			b.Reset()
		case ' ', '\t', '\r':
		default:
			b.WriteByte(c)
		}
	}
	return append(parts, b.String())
}

// element returns the line of an element of a key's list, by index. It returns
// the line of the key if it cannot find the list.
func (k *keyLines) element(path string, index int) int {
	line := k.exactly(path)
	if line == 0 {
		return k.of(path)
	}
	rest := k.text
	for range line - 1 {
		_, rest, _ = strings.Cut(rest, "\n")
	}
	depth, commas := 0, 0
	for i, at := strings.Index(rest, "=")+1, line; i < len(rest); i++ {
		c := rest[i]
		switch c {
		case '\n':
			at++
			continue
		case '#':
			i += strings.IndexByte(rest[i:]+"\n", '\n') - 1
			continue
		case ' ', '\t', '\r':
			continue
		}
		if depth == 1 && commas == index && c != ',' {
			return at
		}
		switch c {
		case '"', '\'':
			i += shortString(rest[i:])
		case '[', '{':
			depth++
		case ']', '}':
			depth--
		case ',':
			if depth == 1 {
				commas++
			}
		}
		if depth == 0 {
			break
		}
	}
	return line
}

// scanner tracks whether a line begins inside a list or a long string.
type scanner struct {
	depth   int    // of brackets and braces
	long    string // the quotes that end a long string, "" outside one
	deepest int    // the largest depth so far
	parts   int    // the most parts of a dotted key so far
}

func (s *scanner) open() bool { return s.depth > 0 || s.long != "" }

// step scans one line.
func (s *scanner) step(line string) {
	dots := 0
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
			s.deepest = max(s.deepest, s.depth)
			dots = 0
		case rest[0] == ']' || rest[0] == '}':
			s.depth--
			dots = 0
		case rest[0] == '=' || rest[0] == ',':
			dots = 0
		case rest[0] == '.':
			dots++
			s.parts = max(s.parts, dots+1)
		}
	}
}

// shortString returns the offset of the quote that ends the string at the
// beginning of s, or the length of s if no quote ends it.
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
