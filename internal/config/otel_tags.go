package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// prometheusLabels are the labels that Prometheus itself gives to OTLP series. It
// replaces a tag of that name, or joins its value to another one.
var prometheusLabels = []string{"__name__", "instance", "job", "le", "quantile"}

// TagWarnings returns a warning for each tag that Prometheus loses: tags with the
// name of one of its own labels, and tags that become the same label. Targets
// that differ only in such a tag become one series in Prometheus.
func (c *Config) TagWarnings() Faults {
	var warnings Faults
	last := (*Probe)(nil)
	warned := make(map[string]bool)
	for i := range c.Targets {
		p := c.Targets[i].Probe
		if p == last {
			continue
		}
		last = p
		problems := tagProblems(p.Tags)
		for _, key := range slices.Sorted(maps.Keys(problems)) {
			if problem := problems[key]; !warned[problem] {
				warned[problem] = true
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
			problems[tag.Key] = fmt.Sprintf("the tag %q does not reach Prometheus, which uses a label of that name itself: rename the tag", tag.Key)
		case other != "":
			problems[tag.Key] = fmt.Sprintf("the tags %q and %q become the same label in Prometheus, %s: rename one of them", other, tag.Key, label)
		}
		seen[label] = tag.Key
	}
	return problems
}

// labelOf returns the label that Prometheus makes of an attribute. A run of
// characters that are not letters or digits becomes one underscore.
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
