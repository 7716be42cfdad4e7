package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pingtel/pingtel/internal/config"
)

const exampleFile = "../../config.example.toml"

// TestEveryKey holds the page against the reader of the configuration: the page
// has every table and key that the reader knows, and no other.
func TestEveryKey(t *testing.T) {
	var b strings.Builder
	if err := run([]string{exampleFile}, "0", &b); err != nil {
		t.Fatal(err)
	}
	page := pageKeys(b.String())
	tables := knownKeys(t, "nosuchkey = 1")
	for i := 0; i < len(tables); i++ { // grows by the tables in tables
		table := tables[i]
		if table == "web.probe.modules" { // its tables have names of the user's choice, and keys that [defaults] explains
			tables[i] = table + ".once"
			if keys, ok := page[tables[i]]; !ok || len(keys) > 0 {
				t.Errorf("[%s]: on the page %t, with keys %v", tables[i], ok, keys)
			}
			continue
		}
		keys, ok := page[table]
		if !ok {
			t.Errorf("the page has no section [%s]", table)
			continue
		}
		header := "[" + table + "]"
		if table == "targets" {
			header = "[[targets]]"
			keys = slices.Concat(keys, page["defaults"]) // which may stand in targets too
		}
		known := slices.DeleteFunc(knownKeys(t, header+"\nnosuchkey = 1"), func(key string) bool {
			inner := table + "." + key
			for section := range page {
				if section == inner || strings.HasPrefix(section, inner+".") {
					tables = append(tables, inner)
					return true
				}
			}
			return false
		})
		slices.Sort(keys)
		slices.Sort(known)
		if d := cmp.Diff(known, slices.Compact(keys)); d != "" {
			t.Errorf("keys of [%s] (-known to the reader +on the page):\n%s", table, d)
		}
	}
	for table := range page {
		if slices.Contains(tables, table) {
			continue
		}
		t.Errorf("the page has a section [%s], which the reader does not know", table)
	}
}

// pageKeys returns the keys of each section that stands for a table.
func pageKeys(page string) map[string][]string {
	found := make(map[string][]string)
	table := ""
	for line := range strings.Lines(page) {
		if heading, ok := strings.CutPrefix(line, ".SH "); ok {
			if table = strings.Trim(heading, "[]\n"); !strings.HasPrefix(heading, "[") {
				table = ""
			} else {
				found[table] = nil
			}
		}
		if m := regexp.MustCompile(`^\\fB(.*?)\\fR`).FindStringSubmatch(line); m != nil && table != "" {
			found[table] = append(found[table], m[1])
		}
	}
	return found
}

// knownKeys returns the keys that could stand where the text has nosuchkey, as
// the reader of the configuration tells them.
func knownKeys(t *testing.T, text string) []string {
	t.Helper()
	_, err := config.Parse("f", text+"\n", func(string) (string, bool) { return "", false })
	if err == nil {
		t.Fatalf("%q is accepted", text)
	}
	_, list, found := strings.Cut(err.Error(), "nosuchkey: unknown key: want one of ")
	if !found {
		t.Fatalf("%q: %v", text, err)
	}
	list, _, _ = strings.Cut(list, "\n")
	return strings.Split(list, ", ")
}

// TestPageHoldsTheText: what the example says stands on the page, word by word.
func TestPageHoldsTheText(t *testing.T) {
	b, err := os.ReadFile(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	e, err := parse(string(b))
	if err != nil {
		t.Fatal(err)
	}
	page := render(e, time.Unix(0, 0).UTC())
	explanations := 0
	for line := range strings.Lines(string(b)) {
		words, ok := strings.CutPrefix(strings.TrimSpace(line), "##")
		if !ok {
			continue
		}
		explanations++
		if !strings.Contains(page, "\n"+escape(strings.TrimSpace(words))+"\n") {
			t.Errorf("the page lacks the line %q", words)
		}
	}
	if explanations < 30 {
		t.Errorf("%d lines of explanation found, want more", explanations)
	}
}

func TestRender(t *testing.T) {
	long := `["` + strings.Repeat("a", longest) + `"]`
	e, err := parse(`# Intro - of \two.
# .hidden?
#
#     a command
#
# End.

## For one.
[one]
## Of 'a'.
a = "x-y"
# b = 2

## Of c.
# c = ` + long + `

[[many]]
## Of d.
d = 1
a = "z"

[[many]]
d = 2
`)
	if err != nil {
		t.Fatal(err)
	}
	page := render(e, time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC))
	for _, want := range []string{
		".TH PINGTEL.TOML 5 2026-11-02 pingtel pingtel\n",
		".SH DESCRIPTION\nIntro \\- of \\etwo.\n\\&.hidden?\n.PP\n.RS 4\n.nf\na command\n.fi\n.RE\n.PP\nEnd.\n",
		".SH [one]\nFor one.\n.TP\n\\fBa\\fR = \"x\\-y\"\n.TQ\n\\fBb\\fR = 2\nOf \\(aqa\\(aq.\n.TP\n\\fBc\\fR\nOf c.\n.IP\nc = " + long + "\n",
		".SH [[many]]\n.TP\n\\fBd\\fR = 1\nOf d.\n.SH EXAMPLES\n", // a is explained in [one], the second d above
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}
}

func TestParseFaults(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"no explanation", "# intro\n\n[a]\nb = 1\n", `4: "b = 1": no ## above it explains the key`},
		{"after an empty line", "# intro\n\n[a]\n## Of b.\nb = 1\n\nc = 1\n", `7: "c = 1": no ## above it explains the key`},
		{"explains nothing", "# intro\n\n[a]\n## Of b.\n\nb = 1\n", `5: "": the explanation above explains nothing`},
		{"at the end", "# intro\n\n[a]\n## Of b.", `explains nothing: ["Of b."]`},
		{"value over lines", "# intro\n\n[a]\n## Of b.\nb =\n  1\n", `5: "b =": want ## and an explanation`},
		{"comment with one sign", "# intro\n\n[a]\n# Of b.\nb = 1\n", `4: "# Of b.": want ## and an explanation`},
		{"key outside", "# intro\n\n## Of b.\nb = 1\n", `4: "b = 1": a key before the first table`},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := parse(test.text)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %s", err, test.want)
			}
		})
	}
}

func TestRunFaults(t *testing.T) {
	for _, test := range []struct {
		args  []string
		epoch string
		want  string
	}{
		{nil, "", "got 0 arguments"},
		{[]string{"nosuchfile"}, "", "nosuchfile"},
		{[]string{exampleFile}, "today", "SOURCE_DATE_EPOCH"},
		{[]string{"main.go"}, "0", "main.go:1: "},
	} {
		var b strings.Builder
		err := run(test.args, test.epoch, &b)
		if err == nil || !strings.Contains(err.Error(), test.want) || b.Len() > 0 {
			t.Errorf("run %q: error %v, want %s; %d bytes written", test.args, err, test.want, b.Len())
		}
	}
}
