package report_test

import (
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/clipperhouse/displaywidth"
	"github.com/google/go-cmp/cmp"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/report"
)

// wideHosts are hosts that are hard to fit on a terminal.
var wideHosts = map[string]string{
	"192.0.2.1":                                                          "192.0.2.1",
	"2001:db8:1234:5678:9abc:def0:1234:5678":                             "2001:db8:1234:5678:9abc:def0:1234:5678",
	"router-17.rack-4.row-9.datacentre.example.net":                      "2001:db8:1234:5678:9abc:def0:1234:5678",
	strings.Repeat("long-label-", 5) + ".example.net":                    "192.0.2.1",
	strings.Repeat("x", 63) + "." + strings.Repeat("y", 63) + ".example": "192.0.2.1",
	"例え.テスト.example":                                                     "192.0.2.1",
	"ไทย.example":                                                        "192.0.2.1", // with characters that combine
	"fe80::1234:5678:9abc:def0%enp0s31f6":                                "fe80::1234:5678:9abc:def0%enp0s31f6",
}

func events(host, addr string) []icmpcore.Echo {
	var list []icmpcore.Echo
	a := netip.MustParseAddr(addr)
	router := netip.MustParseAddr("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff")
	for i, o := range []icmpcore.Outcome{
		icmpcore.OutcomeReply, icmpcore.OutcomeTimeout, icmpcore.OutcomeError, icmpcore.OutcomeDuplicate, icmpcore.OutcomeLate, icmpcore.OutcomeCorrupt,
	} {
		e := icmpcore.Echo{Host: host, Addr: a, Seq: 1000000 + i, Outcome: o, From: a, RTT: 59 * time.Minute, TTL: 255, DSCP: 46}
		if o == icmpcore.OutcomeError {
			e.Err = &icmpcore.EchoError{Kind: icmpcore.DestinationUnreachable, Code: 13, Message: "communication administratively prohibited", From: router}
		}
		list = append(list, e)
	}
	return list
}

// TestNothingIsWiderThanTheTerminal writes everything for terminals of many
// widths, with colours and without.
func TestNothingIsWiderThanTheTerminal(t *testing.T) {
	escapes := regexp.MustCompile("\x1b\\[[0-9;]*m")
	for host, addr := range wideHosts {
		result := mixed()
		result.Host, result.Addr = host, netip.MustParseAddr(addr)
		result.Sent, result.Received, result.Min, result.Max = 100000000, 99999999, time.Hour, time.Hour
		silent := dead(result.Errors...)
		silent.Host, silent.Addr = result.Host, result.Addr
		unknown := nameless()
		unknown.Host = host
		var totals report.Totals
		figures := report.NewFigures(host)
		for _, e := range events(host, addr) {
			figures.Add(&e)
		}
		for _, r := range []*icmpcore.PingResult{result, silent, unknown} {
			totals.Add(r)
		}
		for width := 12; width <= 130; width += 3 {
			for _, colour := range []bool{false, true} {
				s := report.Style{Width: width, Colour: colour, Times: width%2 == 0}
				hostWidth := report.LabelWidth(host, result.Addr)
				table := report.NewTable(s, hostWidth)
				b := table.AppendHeader(nil)
				for _, r := range []*icmpcore.PingResult{result, silent, unknown} {
					b = table.AppendRow(b, r)
					b = report.AppendBlock(b, r, s)
				}
				b = report.NewTable(s, 9).AppendRow(b, result) // a host that came later
				b = totals.Append(b, time.Hour, s)
				for _, e := range events(host, addr) {
					b = report.AppendEcho(b, &e, s)
				}
				b = figures.AppendLine(b, time.Now(), s)
				b = append(report.AppendFrame(b, []*report.Figures{figures, figures, figures}, 4, time.Hour, s), '\n')
				b = (&report.Progress{Hosts: 1 << 40, Count: 10, AllRead: true, Sent: 1 << 40, Lost: 1, Elapsed: time.Hour}).Append(b, s)
				for line := range strings.Lines(string(b)) {
					line = escapes.ReplaceAllString(strings.TrimSuffix(line, "\n"), "")
					if got := displaywidth.String(line); got > width {
						t.Fatalf("%d columns on a terminal of %d: %q", got, width, line)
					}
				}
			}
		}
	}
}

// TestFoldingKeepsTheText: nothing but blanks is lost where lines are broken.
func TestFoldingKeepsTheText(t *testing.T) {
	words := func(s string) string { return strings.Join(strings.Fields(s), "") }
	for width := 20; width < 100; width++ {
		s := report.Style{Width: width}
		if got, want := string(report.AppendBlock(nil, mixed(), s)), string(report.AppendBlock(nil, mixed(), report.Style{})); words(got) != words(want) {
			t.Fatalf("on %d columns\n%s", width, got)
		}
	}
	want := `host.example (192.0.2.1): 1497 of 1500
  answered, 0.2% loss
  packets      1500 sent, 1497 received,
               3 lost, 3 errors, 2
               duplicates, 1 late, 3
               reordered, 4 corrupt
  rtt          min 1.200  avg 4.500
               max 9.800  median 4.400
               jitter 0.784 ms
`
	if got := string(report.AppendBlock(nil, mixed(), report.Style{Width: 40})); !strings.HasPrefix(got, want) {
		t.Errorf("on 40 columns\n%swant\n%s", got, want)
	}
}

func TestWideCharactersAreAligned(t *testing.T) {
	wide, narrow := good(), good()
	wide.Host, narrow.Host = "例え.test", "host.example"
	want := `host                        sent  recv   loss   min ms   avg ms   max ms   p95 ms
例え.test (192.0.2.1)          4     4     0%    1.200    4.500    9.800    5.860
host.example (192.0.2.1)       4     4     0%    1.200    4.500    9.800    5.860
`
	if diff := cmp.Diff(want, table(report.Style{Width: 84}, 26, wide, narrow)); diff != "" {
		t.Errorf("table (-want +got)\n%s", diff)
	}
	if got := report.LabelWidth("例え.test", netip.Addr{}); got != 9 {
		t.Errorf("LabelWidth = %d, want 9", got)
	}
}

// TestLongNames: a name loses its address, then its end, before its counts go.
func TestLongNames(t *testing.T) {
	long := good()
	long.Host = "router-17.rack-4.row-9.example.net"
	for width, want := range map[int]string{
		70: "router-17.rack-4.row-9.example.net (192.0.2.1)     4     4     0%\n",
		60: "router-17.rack-4.row-9.example.net            4     4     0%\n",
		40: "router-17.rack-4.r...     4     4     0%\n",
	} {
		_, got, _ := strings.Cut(table(report.Style{Width: width}, 46, long), "\n")
		if got != want {
			t.Errorf("on %d columns %q, want %q", width, got, want)
		}
	}
}
