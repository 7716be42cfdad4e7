package dscp_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/pingtel/pingtel/internal/dscp"
)

func TestParse(t *testing.T) {
	tests := []struct {
		text string
		want int
	}{
		{"0", 0}, {"63", 63}, {"46", 46},
		{"EF", 46}, {"ef", 46}, {"VA", 44}, {"LE", 1}, {"BE", 0}, {"df", 0},
		{"CS0", 0}, {"CS1", 8}, {"cs7", 56},
		{"AF11", 10}, {"AF12", 12}, {"AF13", 14}, {"AF21", 18}, {"AF41", 34}, {"af43", 38},
	}
	for _, tt := range tests {
		got, err := dscp.Parse(tt.text)
		if err != nil || got != tt.want {
			t.Errorf("Parse(%q) = %d, %v, want %d", tt.text, got, err, tt.want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{"", "64", "256", "-1", "+1", "1.5", "0x2e", "CS8", "CS", "CS10", "AF14", "AF51", "AF01", "AF1", "AF111", "EFF", " EF"} {
		if got, err := dscp.Parse(text); err == nil {
			t.Errorf("Parse(%q) = %d, want an error", text, got)
		}
	}
}

func TestNamesParseBack(t *testing.T) {
	for n := range 64 {
		name := dscp.Name(n)
		if name == "" {
			continue
		}
		if got, err := dscp.Parse(name); err != nil || got != n {
			t.Errorf("Parse(Name(%d)) = Parse(%q) = %d, %v", n, name, got, err)
		}
	}
	for _, name := range dscp.Names() {
		if _, err := dscp.Parse(name); err != nil {
			t.Errorf("Parse(%q): %v", name, err)
		}
	}
	if got, want := len(dscp.Names()), 3+8+12+2; got != want {
		t.Errorf("%d names, want %d: %v", got, want, dscp.Names())
	}
	if got := dscp.Name(-1) + dscp.Name(64) + dscp.Name(3) + dscp.Name(42); got != "" {
		t.Errorf("names of code points without one = %q, want none", got)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"EF", "AF41", "cs1", "46", "x", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, err := dscp.Parse(text)
		if err != nil {
			if n != 0 {
				t.Errorf("Parse(%q) = %d with error %v, want 0", text, n, err)
			}
			return
		}
		if n < 0 || n > 63 {
			t.Errorf("Parse(%q) = %d, outside 0 to 63", text, n)
		}
		if again, err := dscp.Parse(strings.ToLower(text)); again != n || err != nil {
			t.Errorf("Parse(%q) = %d, in lower case %d, %v", text, n, again, err)
		}
		if again, err := dscp.Parse(strconv.Itoa(n)); again != n || err != nil {
			t.Errorf("Parse(%d) = %d, %v", n, again, err)
		}
	})
}
