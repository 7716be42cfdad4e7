package otlp

import (
	"log/slog"
	"runtime"
	"slices"
	"testing"
)

// TestResource: the user's attributes win, an empty one takes ours off, and what
// is no text does not make a message that nobody takes.
func TestResource(t *testing.T) {
	r, err := NewResource(map[string]string{"service.name": "K\xf6ln", "host.name": "", "a": "b"}, "v1", "id", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, kv := range r.Attributes() {
		got = append(got, string(kv.Key)+"="+kv.Value.AsString())
	}
	if want := []string{"a=b", "service.instance.id=id", "service.name=K\uFFFDln", "service.version=v1"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestInstance: an identity is the same at each start, another one for another
// file or command, and for a second process.
func TestInstance(t *testing.T) {
	start := func(command, file string) *Instance {
		i := NewInstance(command, file, false)
		t.Cleanup(func() { i.Close() })
		return i
	}
	first := start("otel", "a.toml")
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again := start("otel", "a.toml")
	if again.ID != first.ID || len(first.ID) != 36 || first.ID[14] != '5' {
		t.Errorf("%s, at the next start %s: want one UUID of version 5", first.ID, again.ID)
	}
	ids := map[string]string{first.ID: "the first"}
	for name, id := range map[string]string{
		"another file": start("otel", "b.toml").ID, "another command": start("telegraf", "a.toml").ID, "once": NewInstance("otel", "a.toml", true).ID,
	} {
		if ids[id] != "" {
			t.Errorf("%s has the id of %s", name, ids[id])
		}
		ids[id] = name
	}
	if runtime.GOOS == "linux" {
		if second := start("otel", "a.toml"); ids[second.ID] != "" {
			t.Errorf("a second process has the id of %s", ids[second.ID])
		}
	}
}
