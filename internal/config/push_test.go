package config

import (
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestPushSettings finds targets with the same OpenTelemetry attributes.
func TestPushSettings(t *testing.T) {
	for name, tt := range map[string]struct{ targets, fault string }{
		"sizes":             {"hosts = [\"a.example\"]\nsize = 8\n[[targets]]\nhosts = [\"a.example\"]\nsize = 99\n", "f.toml:4: targets: a.example has the same attributes as in line 1"},
		"sizes, tags":       {"hosts = [\"a.example\"]\nsize = 8\n[[targets]]\nhosts = [\"a.example\"]\nsize = 99\ntags = { size = \"99\" }\n", ""},
		"DSCP":              {"hosts = [\"a.example\"]\n[[targets]]\nhosts = [\"a.example\"]\ndscp = 46\n", ""},
		"both families":     {"hosts = [\"a.example\"]\nfamily = \"both\"\n", ""},
		"auto and a family": {"hosts = [\"a.example\"]\n[[targets]]\nhosts = [\"a.example\"]\nfamily = \"ipv6\"\n", "f.toml:3: targets: a.example has the same attributes"},
		"many of a table":   {"hosts = [\"198.18.0.0/28\"]\n[[targets]]\nhosts = [\"198.18.0.0/28\"]\nttl = 9\n", "f.toml:3: targets: 198.18.0.1 has the same attributes as in line 1"},
		"two names":         {"hosts = [\"a.example\", \"b.example\"]\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := Parse("f.toml", "[[targets]]\n"+tt.targets, env)
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.PushSettings(variables{}.lookup)
			switch {
			case tt.fault == "" && err != nil:
				t.Errorf("fault: %v", err)
			case tt.fault != "" && (err == nil || !strings.HasPrefix(err.Error(), tt.fault) || strings.Contains(err.Error(), "\n")):
				t.Errorf("error %v, want one fault %s", err, tt.fault)
			}
		})
	}
}

// TestChanges changes each setting in turn: Changes must return its key in the file.
func TestChanges(t *testing.T) {
	c, err := Parse("f.toml", minimal, env)
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.PushSettings(variables{}.lookup)
	if err != nil {
		t.Fatal(err)
	}
	if keys := s.Changes(s); len(keys) > 0 {
		t.Errorf("nothing has changed, and yet %v", keys)
	}
	var got []string
	for i := range reflect.TypeFor[OTelSettings]().NumField() {
		next := *s
		switch f := reflect.ValueOf(&next).Elem().Field(i); f.Kind() {
		case reflect.String:
			f.SetString("x")
		case reflect.Bool:
			f.SetBool(!f.Bool())
		case reflect.Int64:
			f.SetInt(f.Int() + 1)
		case reflect.Map:
			f.Set(reflect.ValueOf(map[string]string{"x": "y"}))
		case reflect.Slice:
			f.Set(reflect.MakeSlice(f.Type(), 1, 1))
		}
		got = append(got, s.Changes(&next)...)
	}
	want := []string{"otel.endpoint", "otel.protocol", "otel.insecure", "otel.headers", "otel.ca_file", "otel.cert_file", "otel.key_file",
		"otel.compression", "otel.timeout", "otel.interval", "otel.temporality", "otel.histogram", "otel.bounds", "otel.metrics", "otel.resource"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("keys (-want +got):\n%s", d)
	}
}
