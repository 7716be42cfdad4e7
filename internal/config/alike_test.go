package config

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAlike(t *testing.T) {
	const first = "[[targets]]\nhosts = [\"a\", \"b\"]\n"
	for _, tt := range []struct {
		name, text string
		want       []string
	}{
		{"one table", first, nil},
		{"two classes", first + "[[targets]]\nhosts = [\"b\"]\ndscp = 46\n", []string{"b"}},
		{"three", first + "[[targets]]\nhosts = [\"b\"]\ndscp = 46\n[[targets]]\nhosts = [\"b\"]\ndscp = 10\n", []string{"b"}},
		{"a tag more", first + "[[targets]]\nhosts = [\"b\"]\ndscp = 46\ntags = { class = \"EF\" }\n", nil},
		{"an address and its family", "[[targets]]\nhosts = [\"127.0.0.1\"]\n[[targets]]\nhosts = [\"127.0.0.1\"]\nfamily = \"ipv4\"\n", []string{"127.0.0.1"}},
		{"a name and a family", first + "[[targets]]\nhosts = [\"b\"]\nfamily = \"ipv6\"\n", []string{"b"}},
		{"tags written alike", first + "tags = { x = 'y' }\n[[targets]]\nhosts = [\"a\"]\ntags = { x = 'y\\', z = '\\' }\n", []string{"a"}},
		{"both families", "[[targets]]\nhosts = [\"a\"]\nfamily = \"both\"\n", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := Parse("f.toml", tt.text, env)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, c.Alike()); diff != "" {
				t.Errorf("Alike (-want +got):\n%s", diff)
			}
		})
	}
}
