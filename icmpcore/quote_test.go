package icmpcore

import (
	"bytes"
	"encoding/binary"
	"reflect"
	"testing"
)

// stack returns an extension structure with objects, with its checksum.
func stack(objects ...[]byte) []byte {
	b := []byte{extensionVersion << 4, 0, 0, 0}
	for _, o := range objects {
		b = append(b, o...)
	}
	binary.BigEndian.PutUint16(b[2:], ^fold(sum16(b)))
	return b
}

// object returns an extension object.
func object(class, typ byte, data ...byte) []byte {
	return append([]byte{0, byte(objectHeader + len(data)), class, typ}, data...)
}

// mpls returns an object with a stack of n labels: 16001 with class 5 and TTL 1,
// then 16002, and so on.
func mpls(n int) []byte {
	var entries []byte
	for i := range n {
		v := uint32(16001+i)<<12 | 5<<9 | 1
		if i == n-1 {
			v |= 1 << 8
		}
		entries = binary.BigEndian.AppendUint32(entries, v)
	}
	return object(mplsClass, mplsType, entries...)
}

// extended returns an error of the family that quotes a request, filled up to size
// bytes, and has an extension structure. given is the size in the length field.
func extended(f Family, size, given int, extension []byte) []byte {
	b := []byte{11, 0, 0, 0, 0, byte(given / 4), 0, 0}
	quote := quoted4(nil, "12345678")
	if f == FamilyIPv6 {
		b = []byte{3, 0, 0, 0, byte(given / 8), 0, 0, 0}
		quote = quoted6("12345678")
	}
	b = append(b, quote...)
	b = append(b, make([]byte, max(size-len(quote), 0))...)
	return append(b, extension...)
}

func broken(b []byte, at int) []byte {
	b = bytes.Clone(b)
	b[at] ^= 0x10
	return b
}

var twoLabels = []MPLSLabel{{Label: 16001, TC: 5, TTL: 1}, {Label: 16002, TC: 5, TTL: 1, Bottom: true}}

func TestExtension(t *testing.T) {
	zeroSum := stack(mpls(2))
	zeroSum[2], zeroSum[3] = 0, 0
	unknown := object(2, 4, 1, 2, 3, 4)
	tests := []struct {
		name        string
		size, given int // of the quote: true, and in the length field
		extension   []byte
		want        []MPLSLabel
	}{
		{"two labels", 128, 128, stack(mpls(2)), twoLabels},
		{"a longer quote", 256, 256, stack(mpls(2)), twoLabels},
		{"behind an object of another class", 128, 128, stack(unknown, mpls(2)), twoLabels},
		{"before an object of another class", 128, 128, stack(mpls(2), unknown), twoLabels},
		{"the first of two stacks", 128, 128, stack(mpls(2), mpls(1)), twoLabels},
		{"no length, as before RFC 4884", 128, 0, stack(mpls(2)), twoLabels},
		{"no checksum", 128, 128, zeroSum, twoLabels},
		{"neither length nor checksum", 128, 0, zeroSum, nil},
		{"wrong checksum", 128, 128, broken(stack(mpls(2)), 3), nil},
		{"wrong checksum, no length", 128, 0, broken(stack(mpls(2)), 3), nil},
		{"changed label", 128, 128, broken(stack(mpls(2)), 9), nil},
		{"another version", 128, 128, broken(stack(mpls(2)), 0), nil},
		{"length too short", 128, 64, stack(mpls(2)), nil},
		{"length beyond the end", 128, 512, stack(mpls(2)), nil},
		{"length elsewhere in the quote", 256, 128, stack(mpls(2)), nil},
		{"quote too short for a guess", 120, 0, stack(mpls(2)), nil},
		{"no objects", 128, 128, stack(), nil},
		{"object cut", 128, 128, stack(mpls(2)[:6]), nil},
		{"object of no length", 128, 128, stack([]byte{0, 0, 1, 1}), nil},
		{"object longer than the rest", 128, 128, stack([]byte{0, 12, 1, 1, 0, 0, 0, 1}), nil},
		{"bytes after the last object", 128, 128, stack(mpls(2), []byte{0, 0}), nil},
		{"half a label", 128, 128, stack(object(1, 1, 1, 2, 3, 4, 5, 6)), nil},
		{"no label", 128, 128, stack(object(1, 1)), nil},
		{"as many labels as we take", 128, 128, stack(mpls(16)), nil},
		{"more labels than we take", 128, 128, stack(mpls(17)), nil},
		{"incoming interface", 128, 128, stack(unknown), nil},
	}
	for _, tt := range tests {
		for _, f := range []Family{FamilyIPv4, FamilyIPv6} {
			e, ok := parseICMPError(extended(f, tt.size, tt.given, tt.extension), f)
			if !ok || string(e.request.payload[:8]) != "12345678" {
				t.Errorf("%s, %s: not taken for an error about a request: %+v", tt.name, f, e)
				continue
			}
			got := e.labels()
			if tt.name == "as many labels as we take" {
				if len(got) != 16 || got[15] != (MPLSLabel{Label: 16016, TC: 5, TTL: 1, Bottom: true}) {
					t.Errorf("%s, %s: %+v", tt.name, f, got)
				}
				continue
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("%s, %s: %+v, want %+v", tt.name, f, got, tt.want)
			}
		}
	}
}

// TestExtensionKinds: only the errors that may have extensions give the size of
// their quote. In the others the same bytes mean something else.
func TestExtensionKinds(t *testing.T) {
	for _, tt := range []struct {
		family Family
		typ    byte
		labels bool
	}{
		{FamilyIPv4, 3, true}, {FamilyIPv4, 11, true}, {FamilyIPv4, 12, true},
		{FamilyIPv6, 1, true}, {FamilyIPv6, 3, true}, {FamilyIPv6, 2, false}, {FamilyIPv6, 4, false},
	} {
		b := extended(tt.family, 256, 256, stack(mpls(2)))
		b[0] = tt.typ
		if e, ok := parseICMPError(b, tt.family); !ok || (e.labels() != nil) != tt.labels {
			t.Errorf("%s type %d: %v, labels %+v", tt.family, tt.typ, ok, e.labels())
		}
	}
}

func TestQuote(t *testing.T) {
	four := append([]byte{11, 0, 0, 0, 0, 0, 0, 0}, quoted4([]byte{1, 1, 1, 0}, "12345678")...)
	four[8+1], four[8+8] = 46<<2|1, 3
	six := append([]byte{3, 0, 0, 0, 0, 0, 0, 0}, quoted6("1234567")...)
	six[8], six[9], six[8+7] = 0x6a, 0xbf, 0 // traffic class 0xab
	for _, tt := range []struct {
		in     []byte
		family Family
		want   Quote
	}{
		{four, FamilyIPv4, Quote{TTL: 3, DSCP: 46, Cookie: true}},
		{six, FamilyIPv6, Quote{TTL: 0, DSCP: 0xab >> 2}},
		{extended(FamilyIPv4, 128, 128, stack(mpls(2))), FamilyIPv4, Quote{TTL: 1, Cookie: true, Labels: twoLabels}},
	} {
		e, ok := parseICMPError(tt.in, tt.family)
		if got := e.quote(); !ok || !reflect.DeepEqual(*got, tt.want) {
			t.Errorf("%s: %+v, want %+v", tt.family, got, tt.want)
		}
	}
}
