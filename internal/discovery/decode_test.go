package discovery

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pingtel/pingtel/internal/config"
)

// parse reads a configuration with a table.
func parse(t testing.TB, text string) *config.Config {
	t.Helper()
	c, err := config.Parse("f.toml", text, func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// newBuilder returns a builder for the first source of a configuration.
func newBuilder(t testing.TB, text string) *builder {
	c := parse(t, text)
	return &builder{source: c.Sources[0], list: c.Sources[0].NewList(nil)}
}

// lines returns targets as 'config targets' does.
func lines(targets []config.Target) []string {
	var all []string
	for _, t := range targets {
		words := []string{t.Host}
		for _, tag := range t.Tags {
			words = append(words, tag.Key+"="+tag.Value)
		}
		all = append(all, strings.Join(words, " "))
	}
	return all
}

func TestDecode(t *testing.T) {
	const labels = `"labels": {"site": "ams", "__meta_netbox_name": "r1", "role": ""}`
	for _, tt := range []struct {
		name, file, keys, text string
		want                   []string
		faults                 []string
		err                    string
	}{
		{"JSON", "a.json", "", `[{"targets": ["198.18.0.1:9100", "host.example:80", "host.example", "[2001:db8::1]:9100", "[2001:db8::2]", "2001:db8::3"], ` + labels + `}, {"targets": ["198.18.0.9/32", "2001:db8::9/128"]}]`,
			[]string{"198.18.0.1 site=ams", "host.example site=ams", "host.example site=ams", "2001:db8::1 site=ams", "2001:db8::2 site=ams", "2001:db8::3 site=ams", "198.18.0.9", "2001:db8::9"}, nil, ""},
		{"tags", "a.json", "tags = { name = \"__meta_netbox_name\", none = \"__meta_none\", fixed = \"x\", role = \"router\" }\n", `[{"targets": ["a"], ` + labels + `}]`,
			[]string{"a fixed=x name=r1 role=router site=ams"}, nil, ""},
		{"the table's tags win", "a.json", "tags = { site = \"fra\" }\n", `[{"targets": ["a"], ` + labels + `}]`, []string{"a site=fra"}, nil, ""},
		{"a reserved label", "a.json", "", `[{"targets": ["a"], "labels": {"url": "x", "site": "ams"}}]`, []string{"a site=ams"}, []string{`the label "url" is no tag: pingtel sets a tag of that name itself`}, ""},
		{"prefix and range", "a.json", "", `[{"targets": ["198.18.0.0/30", "198.18.1.1-2"]}]`, []string{"198.18.0.1", "198.18.0.2", "198.18.1.1", "198.18.1.2"}, nil, ""},
		{"faults", "a.json", "", `[{"targets": ["a b", "ok"]}, {"targets": ["http://x/"]}]`, []string{"ok"},
			[]string{`[0].targets[0]: "a b": contains a space: want one host`, `[1].targets[0]: "http://x/": looks like a URL: want only its host, x`}, ""},
		{"both families", "a.json", "family = \"both\"\n", `[{"targets": ["a", "198.18.0.1"]}]`, []string{"a", "a", "198.18.0.1"}, nil, ""},
		{"another family", "a.json", "family = \"ipv6\"\n", `[{"targets": ["198.18.0.1", "a"]}]`, []string{"a"}, []string{`[0].targets[0]: "198.18.0.1": is not of the family ipv6`}, ""},
		{"nothing", "a.json", "", `[]`, nil, nil, ""},
		{"a group of nothing", "a.json", "", `[{"targets": [], "labels": {}}]`, nil, nil, ""},
		{"empty", "a.json", "", ``, nil, nil, "is empty"},
		{"null", "a.json", "", `null`, nil, nil, "is null"},
		{"no list", "a.json", "", `{"targets": []}`, nil, nil, "want [ at its begin"},
		{"cut", "a.json", "", `[{"targets": ["a"]}, {"targ`, nil, nil, "[1]: ends too early"},
		{"cut at a comma", "a.json", "", `[{"targets": ["a"]},`, nil, nil, "ends too early"},
		{"cut behind a group", "a.json", "", `[{"targets": ["a"]}`, nil, nil, "ends too early"},
		{"more behind", "a.json", "", `[{"targets": ["a"]}] x`, nil, nil, "behind its end"},
		{"an unknown key", "a.json", "", `[{"targets": ["a"], "label": {}}]`, nil, nil, `[0]: json: unknown field "label"`},
		{"a null group", "a.json", "", `[{"targets": ["a"]}, null ]`, nil, nil, "[1]: is null"},
		{"a number", "a.json", "", `[{"targets": [7]}]`, nil, nil, "[0]: json: cannot unmarshal number"},
		{"HTML", "a.json", "", `<html>`, nil, nil, "want [ at its begin, not '<'"},
		{"no null", "a.json", "", `not found`, nil, nil, "want [ at its begin, not 'n'"},
		{"no comma", "a.json", "", `[{"targets": ["a"]} {"targets": ["b"]}]`, nil, nil, "[0]: is followed by '{': want a comma"},
		{"two commas", "a.json", "", `[{"targets": ["a"]},,{"targets": ["b"]}]`, nil, nil, "[1]: is missing"},
		{"a comma at the end", "a.json", "", `[{"targets": ["a"]}, ]`, nil, nil, "[0]: is followed by a comma"},
		{"only a comma", "a.json", "", `[,]`, nil, nil, "[0]: is missing"},
		{"two values", "a.json", "", `[null null, 1]`, nil, nil, "[0]: has something behind its end"},
		{"another bracket", "a.json", "", `[{"targets": ["a"}]]`, nil, nil, "[0]: invalid character '}' after array element"},
		{"not closed", "a.json", "", `[{"targets": ["a"], ]]`, nil, nil, "[0]: invalid character ']'"},
		{"a bracket too much", "a.json", "", `[{"targets": ["a"]}}]`, nil, nil, "[0]: is followed by '}'"},
		{"a quote", "a.json", "", `[{"targets": ["a"], "labels": {"x": "]}\\\"}"}}, {"targets": ["b"]}]`, []string{`a x=]}\"}`, "b"}, nil, ""},
		{"spaces", "a.json", "", " \r\n\t[ \n { \"targets\" : [ \"a\" ] } \n , {} ] \n", []string{"a"}, nil, ""},
		{"too long", "a.json", "", `[{"targets": ["198.18.0.0/24"]}]`, nil, nil, "the list is longer than agent.max_targets, 20"},
		{"too many", "a.json", "", `[{"targets": [` + strings.Repeat(`"a",`, 20) + `"a"]}]`, nil, nil, "the list is longer than agent.max_targets, 20"},
		{"too many groups", "a.json", "", `[` + strings.Repeat(`{},`, 20) + `{}]`, nil, nil, "the list is longer than agent.max_targets, 20"},
		{"too many bad ones", "a.json", "", `[{"targets": [` + strings.Repeat(`"",`, 20) + `""]}]`, nil, nil, "the list is longer than agent.max_targets, 20"},
		{"YAML", "a.yml", "", "- targets: ['198.18.0.1:9100', \"[2001:db8::1]:1\"]\n  labels: {site: ams, port: 80}\n- targets:\n  - b\n",
			[]string{"198.18.0.1 port=80 site=ams", "2001:db8::1 port=80 site=ams", "b"}, nil, ""},
		{"YAML: nothing", "a.yaml", "", "[]\n", nil, nil, ""},
		{"YAML: empty", "a.yaml", "", "# nothing\n", nil, nil, "is empty"},
		{"YAML: null", "a.yaml", "", "null\n", nil, nil, "is null"},
		{"YAML: a null group", "a.yaml", "", "-\n", nil, nil, "[0]: is null"},
		{"YAML: an unknown key", "a.yaml", "", "- target: [a]\n", nil, nil, "field target not found"},
		{"YAML: two documents", "a.yaml", "", "[]\n---\n[]\n", nil, nil, "behind its end"},
		{"YAML: a fault", "a.yaml", "", "- targets: [a, 'b c']\n", []string{"a"}, []string{`[0].targets[1]: "b c": contains a space: want one host`}, ""},
		{"YAML: a bomb", "a.yaml", "", bomb(), nil, nil, "cannot unmarshal"},
		{"text", "a.txt", "tags = { site = \"ams\" }\n", "# hosts\n198.18.0.1\nb # x\n\n198.18.1.1-2\nbad host\nc:80\n",
			[]string{"198.18.0.1 site=ams", "b site=ams", "198.18.1.1 site=ams", "198.18.1.2 site=ams", "c site=ams"}, []string{`line 6: "bad host": contains a space: want one host`}, ""},
		{"text: nothing", "a.txt", "", "# none\n", nil, nil, "has no host"},
		{"text: too many", "a.txt", "", strings.Repeat("a\n", 22), nil, nil, "the list is longer than agent.max_targets, 20"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBuilder(t, "[agent]\nmax_targets = 20\n[defaults]\ntags = { role = \"default\" }\n[[targets]]\nfile = \"/x.json\"\n"+tt.keys)
			err := decodeFile(tt.file, strings.NewReader(tt.text), b)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) || len(err.Error()) > 400 {
					t.Errorf("error %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for i := range tt.want {
				if !strings.Contains(tt.want[i], "role=") { // that of [defaults], unless something else wins
					words := append(strings.Fields(tt.want[i]), "role=default")
					slices.Sort(words[1:])
					tt.want[i] = strings.Join(words, " ")
				}
			}
			p := b.part("", nil, time.Time{})
			if diff := cmp.Diff(tt.want, lines(p.list.Targets)); diff != "" {
				t.Errorf("targets (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.faults, p.faults); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
		})
	}
}

// bomb returns YAML that aliases make a billion times as long.
func bomb() string {
	var b strings.Builder
	b.WriteString("- targets: &a0 [a, a, a, a, a, a, a, a, a, a]\n")
	for i := 1; i < 9; i++ {
		fmt.Fprintf(&b, "- targets: &a%d [%s]\n", i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10), ", "))
	}
	return b.String()
}

// TestTooLarge reads answers at the limit, and a byte behind it.
func TestTooLarge(t *testing.T) {
	const limit = 100
	for _, n := range []int{0, 99, 100, 101, 1000} {
		var got int
		var err error
		r := bounded(strings.NewReader(strings.Repeat("x", n)), limit)
		for buf := make([]byte, 7); err == nil; {
			var more int
			more, err = r.Read(buf)
			got += more
		}
		var large *tooLargeError
		if errors.As(err, &large) != (n > limit) || got != min(n, limit) {
			t.Errorf("%d bytes: %d read, error %v", n, got, err)
		}
	}
}

// TestAgain makes a list a second time: what is the same has the same probes, in the order of
// the new list, and what goes is not kept.
func TestAgain(t *testing.T) {
	const a, b, c = `{"targets": ["a"], "labels": {"x": "1"}}`, `{"targets": ["b", "b2"], "labels": {"x": "2"}}`, `{"targets": ["c"], "labels": {"x": "1"}}`
	source := parse(t, "[[targets]]\nfile = \"/x.json\"\n").Sources[0]
	build := func(before *config.List, groups ...string) *config.List {
		b := &builder{source: source, list: source.NewList(before)}
		if err := decodeJSON(strings.NewReader("["+strings.Join(groups, ", ")+"]"), b); err != nil {
			t.Fatal(err)
		}
		b.list.Done()
		return b.list
	}
	first := build(nil, a, b)
	second := build(first, c, b, `{"targets": ["d"], "labels": {"x": "2"}}`)
	want := []string{"c x=1", "b x=2", "b2 x=2", "d x=2"}
	if diff := cmp.Diff(want, lines(second.Targets)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if second.Targets[1] != first.Targets[1] || second.Targets[0].Probe != first.Targets[0].Probe || second.Targets[3].Probe != first.Targets[1].Probe {
		t.Error("probes are made again")
	}
	if second.Same(first) || !build(second, c, b, `{"targets":["d"],"labels":{"x":"2"}}`).Same(second) {
		t.Error("Same does not see what is the same")
	}
}

// FuzzDecode: nothing that a source may answer ends the process, and a list that is taken
// has only targets that can be pinged, within the limit.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		`[{"targets": ["198.18.0.1:9100", "[::1]:9"], "labels": {"site": "ams", "__x": "y"}}]`, `[]`, `[null]`, "- targets: [a]\n  labels: {a: b}\n", bomb(),
		"198.18.0.0/24\n# x\n", `[{"targets":["a"]}`, `{"kind":"NodeList","metadata":{"continue":"x"},"items":[{"metadata":{"name":"n"},"status":{"addresses":[{"type":"InternalIP","address":"198.18.0.1"}]}}]}`,
	} {
		for kind := range 4 {
			f.Add(seed, uint8(kind))
		}
	}
	source := parse(f, "[agent]\nmax_targets = 1000\n[[targets]]\nfile = \"/x.json\"\ntags = { a = \"__x\" }\n").Sources[0]
	f.Fuzz(func(t *testing.T, text string, kind uint8) {
		b := &builder{source: source, list: source.NewList(nil)}
		var err error
		if kind%4 == 3 {
			var page *nodeList
			if page, err = decodePage(strings.NewReader(text)); err == nil {
				for _, n := range page.Items {
					if err = n.add(b); err != nil {
						break
					}
				}
			}
		} else {
			err = decodeFile([]string{"a.json", "a.yaml", "a.txt"}[kind%4], strings.NewReader(text), b)
		}
		if err != nil {
			return
		}
		if len(b.list.Targets) > 1000 {
			t.Errorf("%d targets", len(b.list.Targets))
		}
		for _, target := range b.list.Targets {
			if err := target.Options.Validate(); err != nil || target.Host == "" {
				t.Errorf("%q: %v", target.Host, err)
			}
		}
	})
}
