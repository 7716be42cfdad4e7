package discovery

import (
	"bytes"
	"testing"
	"time"

	"github.com/pingtel/pingtel/internal/config"
)

// manyTargets returns a source, and what makes its list from an answer and the list before.
func manyTargets(b *testing.B) func(before *config.List, text []byte) *config.List {
	b.Helper()
	source := parse(b, "[agent]\ninterval = \"60s\"\n[defaults]\ncount = 1\n[[targets]]\nfile = \"/x.json\"\ntags = { name = \"__meta_netbox_name\" }\n").Sources[0]
	return func(before *config.List, text []byte) *config.List {
		build := &builder{source: source, list: source.NewList(before)}
		if err := decodeJSON(bytes.NewReader(text), build); err != nil {
			b.Fatal(err)
		}
		return build.part("", nil, time.Time{}).list
	}
}

// BenchmarkList makes a list of 100,000 targets again of which one has changed.
func BenchmarkList(b *testing.B) {
	build := manyTargets(b)
	texts := [2][]byte{[]byte(bigList(100_000, 7)), []byte(bigList(100_000, 500))}
	list := build(nil, texts[1])
	b.SetBytes(int64(len(texts[0])))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		list = build(list, texts[i%2])
	}
}

// BenchmarkMerge puts a list of 100,000 targets in force of which one has changed.
func BenchmarkMerge(b *testing.B) {
	build := manyTargets(b)
	first := build(nil, []byte(bigList(100_000, 7)))
	lists := [2][]config.Target{first.Targets, build(first, []byte(bigList(100_000, 500))).Targets}
	b.ReportAllocs()
	merged := config.Merge(nil, lists[1])
	for i := 0; b.Loop(); i++ {
		merged = config.Merge(merged, lists[i%2])
	}
}
