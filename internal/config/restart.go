package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pingtel/pingtel/icmpcore"
)

// Marks reports whether packets to some target bear a firewall mark, for
// which the process needs a capability as long as it runs.
func (c *Config) Marks() bool {
	return slices.ContainsFunc(c.Targets, func(t Target) bool { return t.Options.Mark != 0 })
}

// CheckSockets reports what of c the sockets cannot do that a process has: kind
// tells which it has for a family.
func (c *Config) CheckSockets(kind func(icmpcore.Family) icmpcore.SocketKind) error {
	for _, t := range c.Targets {
		if s := t.Options.Source; s.IsValid() && !s.Is4() && kind(icmpcore.FamilyIPv6) == icmpcore.SocketDatagram {
			return fmt.Errorf("%s: source %s of %s takes a raw socket, and this process has a datagram socket: give it cap_net_raw and start it again",
				c.File, s, t.Host)
		}
	}
	return nil
}

// RestartError means that a file asks for what a running process cannot take
// over: its sockets are open, and it has given up the right to open others.
type RestartError struct {
	File string
	Keys []string // what has changed, with its values
}

func (e *RestartError) Error() string {
	return fmt.Sprintf("%s: restart pingtel to change %s", e.File, strings.Join(e.Keys, ", "))
}

// CheckReload reports whether a process that was started with c can go on with
// next. The error is a [*RestartError]: c, or what followed it, stays in force.
func (c *Config) CheckReload(next *Config) error {
	var keys []string
	changed := func(key string, from, to any) {
		if from != to {
			keys = append(keys, fmt.Sprintf("%s (%v to %v)", key, from, to))
		}
	}
	changed("agent.socket", c.Agent.Socket, next.Agent.Socket)
	changed("agent.max_rate", c.Agent.MaxRate, next.Agent.MaxRate)
	if next.Marks() && !c.Marks() {
		keys = append(keys, "mark (none to some: the capability it takes has been given up)")
	}
	if len(keys) == 0 {
		return nil
	}
	return &RestartError{File: next.File, Keys: keys}
}
