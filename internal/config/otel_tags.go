package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// prometheusLabels are labels that Prometheus gives the series of OTLP itself: a
// tag of that name is replaced, or its value is put behind another's.
var prometheusLabels = []string{"__name__", "instance", "job", "le", "quantile"}

// TagWarnings returns a warning for each tag that Prometheus does not keep
// apart: those with a label of its own, and those that it writes alike. Targets
// that differ only in such a tag become one series there.
func (c *Config) TagWarnings() Faults {
	var warnings Faults
	last := (*Probe)(nil)
	told := make(map[string]bool)
	for i := range c.Targets {
		p := c.Targets[i].Probe
		if p == last {
			continue
		}
		last = p
		problems := tagProblems(p.Tags)
		for _, key := range slices.Sorted(maps.Keys(problems)) {
			if problem := problems[key]; !told[problem] {
				told[problem] = true
				warnings = append(warnings, Fault{File: c.File, Line: p.line, Key: "targets", Problem: problem})
			}
		}
	}
	return warnings
}

// tagProblems returns what is wrong with the tags of a target, by key.
func tagProblems(tags []Tag) map[string]string {
	problems := make(map[string]string)
	seen := make(map[string]string) // keys by the label that they become
	for _, ours := range []string{"server.address", "network.peer.address", "network.type", "ping.dscp", "error.type"} {
		seen[labelOf(ours)] = ours
	}
	for _, tag := range tags {
		label := labelOf(tag.Key)
		switch other := seen[label]; {
		case slices.Contains(prometheusLabels, label) || slices.Contains(prometheusLabels, tag.Key):
			problems[tag.Key] = fmt.Sprintf("the tag %q does not reach Prometheus, which has a label of that name itself: give it another name", tag.Key)
		case other != "":
			problems[tag.Key] = fmt.Sprintf("the tags %q and %q are the same label in Prometheus, %s: give one another name", other, tag.Key, label)
		}
		seen[label] = tag.Key
	}
	return problems
}

// labelOf returns the label that Prometheus makes of an attribute: what is no
// letter, digit or underscore becomes an underscore, and several of these one.
func labelOf(key string) string {
	var b strings.Builder
	for _, c := range key {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if letter {
			b.WriteRune(c)
		} else if !strings.HasSuffix(b.String(), "_") {
			b.WriteByte('_')
		}
	}
	return b.String()
}
