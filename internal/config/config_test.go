package config

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
)

// env holds the variables of the tests.
func env(name string) (string, bool) {
	v, ok := map[string]string{"SITE": "lab", "EMPTY": "", "TOKEN": "s3cret", "LATIN1": "K\xf6ln"}[name]
	return v, ok
}

const minimal = "[[targets]]\nhosts = [\"127.0.0.1\"]\n"

func TestDefaults(t *testing.T) {
	c, err := Parse("f.toml", minimal, env)
	if err != nil {
		t.Fatal(err)
	}
	if c.Agent.Interval != DefaultInterval || c.Agent.MaxRate != icmpcore.DefaultMaxRate || c.Agent.Socket != icmpcore.SocketAuto {
		t.Errorf("agent = %+v", c.Agent)
	}
	if len(c.Targets) != 1 {
		t.Fatalf("%d targets", len(c.Targets))
	}
	want := icmpcore.Options{Count: 5, Interval: 200 * time.Millisecond, Timeout: time.Second, Size: 56}
	got := c.Targets[0].Options
	got.OnEcho = nil
	if c.Targets[0].Host != "127.0.0.1" || got.Count != want.Count || got.Interval != want.Interval || got.Timeout != want.Timeout || got.Size != want.Size {
		t.Errorf("target = %s %+v", c.Targets[0].Host, got)
	}
	if c.Telegraf.Signal != "none" || c.Telegraf.Measurement != "ping" || len(c.Telegraf.Percentiles) != 3 || c.OTel.Enabled || c.OTel.Endpoint != nil {
		t.Errorf("telegraf = %+v, otel = %+v", c.Telegraf, c.OTel)
	}
	if p := c.Plan(); p.Targets != 1 || p.Rate != .5 || p.Longest != 1800*time.Millisecond || p.Share != .5/10000 {
		t.Errorf("plan = %+v", p)
	}
}

func TestEverything(t *testing.T) {
	c, err := Parse("f.toml", `
[agent]
interval = 30
max_rate = 0
socket = "datagram"
log_level = "debug"
max_prefix_hosts = 4
[defaults]
count = 2
dscp = "EF"
tags = { site = "${SITE}", empty = "${EMPTY}" }
warning = "100ms,20%"
[[targets]]
hosts = ["name.example", "198.18.0.0/30", "2001:db8::/127"]
family = "both"
size = 100
dscp = 10
[[targets]]
hosts = ["127.0.0.1"]
ttl = 9
dont_fragment = true
mark = 4294967295
source = "127.0.0.2"
[targets.tags]
role = "a b=c"
[telegraf]
signal = "SIGUSR1"
percentiles = [50, 99.9]
[otel]
enabled = true
endpoint = "https://c.example:4317"
headers = { authorization = "Bearer ${TOKEN}" }
bounds = [0.001, 0.1, 1]
interval = "1m"
`, env)
	if err != nil {
		t.Fatal(err)
	}
	var hosts []string
	for _, x := range c.Targets {
		hosts = append(hosts, x.Host+" "+x.Options.Family.String())
	}
	want := "name.example ipv4,198.18.0.1 ipv4,198.18.0.2 ipv4,name.example ipv6,2001:db8:: ipv6,2001:db8::1 ipv6,127.0.0.1 ipv4"
	if got := strings.Join(hosts, ","); got != want {
		t.Errorf("targets %s\nwant    %s", got, want)
	}
	first, last := c.Targets[0], c.Targets[6]
	if first.Options.DSCP != 10 || first.Options.Size != 100 || first.Thresholds.Warn.Loss != 20 || len(first.Tags) != 1 || first.Tags[0] != (Tag{"site", "lab"}) {
		t.Errorf("first target = %+v", first.Probe)
	}
	if last.Options.DSCP != 46 || last.Options.TTL != 9 || !last.Options.DontFragment || last.Options.Mark != 1<<32-1 || len(last.Tags) != 2 || last.Tags[0] != (Tag{"role", "a b=c"}) {
		t.Errorf("last target = %+v", last.Probe)
	}
	if c.Agent.MaxRate != -1 || c.Agent.Interval != 30*time.Second || c.Telegraf.Percentiles[1] != 99.9 {
		t.Errorf("agent = %+v, telegraf = %+v", c.Agent, c.Telegraf)
	}
	if c.OTel.Headers["authorization"] != "Bearer s3cret" || *c.OTel.Interval != time.Minute || c.OTel.Insecure != nil {
		t.Errorf("otel = %+v", c.OTel)
	}
}

// TestHostForms has hosts in every form: brackets are removed, an international name
// stays as it is written.
func TestHostForms(t *testing.T) {
	c, err := Parse("f.toml", "[[targets]]\nhosts = [\"[::1]\", \"198.18.1.8-9\", \"198.18.1.255-198.18.2.0\", \"m\u00fcnchen.test\", \"fe80::1%lo\"]\n", env)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, x := range c.Targets {
		got = append(got, x.Host)
	}
	if want := "::1 198.18.1.8 198.18.1.9 198.18.1.255 198.18.2.0 m\u00fcnchen.test fe80::1%lo"; strings.Join(got, " ") != want {
		t.Errorf("hosts %q, want %s", got, want)
	}
}

// TestNames has names, and a source that decides in which family they are looked up.
func TestNames(t *testing.T) {
	c, err := Parse("f.toml", "[[targets]]\nhosts = [\"a_b.1-2.example.\", \"7\u00e9.example\", \"h\"]\nsource = \"::1\"\n"+
		"[[targets]]\nhosts = [\"255.255.255.255\", \"fe80::1%nosuch\"]\n", env)
	if err != nil {
		t.Fatal(err)
	}
	if f := c.Targets[0].Options.Family; len(c.Targets) != 5 || f != icmpcore.FamilyIPv6 {
		t.Errorf("%d targets, the first in %s, want 5, in ipv6", len(c.Targets), f)
	}
}

// TestTakenBack has targets that cancel options of [defaults].
func TestTakenBack(t *testing.T) {
	c, err := Parse("f.toml", "[defaults]\nttl = 3\nmark = 4\nsource = \"127.0.0.1\"\ninterface = \"lo\"\ndscp = 5\n"+
		minimal+"ttl = 0\nmark = 0\nsource = \"\"\ninterface = \"\"\ndscp = 0\n", env)
	if err != nil {
		t.Fatal(err)
	}
	if o := c.Targets[0].Options; o.TTL != 0 || o.Mark != 0 || o.Source.IsValid() || o.Interface != "" || o.DSCP != 0 || c.Marks() {
		t.Errorf("options = %+v", o)
	}
}

// TestThresholds: the file takes the same thresholds as the flags of check.
func TestThresholds(t *testing.T) {
	c, err := Parse("f.toml", minimal+"warning = \"0.1,20%\"\ncritical = \"500.0,60%\"\n", env)
	if err != nil {
		t.Fatal(err)
	}
	if th := c.Targets[0].Thresholds; th.Warn.RTT != 100*time.Microsecond || th.Warn.Loss != 20 || th.Crit.RTT != 500*time.Millisecond || th.Crit.Loss != 60 {
		t.Errorf("thresholds = %+v", th)
	}
}

// TestWithinBounds has a file at each of its limits.
func TestWithinBounds(t *testing.T) {
	for _, text := range []string{
		"# a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q.r.s.t\n" + minimal + "tags = { site = \"" + strings.Repeat(".[", 50) + "\" }\n",
		minimal + "tags.a = '''\n" + strings.Repeat("[x.y.\n", 50) + "'''\n",
		minimal + "[otel.resource]\n\"a.b.c\" = \"x\"\n[otel]\nenabled = false\n",
		"agent.interval = 3\nagent.max_rate = 500\n" + minimal + "tags.a = \"1\"\ntags.b = \"2\"\n" + minimal + "tags.c = \"1\"\n",
	} {
		if _, err := Parse("f.toml", text, env); err != nil {
			t.Errorf("%v in:\n%s", err, text)
		}
	}
}

// TestHints gives keys that a user may well write: keys of Telegraf's inputs.ping, and
// keys in the wrong table. The hints must be right.
func TestHints(t *testing.T) {
	for key, want := range map[string]string{
		"urls": "use hosts in [[targets]]", "deadline": "use timeout, for each echo", "ipv6": "use family = \"ipv6\"",
		"arguments": "runs no ping command", "binary": "runs no ping command", "method": "one method",
		"signal": "belongs in [telegraf]", "max_rate": "belongs in [agent]",
	} {
		_, err := Parse("f.toml", minimal+key+" = 1\n", env)
		if err == nil || !strings.Contains(err.Error(), "f.toml:3: targets[0]."+key+": unknown key: it ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", key, err, want)
		}
	}
	for key, where := range elsewhere {
		for header := range strings.SplitSeq(where, " or ") {
			text := header + "\n" + key + " = 1979-05-27\n" // no key has this type, so a known key gives another fault
			if _, err := Parse("f.toml", text, env); err == nil || strings.Contains(err.Error(), key+": unknown key") || !strings.Contains(err.Error(), "a date") {
				t.Errorf("%s in %s: %v", key, header, err)
			}
		}
	}
	if _, err := Parse("f.toml", minimal+"[[inputs.ping]]\nurls = [\"a\"]\n", env); err == nil || !strings.Contains(err.Error(), "f.toml:3: inputs: unknown key: it is a table of Telegraf") {
		t.Errorf("inputs: %v", err)
	}
}

// TestFaultsInTurn: faults come in the order of the file, with any order of its tables.
func TestFaultsInTurn(t *testing.T) {
	_, err := Parse("f.toml", "[telegraf]\nsignal = \"x\"\n[[targets]]\nhosts = [\"a\"]\nttl = 256\n[defaults]\nsize = 1\n[agent]\nsocket = 1\n", env)
	var faults Faults
	if !errors.As(err, &faults) || len(faults) != 4 {
		t.Fatalf("%v, want four faults", err)
	}
	for i, line := range []int{2, 5, 7, 9} {
		if faults[i].Line != line {
			t.Errorf("fault %d is in line %d, want %d: %v", i, faults[i].Line, line, err)
		}
	}
}

// TestLargestFile reads the largest possible file.
func TestLargestFile(t *testing.T) {
	if _, err := Parse("f.toml", minimal+strings.Repeat("#", maxFile-len(minimal)), env); err != nil {
		t.Error(err)
	}
}

// TestSeriesTime computes how long a series takes, up to the longest duration.
func TestSeriesTime(t *testing.T) {
	const day = 24 * time.Hour
	for _, tt := range []struct {
		o       icmpcore.Options
		maxRate int
		want    time.Duration
	}{
		{icmpcore.Options{Count: 5, Interval: 200 * time.Millisecond, Timeout: time.Second}, -1, 1800 * time.Millisecond},
		{icmpcore.Options{Count: 5, Interval: 200 * time.Millisecond, Timeout: time.Second}, 2, 3 * time.Second},
		{icmpcore.Options{Count: 1, Timeout: time.Second}, -1, time.Second},
		{icmpcore.Options{Count: 106752, Interval: day, Timeout: time.Hour}, -1, 106751*day + time.Hour},
		{icmpcore.Options{Count: 106753, Interval: day, Timeout: time.Hour}, -1, math.MaxInt64},
		{icmpcore.Options{Count: 1 << 30, Interval: day, Timeout: time.Hour}, -1, math.MaxInt64},
	} {
		if got := SeriesTime(tt.o, tt.maxRate); got != tt.want {
			t.Errorf("%d echoes %v apart at most %d a second take %v, want %v", tt.o.Count, tt.o.Interval, tt.maxRate, got, tt.want)
		}
	}
}

func TestPlainNumbers(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 1: "1", 1.5: "1.5", 10030: "10030", 999.94: "999.9", 1000.4: "1000", 12.34567: "12.35", 0.01: "0.01",
		5.0 / 86400: "0.00005787", 123456789: "123456789", 99.99: "99.99",
	} {
		if got := plain(v); got != want {
			t.Errorf("plain(%v) = %s, want %s", v, got, want)
		}
	}
}

// TestInlineTargets has targets as a list of inline tables.
func TestInlineTargets(t *testing.T) {
	c, err := Parse("f.toml", "targets = [ { hosts = [\"a\"] }, { hosts = [\"b\"], ttl = 3 } ]\n", env)
	if err != nil || len(c.Targets) != 2 || c.Targets[1].Options.TTL != 3 {
		t.Errorf("Parse = %+v, %v", c, err)
	}
}

// TestFaults has each kind of mistake: the fault must have its line and say what to write.
func TestFaults(t *testing.T) {
	tests := []struct {
		name, text string
		want       []string // one for each fault, in order: what its text holds
	}{
		{"syntax", "[agent\n", []string{"f.toml:2: expected"}},
		{"no targets", "", []string{"f.toml: targets: nothing to probe"}},
		{"unknown key", minimal + "[agent]\nintervall = 3\n", []string{"f.toml:4: agent.intervall: unknown key: did you mean interval?"}},
		{"unknown table", minimal + "[influx]\n", []string{"f.toml:3: influx: unknown key: want one of agent, fleet, defaults"}},
		{"wrong type", "[agent]\nmax_rate = \"fast\"\n" + minimal, []string{"f.toml:2: agent.max_rate: is a string: want a whole number"}},
		{"out of range", "[[targets]]\nhosts = [\"a\"]\nttl = 256\n", []string{"f.toml:3: targets[0].ttl: 256: want 0 to 255"}},
		{"duration", "[agent]\ninterval = \"ten\"\n" + minimal, []string{`f.toml:2: agent.interval: "ten": want a duration`}},
		{"dscp", "[defaults]\ndscp = \"EFF\"\n" + minimal, []string{`f.toml:2: defaults.dscp: "EFF": want 0 to 63 or a name`}},
		{"unset variable", "[[targets]]\nhosts = [\"${NOPE}\"]\n", []string{"f.toml:2: targets[0].hosts: the environment variable NOPE is not set"}},
		{"variable that is no text", "[[targets]]\nhosts = [\"a\"]\ntags = { site = \"${LATIN1}\" }\n", []string{"f.toml:3: targets[0].tags.site: the environment variable LATIN1: contains bytes"}},
		{"file that is no text", "[[targets]]\nhosts = [\"a\"]\ntags = { site = \"\xfc\" }\n", []string{"f.toml:3"}},
		{"open variable", "[[targets]]\nhosts = [\"${NOPE\"]\n", []string{"want a } after ${"}},
		{"no hosts", "[[targets]]\ncount = 1\n", []string{"f.toml:1: targets[0].hosts: is missing"}},
		{"empty hosts", "[[targets]]\nhosts = []\n", []string{"f.toml:2: targets[0].hosts: is empty"}},
		{"bad host", "[[targets]]\nhosts = [\"a b\", \"1.2.3.4:5\", \"0.0.0.0\"]\n", []string{`"a b": contains a space: want one host`, `"1.2.3.4:5": looks like host:port`, `"0.0.0.0": want the address of a host`}},
		{"no names", "[[targets]]\nhosts = ['a..b', '-x', 'ex\\ample', '.', 'a-.b', 'a*', '" + strings.Repeat("a", 64) + "']\n",
			[]string{`"a..b": has one dot too many`, `"-x"`, `"ex\\ample"`, `"."`, `"a-.b"`, `"a*"`, `"aaa`}},
		{"source of the other family than an address", "[[targets]]\nhosts = [\"127.0.0.1\", \"::2\"]\nsource = \"::1\"\n",
			[]string{"f.toml:2: targets[0].hosts: 127.0.0.1 is not of the family ipv6 of the source ::1"}},
		{"no address", "[[targets]]\nhosts = [\"198.18.0.300\", \"198.18.1\"]\n", []string{`"198.18.0.300": want an IPv4 address`, `"198.18.1": want an IPv4 address`}},
		{"large prefix", "[[targets]]\nhosts = [\"198.18.0.0/15\"]\n", []string{`"198.18.0.0/15": the prefixes and ranges of one list have more hosts than the limit, 65536: want smaller ones`}},
		{"large range", "[agent]\nmax_prefix_hosts = 9\n[[targets]]\nhosts = [\"198.18.1.1-5\",\n\"198.18.1.11-15\"]\n", []string{`"198.18.1.11-15": the prefixes and ranges`}},
		{"no name", "[[targets]]\nhosts = [\"http://b.test/\", \"root@b.test\", \"198.18.1.9-1\", \"-ü.test\"]\n",
			[]string{`looks like a URL: want only its host, b.test`, `looks like user@host`, `ends before it begins`, `not a valid international name`}},
		{"large prefixes", "[agent]\nmax_prefix_hosts = 300\n[[targets]]\nhosts = [\"198.18.0.0/24\", \"198.18.1.0/26\", \"198.18.2.0/28\"]\n", []string{`"198.18.1.0/26": the prefixes`}},
		{"host bits", "[[targets]]\nhosts = [\"198.18.0.1/24\"]\n", []string{"want 198.18.0.0/24"}},
		{"family of an address", "[[targets]]\nhosts = [\"::1\"]\nfamily = \"ipv4\"\n", []string{"::1 is not of the family ipv4"}},
		{"unset variable in a duration", "[agent]\ninterval = \"${NOPE}\"\n" + minimal, []string{"f.toml:2: agent.interval: the environment variable NOPE is not set"}},
		{"several bad tags", minimal + "tags = { b = \"${NOPE}\", a = 1, url = \"x\", d = \"${NO}\", \"\" = \"y\" }\n",
			[]string{"tags.a: is a whole number", "tags.b: the environment variable NOPE", "tags.d: the environment variable NO ", "tags: an empty key", "tags.url: pingtel sets this tag itself"}},
		{"several unknown keys", "agent = { d = 1, b = 2, c = 3, a = 4 }\n" + minimal, []string{"agent.a", "agent.b", "agent.c", "agent.d"}},
		{"twice the same prefix", "[[targets]]\nhosts = [\"198.18.0.0/16\"]\n[[targets]]\nhosts = [\"a\", \"198.18.0.0/16\"]\n",
			[]string{"f.toml:4: targets[1].hosts: 198.18.0.1 and 65533 more are in line 2 already, with the same options and tags"}},
		{"one table of targets", "[targets]\nhosts = [\"a\"]\n", []string{"f.toml:1: targets: is a table: want tables, [[targets]]"}},
		{"an empty list of targets", "targets = []\n", []string{"f.toml:1: targets: nothing to probe"}},
		{"a list of something else", "targets = [ { hosts = [\"a\"] }, 7 ]\n", []string{"f.toml:1: targets: is a list: want tables"}},
		{"inline tables", "targets = [ { hosts = [\"a\"], ttl = 256 } ]\n", []string{"f.toml:1: targets[0].ttl: 256"}},
		{"byte order mark", "\ufeff[agent]\nsocket = 1\n" + minimal, []string{"f.toml:2: agent.socket"}},
		{"twice the same", "[[targets]]\nhosts = [\"a\"]\n[[targets]]\nhosts = [\"b\", \"a\"]\n", []string{"f.toml:4: targets[1].hosts: a is in line 2 already, with the same options and tags"}},
		{"twice the same, over lines", "[[targets]]\nhosts = [ # a, b\n  \"b,[\", \"x\",\n  # \"a\",\n  \"a\",\n  \"c\",\n  \"a\",\n]\n[[targets]]\nhosts = [\n\"d\",\n\"c\"]\n",
			[]string{`f.toml:3: targets[0].hosts: "b,[": has brackets around something that is not an IPv6 address`}},
		{"twice in one list", "[[targets]]\nhosts = [ # a, b\n  # \"a\",\n  \"x\", \"a\",\n  \"c\",\n  \"a\",\n]\n[[targets]]\nhosts = [\n\"d\",\n\"c\"]\n",
			[]string{"f.toml:6: targets[0].hosts: a is in line 4 already, with the same options and tags", "f.toml:11: targets[1].hosts: c is in line 5 already"}},
		{"twice in inline tables", "targets = [\n{ hosts = [\"a\"] },\n{ hosts = [\"a\"] } ]\n", []string{"f.toml:1: targets[1].hosts: a is in line 1 already, with the same options and tags"}},
		{"a dotted key and a header", "agent.interval = 3\n" + minimal + "[agent]\nmax_rate = 5\n", []string{"f.toml:4: agent: line 1 defines it already"}},
		{"a dotted key and a header of a target", minimal + "tags.a = \"b\"\n[targets.tags]\nc = \"d\"\n", []string{"f.toml:4: targets[0].tags: line 3 defines it already"}},
		{"a header and a dotted key", minimal + "[otel.headers]\na = \"b\"\n[otel]\nheaders.c = \"d\"\n", []string{"f.toml:6: otel.headers: line 3 defines it already"}},
		{"a key and a dotted key", minimal + "tags = { a = \"b\" }\ntags.c = \"d\"\n", []string{"f.toml:4: targets[0].tags: line 3 defines it already"}},
		{"tags in their own table", "\n[[targets]]\nhosts = [\"a\"]\n[targets.tags]\nsite = \"a\"\nurl = \"x\"\n", []string{"f.toml:6: targets[0].tags.url: pingtel sets this tag itself"}},
		{"dotted tags", "\n[[targets]]\nhosts = [\"a\"]\ntags.site = \"a\"\ntags.rack = 7\n", []string{"f.toml:5: targets[0].tags.rack: is a whole number"}},
		{"tags of the defaults", minimal + "[defaults.tags]\nsite = \"a\"\n'address' = \"x\"\n", []string{"f.toml:5: defaults.tags.address: pingtel sets this tag itself"}},
		{"too many dots", minimal + "\n" + strings.Repeat("x.", 20000) + "x = 1\n", []string{"f.toml:4: a key of more than 16 parts"}},
		{"too many dots in an inline table", minimal + "tags = { \"x\"" + strings.Repeat(" . y", 20000) + " = 1 }\n", []string{"f.toml:3: a key of more than 16 parts"}},
		{"too many dots in a header", minimal + "[x" + strings.Repeat(".'y'", 20000) + "]\n", []string{"f.toml:3: a key of more than 16 parts"}},
		{"too deep", minimal + "x = " + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + "\n", []string{"f.toml:3: more than 16 lists or tables inside each other"}},
		{"too deep over lines", minimal + "x = " + strings.Repeat("[\n", 20000), []string{"f.toml:19: more than 16 lists or tables inside each other"}},
		{"too large", minimal + strings.Repeat("#", maxFile), []string{"f.toml: is larger than 32 MiB"}},
		{"reserved tag", "[[targets]]\nhosts = [\"a\"]\ntags = { url = \"x\" }\n", []string{"f.toml:3: targets[0].tags.url: pingtel sets this tag itself"}},
		{"tag of a number", "[[targets]]\nhosts = [\"a\"]\ntags = { rack = 3 }\n", []string{"f.toml:3: targets[0].tags.rack: is a whole number: want a string"}},
		{"source of the other family", "[[targets]]\nhosts = [\"a\"]\nfamily = \"ipv6\"\nsource = \"127.0.0.1\"\n", []string{"f.toml:4: targets[0].source: "}},
		{"series too long", "[agent]\ninterval = \"1s\"\n" + minimal, []string{"f.toml:2: agent.interval: 1s is shorter than a series to 127.0.0.1, which takes 1.8s"}},
		{"series too long for its own interval", minimal + "interval = \"1s\"\n", []string{"f.toml:3: targets[0].interval: 1s is shorter than a series to 127.0.0.1, which takes 1.8s"}},
		{"series too long for the interval of the defaults", "[defaults]\ninterval = \"1s\"\n" + minimal, []string{"f.toml:2: defaults.interval: 1s is shorter than a series"}},
		{"more than the rate with an interval of its own", "[agent]\nmax_rate = 4\n" + minimal + "interval = \"2s\"\n[[targets]]\nhosts = [\"198.18.0.0/29\"]\n", []string{"f.toml:2: agent.max_rate: 7 targets need 6 echo requests per second"}},
		{"series too long at its rate", "[agent]\ninterval = 5\nmax_rate = 2\n[defaults]\nping_interval = \"1ms\"\ntimeout = 4\n" + minimal,
			[]string{"f.toml:2: agent.interval: 5s is shorter than a series to 127.0.0.1, which takes 6s"}},
		{"rate too high", "[agent]\nmax_rate = 10\n[[targets]]\nhosts = [\"198.18.0.0/24\"]\n", []string{"f.toml:2: agent.max_rate: 254 targets need 127 echo requests per second, but only 10 are allowed"}},
		{"percentiles", minimal + "[telegraf]\npercentiles = [99, 50]\n", []string{"50 after 99: want ascending numbers"}},
		{"a comment for a measurement", minimal + "[telegraf]\nmeasurement = \"#ping\"\n", []string{`f.toml:4: telegraf.measurement: "#ping": a line that begins with # is a comment in line protocol`}},
		{"no measurement", minimal + "[telegraf]\nmeasurement = ' \\\\'\n", []string{`f.toml:4: telegraf.measurement: " \\\\" is empty`}},
		{"signal", minimal + "[telegraf]\nsignal = \"SIGTERM\"\n", []string{`"SIGTERM": want one of none, STDIN`}},
		{"thresholds", minimal + "warning = \"fast\"\n", []string{`f.toml:3: targets[0].warning: "fast"`}},
		{"a list where a table belongs", "agent = [1]\n" + minimal, []string{"f.toml:1: agent: is a list: want a table, [agent]"}},
		{"all at once", "[agent]\nsocket = \"tcp\"\nlog_level = 7\n[defaults]\nfoo = 1\n[[targets]]\nhosts = [\"\"]\n[otel]\nprotocol = \"http\"\n",
			[]string{"f.toml:2: ", "f.toml:3: ", "f.toml:5: ", "f.toml:7: ", "f.toml:9: otel.protocol"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := Parse("f.toml", tt.text, env)
			var faults Faults
			if !errors.As(err, &faults) || c != nil {
				t.Fatalf("Parse = %v, %v, want faults", c, err)
			}
			if len(faults) != len(tt.want) {
				t.Fatalf("%d faults, want %d:\n%v", len(faults), len(tt.want), err)
			}
			for i, want := range tt.want {
				if !strings.Contains(faults[i].Error(), want) {
					t.Errorf("fault %d = %q, want %q", i, faults[i], want)
				}
			}
		})
	}
}

func TestKeyLines(t *testing.T) {
	found := findLines(`# a = 1
a = """
b = 2
"""
c = [ "x]", # ]
  "d = 1",
]
[t]
"e" = 'it''s'
f.g = { h = "}" }
[[u]]
i = 1
[[u]]
i = 2
[u.v]
j = 3
[w]
x = '''\'''
y = """a\""" = 1
z = 2
"""
z = 4
`)
	lines := found.scan(true)
	want := map[string]int{"a": 2, "c": 5, "t": 8, "t.e": 9, "t.f": 10, "t.f.g": 10, "u": 11, "u[0]": 11, "u[0].i": 12, "u[1]": 13, "u[1].i": 14, "u[1].v": 15, "u[1].v.j": 16,
		"w": 17, "w.x": 18, "w.y": 19, "w.z": 22}
	for k, n := range want {
		if lines[k] != n {
			t.Errorf("%s on line %d, want %d", k, lines[k], n)
		}
	}
	if len(lines) != len(want) {
		t.Errorf("lines = %v", lines)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(minimal)
	f.Add("[agent]\ninterval = 1e300\n[[targets]]\nhosts = ['''a''']\ntags = {a.b = 1}")
	f.Add("[[targets]]\nhosts=[\"10.0.0.0/31\"]\nwarning=\"1ms,2%\"\n[otel]\nheaders.x = \"${SITE}\"")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Parse("f", text, env)
		if (c == nil) == (err == nil) {
			t.Fatalf("Parse = %v, %v", c, err)
		}
		if err != nil {
			if err.Error() == "" {
				t.Error("a fault without a text")
			}
			return
		}
		for i := range c.Targets {
			if err := c.Targets[i].Options.Validate(); err != nil {
				t.Errorf("a target that cannot be probed: %v", err)
			}
		}
	})
}
