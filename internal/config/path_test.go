package config

import (
	"strings"
	"testing"
)

// TestPath reads [path], and refuses what it cannot have.
func TestPath(t *testing.T) {
	const head = "[[targets]]\nhosts = [\"127.0.0.1\"]\n[path]\n"
	none := func(string) (string, bool) { return "", false }
	for text, want := range map[string]Path{
		"":                             {Loss: 20, Max: 20, Share: pathShare},
		"when = \"loss\"\nmtu = true":  {OnLoss: true, Loss: 20, Max: 20, MTU: true, Share: pathShare},
		"loss = \"2.5 %\"\nmax = 1000": {Loss: 2.5, Max: 1000, Share: pathShare},
	} {
		c, err := Parse("pingtel.toml", head+text, none)
		if err != nil || c.Path != want {
			t.Errorf("%q: %+v, %v, want %+v", text, c, err, want)
		}
	}
	for text, want := range map[string]string{
		"when = \"always\"": "never",
		"loss = \"0%\"":     `want a loss above 0% and up to 100%, such as "20%"`,
		"loss = \"101%\"":   "want a loss above 0%",
		"loss = \"20\"":     "want a loss above 0%",
		"loss = \"NaN%\"":   "want a loss above 0%",
		"loss = 20":         "is a whole number: want a string",
		"max = 0":           "want 1 to 1000",
		"mtu = 1500":        "want true or false",
		"loses = \"20%\"":   "loses",
	} {
		_, err := Parse("pingtel.toml", head+text, none)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "pingtel.toml:4") {
			t.Errorf("%q: %v, want line 4 and %q", text, err, want)
		}
	}
}
