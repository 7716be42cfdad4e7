package main

import (
	"fmt"
	"regexp"
	"strings"
)

// An example is what the page needs of the example file.
type example struct {
	intro    []string // the lines of the comment at the top
	sections []section
}

// A section is a table, or an array of tables.
type section struct {
	header  string // as written: [agent], [[targets]]
	text    []string
	entries []entry
}

// An entry is one explanation and the keys that share it.
type entry struct {
	keys []key
	text []string
}

type key struct{ name, value string }

var (
	headerLine = regexp.MustCompile(`^(?:# )?(\[\[?[a-z0-9_.]+\]\]?)$`)
	keyLine    = regexp.MustCompile(`^(?:# )?([a-z0-9_]+) += (\S.*)$`)
)

// parse reads the example file. The comment up to the first empty line is its
// introduction. After it, lines that begin with ## explain the table or the key
// that follows them. A key may be commented out by one #. A key without an
// explanation shares that of the key above it, unless an earlier table explains
// a key of this name: then it only shows the use, and is left out.
func parse(text string) (example, error) {
	var (
		e         example
		comment   []string // explains what follows
		explained = make(map[string]bool)
		above     bool // the line before was a key
	)
	head := true
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimRight(line, " ")
		fault := func(problem string) error { return fmt.Errorf("%d: %q: %s", i+1, line, problem) }
		if head {
			if words, ok := strings.CutPrefix(line, "#"); ok {
				e.intro = append(e.intro, strings.TrimPrefix(words, " "))
				continue
			}
			head = false
		}
		words, isComment := strings.CutPrefix(line, "##")
		header, k := headerLine.FindStringSubmatch(line), keyLine.FindStringSubmatch(line)
		wasAbove := above
		above = false
		switch {
		case line == "":
			if comment != nil {
				return e, fault("the explanation above explains nothing: want the table or key on the next line")
			}
		case isComment:
			comment = append(comment, strings.TrimSpace(words))
		case header != nil:
			e.sections = append(e.sections, section{header: header[1], text: comment})
			comment = nil
		case k == nil:
			return e, fault("want ## and an explanation, a table, or a key and its value on one line")
		case len(e.sections) == 0:
			return e, fault("a key before the first table")
		default:
			above = true
			s := &e.sections[len(e.sections)-1]
			this := key{k[1], k[2]}
			switch {
			case comment != nil:
				s.entries = append(s.entries, entry{keys: []key{this}, text: comment})
				comment = nil
			case explained[this.name]:
			case wasAbove && len(s.entries) > 0:
				last := &s.entries[len(s.entries)-1]
				last.keys = append(last.keys, this)
			default:
				return e, fault("no ## above it explains the key")
			}
			explained[this.name] = true
		}
	}
	if comment != nil {
		return e, fmt.Errorf("the explanation at the end explains nothing: %q", comment)
	}
	return e.merged(), nil
}

// merged joins the tables of one name: the example has several [[targets]].
func (e example) merged() example {
	at := make(map[string]int)
	var sections []section
	for _, s := range e.sections {
		i, ok := at[s.header]
		if !ok {
			at[s.header] = len(sections)
			sections = append(sections, s)
			continue
		}
		sections[i].text = append(sections[i].text, s.text...)
		sections[i].entries = append(sections[i].entries, s.entries...)
	}
	e.sections = sections
	return e
}
