package dashboards

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// board is a dashboard of Grafana, as far as the tests read it.
type board struct {
	file string

	UID        string
	Panels     []panel
	Links      []struct{ URL string }
	Templating struct{ List []variable }
}

type panel struct {
	ID          int
	Type, Title string
	Targets     []target
}

// target is a query of a panel: Expr of Prometheus, Query of InfluxDB.
type target struct {
	RefID, Expr, Query string
	Instant            bool
}

type variable struct {
	Name, Type, Query, Regex, AllValue string
	Multi, IncludeAll                  bool
}

// folder is where the dashboards are.
const folder = "../../dashboards"

func readBoard(t *testing.T, file string) board {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, file))
	if err != nil {
		t.Fatal(err)
	}
	b := board{file: file}
	if err := json.Unmarshal(text, &b); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return b
}

// values are what variables stand for. One that Grafana escapes has its regular
// expression here.
type values map[string]string

// with returns a copy with other values, given as name, value, name, value.
func (v values) with(pairs ...string) values {
	c := values{}
	for name, value := range v {
		c[name] = value
	}
	for i := 0; i < len(pairs); i += 2 {
		c[pairs[i]] = pairs[i+1]
	}
	return c
}

var reference = regexp.MustCompile(`\$(?:\{(\w+)(?::\w+)?\}|(\w+))`)

// fill replaces the variables of a query, as Grafana does. A variable that has no
// value is an error.
func (v values) fill(query string) (string, error) {
	var missing []string
	filled := reference.ReplaceAllStringFunc(query, func(ref string) string {
		m := reference.FindStringSubmatch(ref)
		value, ok := v[m[1]+m[2]]
		if !ok {
			missing = append(missing, ref)
		}
		return value
	})
	if len(missing) > 0 {
		return "", fmt.Errorf("no value for %v in %s", missing, query)
	}
	return filled, nil
}

// choose applies the regular expression of a variable to the values that a query
// returned: the first group of each match is a value.
func (v variable) choose(t *testing.T, found []string) []string {
	t.Helper()
	if v.Regex == "" {
		return found
	}
	text := strings.Trim(v.Regex, "/")
	// Go has no negative lookahead
	not := regexp.MustCompile(`^$`)
	if rest, ok := strings.CutPrefix(text, "^(?!"); ok {
		refused, allowed, ok := strings.Cut(rest, ")")
		if !ok {
			t.Fatalf("%s: regular expression %s", v.Name, v.Regex)
		}
		not, text = regexp.MustCompile("^(?:"+refused+")"), "^"+allowed
	}
	take := regexp.MustCompile(text)
	var chosen []string
	for _, f := range found {
		if m := take.FindStringSubmatch(f); m != nil && !not.MatchString(f) {
			chosen = append(chosen, m[1])
		}
	}
	return chosen
}

// all returns the files of all dashboards.
func all(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no dashboards (%v)", err)
	}
	return files
}

// TestPanels checks what a schema cannot: the types are Grafana's own, ids are
// unique, each query's variables exist, links lead to dashboards that exist.
func TestPanels(t *testing.T) {
	core := map[string]bool{"row": true, "stat": true, "table": true, "timeseries": true, "heatmap": true, "status-history": true, "state-timeline": true}
	uids := map[string]bool{}
	for _, path := range all(t) {
		b := readBoard(t, filepath.Base(path))
		if uids[b.UID] {
			t.Errorf("%s has the uid of another dashboard", b.file)
		}
		uids[b.UID] = true
	}
	link := regexp.MustCompile(`/d/([\w-]+)`)
	for _, path := range all(t) {
		b := readBoard(t, filepath.Base(path))
		known := values{}
		for _, name := range []string{"__range", "__interval", "__rate_interval", "timeFilter", "col", "tag_host", "tag_url", "tag_address", "tag_dscp"} {
			known[name] = ""
		}
		for _, v := range b.Templating.List {
			if _, err := known.fill(v.Query); err != nil {
				t.Errorf("%s: the variable %s uses one that is not above it: %v", b.file, v.Name, err)
			}
			known[v.Name] = ""
		}
		ids, titles := map[int]bool{}, map[string]bool{}
		for _, p := range b.Panels {
			if ids[p.ID] || titles[p.Title] || !core[p.Type] || p.Type != "row" && len(p.Targets) == 0 {
				t.Errorf("%s: panel %d %q: the id or title is there twice, the type %s is not one of Grafana's own, or it has no query", b.file, p.ID, p.Title, p.Type)
			}
			ids[p.ID], titles[p.Title] = true, true
			for _, q := range p.Targets {
				if _, err := known.fill(q.Expr + q.Query); err != nil {
					t.Errorf("%s, %s: %v", b.file, p.Title, err)
				}
			}
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		links := link.FindAllStringSubmatch(string(text), -1)
		if len(links) == 0 {
			t.Errorf("%s has no link", b.file)
		}
		for _, m := range links {
			if !uids[m[1]] {
				t.Errorf("%s links to %s, which does not exist", b.file, m[1])
			}
		}
	}
}
