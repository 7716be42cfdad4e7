package discovery

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// TestOddTargets has targets as lists for Prometheus have them, for exporters and for
// blackbox_exporter, and as people get them wrong.
func TestOddTargets(t *testing.T) {
	for _, tt := range []struct{ target, want, fault string }{
		{"[2001:db8::1]:9100", "2001:db8::1", ""},
		{"[2001:db8::1]", "2001:db8::1", ""},
		{"[fe80::1%eth0]:9100", "fe80::1%eth0", ""},
		{"2001:db8::1", "2001:db8::1", ""},
		{"198.18.0.1:9100", "198.18.0.1", ""},
		{"host.example:http", "", "cannot be a name because of its ':'"},
		{"host.example.:80", "host.example.", ""},
		{"198.18.0.1/32", "198.18.0.1", ""},
		{"2001:db8::1/128", "2001:db8::1", ""},
		{"198.18.0.0/30", "198.18.0.1 198.18.0.2", ""},
		{"198.18.0.5/24", "", "want 198.18.0.0/24, or only the address"},
		{"10.0.0.0/8", "", "more hosts than the limit, 65536"},
		{"https://host.example/x?y=1", "", "looks like a URL: want only its host, host.example"},
		{"host.example:9100/metrics", "", "looks like a part of a URL: want only its host, host.example"},
		{"host.example/probe", "", "looks like a part of a URL: want only its host, host.example"},
		{"", "", "want a name or an address"},
		{":9100", "", "cannot be a name because of its ':'"},
		{"[2001:db8::1", "", "has brackets around something that is not an IPv6 address"},
		{"198.18.0.1:99999", "198.18.0.1", ""},
		{" 198.18.0.1", "", "contains a space"},
		{"0.0.0.0", "", "want the address of a host"},
		{"[::]:9100", "", "want the address of a host"},
		{"host.example:", "", "cannot be a name because of its ':'"},
		{"${__address__}", "", "cannot be a name because of its '$'"},
	} {
		raw, _ := json.Marshal([]group{{Targets: []string{tt.target}}})
		b := newBuilder(t, "[[targets]]\nfile = \"/x.json\"\n")
		if err := decodeJSON(strings.NewReader(string(raw)), b); err != nil {
			t.Fatalf("%q: %v", tt.target, err)
		}
		got := strings.Join(lines(b.list.Targets), " ")
		fault := strings.Join(b.faults, "; ")
		if got != tt.want || (fault == "") != (tt.fault == "") || !strings.Contains(fault, tt.fault) || fault != "" && !strings.HasPrefix(fault, "[0].targets[0]: ") {
			t.Errorf("%q: targets %q, fault %q, want %q, %q", tt.target, got, fault, tt.want, tt.fault)
		}
	}
}

// TestDuplicates has a target in two sources, and twice in one: with the same tags it is one
// target, with others two.
func TestDuplicates(t *testing.T) {
	dir := t.TempDir()
	one, two := filepath.Join(dir, "1.json"), filepath.Join(dir, "2.json")
	const text = `[{"targets": ["a:1", "a:2"], "labels": {"x": "1"}}, {"targets": ["a"], "labels": {"x": "1", "__y": "2"}}, {"targets": ["a"], "labels": {"x": "2"}}]`
	write(t, one, text)
	write(t, two, text)
	for _, tt := range []struct{ keys, want, log string }{
		{"", "a x=1,a x=2", ""},
		{"tags = { y = \"__y\" }\n", "a x=1,a x=2,a x=1 y=2", ""},
		{"tags = { z = \"3\" }\n", "a x=1,a x=2,a x=1 z=3,a x=2 z=3", ""},
		{"size = 1400\n", "a x=1,a x=2", "a target of a source is left out: another one has its host and tags but other options; give one of them a tag\" host=a"},
	} {
		c := parse(t, fmt.Sprintf("[[targets]]\nfile = '%s'\n[[targets]]\nfile = '%s'\n%s", one, two, tt.keys))
		s, log := start(t, c, Options{})
		if got := strings.Join(lines(s.Targets()), ","); got != tt.want {
			t.Errorf("%s: targets %s, want %s", tt.keys, got, tt.want)
		}
		if got := log.String(); !strings.Contains(got, tt.log) || tt.log == "" && got != "" {
			t.Errorf("%s: log %s, want %s", tt.keys, got, tt.log)
		}
	}
}
