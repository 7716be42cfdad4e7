package config

import "strings"

// Alike returns the hosts that have several targets with the same tags, in the
// file's order: in line protocol their points are of one series, and of two
// with the same time a database keeps one. The two of family "both" are told
// apart by their addresses.
func (c *Config) Alike() []string {
	seen, told := make(map[string]bool), make(map[string]bool)
	var hosts []string
	for i := range c.Targets {
		t := &c.Targets[i]
		var b strings.Builder
		for _, part := range []string{t.Host, t.Options.Family.String()} {
			b.WriteString(part)
			b.WriteByte(0)
		}
		for _, tag := range t.Tags {
			b.WriteString(tag.Key + "\x01" + tag.Value + "\x00")
		}
		key := b.String()
		if seen[key] && !told[t.Host] {
			told[t.Host] = true
			hosts = append(hosts, t.Host)
		}
		seen[key] = true
	}
	return hosts
}
