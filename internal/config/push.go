package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/pingtel/pingtel/icmpcore"
)

// PushSettings resolves [otel] for a process that pushes, like [OTel.Settings].
// It also refuses targets with the same attributes, since their series would
// overwrite each other. The error is [Faults].
func (c *Config) PushSettings(lookup func(string) (string, bool)) (*OTelSettings, error) {
	s, err := c.OTel.Settings(c.Agent.Interval, lookup)
	if err != nil {
		return nil, err
	}
	if faults := c.Indistinct(); len(faults) > 0 {
		return nil, faults
	}
	s.Warnings = append(s.Warnings, c.TagWarnings()...)
	return s, nil
}

// Indistinct returns a fault for each table with a target that has the same
// attributes as an earlier one.
func (c *Config) Indistinct() Faults {
	type like struct{ host, tags string } // the attributes without the family
	seen := make(map[like][]*Target, len(c.Targets))
	var faults Faults
	for i := range c.Targets {
		t := &c.Targets[i]
		key := like{t.Host, fmt.Sprint(t.Options.DSCP, t.Tags)}
		for _, other := range seen[key] {
			if f, o := t.Options.Family, other.Options.Family; f != o && f != icmpcore.FamilyAuto && o != icmpcore.FamilyAuto {
				continue
			}
			if n := len(faults); n == 0 || faults[n-1].Line != t.line {
				faults = append(faults, Fault{
					File: c.File, Line: t.line, Key: "targets",
					Problem: fmt.Sprintf("%s has the same attributes as in line %d: give one of them a tag that differs", t.Host, other.line),
				})
			}
			break
		}
		seen[key] = append(seen[key], t)
	}
	return faults
}

// notSettings are the fields of OTelSettings that are not keys of [otel].
var notSettings = []string{"Origins", "Warnings", "Off"}

// Changes returns the keys of [otel] in which next differs from s.
func (s *OTelSettings) Changes(next *OTelSettings) []string {
	var keys []string
	a, b := reflect.ValueOf(*s), reflect.ValueOf(*next)
	for i := range a.NumField() {
		name := a.Type().Field(i).Name
		if !slices.Contains(notSettings, name) && !reflect.DeepEqual(a.Field(i).Interface(), b.Field(i).Interface()) {
			keys = append(keys, otelPrefix+keyOf(name))
		}
	}
	slices.Sort(keys)
	return keys
}

// keyOf returns the key in [otel] of a setting's field.
func keyOf(field string) string {
	if kind, ok := strings.CutSuffix(field, "File"); ok {
		return strings.ToLower(kind) + "_file"
	}
	return strings.ToLower(field)
}
