package main

import (
	"fmt"
	"strings"
	"time"
)

// longest is how many characters of a value stand beside its key. A longer
// value has lines of its own, below the explanation.
const longest = 50

const examples = `[agent]
interval = "60s"

[[targets]]
hosts = ["192.0.2.1", "2001:db8::1"]
tags = { site = "lab" }
`

// render writes the page in the language of man(7).
func render(e example, date time.Time) string {
	var p page
	p.line(`.TH PINGTEL.TOML 5 %s pingtel pingtel`, date.Format(time.DateOnly))
	p.line(".nh\n.ad l") // no hyphen within a key, no gaps between words
	p.line(`.SH NAME`)
	p.line(`pingtel.toml \- the configuration file of pingtel`)
	p.line(`.SH DESCRIPTION`)
	p.prose(e.intro)
	p.line(`.PP`)
	p.prose([]string{
		"Below, each key has its default, or an example where the text names the default.",
		"An unknown key, a wrong type or an impossible value is an error:",
		"pingtel reports all of them with their lines, and does not start.",
	})
	for _, s := range e.sections {
		p.line(`.SH %s`, escape(s.header))
		p.prose(s.text)
		for _, entry := range s.entries {
			p.entry(entry)
		}
	}
	p.line(`.SH EXAMPLES`)
	p.line(`Two targets of your own, measured once a minute:`)
	p.block(strings.Split(strings.TrimSpace(examples), "\n"))
	p.line(`.SH FILES`)
	p.line(".TP\n.I /etc/pingtel/pingtel.toml\nThe file that the packages install and the systemd unit reads.")
	p.line(".TP\n.I /usr/share/doc/pingtel/config.example.toml\nEvery key with its default, as a file that works.")
	p.line(`.SH SEE ALSO`)
	p.line(`.BR pingtel (1),`)
	p.line(`.BR pingtel\-config\-check (1),`)
	p.line(`.BR pingtel\-telegraf (1),`)
	p.line(`.BR pingtel\-otel (1),`)
	p.line(`.BR pingtel\-serve (1)`)
	return p.String()
}

// A page collects lines.
type page struct{ strings.Builder }

func (p *page) line(format string, args ...any) { fmt.Fprintf(p, format+"\n", args...) }

// prose writes paragraphs. An empty line parts them, and indented lines are
// kept as they are.
func (p *page) prose(lines []string) {
	pending := false // whether a paragraph must be begun
	for i := 0; i < len(lines); i++ {
		switch {
		case lines[i] == "":
			pending = i > 0
		case strings.HasPrefix(lines[i], " "):
			from := i
			for i+1 < len(lines) && strings.HasPrefix(lines[i+1], " ") {
				i++
			}
			p.block(lines[from : i+1])
			pending = true
		default:
			if pending {
				p.line(`.PP`)
			}
			pending = false
			p.line("%s", escape(lines[i]))
		}
	}
}

// block writes lines that are not filled, indented by four columns.
func (p *page) block(lines []string) {
	p.line(".PP\n.RS 4\n.nf")
	for _, line := range lines {
		if line = strings.TrimLeft(line, " "); line == "" {
			line = ".sp"
		} else {
			line = escape(line)
		}
		p.line("%s", line)
	}
	p.line(".fi\n.RE")
}

func (p *page) entry(e entry) {
	var long []key
	for i, k := range e.keys {
		p.line("%s", map[bool]string{true: `.TP`, false: `.TQ`}[i == 0])
		if len(k.value) > longest {
			long = append(long, k)
			p.line(`\fB%s\fR`, escape(k.name))
			continue
		}
		p.line(`\fB%s\fR = %s`, escape(k.name), escape(k.value))
	}
	for _, line := range e.text {
		p.line("%s", escape(line))
	}
	for _, k := range long {
		p.line(".IP\n%s = %s", escape(k.name), escape(k.value))
	}
}

// escape makes a line of text one of man(7), which shows it as it is: no
// control line, no escapes, and the signs of the keyboard, not of typography.
func escape(line string) string {
	line = strings.NewReplacer(`\`, `\e`, `-`, `\-`, `'`, `\(aq`, "`", "\\(ga", `^`, `\(ha`, `~`, `\(ti`).Replace(line)
	if strings.HasPrefix(line, ".") {
		line = `\&` + line
	}
	return line
}
