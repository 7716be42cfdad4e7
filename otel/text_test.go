package otel

import (
	"bytes"
	"errors"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/pingtel/pingtel/icmpcore"
)

// textStore holds a target that answers in part, one whose name changed its
// address, and one whose name does not resolve.
func textStore(t testing.TB) *Store {
	t.Helper()
	st, err := NewStore(StoreOptions{Bounds: []float64{0.001, 1}, Self: func() Self { return Self{Targets: 3, Skipped: 4} }})
	if err != nil {
		t.Fatal(err)
	}
	tags := []attribute.KeyValue{attribute.String("__meta", "x"), attribute.String("le", "x"), attribute.String("rack no", "a \"b\"\\\n"), attribute.String("rack.no", "c")}
	some := st.Add(TargetOptions{Host: "a.example", DSCP: 46, Attributes: tags})
	st.Record(some, &icmpcore.PingResult{
		Addr: addrA, Sent: 4, Received: 2, Loss: 50, RTTs: []time.Duration{time.Millisecond, 2 * time.Second}, Late: 1,
		TTL: 60, Hops: 5, Jitter: time.Millisecond, IPDV: 2 * time.Millisecond, IPDVPairs: 1, Duplicates: 4, Reordered: 5, Corrupt: 6,
	})
	moved := st.Add(TargetOptions{Host: "b.example"})
	st.Record(moved, &icmpcore.PingResult{Addr: addrA, Sent: 1, Received: 1, RTTs: []time.Duration{time.Millisecond}})
	st.Record(moved, &icmpcore.PingResult{Addr: netip.MustParseAddr("2001:db8::1"), Sent: 2, Loss: 100})
	unknown := st.Add(TargetOptions{Host: "none.example", Family: icmpcore.FamilyIPv6})
	st.Record(unknown, &icmpcore.PingResult{Err: &icmpcore.ResolveError{Host: "none.example", Err: errors.New("no such host")}})
	return st
}

func writtenText(t testing.TB, st *Store, openMetrics bool) string {
	t.Helper()
	var b bytes.Buffer
	if err := st.WriteText(&b, openMetrics); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

const wantText = `ping_rtt_seconds_bucket{A,le="0.001"} 1
ping_rtt_seconds_bucket{A,le="1"} 1
ping_rtt_seconds_bucket{A,le="+Inf"} 2
ping_rtt_seconds_sum{A} 2.001
ping_rtt_seconds_count{A} 2
ping_rtt_seconds_bucket{B4,le="0.001"} 1
ping_rtt_seconds_bucket{B4,le="1"} 1
ping_rtt_seconds_bucket{B4,le="+Inf"} 1
ping_rtt_seconds_sum{B4} 0.001
ping_rtt_seconds_count{B4} 1
ping_rtt_seconds_bucket{B6,le="0.001"} 0
ping_rtt_seconds_bucket{B6,le="1"} 0
ping_rtt_seconds_bucket{B6,le="+Inf"} 0
ping_rtt_seconds_sum{B6} 0
ping_rtt_seconds_count{B6} 0
ping_rtt_seconds_bucket{N,le="0.001"} 0
ping_rtt_seconds_bucket{N,le="1"} 0
ping_rtt_seconds_bucket{N,le="+Inf"} 0
ping_rtt_seconds_sum{N} 0
ping_rtt_seconds_count{N} 0
ping_requests_total{A} 4
ping_requests_total{B4} 1
ping_requests_total{B6} 2
ping_requests_total{N} 0
ping_replies_total{A} 2
ping_replies_total{B4} 1
ping_replies_total{B6} 0
ping_replies_total{N} 0
ping_errors_total{A,error_type="timeout"} 1
ping_errors_total{A,error_type="late"} 1
ping_errors_total{A,error_type="destination_unreachable"} 0
ping_errors_total{B4,error_type="timeout"} 0
ping_errors_total{B4,error_type="destination_unreachable"} 0
ping_errors_total{B6,error_type="timeout"} 2
ping_errors_total{B6,error_type="destination_unreachable"} 0
ping_errors_total{N,error_type="resolve"} 1
ping_duplicates_total{A} 4
ping_duplicates_total{B4} 0
ping_duplicates_total{B6} 0
ping_duplicates_total{N} 0
ping_reordered_total{A} 5
ping_reordered_total{B4} 0
ping_reordered_total{B6} 0
ping_reordered_total{N} 0
ping_corrupt_total{A} 6
ping_corrupt_total{B4} 0
ping_corrupt_total{B6} 0
ping_corrupt_total{N} 0
ping_loss_ratio{A} 0.5
ping_loss_ratio{B6} 1
ping_jitter_seconds{A} 0.001
ping_ipdv_seconds{A} 0.002
ping_ttl{A} 60
ping_hops{A} 5
ping_up{A} 1
ping_up{B6} 0
ping_up{N} 0
ping_resolved{a} 1
ping_resolved{b6} 1
ping_resolved{N} 0
ping_target_count 3
ping_rounds_skipped_total 4
ping_foreign_total 0
ping_kernel_drops_total 0
`

// TestFleetSelf: the figures on a fleet are there if there is one, and the age of the
// view if it is known.
func TestFleetSelf(t *testing.T) {
	for _, tt := range []struct {
		fleet *FleetSelf
		want  []string
	}{
		{nil, nil},
		{&FleetSelf{Members: 1, ViewAge: -1}, []string{"ping_fleet_members 1", "ping_fleet_owned 0", "ping_fleet_changes_total 0"}},
		{&FleetSelf{Members: 5, Owned: 40, Changes: 3, ViewAge: 1600 * time.Millisecond},
			[]string{"ping_fleet_members 5", "ping_fleet_owned 40", "ping_fleet_changes_total 3", "ping_fleet_view_age_seconds 2"}},
	} {
		st := testStore(t, StoreOptions{Self: func() Self { return Self{Fleet: tt.fleet} }})
		var got []string
		for line := range strings.Lines(writtenText(t, st, false)) {
			if strings.HasPrefix(line, "ping_fleet_") {
				got = append(got, strings.TrimSpace(line))
			}
		}
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("%+v (-want +got):\n%s", tt.fleet, d)
		}
		found := 0
		produced, err := st.Produce(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range produced[0].Metrics {
			if strings.HasPrefix(m.Name, "ping.fleet.") {
				found++
			}
		}
		if found != len(tt.want) {
			t.Errorf("%+v: %d metrics of the fleet, want %d", tt.fleet, found, len(tt.want))
		}
	}
}

// TestWriteText holds every line against the results.
func TestWriteText(t *testing.T) {
	short := strings.NewReplacer(
		`network_peer_address="198.18.0.1",network_type="ipv4",ping_dscp="46",rack_no="a \"b\"\\\n;c",server_address="a.example"`, "A",
		`network_type="ipv4",ping_dscp="46",rack_no="a \"b\"\\\n;c",server_address="a.example"`, "a",
		`network_peer_address="198.18.0.1",network_type="ipv4",server_address="b.example"`, "B4",
		`network_peer_address="2001:db8::1",network_type="ipv6",server_address="b.example"`, "B6",
		`network_type="ipv6",server_address="b.example"`, "b6",
		`network_type="ipv6",server_address="none.example"`, "N",
	)
	for _, open := range []bool{false, true} {
		var lines strings.Builder
		for line := range strings.Lines(writtenText(t, textStore(t), open)) {
			if !strings.HasPrefix(line, "#") {
				lines.WriteString(short.Replace(line))
			}
		}
		got, want := lines.String(), wantText
		if open {
			want = strings.ReplaceAll(want, `le="1"`, `le="1.0"`)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("OpenMetrics %t (-want +got):\n%s", open, d)
		}
	}
}

// TestTextHeads: what a format says of a family, and what promlint says of the
// names.
func TestTextHeads(t *testing.T) {
	plain, open := writtenText(t, textStore(t), false), writtenText(t, textStore(t), true)
	for _, want := range []string{"# HELP ping_requests_total Echo requests attempted.\n# TYPE ping_requests_total counter\n", "# TYPE ping_rtt_seconds histogram\n", "# TYPE ping_target_count untyped\n"} {
		if !strings.Contains(plain, want) {
			t.Errorf("no %q", want)
		}
	}
	for _, want := range []string{"# TYPE ping_requests counter\nping_requests_total{", "# UNIT ping_rtt_seconds seconds\n", "# UNIT ping_loss_ratio ratio\n", "# TYPE ping_target_count unknown\n"} {
		if !strings.Contains(open, want) {
			t.Errorf("no %q in OpenMetrics", want)
		}
	}
	problems, err := promlint.New(strings.NewReader(plain)).Lint()
	for _, p := range problems {
		t.Errorf("promlint: %v", p)
	}
	if err != nil {
		t.Error(err)
	}
}

// TestTextOfChosen: instruments that are not wanted have no family.
func TestTextOfChosen(t *testing.T) {
	st, err := NewStore(StoreOptions{Metrics: []string{"ping.requests"}})
	if err != nil {
		t.Fatal(err)
	}
	st.Record(st.Add(TargetOptions{Host: "h"}), &icmpcore.PingResult{Addr: addrA, Sent: 1, Loss: 100})
	want := "# HELP ping_requests_total Echo requests attempted.\n# TYPE ping_requests_total counter\n" +
		`ping_requests_total{network_peer_address="198.18.0.1",network_type="ipv4",server_address="h"} 1` + "\n"
	if got := writtenText(t, st, false); got != want {
		t.Errorf("text %q", got)
	}
}

// TestTextOfExponential: a bucket whose count is not known is left out, since a
// zero in it would be wrong.
func TestTextOfExponential(t *testing.T) {
	st, err := NewStore(StoreOptions{Exponential: true, Metrics: []string{"ping.rtt"}})
	if err != nil {
		t.Fatal(err)
	}
	st.Record(st.Add(TargetOptions{Host: "h"}), &icmpcore.PingResult{Addr: addrA, Sent: 2, Received: 2, RTTs: []time.Duration{time.Millisecond, time.Second}})
	labels := `network_peer_address="198.18.0.1",network_type="ipv4",server_address="h"`
	want := "ping_rtt_seconds_bucket{" + labels + `,le="+Inf"} 2` + "\n" +
		"ping_rtt_seconds_sum{" + labels + "} 1.001\nping_rtt_seconds_count{" + labels + "} 2\n"
	_, got, _ := strings.Cut(writtenText(t, st, false), "histogram\n")
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("text (-want +got):\n%s", d)
	}
}

// TestTextOfSharedLabels: tags that become a label of ours share it, in the order
// of the keys, and stay where the address is left out.
func TestTextOfSharedLabels(t *testing.T) {
	st, err := NewStore(StoreOptions{Metrics: []string{"ping.up"}})
	if err != nil {
		t.Fatal(err)
	}
	add := func(host string, tags ...attribute.KeyValue) *Target {
		return st.Add(TargetOptions{Host: host, Attributes: tags})
	}
	answer := &icmpcore.PingResult{Addr: addrA, Sent: 1, Received: 1, RTTs: []time.Duration{1}}
	st.Record(add("a", attribute.String("network_peer_address", "x"), attribute.String("server-address", "before"), attribute.String("server_address", "behind")), answer)
	st.Record(add("b", attribute.String("k", "old"), attribute.String("k", "new"), attribute.String("network.peer.address", "x")), answer)
	st.Record(add("c", attribute.String("network_peer_address", "y")), &icmpcore.PingResult{Err: &icmpcore.ResolveError{Host: "c"}})
	want := `ping_up{network_peer_address="198.18.0.1;x",network_type="ipv4",server_address="before;a;behind"} 1
ping_up{k="new",network_peer_address="198.18.0.1",network_type="ipv4",server_address="b"} 1
ping_up{network_peer_address="y",server_address="c"} 0
ping_resolved{network_peer_address="x",network_type="ipv4",server_address="before;a;behind"} 1
ping_resolved{k="new",network_type="ipv4",server_address="b"} 1
ping_resolved{network_peer_address="y",server_address="c"} 0
`
	var got strings.Builder
	for line := range strings.Lines(writtenText(t, st, false)) {
		if !strings.HasPrefix(line, "#") {
			got.WriteString(line)
		}
	}
	if d := cmp.Diff(want, got.String()); d != "" {
		t.Errorf("text (-want +got):\n%s", d)
	}
}

// TestTextOfPushes: only a store that is pushed knows how many pushes have failed.
func TestTextOfPushes(t *testing.T) {
	st := textStore(t)
	const line = "\nping_export_failed_total 0\n"
	if strings.Contains(writtenText(t, st, false), line) {
		t.Error("a store that nobody pushes tells of pushes")
	}
	NewPusher(st, cumulatives{}, nil)
	if !strings.Contains(writtenText(t, st, false), line) {
		t.Error("no count of failed pushes")
	}
}

// cumulatives is an exporter that wants sums since the start.
type cumulatives struct{ sdkmetric.Exporter }

func (cumulatives) Temporality(sdkmetric.InstrumentKind) metricdata.Temporality {
	return metricdata.CumulativeTemporality
}

// TestTextForgets: removed targets are gone at once, and a store that nobody
// pushes keeps no addresses that are not probed any more.
func TestTextForgets(t *testing.T) {
	st, err := NewStore(StoreOptions{})
	if err != nil {
		t.Fatal(err)
	}
	target, other := st.Add(TargetOptions{Host: "h"}), st.Add(TargetOptions{Host: "o"})
	st.Record(target, &icmpcore.PingResult{Addr: addrA, Sent: 1, Received: 1, RTTs: []time.Duration{1}})
	st.Record(other, &icmpcore.PingResult{Addr: addrA, Sent: 1, Received: 1, RTTs: []time.Duration{1}})
	for range idleRounds + 1 {
		st.Record(target, &icmpcore.PingResult{Addr: netip.MustParseAddr("198.18.0.2"), Sent: 1, Received: 1, RTTs: []time.Duration{1}})
	}
	writtenText(t, st, false) // all of it has been read: the idle address may go
	if got := writtenText(t, st, false); strings.Contains(got, `"198.18.0.1",network_type="ipv4",server_address="h"`) {
		t.Error("an address that is not probed any more is still there")
	}
	st.Remove(other)
	if got := writtenText(t, st, false); strings.Contains(got, `server_address="o"`) {
		t.Error("a removed target is still there")
	}
	for e, r := range st.table.gone {
		r.target.removed = time.Now().Add(-keepTime)
		st.table.gone[e] = r
	}
	if writtenText(t, st, false); len(st.table.gone) > 0 {
		t.Error("a removed target is kept for ever")
	}
}

// failing fails after some bytes.
type failing struct{ left int }

func (f *failing) Write(b []byte) (int, error) {
	if f.left -= len(b); f.left < 0 {
		return 0, io.ErrClosedPipe
	}
	return len(b), nil
}

func TestWriteTextFails(t *testing.T) {
	if err := textStore(t).WriteText(new(failing), false); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("WriteText = %v", err)
	}
	st := textStore(t)
	NewPusher(st, deltas{}, resource.Empty())
	if err := st.WriteText(io.Discard, false); !errors.Is(err, errDelta) {
		t.Errorf("beside a pusher of deltas: %v", err)
	}
}

// deltas is an exporter that wants deltas.
type deltas struct{ sdkmetric.Exporter }

func (deltas) Temporality(sdkmetric.InstrumentKind) metricdata.Temporality {
	return metricdata.DeltaTemporality
}

// FuzzWriteText: whatever hosts and tags are, the text stays a text of as many
// values, and the host can be read from it.
func FuzzWriteText(f *testing.F) {
	f.Add("h\n", "k\"", "v\\")
	f.Add("a{b=\"c\"} 1\n# EOF\nx", "le", "0.5")
	f.Add("\xff", "", "")
	f.Add("h", "server_address", "other")
	f.Add("h", "network.peer.address", "198.18.0.9")
	f.Fuzz(func(t *testing.T, host, key, value string) {
		st, err := NewStore(StoreOptions{Bounds: []float64{1}})
		if err != nil {
			t.Fatal(err)
		}
		st.Record(st.Add(TargetOptions{Host: host, Attributes: []attribute.KeyValue{attribute.String(key, value)}}),
			&icmpcore.PingResult{Addr: addrA, Sent: 1, Received: 1, RTTs: []time.Duration{1}, TTL: 60})
		parser := expfmt.NewTextParser(model.LegacyValidation)
		families, err := parser.TextToMetricFamilies(strings.NewReader(writtenText(t, st, false)))
		if err != nil {
			t.Fatal(err)
		}
		requests := families["ping_requests_total"]
		if requests == nil || len(requests.Metric) != 1 || len(families) != 12 {
			t.Fatalf("%d families, requests %v", len(families), requests)
		}
		own := ""
		for _, l := range requests.Metric[0].Label {
			if l.GetName() == "server_address" {
				own = l.GetValue()
			}
		}
		if want := strings.ToValidUTF8(host, "\uFFFD"); host != "" && !strings.Contains(own, firstOf(want)) {
			t.Errorf("server_address %q of host %q", own, host)
		}
	})
}

// firstOf returns the first character of s: invalid bytes in a row may become
// fewer replacement characters than there are bytes.
func firstOf(s string) string {
	for _, c := range s {
		return string(c)
	}
	return ""
}
