package plugin

import (
	"context"
	"errors"
	"math"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/influxdata/line-protocol/v2/lineprotocol"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/golden"
)

const ms = time.Millisecond

var (
	start  = time.Unix(1700000000, 123456789)
	target = netip.MustParseAddr("198.18.0.1")
	router = netip.MustParseAddr("198.18.255.1")

	lineFormat = Format{Measurement: "ping", Percentiles: []float64{50, 95, 99.9}}
)

// sound is a result of four requests with three replies.
func sound() *icmpcore.PingResult {
	return &icmpcore.PingResult{
		Host: "a.example", Addr: target, Sent: 4, Received: 3, Loss: 25,
		Min: 2 * ms, Max: 9 * ms, Mean: 5 * ms, Median: 4 * ms, Jitter: 3605551, IPDV: 3500 * time.Microsecond, IPDVPairs: 2,
		RTTs: []time.Duration{4 * ms, 2 * ms, 9 * ms}, TTL: 57, Hops: 8, OSGuess: "Linux", ReplyDSCP: 46,
		Duplicates: 1, Late: 2, Reordered: 3, Corrupt: 4, Start: start,
	}
}

// resultCase is a result in its place among those that look different.
type resultCase struct {
	name string
	tags []Tag
	r    *icmpcore.PingResult
}

func resultCases() []resultCase {
	unreachable := icmpcore.EchoError{Kind: icmpcore.DestinationUnreachable, Type: 3, Code: 1, Message: "host unreachable", From: router}
	exceeded := icmpcore.EchoError{Kind: icmpcore.TimeExceeded, Type: 11, Message: "TTL exceeded", From: router}
	one := sound()
	one.Sent, one.Received, one.Loss, one.RTTs, one.Jitter, one.IPDV, one.IPDVPairs = 1, 1, 0, one.RTTs[:1], 0, 0, 0
	blind := sound()
	blind.TTL, blind.Hops, blind.OSGuess, blind.ReplyDSCP = 0, 0, "", -1
	lost := &icmpcore.PingResult{Addr: target, Sent: 5, Loss: 100, ReplyDSCP: -1, Late: 2, Start: start}
	held := &icmpcore.PingResult{Addr: target, Sent: 2, Loss: 100, Lost: []int{1, 2}, Held: 2, ReplyDSCP: -1, Start: start}
	errored := &icmpcore.PingResult{Addr: target, Sent: 3, Loss: 100, ReplyDSCP: -1, Start: start,
		Errors: []icmpcore.EchoError{exceeded, unreachable, unreachable}}
	some := sound()
	some.Errors = []icmpcore.EchoError{exceeded}
	cut := sound()
	cut.Err = context.Canceled
	return []resultCase{
		{"answers", nil, sound()},
		{"one reply", nil, one},
		{"no TTL, no DSCP", nil, blind},
		{"tags", []Tag{{Key: "alpha", Value: "1"}, {Key: "site", Value: "x"}, {Key: "zone", Value: "z"}}, sound()},
		{"silent", nil, lost},
		{"never left", nil, held},
		{"errors", nil, errored},
		{"one error", nil, some},
		{"cut short", nil, cut},
		{"no name", nil, &icmpcore.PingResult{Start: start, ReplyDSCP: -1,
			Err: &icmpcore.ResolveError{Host: "a.example", Err: &net.DNSError{Err: "no such host", Name: "a.example", IsNotFound: true}}}},
		{"no route", nil, &icmpcore.PingResult{Addr: target, Start: start, ReplyDSCP: -1, Sent: 1, Loss: 100,
			Errors: []icmpcore.EchoError{{Seq: 1, Kind: icmpcore.SendFailed, Message: "network is unreachable"}},
			Err:    &icmpcore.SendError{Addr: target, Err: errors.New("network is unreachable")}}},
	}
}

func TestGolden(t *testing.T) {
	e := NewEncoder(lineFormat)
	var got strings.Builder
	for _, c := range resultCases() {
		line, err := e.Append(nil, "a.example", c.tags, c.r)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		got.WriteString("# " + c.name + "\n" + string(line))
	}
	golden.Compare(t, "testdata/lines.golden", got.String())
}

// point is one decoded line.
type point struct {
	name   string
	tags   map[string]string
	fields map[string]any
	time   time.Time
}

func decode(t *testing.T, b []byte) []point {
	t.Helper()
	var points []point
	for dec := lineprotocol.NewDecoderWithBytes(b); dec.Next(); {
		m, err := dec.Measurement()
		if err != nil {
			t.Fatalf("measurement of %q: %v", b, err)
		}
		p := point{name: string(m), tags: map[string]string{}, fields: map[string]any{}}
		for last := ""; ; {
			k, v, err := dec.NextTag()
			if err != nil {
				t.Fatalf("tag of %q: %v", b, err)
			}
			if k == nil {
				break
			}
			if string(k) <= last {
				t.Errorf("tag %q comes after %q in %q", k, last, b)
			}
			last = string(k)
			p.tags[string(k)] = string(v)
		}
		for {
			k, v, err := dec.NextField()
			if err != nil {
				t.Fatalf("field of %q: %v", b, err)
			}
			if k == nil {
				break
			}
			if _, twice := p.fields[string(k)]; twice {
				t.Errorf("field %q twice in %q", k, b)
			}
			p.fields[string(k)] = v.Interface()
		}
		if p.time, err = dec.Time(lineprotocol.Nanosecond, time.Time{}); err != nil {
			t.Fatalf("time of %q: %v", b, err)
		}
		points = append(points, p)
	}
	return points
}

// TestFieldTypes holds every field to its one type, in whatever case it is
// written: a database refuses points whose types change.
func TestFieldTypes(t *testing.T) {
	want := map[string]any{}
	for _, f := range strings.Fields("packets_transmitted packets_received ttl result_code hops duplicates late reordered corrupt reply_dscp icmp_type icmp_code") {
		want[f] = int64(0)
	}
	for _, f := range strings.Fields("percent_packet_loss minimum_response_ms average_response_ms maximum_response_ms standard_deviation_ms jitter_ms ipdv_ms percentile50_ms percentile95_ms percentile99.9_ms") {
		want[f] = float64(0)
	}
	for _, f := range strings.Fields("os_guess icmp_error error") {
		want[f] = ""
	}
	seen := map[string]bool{}
	e := NewEncoder(lineFormat)
	for _, c := range resultCases() {
		line, err := e.Append(nil, "a.example", c.tags, c.r)
		if err != nil {
			t.Fatal(err)
		}
		for f, v := range decode(t, line)[0].fields {
			seen[f] = true
			if w, ok := want[f]; !ok || typeName(w) != typeName(v) {
				t.Errorf("%s: %s is %T, want %T", c.name, f, v, w)
			}
		}
	}
	for f := range want {
		if !seen[f] {
			t.Errorf("no case writes %s", f)
		}
	}
}

func typeName(v any) string {
	switch v.(type) {
	case int64:
		return "int"
	case float64:
		return "float"
	case string:
		return "string"
	}
	return "?"
}

// TestPresence says which fields stand in which case.
func TestPresence(t *testing.T) {
	replied := strings.Fields("minimum_response_ms average_response_ms maximum_response_ms standard_deviation_ms percentile50_ms jitter_ms ipdv_ms ttl hops os_guess reply_dscp")
	ran := strings.Fields("packets_transmitted packets_received percent_packet_loss duplicates late reordered corrupt")
	for name, c := range map[string]struct {
		code    int64
		has     []string
		lacking []string
	}{
		"answers":         {0, append(replied, ran...), []string{"error", "icmp_error"}},
		"one reply":       {0, append(replied[:5:5], append(ran, "ttl", "hops", "os_guess", "reply_dscp")...), []string{"jitter_ms", "ipdv_ms"}},
		"no TTL, no DSCP": {0, ran, []string{"ttl", "hops", "os_guess", "reply_dscp"}},
		"silent":          {1, ran, append(replied, "error", "icmp_error", "icmp_type", "icmp_code")},
		"never left":      {1, append(ran, "error"), replied},
		"errors":          {1, append(ran, "icmp_error", "icmp_type", "icmp_code"), append(replied, "error")},
		"cut short":       {0, append(replied, append(ran, "error")...), []string{"icmp_error"}},
		"no name":         {2, []string{"error"}, append(replied, append(ran, "icmp_error")...)},
		"no route":        {2, []string{"error"}, append(replied, append(ran, "icmp_error")...)},
	} {
		t.Run(name, func(t *testing.T) {
			e := NewEncoder(lineFormat)
			for _, rc := range resultCases() {
				if rc.name != name {
					continue
				}
				line, err := e.Append(nil, "a.example", nil, rc.r)
				if err != nil {
					t.Fatal(err)
				}
				fields := decode(t, line)[0].fields
				if fields["result_code"] != c.code {
					t.Errorf("result_code = %v, want %d", fields["result_code"], c.code)
				}
				for _, f := range c.has {
					if _, ok := fields[f]; !ok {
						t.Errorf("no %s in %s", f, line)
					}
				}
				for _, f := range c.lacking {
					if _, ok := fields[f]; ok {
						t.Errorf("%s in %s", f, line)
					}
				}
			}
		})
	}
}

func TestWorstError(t *testing.T) {
	is := func(typ, code int) icmpcore.EchoError {
		return icmpcore.EchoError{Kind: icmpcore.TimeExceeded, Type: typ, Code: code}
	}
	refusal := icmpcore.EchoError{Kind: icmpcore.SendFailed, Message: "first"}
	second := icmpcore.EchoError{Kind: icmpcore.SendFailed, Message: "second"}
	for name, c := range map[string]struct {
		errs      []icmpcore.EchoError
		typ, code int
	}{
		"the most":                  {[]icmpcore.EchoError{is(11, 0), is(3, 1), is(3, 1)}, 3, 1},
		"the first of equals":       {[]icmpcore.EchoError{is(11, 0), is(3, 1)}, 11, 0},
		"apart":                     {[]icmpcore.EchoError{is(11, 0), is(3, 1), is(11, 0)}, 11, 0},
		"another type of that code": {[]icmpcore.EchoError{is(3, 0), is(11, 0), is(11, 0)}, 11, 0},
		"another code of that type": {[]icmpcore.EchoError{is(3, 1), is(3, 0), is(3, 0)}, 3, 0},
		"refusals do not count":     {[]icmpcore.EchoError{refusal, second, is(3, 1)}, 3, 1},
	} {
		reported, refused := worst(c.errs)
		if reported == nil || reported.Type != c.typ || reported.Code != c.code {
			t.Errorf("%s: %+v, want type %d, code %d", name, reported, c.typ, c.code)
		}
		if strings.HasPrefix(name, "refusals") != (refused != nil) || refused != nil && refused.Message != "first" {
			t.Errorf("%s: refused %+v", name, refused)
		}
	}
}

// TestZeroDSCP: a reply without a class of traffic has class 0, which is known.
func TestZeroDSCP(t *testing.T) {
	e := NewEncoder(lineFormat)
	r := sound()
	r.ReplyDSCP = 0
	line, err := e.Append(nil, "h", nil, r)
	if err != nil || decode(t, line)[0].fields["reply_dscp"] != int64(0) {
		t.Errorf("%s, %v: want reply_dscp=0i", line, err)
	}
}

// TestMixedErrors has errors of several kinds in one series: the one told is the
// most frequent, the first of equals; refusals of the system are told apart, and
// make the target unpinged only where they took every request.
func TestMixedErrors(t *testing.T) {
	unreachable := icmpcore.EchoError{Kind: icmpcore.DestinationUnreachable, Type: 3, Code: 1, Message: "host unreachable"}
	prohibited := icmpcore.EchoError{Kind: icmpcore.DestinationUnreachable, Type: 3, Code: 13, Message: "prohibited"}
	exceeded := icmpcore.EchoError{Kind: icmpcore.TimeExceeded, Type: 11, Code: 1, Message: "reassembly time exceeded"}
	full := icmpcore.EchoError{Kind: icmpcore.SendFailed, Message: "no buffer space"}
	down := icmpcore.EchoError{Kind: icmpcore.SendFailed, Message: "network is down"}
	for _, c := range []struct {
		name       string
		errs       []icmpcore.EchoError
		err        error
		code, icmp any // result_code and icmp_code
		text       any // error
	}{
		{"the first of equals", []icmpcore.EchoError{unreachable, prohibited}, nil, int64(1), int64(1), nil},
		{"the same type, another code", []icmpcore.EchoError{unreachable, prohibited, prohibited}, nil, int64(1), int64(13), nil},
		{"another type, the same code", []icmpcore.EchoError{exceeded, prohibited, unreachable, prohibited}, nil, int64(1), int64(13), nil},
		{"refusals do not count as ICMP errors", []icmpcore.EchoError{full, down, unreachable}, nil, int64(1), int64(1), full.Error()},
		{"not every request was refused", []icmpcore.EchoError{full, full}, errors.New("cut short"), int64(1), nil, "cut short"},
		{"every request was refused", []icmpcore.EchoError{full, full, full, full}, errors.New("no room"), int64(2), nil, "no room"},
	} {
		e := NewEncoder(lineFormat)
		r := &icmpcore.PingResult{Addr: target, Sent: 4, Loss: 100, ReplyDSCP: -1, Start: start, Errors: c.errs, Err: c.err}
		line, err := e.Append(nil, "h", nil, r)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		f := decode(t, line)[0].fields
		if f["result_code"] != c.code || f["icmp_code"] != c.icmp || f["error"] != c.text {
			t.Errorf("%s: %s, want result_code %v, icmp_code %v, error %v", c.name, line, c.code, c.icmp, c.text)
		}
	}
}

// TestReplyDSCPZero tells a reply without a mark from one whose mark is not known.
func TestReplyDSCPZero(t *testing.T) {
	e := NewEncoder(lineFormat)
	r := sound()
	r.ReplyDSCP = 0
	line, err := e.Append(nil, "h", nil, r)
	if err != nil {
		t.Fatal(err)
	}
	if got := decode(t, line)[0].fields["reply_dscp"]; got != int64(0) {
		t.Errorf("reply_dscp = %v, want 0", got)
	}
}

func TestDeviation(t *testing.T) {
	for _, c := range []struct {
		rtts []time.Duration
		want float64
	}{
		{nil, 0},
		{[]time.Duration{5}, 0},
		{[]time.Duration{2, 4, 4, 4, 5, 5, 7, 9}, 2},
	} {
		if got := deviation(c.rtts); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("deviation(%v) = %v, want %v", c.rtts, got, c.want)
		}
	}
}

func TestAwkwardTags(t *testing.T) {
	e := NewEncoder(lineFormat)
	for _, c := range []struct{ value, want string }{
		{"a b", "a b"},
		{"a,b", "a,b"},
		{"a=b", "a=b"},
		{`a\b`, `a\b`},
		{`a\,b\ c\=d`, `a\,b\ c\=d`},
		{`a\\b`, `a\\b`},
		{`trailing\`, `trailing`},
		{`two\\`, `two`},
		{`\`, ``},
		{"two\nlines", `two\nlines`},
		{"end\n", `end\n`},
		{"tab\t", `tab\t`},
		{"nul\x00", `nul\x00`},
		{`"quoted"`, `"quoted"`},
		{"Zürich 東京", "Zürich 東京"},
		{"bad\xffbyte", "bad\uFFFDbyte"},
		{"", ""},
	} {
		line, err := e.Append(nil, "h", []Tag{{Key: "site", Value: c.value}, {Key: "z", Value: "end"}}, sound())
		if err != nil {
			t.Errorf("%q: %v", c.value, err)
			continue
		}
		if strings.Count(string(line), "\n") != 1 {
			t.Errorf("%q makes %q: want one newline", c.value, line)
		}
		tags := decode(t, line)[0].tags
		if tags["site"] != c.want || tags["z"] != "end" || tags["url"] != "h" {
			t.Errorf("%q comes back as %q, all tags %q", c.value, tags["site"], tags)
		}
	}
}

// TestTagKeys gives keys that are ours, or become the same.
func TestTagKeys(t *testing.T) {
	e := NewEncoder(lineFormat)
	tags := []Tag{{Key: "", Value: "x"}, {Key: "a\\", Value: "\\"}, {Key: "a\\", Value: "1"}, {Key: "a", Value: "2"}, {Key: "url", Value: "evil"}, {Key: "address", Value: "evil"}, {Key: "a b=,", Value: "3"}}
	line, err := e.Append(nil, "h", tags, sound())
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"url": "h", "address": "198.18.0.1", "a": "1", "a b=,": "3"}
	if diff := cmp.Diff(want, decode(t, line)[0].tags); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
	r := sound()
	r.Addr = netip.Addr{} // not looked up yet: no address, and none of somebody's own
	if line, err = e.Append(nil, "h", tags, r); err != nil {
		t.Fatal(err)
	}
	delete(want, "address")
	if diff := cmp.Diff(want, decode(t, line)[0].tags); diff != "" {
		t.Errorf("tags without an address (-want +got):\n%s", diff)
	}
}

func FuzzLine(f *testing.F) {
	f.Add("ping", "host", "site", "a b", "error")
	f.Add("my ping", "h\n", "k=,", `v\`, "two\nlines \"quoted\" \\ \\n")
	f.Add("p,", "\xff", "url", "\x00", "")
	f.Fuzz(func(t *testing.T, measurement, host, key, value, text string) {
		if name(measurement) == "" || strings.HasPrefix(name(measurement), "#") {
			return // the file's check refuses it
		}
		e := NewEncoder(Format{Measurement: measurement, Percentiles: []float64{50}})
		r := sound()
		r.Err = errors.New(text)
		line, err := e.Append(nil, host, []Tag{{Key: key, Value: value}}, r)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Count(string(line), "\n") != 1 || !utf8.Valid(line) {
			t.Fatalf("%q: want one line of UTF-8", line)
		}
		points := decode(t, append(line, "next x=1i\n"...))
		if len(points) != 2 || points[1].name != "next" || points[0].name != name(measurement) {
			t.Fatalf("%q is decoded as %v", line, points)
		}
		p := points[0]
		wantText := any(printable(text))
		if text == "" {
			wantText = nil
		}
		if p.fields["error"] != wantText || p.tags["url"] != name(host) || !p.time.Equal(start) {
			t.Errorf("%q is decoded as %v", line, p)
		}
		if k := name(key); k != "" && k != "url" && k != "address" && p.tags[k] != name(value) {
			t.Errorf("tag %q = %q, want %q", k, p.tags[k], name(value))
		}
	})
}
