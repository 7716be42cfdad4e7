package nagios_test

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/nagios"
)

// output is what a check prints whose every host has to be OK.
func output(verdicts []nagios.Verdict, which nagios.Perfdata) string {
	return (&nagios.Report{Verdicts: verdicts, Perfdata: which}).String()
}

func worst(verdicts []nagios.Verdict) nagios.Status {
	return (&nagios.Report{Verdicts: verdicts}).Status()
}

// judged makes verdicts of many hosts, each with the same share of echoes lost.
func judged(hosts []string, received int, marks ...[]nagios.Mark) []nagios.Verdict {
	var out []nagios.Verdict
	for i, h := range hosts {
		v := nagios.Judge(result(h, 5, received, ms, ms), usual, false)
		if i < len(marks) {
			v.Marks = marks[i]
		}
		out = append(out, v)
	}
	return out
}

func many(n int, format string) (hosts []string) {
	for i := range n {
		hosts = append(hosts, fmt.Sprintf(format, i))
	}
	return hosts
}

var anyLabel = regexp.MustCompile(`'([^']*) pl'=`)

// labels returns the labels of the losses, without "pl".
func labels(output string) (out []string) {
	for _, m := range anyLabel.FindAllStringSubmatch(output, -1) {
		out = append(out, m[1])
	}
	return out
}

func TestNamesAreUnique(t *testing.T) {
	mark := func(pairs ...string) (out []nagios.Mark) {
		for i := 0; i < len(pairs); i += 2 {
			out = append(out, nagios.Mark{Name: pairs[i], Value: pairs[i+1]})
		}
		return out
	}
	for _, tt := range []struct {
		name  string
		hosts string
		marks [][]nagios.Mark
		want  string
	}{
		{"different hosts need no mark", "a b", [][]nagios.Mark{mark("", "ipv4"), mark("", "ipv6")}, "a|b"},
		{"both families", "a a b", [][]nagios.Mark{mark("", "ipv4", "site", "x"), mark("", "ipv6", "site", "x")}, "a ipv4|a ipv6|b"},
		{"with and without DSCP", "a a", [][]nagios.Mark{nil, mark("dscp", "46")}, "a|a dscp 46"},
		{"two tags that differ", "a a", [][]nagios.Mark{mark("site", "x", "link", "1", "rack", "r"), mark("site", "y", "link", "2", "rack", "r")}, "a site x link 1|a site y link 2"},
		{"given three times", "a a b a", nil, "a|a #2|b|a #3"},
		{"a number that is taken", "a #2|a|a", nil, "a #2|a|a #3"},
		{"a number that is taken later", "a|a|a #2", nil, "a|a #2|a #2 #2"},
		{"the same once quoted", "a=b|a'b|a b", nil, "a_b|a_b #2|a b"},
		{"some marks alike", "a a a", [][]nagios.Mark{mark("dscp", "46"), mark("dscp", "46"), nil}, "a dscp 46|a dscp 46 #2|a"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			hosts := strings.Split(tt.hosts, "|")
			if len(hosts) == 1 {
				hosts = strings.Fields(tt.hosts)
			}
			want := strings.Split(tt.want, "|")
			well, ill := output(judged(hosts, 5, tt.marks...), nagios.PerfdataAll), output(judged(hosts, 0, tt.marks...), nagios.PerfdataAll)
			if diff := cmp.Diff(want, labels(well)); diff != "" {
				t.Errorf("labels (-want +got)\n%s", diff)
			}
			if diff := cmp.Diff(want, labels(ill)); diff != "" {
				t.Errorf("labels when nothing is answered (-want +got)\n%s", diff)
			}
			_, below, _ := strings.Cut(ill, "\n")
			seen := make(map[string]bool)
			for line := range strings.Lines(below) {
				name, _, _ := strings.Cut(line, " CRITICAL ")
				if seen[name] {
					t.Errorf("two lines for %q in\n%s", name, below)
				}
				seen[name] = true
			}
			if len(seen) != len(hosts) {
				t.Errorf("%d lines, want %d:\n%s", len(seen), len(hosts), below)
			}
		})
	}
}

// A name that resolves to another address keeps its label.
func TestLabelsKeepTheirNames(t *testing.T) {
	first, second := judged([]string{"a.test", "b.test"}, 5), judged([]string{"a.test", "b.test"}, 5)
	first[0].Result.Addr, second[0].Result.Addr = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	if a, b := labels(output(first, nagios.PerfdataMain)), labels(output(second, nagios.PerfdataMain)); !cmp.Equal(a, b) || len(a) != 2 {
		t.Errorf("labels %q, then %q", a, b)
	}
}

func TestOutputIsBounded(t *testing.T) {
	long := strings.Repeat("ü", 200)
	for _, tt := range []struct {
		name     string
		verdicts []nagios.Verdict
	}{
		{"a thousand dead hosts", judged(many(1000, "198.18.0.%d"), 0)},
		{"a thousand healthy hosts", judged(many(1000, "198.18.0.%d"), 5)},
		{"as many as have performance data", judged(many(28, "198.18.0.%d"), 0)},
		{"long names", judged(many(100, long+"%d"), 0)},
		{"one long name", judged(many(1, strings.Repeat(long, 50)+"%d"), 0)},
		{"a long reason", []nagios.Verdict{nagios.Judge(icmpcore.PingResult{Host: "h", Err: errors.New(strings.Repeat(long, 50))}, usual, false)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, which := range []nagios.Perfdata{nagios.PerfdataMain, nagios.PerfdataNone} {
				out := output(tt.verdicts, which)
				if len(out) >= 8<<10 || !utf8.ValidString(out) {
					t.Errorf("%v: %d bytes, want less than 8 KiB of UTF-8", which, len(out))
				}
				first, _, _ := strings.Cut(out, "\n")
				text, data, _ := strings.Cut(first, " |")
				if len(text) > 256 || (which == nagios.PerfdataNone) != (data == "") {
					t.Errorf("%v: text of %d bytes, performance data of %d", which, len(text), len(data))
				}
			}
			all := output(tt.verdicts, nagios.PerfdataAll)
			if _, below, _ := strings.Cut(all, "\n"); len(below) > 8<<10-256 || len(tt.verdicts) == 1000 && tt.verdicts[0].Status != nagios.OK && len(below) < 8<<10-356 {
				t.Errorf("all: %d bytes of lines below the first", len(below))
			}
			if n := strings.Count(all, "rta") + strings.Count(all, "rta'"); n < len(tt.verdicts) {
				t.Errorf("all: %d values for %d hosts", n, len(tt.verdicts))
			}
		})
	}
	first, below, _ := strings.Cut(nagios.Failed(errors.New(strings.Repeat(long, 100))), "\n")
	if len(first) > 256 || len(below) > 1<<10 || len(below) < 1<<10-3 || !strings.HasSuffix(first, "ü...") || !strings.HasSuffix(below, "ü...") {
		t.Errorf("Failed: %d and %d bytes, %q", len(first), len(below), below[max(0, len(below)-10):])
	}
}

// TestFirstLineIsShort: what the first line has no room for stands below.
func TestFirstLineIsShort(t *testing.T) {
	const before = "PING UNKNOWN - "
	fits := strings.Repeat("x", 256-len(before))
	if got := nagios.Failed(errors.New(fits)); got != before+fits {
		t.Errorf("a text of 256 bytes is cut to %d", len(got))
	}
	if got, want := nagios.Failed(errors.New(fits+"x")), before+fits[:len(fits)-3]+"...\n"+before+fits+"x"; got != want {
		t.Errorf("a longer text: %d bytes, want dots and the text below", len(got))
	}
	one := func(reason string) string {
		return output([]nagios.Verdict{{Result: icmpcore.PingResult{Host: "h"}, Status: nagios.Unknown, Reason: reason}}, nagios.PerfdataNone)
	}
	if got, want := one(fits[3:]), before+"h: "+fits[3:]; got != want {
		t.Errorf("one host: %q, want %q", got, want)
	}
	if got, want := one(fits[2:]), before+"h: "+fits[:len(fits)-6]+"...\n"+before+"h: "+fits[2:]; got != want {
		t.Errorf("one host with a longer text: %q, want %q", got, want)
	}
	far := nagios.Judge(icmpcore.PingResult{Host: strings.Repeat("y", 80)}, usual, true)
	first, below, _ := strings.Cut(output([]nagios.Verdict{far, far}, nagios.PerfdataNone), "\n")
	short := strings.Repeat("y", 69) + "..."
	if want := before + "0 of 2 hosts ok, 2 unknown: " + short + "; " + short; first != want || !strings.HasPrefix(below, strings.Repeat("y", 80)+" UNKNOWN ") {
		t.Errorf("two hosts: %q, want %q", first, want)
	}
}

func TestQuorumAndSkipped(t *testing.T) {
	verdicts := judged([]string{"a", "b"}, 5)
	verdicts = append(verdicts, judged([]string{"c"}, 0)...)
	verdicts = append(verdicts, nagios.Skip(icmpcore.PingResult{Host: "d"}, usual))
	for need, want := range map[int]string{
		2: "PING OK - 2 of 4 hosts ok (2 needed), 1 critical, 1 not waited for: c CRITICAL loss 100% >= 60%\nc CRITICAL loss 100% >= 60%",
		3: "PING UNKNOWN - 2 of 4 hosts ok (3 needed), 1 critical, 1 not waited for: c CRITICAL loss 100% >= 60%\nc CRITICAL loss 100% >= 60%",
		4: "PING CRITICAL - 2 of 4 hosts ok (4 needed), 1 critical, 1 not waited for: c CRITICAL loss 100% >= 60%\nc CRITICAL loss 100% >= 60%",
	} {
		r := nagios.Report{Verdicts: verdicts, Need: need, Perfdata: nagios.PerfdataNone}
		if got := r.String(); got != want {
			t.Errorf("%d needed:\n got %s\nwant %s", need, got, want)
		}
	}
	if got, want := output(judged([]string{"a", "b"}, 5), nagios.PerfdataNone), "PING OK - 2 of 2 hosts ok"; got != want {
		t.Errorf("all well: %q, want %q", got, want)
	}
	early := judged([]string{"a"}, 5)
	early[0].Asked, early[0].Result.Sent, early[0].Result.Received = 5, 1, 1
	if got, want := output(early, nagios.PerfdataNone), "PING OK - a: rta 1.000 ms, loss 0%; certain after 1 of 5 echoes"; got != want {
		t.Errorf("ended early: %q, want %q", got, want)
	}
}

func TestVerbose(t *testing.T) {
	verdicts := judged([]string{"a", "b", "b"}, 5)
	verdicts[0].Result.Addr, verdicts[0].Result.TTL = netip.MustParseAddr("192.0.2.1"), 63
	verdicts[1] = nagios.Judge(result("b", 5, 0, 0, 0), usual, false)
	verdicts[2] = nagios.Judge(result("b", 1, 1, ms, 0), usual, false)
	r := nagios.Report{Verdicts: verdicts, Perfdata: nagios.PerfdataNone, Verbose: true}
	want := `PING CRITICAL - 2 of 3 hosts ok, 1 critical: b CRITICAL loss 100% >= 60%
b CRITICAL loss 100% >= 60%
a (192.0.2.1) OK: 5 of 5 echoes answered, rta 1.000 ms, rtmin 1.000 ms, rtmax 1.000 ms, jitter 1.000 ms, ttl 63
b CRITICAL: 0 of 5 echoes answered
b #2 OK: 1 of 1 echoes answered, rta 1.000 ms, rtmin 1.000 ms, rtmax 1.000 ms`
	if diff := cmp.Diff(want, r.String()); diff != "" {
		t.Errorf("output (-want +got)\n%s", diff)
	}
}

func TestManyHosts(t *testing.T) {
	verdicts := append(judged(many(997, "198.18.0.%d"), 5), judged(many(5, "198.18.9.%d"), 0)...)
	verdicts[998].Result.Loss = 90 // the sort looks at this
	got := output(verdicts, nagios.PerfdataMain)
	want := `PING CRITICAL - 997 of 1002 hosts ok, 5 critical: 198.18.9.0 CRITICAL loss 100% >= 60%; 198.18.9.2 CRITICAL loss 100% >= 60%; ` +
		`198.18.9.3 CRITICAL loss 100% >= 60%; and 2 more | hosts_ok=997;;;0;1002 hosts_warning=0;;;0;1002 hosts_critical=5;;;0;1002 hosts_unknown=0;;;0;1002
198.18.9.0 CRITICAL loss 100% >= 60%
198.18.9.2 CRITICAL loss 100% >= 60%
198.18.9.3 CRITICAL loss 100% >= 60%
198.18.9.4 CRITICAL loss 100% >= 60%
198.18.9.1 CRITICAL loss 100% >= 60%`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("output (-want +got)\n%s", diff)
	}
	dead := output(judged(many(1000, "198.18.0.%d"), 0), nagios.PerfdataMain)
	lines := strings.Split(dead, "\n")
	if last := lines[len(lines)-1]; last != fmt.Sprintf("and %d more", 1000-(len(lines)-2)) || len(dead) < 8<<10-100 {
		t.Errorf("%d lines, %d bytes, the last line %q", len(lines), len(dead), last)
	}
}

// Whether the hosts have performance data of their own does not depend on how
// long the values are.
func TestPerfdataComesForAllRunsOrNone(t *testing.T) {
	var counts []int
	for n := 1; n < 60; n++ {
		short, long := judged(many(n, "198.18.0.%d"), 5), judged(many(n, "198.18.0.%d"), 1)
		for i := range long {
			long[i].Result.Mean = time.Hour - time.Microsecond
		}
		a, b := len(labels(output(short, nagios.PerfdataMain))), len(labels(output(long, nagios.PerfdataMain)))
		if a != b {
			t.Errorf("%d hosts: %d labels with short values, %d with long ones", n, a, b)
		}
		counts = append(counts, a)
	}
	if counts[1] != 2 || counts[19] != 20 || counts[58] != 0 {
		t.Errorf("labels of 1 to 59 hosts: %v", counts)
	}
}

func TestPerfdataText(t *testing.T) {
	for _, want := range []nagios.Perfdata{nagios.PerfdataMain, nagios.PerfdataNone, nagios.PerfdataAll} {
		got := nagios.Perfdata(-1)
		if err := got.UnmarshalText([]byte(want.String())); err != nil || got != want {
			t.Errorf("UnmarshalText(%v) = %v, %v", want, got, err)
		}
	}
	var p nagios.Perfdata
	if err := p.UnmarshalText([]byte("some")); err == nil || err.Error() != "want main, none, all" {
		t.Errorf("UnmarshalText(some) = %v", err)
	}
}

// TestPathStandsBelow: what a trace shows changes nothing of the first line, and neither
// ends its line nor begins performance data.
func TestPathStandsBelow(t *testing.T) {
	hostile := "nothing answers beyond hop 6, fe80::1%a|b\n\x1b[2Jrta=0ms;;;0 \u202e" + strings.Repeat("ü", 500)
	for _, hosts := range [][]string{{"a"}, {"a", "b"}, many(1000, "198.18.0.%d")} {
		for _, which := range []nagios.Perfdata{nagios.PerfdataMain, nagios.PerfdataNone, nagios.PerfdataAll} {
			verdicts := judged(hosts, 0)
			before, _, _ := strings.Cut(output(verdicts, which), "\n")
			for i := range verdicts {
				if !verdicts[i].Lossy() {
					t.Fatalf("%+v is not for its loss", verdicts[i])
				}
				verdicts[i].Path = hostile
			}
			out := output(verdicts, which)
			first, below, _ := strings.Cut(out, "\n")
			if first != before {
				t.Errorf("%d hosts: the first line is\n%s\nwithout a path\n%s", len(hosts), first, before)
			}
			if len(below) > 8<<10 || which != nagios.PerfdataAll && len(out) >= 8<<10 || !utf8.ValidString(out) {
				t.Errorf("%d hosts: %d bytes", len(hosts), len(out))
			}
			if strings.ContainsAny(below, "|\x1b\u202e") || !strings.Contains(below, "path: nothing answers beyond hop 6, fe80::1%a/b  [2Jrta=0ms") {
				t.Errorf("%d hosts: below it\n%q", len(hosts), below)
			}
			for line := range strings.Lines(below) {
				if len(line) > 240+400+20 {
					t.Errorf("a line of %d bytes", len(line))
				}
			}
		}
	}
	if v := nagios.Judge(result("a", 5, 5, time.Second, ms), usual, false); v.Lossy() || v.Status == nagios.OK {
		t.Errorf("slow, and %v", v.Status)
	}
	if v := nagios.Skip(result("a", 5, 0, ms, ms), usual); v.Lossy() {
		t.Error("a host that was not waited for is lossy")
	}
}
