package config

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestSourceFiles loads the files of the guide unchanged.
func TestSourceFiles(t *testing.T) {
	files, err := filepath.Glob("../../integration/targets/*.toml")
	if err != nil || len(files) < 5 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		if c, err := Load(file, env); err != nil || len(c.Sources) == 0 || len(c.Targets) > 0 {
			t.Errorf("%s: %+v, %v", file, c, err)
		}
	}
}

// TestSources reads tables with sources, and finds what is wrong with them.
func TestSources(t *testing.T) {
	for text, want := range map[string]string{
		"file = \"/a/*.json\"\nrefresh = \"1s\"":   "",
		"file = [\"/a/x.yml\", \"/b/*.txt\"]":      "",
		"dns = \"_a._tcp.example\"":                "",
		"http = \"https://x.example/y?z=1\"":       "",
		"kubernetes = \"nodes\"":                   "",
		"hosts = [\"a\"]\nfile = \"/a.json\"":      "targets[0].file: is beside hosts: want only one of",
		"dns = \"a\"\nhttp = \"http://x/\"":        "targets[0].dns: is beside http: want only one of",
		"file = \"/a.csv\"":                        "targets[0].file: \"/a.csv\": want a name that ends in .json",
		"file = \"/*/a.json\"":                     "has a pattern in the name of a folder",
		"file = \"/a/[.json\"":                     "is not a pattern",
		"file = []":                                "is empty: want a string or a list of strings",
		"file = 7":                                 "is a whole number: want a string",
		"http = \"x.example\"":                     "want a URL, http://host/path",
		"http = [\"http://a/\", \"http://b/\"]":    "has 2 elements: want one",
		"http = \"http://me:secret@x/\"":           "has a user or a password in the URL",
		"dns = \"a b\"":                            "contains a space",
		"kubernetes = \"pods\"":                    "want \"nodes\". For pods, use dns",
		"file = \"/a.json\"\nbearer_file = \"/x\"": "targets[0].bearer_file: goes only with http",
		"dns = \"a\"\nlabel_selector = \"x\"":      "targets[0].label_selector: goes only with kubernetes",
		"hosts = [\"a\"]\nrefresh = \"5s\"":        "targets[0].refresh: goes only with file, http, dns or kubernetes",
		"file = \"/a.json\"\nrefresh = \"10ms\"":   "targets[0].refresh: 10ms: want 1s to 24h0m0s",
		"file = \"/a.json\"\ninterval = \"1s\"":    "targets[0].interval: 1s is shorter than a series to the targets of file /a.json",
		"file = \"/a.json\"\nhost = [\"a\"]":       "targets[0].host: unknown key",
	} {
		c, err := Parse("f.toml", "[[targets]]\n"+text+"\n", env)
		switch {
		case want == "" && (err != nil || len(c.Sources) != 1):
			t.Errorf("%s: %v", text, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v, want %q", text, err, want)
		case want != "" && strings.Contains(err.Error(), "secret"):
			t.Errorf("%s: the message has the password: %v", text, err)
		}
	}
}
