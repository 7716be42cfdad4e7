package config

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFleet(t *testing.T) {
	machine, err := os.Hostname()
	if err != nil {
		t.Skip("this machine has no name:", err)
	}
	for _, tt := range []struct {
		text string
		want Fleet
	}{
		{"", Fleet{Copies: 1}},
		{"[fleet]\n", Fleet{Copies: 1}},
		{"[fleet]\nmember = \"\"\n", Fleet{On: true, Member: machine, Copies: 1}},
		{"[fleet]\nshard = \"1/2\"\n", Fleet{On: true, Member: machine, Copies: 1, Shard: 1, Shards: 2}},
		{"[fleet]\nmember = \"${SITE}-1\"\n", Fleet{On: true, Member: "lab-1", Copies: 1}},
		{"[fleet]\nmember = \"a\"\nshard = \"0/5\"\n", Fleet{On: true, Member: "a", Copies: 1, Shards: 5}},
		{"[fleet]\nmember = \"a\"\nshard = \"4/5\"\ncopies = 2\n", Fleet{On: true, Member: "a", Copies: 2, Shard: 4, Shards: 5}},
		{"[fleet]\nmember = \"pod-2\"\nshard = \"pod-${SITE}-12/30\"\n", Fleet{On: true, Member: "pod-2", Copies: 1, Shard: 12, Shards: 30}},
	} {
		c, err := Parse("f.toml", tt.text+minimal, env)
		if err != nil {
			t.Errorf("%q: %v", tt.text, err)
			continue
		}
		if d := cmp.Diff(tt.want, c.Fleet); d != "" {
			t.Errorf("%q (-want +got):\n%s", tt.text, d)
		}
		var want []Tag
		if tt.want.On {
			want = []Tag{{ProberTag, tt.want.Member}}
		}
		if d := cmp.Diff(want, c.Targets[0].Tags); d != "" {
			t.Errorf("%q: tags (-want +got):\n%s", tt.text, d)
		}
	}
}

func TestFleetFaults(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"member = \"a b\"", `fleet.member: "a b": want a name without spaces`},
		{"member = \"a\\u0007\"", `fleet.member: "a\a": want a name without spaces`},
		{"member = \"" + strings.Repeat("a", 254) + "\"", `fleet.member: a name of 254 bytes: want at most 253`},
		{"member = \"__a\"", `fleet.member: "__a": want a name that does not begin with __`},
		{"shard = 2", `fleet.shard: is a whole number: want a string`},
		{"shard = \"2\"", `fleet.shard: "2": want the number of this shard and how many there are, "0/5" to "4/5"`},
		{"shard = \"pod2/5\"", `fleet.shard: "pod2/5": want the number`},
		{"shard = \"5/5\"", `fleet.shard: "5/5": want 0/5 to 4/5, since shards are counted from 0`},
		{"shard = \"0/0\"", `fleet.shard: "0/0": want 1 to 1000 shards`},
		{"shard = \"-1/5\"\ncopies = 0", `fleet.copies: 0: want 1 to 16`},
		{"copies = 2", `fleet.copies: 2 copies of all targets: want shard or members too`},
		{"shard = \"0/5\"\nzone = \"east\"", `fleet.zone: the zones of the other shards are unknown`},
		{"shard = \"0/5\"\nmembers = { nats = \"nats://a\" }", `fleet.shard: is beside members`},
		{"members = {}", `fleet.members.nats: is missing: want one of nats, file, http and dns`},
		{"members = { file = \"a.json\", dns = \"a\" }", `fleet.members.dns: is beside file`},
		{"members = { nats = \"nats://a\", dns = \"a\" }", `fleet.members.dns: unknown key`},
		{"members = { kubernetes = \"nodes\" }", `fleet.members.kubernetes: are no probers: want dns`},
		{"members = { http = \"http://u:s3cret@a\" }", `fleet.members.http: "`},
		{"members = { nats = \"http://user:s3cret@a\" }", `fleet.members.nats: want nats://host:4222 or tls://host:4222`},
		{"members = { nats = \"nats://a, s3cret\" }", `fleet.members.nats: want nats://host`},
		{"members = { nats = \"nats://a\", bucket = \"a.b\" }", `fleet.members.bucket: "a.b": want letters`},
		{"members = { nats = \"nats://a\", refresh = \"0.5s\" }", `fleet.members.refresh: 0.5s: want 1s to 1h`},
		{"members = { nats = \"nats://a\", cert_file = \"a\" }", `fleet.members.cert_file: goes with key_file`},
		{"members = { nats = \"nats://a\", ttl = 1 }", `fleet.members.ttl: unknown key`},
		{"shards = \"0/5\"", `fleet.shards: unknown key: did you mean shard?`},
		{"member = \"a\"\n[defaults]\ntags = { prober = \"x\" }", `defaults.tags.prober: pingtel sets this tag itself`},
	} {
		_, err := Parse("f.toml", "[fleet]\n"+tt.text+"\n"+minimal, env)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %v, want %q", tt.text, err, tt.want)
		}
		if err != nil && strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%q: the password is in the message: %v", tt.text, err)
		}
	}
	if _, err := Parse("f.toml", minimal+"tags = { prober = \"x\" }\n", env); err != nil {
		t.Errorf("without a fleet prober is a tag like any other, but: %v", err)
	}
}

// TestFleetPlan: a file whose targets are too many for one prober is right for a
// fleet, and what it says of the load is that of one prober.
func TestFleetPlan(t *testing.T) {
	const file = "[agent]\nmax_rate = 100\n[[targets]]\nhosts = [\"198.18.0.0/24\"]\n" // 127 requests a second
	for fleet, want := range map[string]string{
		"[fleet]\nmembers = { nats = \"nats://a\" }\n": "", // a running process sees what is its own
		"": "254 targets need 127 echo", "[fleet]\nmember = \"a\"\n": "254 targets need 127 echo",
		"[fleet]\nshard = \"1/2\"\n": "", "[fleet]\nshard = \"1/3\"\ncopies = 2\n": "",
		"[fleet]\nshard = \"1/5\"\ncopies = 4\n": "254 targets in 5 shards need 102 echo",
	} {
		_, err := Parse("f.toml", fleet+file, env)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", fleet, err, want)
		}
	}
	c, err := Parse("f.toml", "[fleet]\nmember = \"a\"\ncopies = 2\nmembers = { nats = \"nats://user:${TOKEN}@a:4222,tls://b\" }\n"+file, env)
	if err != nil {
		t.Fatal(err)
	}
	var members strings.Builder
	if err := c.Describe(&members, env); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"a is a member by nats://a:4222,tls://b; 2 probers measure each target", "254 per second by all probers together (100 per second by each)"} {
		if text := members.String(); !strings.Contains(text, want) || strings.Contains(text, "s3cret") {
			t.Errorf("%s\nwant %q and no password", text, want)
		}
	}
	c, err = Parse("f.toml", "[fleet]\nmember = \"a\"\nshard = \"1/2\"\n"+file, env)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if err := c.Describe(&text, env); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"a is shard 1 of 2 and measures about 50 % of the targets", "63.5 per second, 63.5 % of max_rate (100 per second)"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%s\nwant %q", &text, want)
		}
	}
}

func TestFleetReload(t *testing.T) {
	parse := func(text string) *Config {
		c, err := Parse("f.toml", text+minimal, env)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	for _, tt := range []struct{ from, to, want string }{
		{"[fleet]\nmember = \"a\"\nshard = \"0/2\"\n", "[fleet]\nmember = \"a\"\nshard = \"1/3\"\ncopies = 2\n", ""},
		{"[fleet]\nmembers = { dns = \"a\" }\nmember = \"a\"\n", "[fleet]\nmembers = { dns = \"a\" }\nmember = \"a\"\ncopies = 3\n", ""},
		{"[fleet]\nmembers = { dns = \"a\" }\nmember = \"a\"\n", "[fleet]\nmembers = { dns = \"b\" }\nmember = \"a\"\n", "f.toml: restart pingtel to change fleet.members"},
		{"[fleet]\nmembers = { nats = \"nats://a\" }\nmember = \"a\"\n", "[fleet]\nmembers = { nats = \"nats://a\" }\nmember = \"a\"\ncopies = 3\n", ""},
		{"[fleet]\nmembers = { nats = \"nats://a\" }\nmember = \"a\"\n", "[fleet]\nmembers = { nats = \"nats://b\" }\nmember = \"a\"\n", "f.toml: restart pingtel to change fleet.members"},
		{"", "[fleet]\nmember = \"a\"\n", "f.toml: restart pingtel to change fleet.member (from or to none)"},
		{"[fleet]\nmember = \"a\"\n", "[fleet]\nmember = \"b\"\n", "f.toml: restart pingtel to change fleet.member (a to b)"},
	} {
		got := ""
		if err := parse(tt.from).CheckReload(parse(tt.to)); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%q to %q: %q, want %q", tt.from, tt.to, got, tt.want)
		}
	}
}
