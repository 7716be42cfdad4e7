package config

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/pingtel/pingtel/icmpcore"
)

// Marks reports whether packets to any target, or of any module of /probe, have a
// firewall mark. The process then needs a capability as long as it runs.
func (c *Config) Marks() bool {
	for _, o := range c.Web.Probe.Modules {
		if o.Mark != 0 {
			return true
		}
	}
	return slices.ContainsFunc(c.Targets, func(t Target) bool { return t.Options.Mark != 0 }) ||
		slices.ContainsFunc(c.Sources, func(s *Source) bool { return s.prober.options.Mark != 0 })
}

// CheckSockets returns an error if c asks for something that the sockets of this
// process cannot do. kind returns the kind of socket of a family.
func (c *Config) CheckSockets(kind func(icmpcore.Family) icmpcore.SocketKind) error {
	check := func(s netip.Addr, what string) error {
		if !s.IsValid() || s.Is4() || kind(icmpcore.FamilyIPv6) != icmpcore.SocketDatagram {
			return nil
		}
		return fmt.Errorf("%s: source %s of %s needs a raw socket, but pingtel has a datagram socket: give it CAP_NET_RAW and restart it", c.File, s, what)
	}
	var last *Probe
	for _, t := range c.Targets {
		if t.Probe == last {
			continue
		}
		last = t.Probe
		if err := check(t.Options.Source, t.Host); err != nil {
			return err
		}
	}
	for _, s := range c.Sources {
		t := s.example()
		if err := check(t.Options.Source, t.Host); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Web.Probe.Modules)) {
		if err := check(c.Web.Probe.Modules[name].Source, "the module "+name); err != nil {
			return err
		}
	}
	return nil
}

// RestartError means that a file has changes that a running process cannot take
// over: its sockets are open, and it has given up the right to open others.
type RestartError struct {
	File string
	Keys []string // the keys that changed, with their values
}

func (e *RestartError) Error() string {
	return fmt.Sprintf("%s: restart pingtel to change %s", e.File, strings.Join(e.Keys, ", "))
}

// CheckReload returns an error if a process that started with c cannot go on with
// next. The error is a [*RestartError]; the current configuration then stays in
// force.
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
		keys = append(keys, "mark (pingtel has given up the capability that a mark needs)")
	}
	keys = append(keys, c.Fleet.restart(&next.Fleet)...)
	if len(keys) == 0 {
		return nil
	}
	return &RestartError{File: next.File, Keys: keys}
}
