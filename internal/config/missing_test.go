package config

import (
	"net"
	"strings"
	"testing"
)

// missing renders what c lacks, one line each.
func missing(c *Config) string {
	var b strings.Builder
	for _, f := range c.Missing() {
		b.WriteString(f.Error() + "\n")
	}
	return b.String()
}

// loopback returns the name of the loopback interface.
func loopback(t *testing.T) string {
	t.Helper()
	list, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range list {
		if i.Flags&net.FlagLoopback != 0 {
			return i.Name
		}
	}
	t.Skip("no loopback interface")
	return ""
}

// TestMissing: interfaces and addresses that the machine lacks are reported with their line; they are not faults.
func TestMissing(t *testing.T) {
	c, err := Parse("f.toml", "[[targets]]\nhosts = [\"198.18.0.1\"]\nsource = \"127.0.0.2\"\ninterface = \""+loopback(t)+"\"\n"+
		"[[targets]]\nhosts = [\"198.18.0.2\"]\ninterface = \"nosuch0\"\n"+
		"[[targets]]\nhosts = [\"198.18.0.3\"]\nsource = \"198.18.255.77\"\n"+
		"[[targets]]\nhosts = [\"198.18.0.4\"]\ninterface = \"nosuch0\"\n"+
		"[[targets]]\nhosts = [\"198.18.0.5\"]\ninterface = \"\"\nsource = \"\"\n", env)
	if err != nil {
		t.Fatal(err)
	}
	want := "f.toml:7: targets[1].interface: \"nosuch0\": this machine does not have the interface now (no such network interface): pingtel probes its targets when it comes\n" +
		"f.toml:10: targets[2].source: 198.18.255.77: this machine does not have the address now: pingtel probes its targets when it comes\n" +
		"f.toml:13: targets[3].interface: \"nosuch0\": this machine does not have the interface now (no such network interface): pingtel probes its targets when it comes\n"
	if got := missing(c); got != want {
		t.Errorf("missing:\n%swant:\n%s", got, want)
	}
	mixed, err := Parse("f.toml", minimal+"interface = \"nosuch0\"\n[defaults]\ninterface = \"nosuch1\"\n", env)
	if err != nil {
		t.Fatal(err)
	}
	if got := mixed.Missing(); len(got) != 2 || got[0].Line != 3 || got[1].Line != 5 {
		t.Errorf("missing %v, want lines 3 and 5, in the file's order", got)
	}
	if len(c.Targets) != 5 || c.Targets[1].Options.Interface != "nosuch0" {
		t.Errorf("targets %+v, want all five as written", c.Targets)
	}
	var out strings.Builder
	if err := c.Describe(&out, env); err != nil || strings.Count(out.String(), "pingtel probes its targets when it comes") != 3 {
		t.Errorf("Describe = %v:\n%s", err, out.String())
	}
}

// TestInterfaceNames: a text that can never be an interface is a fault.
func TestInterfaceNames(t *testing.T) {
	for name, want := range map[string]string{
		"127.0.0.2": `"127.0.0.2" is an address: want the name of a network interface, or source = "127.0.0.2"`,
		"fe80::1":   `"fe80::1" is an address`,
		"a b":       `"a b": want the name of a network interface`,
		"a/b":       `"a/b": want the name of a network interface`,
		"..":        `"..": want the name of a network interface`,
	} {
		_, err := Parse("f.toml", minimal+"interface = \""+name+"\"\n", env)
		if err == nil || !strings.Contains(err.Error(), "targets[0].interface: "+want) {
			t.Errorf("%q: %v, want %q", name, err, want)
		}
	}
}
