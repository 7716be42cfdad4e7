package config

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
)

// TestWebProbe reads [web.probe], with and without targets of the file's own.
func TestWebProbe(t *testing.T) {
	c, err := Parse("f.toml", `[web]
listen = "127.0.0.1:9473"
[defaults]
count = 3
family = "both"
tags = { a = "b" }
[web.probe]
allow = ["198.18.0.0/16", "2001:db8::1", "198.19.0.7"]
[web.probe.modules.icmp6]
family = "ipv6"
count = 1
[web.probe.modules."a.b"]
source = "127.0.0.1"
mark = 7
`, env)
	if err != nil {
		t.Fatal(err)
	}
	p := &c.Web.Probe
	for addr, want := range map[string]bool{
		"198.18.255.255": true, "198.17.255.255": false, "198.19.0.7": true, "198.19.0.8": false, "::ffff:198.18.0.1": true, "::ffff:198.17.0.1": false,
		"2001:db8::1": true, "2001:db8::2": false, "2001:db8::1%lo": false, "::c612:1": false,
	} {
		if got := p.Allows(netip.MustParseAddr(addr)); got != want {
			t.Errorf("Allows(%s) = %t", addr, got)
		}
	}
	if p.Allows(netip.Addr{}) {
		t.Error("no address is allowed")
	}
	if got := p.AllowText(); got != "198.18.0.0/16, 2001:db8::1/128, 198.19.0.7/32" {
		t.Errorf("AllowText() = %q", got)
	}
	if o := p.Modules[DefaultModule]; o.Count != 3 || o.Family != icmpcore.FamilyAuto || o.Timeout != time.Second {
		t.Errorf("icmp: %+v", o)
	}
	if o := p.Modules["icmp6"]; o.Count != 1 || o.Family != icmpcore.FamilyIPv6 {
		t.Errorf("icmp6: %+v", o)
	}
	if o := p.Modules["a.b"]; o.Family != icmpcore.FamilyIPv4 || len(p.Modules) != 3 {
		t.Errorf("a.b: %+v of %v", o, p.Modules)
	}
	if len(c.Targets) != 0 || !c.Marks() || len(c.needs) != 1 {
		t.Errorf("%d targets, marks %t, needs %v", len(c.Targets), c.Marks(), c.needs)
	}
	var b strings.Builder
	if err := c.Describe(&b, env); err != nil || !strings.Contains(b.String(), "modules a.b, icmp, icmp6") {
		t.Errorf("%v: %s", err, b.String())
	}
	c.Web.Probe.Modules["a.b"] = icmpcore.Options{Source: netip.MustParseAddr("2001:db8::1")}
	if err := c.CheckSockets(func(icmpcore.Family) icmpcore.SocketKind { return icmpcore.SocketDatagram }); err == nil || !strings.Contains(err.Error(), "of the module a.b needs a raw socket") {
		t.Errorf("CheckSockets = %v", err)
	}
}

// TestWebProbeOff: modules without prefixes to allow need nothing.
func TestWebProbeOff(t *testing.T) {
	c, err := Parse("f.toml", "[[targets]]\nhosts = [\"198.18.0.1\"]\n[web.probe.modules.x]\nmark = 1\ninterface = \"d0\"\n", env)
	if err != nil || c.Web.Probe.On() || c.Marks() || len(c.needs) > 0 {
		t.Errorf("%v: %+v, needs %v", err, c.Web.Probe, c.needs)
	}
}

func TestWebProbeFaults(t *testing.T) {
	for text, want := range map[string]string{
		"[web]\nlisten = \":9\"":                                     "f.toml: targets: nothing to probe",
		"[web.probe]\nallow = [\"198.18.0.1\"]":                      "nothing to probe", // without a listener
		"[web.probe]\nallow = \"198.18.0.1\"":                        "web.probe.allow: is a string: want a list of prefixes",
		"[web.probe]\nallow = [\"a.test\"]":                          `"a.test": want a prefix such as 198.18.0.0/16, or an address without a zone`,
		"[web.probe]\nallow = [\"fe80::1%lo\"]":                      "without a zone",
		"[web.probe]\nallow = [\"::ffff:198.18.0.0/112\"]":           "want the IPv4 prefix itself",
		"[web.probe]\nallow = [\"198.18.0.1/16\"]":                   "has bits beyond its length: want 198.18.0.0/16, or 198.18.0.1 alone",
		"[web.probe]\nallow = [7]":                                   "is a whole number: want a string",
		"[web.probe]\nallowed = []":                                  "did you mean allow?",
		"[web.probe.modules.x]\nfamily = \"both\"":                   `web.probe.modules.x.family: "both": want auto, ipv4 or ipv6`,
		"[web.probe.modules.x]\ncount = 0":                           "web.probe.modules.x.count: 0: want 1 to 10000",
		"[web.probe.modules.x]\ntags = { a = \"b\" }":                "web.probe.modules.x.tags: unknown key",
		"[web.probe.modules.x]\nprober = \"icmp\"":                   "web.probe.modules.x.prober: unknown key",
		"[web.probe.modules.x]\nsource = \"::1\"\nfamily = \"ipv4\"": "web.probe.modules.x.source",
		"[web.probe.modules]\nx = 7":                                 "web.probe.modules.x: is a whole number: want a table",
		"[web.probe.modules.\"\"]\ncount = 1":                        "a module without a name",
	} {
		_, err := Parse("f.toml", text+"\n", env)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n%v\nwant %q", text, err, want)
		}
	}
}
