package discovery

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// splitAll splits a list, and returns the elements as encoding/json sees them.
func splitAll(r io.Reader) (all []string, err error) {
	e, err := newElements(r)
	if err != nil {
		return nil, err
	}
	for {
		raw, err := e.next()
		if err != nil {
			return nil, err
		}
		if raw == nil {
			return all, nil
		}
		if !json.Valid(raw) {
			return nil, fmt.Errorf("%s: is no JSON", raw)
		}
		all = append(all, string(bytes.TrimSpace(raw)))
	}
}

// FuzzElements: the elements of a text are those that encoding/json finds, and a text that
// is no list in JSON is none here either, whatever the pieces in which it comes.
func FuzzElements(f *testing.F) {
	for _, seed := range []string{
		`[]`, ` [ ] `, `[1, "a,]", {"a": [1, {"b": "}\""}]}, null,true ]`, `[1,]`, `[,]`, `[,1]`, `[1 2]`, `[`, `[1`, `["a`, `]`, `null`, `{}`, `[]]`, `[{]}`, `[}`, `["\\"]`, `[{}{}]`, `[[],[[]]]`,
		"[\x00]", "[\f1]", `["a"b]`, `[nullx]`, `[1]x`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var want []json.RawMessage
		bad := json.Unmarshal([]byte(text), &want) != nil || want == nil
		for _, r := range []io.Reader{strings.NewReader(text), iotest.OneByteReader(strings.NewReader(text)), iotest.HalfReader(strings.NewReader(text))} {
			got, err := splitAll(r)
			if (err != nil) != bad {
				t.Fatalf("%q: %q, error %v, but JSON says %v", text, got, err, !bad)
			}
			for i := range got {
				if bad || len(got) != len(want) || got[i] != strings.Trim(string(want[i]), " \t\r\n") {
					t.Fatalf("%q: %q, want %q", text, got, want)
				}
			}
		}
	})
}

// TestLongElement splits a list whose elements are longer than the buffer.
func TestLongElement(t *testing.T) {
	want := []string{`"` + strings.Repeat("a,]}", 100_000) + `"`, `{}`, `[` + strings.Repeat(`"\"", `, 50_000) + `1]`}
	got, err := splitAll(iotest.HalfReader(strings.NewReader("[" + strings.Join(want, ",\n") + "]")))
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%d elements, error %v", len(got), err)
	}
}

// TestLargeGroup reads groups at the limit and behind it.
func TestLargeGroup(t *testing.T) {
	for _, tt := range []struct {
		size int
		err  string
	}{{maxGroup, ""}, {maxGroup + 1, "[1]: is larger than 8 MiB"}} {
		group := `{"targets": ["a"], "labels": {"__x": "` + strings.Repeat("x", tt.size-len(`{"targets": ["a"], "labels": {"__x": ""}}`)) + `"}}`
		b := newBuilder(t, "[[targets]]\nfile = \"/x.json\"\n")
		err := decodeJSON(iotest.HalfReader(strings.NewReader("[{}, "+group+"]")), b)
		if tt.err == "" && err != nil || tt.err != "" && (err == nil || err.Error() != tt.err) {
			t.Errorf("%d bytes: error %v, want %q", tt.size, err, tt.err)
		}
	}
}
