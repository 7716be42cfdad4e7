package otel

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
)

// TestRecordPath: a target whose path was never traced has no points of it, and there are
// no more addresses of breaks than allowed.
func TestRecordPath(t *testing.T) {
	s, err := NewStore(StoreOptions{Self: func() Self { return Self{} }})
	if err != nil {
		t.Fatal(err)
	}
	written := func() string {
		var b strings.Builder
		if err := s.WriteText(&b, false); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	target, other := s.Add(TargetOptions{Host: "h"}), s.Add(TargetOptions{Host: "other"})
	result := icmpcore.PingResult{Addr: netip.MustParseAddr("198.18.1.1"), Sent: 5, Start: time.Now()}
	s.RecordPath(target, Path{Hops: 9}) // before its first result
	s.Record(target, &result)
	s.Record(other, &result)
	if text := written(); strings.Contains(text, "ping_path") {
		t.Errorf("paths that were not traced:\n%s", text)
	}
	last := netip.MustParseAddr("198.18.200.4")
	s.RecordPath(target, Path{Hops: 7})
	s.RecordPath(target, Path{Hops: 8, Changed: true})
	s.RecordPath(target, Path{Broken: true, Last: last})
	s.RecordPath(target, Path{Broken: true, Last: last})
	s.RecordPath(target, Path{Broken: true})
	s.Record(target, &result) // keeps what is known of the path
	const labels = `{network_peer_address="198.18.1.1",network_type="ipv4",server_address="h"}`
	text := written()
	for _, want := range []string{"ping_path_hops" + labels + " 8\n", "ping_path_changes_total" + labels + " 1\n",
		`ping_path_breaks_total{ping_path_last_address="198.18.200.4"} 2` + "\n", `ping_path_breaks_total{ping_path_last_address="none"} 1` + "\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("want %q in\n%s", want, text)
		}
	}
	if n := strings.Count(text, "ping_path_changes_total{"); n != 1 {
		t.Errorf("%d targets have changes", n)
	}
	for i := range 2 * maxBreaks {
		s.RecordPath(target, Path{Broken: true, Last: netip.AddrFrom4([4]byte{198, 19, byte(i >> 8), byte(i)})})
	}
	text = written()
	if n := strings.Count(text, "ping_path_breaks_total{"); n != maxBreaks+1 || !strings.Contains(text, fmt.Sprintf("{ping_path_last_address=%q} %d", otherBreak, maxBreaks+2)) {
		t.Errorf("%d addresses of breaks", n)
	}
	s.Remove(target)
	s.RecordPath(target, Path{Hops: 9})
}

// TestBreaksDelta: with deltas a push carries what the last one did not.
func TestBreaksDelta(t *testing.T) {
	s, err := NewStore(StoreOptions{})
	if err != nil {
		t.Fatal(err)
	}
	c := newChunk(s, temporalities{self: true})
	c.begin(time.Now())
	c.addBreaks(breaks{"a": 5, "b": 1}, breaks{"a": 3}, s.started, s.started)
	points := c.ints[targetMetrics+breaksMetric]
	if len(points) != 2 || points[0].Value != 2 || points[1].Value != 1 {
		t.Errorf("points %+v", points)
	}
}
