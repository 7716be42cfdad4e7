package icmpcore

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestValidate(t *testing.T) {
	tests := []struct {
		name   string
		o      Options
		fields string // of the faults
	}{
		{"zero value", Options{}, ""},
		{"bounds, low", Options{Count: 1, Interval: time.Millisecond, Timeout: time.Millisecond, Size: 8, TTL: 1}, ""},
		{"bounds, high", Options{Count: 1 << 30, Interval: 24 * time.Hour, Timeout: time.Hour, Size: 65507, TTL: 255, DSCP: 63, Family: FamilyIPv6}, ""},
		{"for ever", Options{Count: Forever}, ""},
		{"count", Options{Count: -2}, "count"},
		{"keep, bounds", Options{Count: Forever, Keep: 4096}, ""},
		{"keep high", Options{Keep: 4097}, "keep"},
		{"keep low", Options{Keep: -1}, "keep"},
		{"interval", Options{Interval: time.Microsecond}, "interval"},
		{"timeout", Options{Timeout: 2 * time.Hour}, "timeout"},
		{"more in flight than can be told apart", Options{Count: Forever, Interval: time.Millisecond, Timeout: time.Hour}, "timeout"},
		{"one more than can be told apart", Options{Count: Forever, Interval: time.Millisecond, Timeout: 32768 * time.Millisecond}, "timeout"},
		{"as many as can be told apart", Options{Count: Forever, Interval: time.Millisecond, Timeout: 32767 * time.Millisecond}, ""},
		{"never so many", Options{Count: 32768, Interval: time.Millisecond, Timeout: time.Hour}, ""},
		{"size low", Options{Size: 7}, "size"},
		{"size high", Options{Size: 65508}, "size"},
		{"ttl", Options{TTL: 256}, "ttl"},
		{"dscp", Options{DSCP: 64}, "dscp"},
		{"family", Options{Family: 3}, "family"},
		{"source", Options{Family: FamilyIPv6, Source: netip.MustParseAddr("127.0.0.1")}, "source"},
		{"all at once", Options{Count: -5, Interval: -1, Timeout: -1, Size: -1, TTL: -1, DSCP: -1}, "count interval timeout size ttl dscp"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.o.Validate()
			var fields []string
			for _, e := range unjoin(err) {
				var o *OptionError
				if !errors.As(e, &o) {
					t.Fatalf("%v is no OptionError", e)
				}
				if o.Value == "" || o.Want == "" {
					t.Errorf("%+v does not say what was given and what is right", o)
				}
				fields = append(fields, o.Field)
			}
			if got := strings.Join(fields, " "); got != tt.fields {
				t.Errorf("faults = %q, want %q", got, tt.fields)
			}
		})
	}
}

func unjoin(err error) []error {
	if j, ok := err.(interface{ Unwrap() []error }); ok {
		return j.Unwrap()
	}
	if err == nil {
		return nil
	}
	return []error{err}
}

func TestEnums(t *testing.T) {
	for _, name := range familyNames {
		var f Family
		if err := f.UnmarshalText([]byte(name)); err != nil || f.String() != name {
			t.Errorf("family %q: %s, %v", name, f, err)
		}
	}
	for _, name := range socketNames {
		var k SocketKind
		if err := k.UnmarshalText([]byte(name)); err != nil || k.String() != name {
			t.Errorf("socket %q: %s, %v", name, k, err)
		}
	}
	var k SocketKind
	err := k.UnmarshalText([]byte("rwa"))
	if err == nil || err.Error() != "socket rwa: want auto, raw or datagram" {
		t.Errorf("error = %v", err)
	}
	if got := Family(9).String(); got != "unknown(9)" {
		t.Errorf("String = %q", got)
	}
}
