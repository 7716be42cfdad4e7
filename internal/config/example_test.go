package config

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// commentedKey matches the start of a key or table that the example has in a comment.
var commentedKey = regexp.MustCompile(`(?m)^# ([a-z_]+ = |\[[a-z_.]+\]$|\[\[)`)

// TestExample reads the example unchanged and compares its defaults with those of an
// empty file. Then it reads the example with every commented key.
func TestExample(t *testing.T) {
	b, err := os.ReadFile("../../config.example.toml")
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	c, err := Parse("config.example.toml", text, env)
	if err != nil {
		t.Fatal(err)
	}
	empty, err := Parse("empty", minimal, env)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(empty.Agent, c.Agent); diff != "" {
		t.Errorf("[agent] is not the defaults (-default +example)\n%s", diff)
	}
	if diff := cmp.Diff(empty.Telegraf, c.Telegraf); diff != "" {
		t.Errorf("[telegraf] is not the defaults (-default +example)\n%s", diff)
	}
	o, d := c.Targets[0].Options, empty.Targets[0].Options
	o.DSCP = 0 // the example sets it for these targets
	if diff := cmp.Diff(d, o, cmpopts.IgnoreFields(o, "Source", "OnEcho")); diff != "" {
		t.Errorf("[defaults] is not the defaults (-default +example)\n%s", diff)
	}
	all := commentedKey.ReplaceAllString(text, "$1")
	all = regexp.MustCompile(`(?m)^(ca|cert|key)_file = ""`).ReplaceAllString(all, `${1}_file = "x"`)
	all = strings.Replace(all, `shard = "0/5"`, "", 1)    // members take its place
	all = strings.Replace(all, `"::1"`, `"127.0.0.2"`, 1) // the IPv4 source cannot reach ::1
	if _, err := Parse("all", all, env); err != nil {
		t.Errorf("with every key in force: %v", err)
	}
}

// TestExampleOTel compares the commented values of [otel] with the real defaults.
func TestExampleOTel(t *testing.T) {
	b, err := os.ReadFile("../../config.example.toml")
	if err != nil {
		t.Fatal(err)
	}
	text := regexp.MustCompile(`(?m)^# (headers|resource|shard) = .*$`).ReplaceAllString(string(b), "")
	stated, err := Parse("stated", commentedKey.ReplaceAllString(minimal+text[strings.Index(text, "[otel]"):], "$1"), env)
	if err != nil {
		t.Fatal(err)
	}
	var silent OTel
	want, err := silent.Settings(DefaultInterval, variables{}.lookup)
	if err != nil {
		t.Fatal(err)
	}
	got, err := stated.OTel.Settings(DefaultInterval, variables{}.lookup)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(OTelSettings{}, "Origins")); diff != "" {
		t.Errorf("[otel] is not the defaults (-default +example)\n%s", diff)
	}
	if from := got.Origins["bounds"]; from != OriginFile {
		t.Errorf("bounds are from %s: the example's keys were not in force", from)
	}
}

// TestExampleIsComplete: the example has every key that the reader knows.
func TestExampleIsComplete(t *testing.T) {
	b, err := os.ReadFile("../../config.example.toml")
	if err != nil {
		t.Fatal(err)
	}
	for _, section := range []string{"agent", "defaults", "targets", "telegraf", "otel", "web", "web.probe"} {
		header := "[" + section + "]"
		if section == "targets" {
			header = "[[targets]]"
		}
		_, err := Parse("f", header+"\nnosuchkey = 1\n", env)
		if err == nil {
			t.Fatalf("%s: an unknown key is accepted", section)
		}
		_, list, found := strings.Cut(err.Error(), "nosuchkey: unknown key: want one of ")
		if !found {
			t.Fatalf("%s: %v", section, err)
		}
		list, _, _ = strings.Cut(list, "\n")
		for _, key := range strings.Split(list, ", ") {
			table := regexp.QuoteMeta(section + "." + key)
			if !regexp.MustCompile(`(?m)^(# )?(` + regexp.QuoteMeta(key) + ` = |\[` + table + `[].])`).Match(b) {
				t.Errorf("%s.%s is not in the example", section, key)
			}
		}
	}
}
