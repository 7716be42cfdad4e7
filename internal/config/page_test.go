package config

import (
	"strings"
	"testing"
	"time"
)

func TestPageKeys(t *testing.T) {
	for text, want := range map[string]Web{
		"":                                {Page: true, Keep: 30 * 24 * time.Hour, MaxSize: 2 << 30},
		"page = false":                    {Keep: 30 * 24 * time.Hour, MaxSize: 2 << 30},
		"keep = \"36h\"\nmax_size = 1e7":  {},
		"keep = \"1.5d\"":                 {Page: true, Keep: 36 * time.Hour, MaxSize: 2 << 30},
		"keep = 7200":                     {Page: true, Keep: 2 * time.Hour, MaxSize: 2 << 30},
		"max_size = 5000000":              {Page: true, Keep: 30 * 24 * time.Hour, MaxSize: 5_000_000},
		"max_size = \"1.5 MiB\"":          {Page: true, Keep: 30 * 24 * time.Hour, MaxSize: 3 << 19},
		"max_size = \"3GB\"":              {Page: true, Keep: 30 * 24 * time.Hour, MaxSize: 3_000_000_000},
		"keep = \"30\"":                   {},
		"keep = \"xd\"":                   {},
		"keep = \"NaNd\"":                 {},
		"keep = \"-1d\"":                  {},
		"keep = \"10m\"":                  {},
		"max_size = \"2 parsec\"":         {},
		"max_size = \"NaNGiB\"":           {},
		"max_size = \"-1GiB\"":            {},
		"max_size = 1":                    {},
		"max_size = true":                 {},
		"page = \"yes\"":                  {},
		"max_size = \"9999999999999TiB\"": {},
	} {
		c, err := Parse("f", "[web]\n"+text+"\n[[targets]]\nhosts = [\"198.18.0.1\"]\n", env)
		if want.Keep == 0 {
			if err == nil || !strings.Contains(err.Error(), "f:2: web.") && !strings.Contains(err.Error(), "f:3: web.") {
				t.Errorf("%s: %v", text, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if w := c.Web; w.Page != want.Page || w.Keep != want.Keep || w.MaxSize != want.MaxSize {
			t.Errorf("%s: %+v", text, w)
		}
	}
}
