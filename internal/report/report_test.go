package report_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/report"
)

const us = time.Microsecond

// good is a series without a fault.
func good() *icmpcore.PingResult {
	return &icmpcore.PingResult{
		Host: "192.0.2.1", Addr: netip.MustParseAddr("192.0.2.1"), Sent: 4, Received: 4,
		Min: 1200 * us, Max: 9800 * us, Mean: 4500 * us, Median: 4400 * us, Jitter: 784 * us,
		P50: 4400 * us, P90: 5500 * us, P95: 5860 * us, P99: 6100 * us, IPDV: 512 * us, IPDVPairs: 3,
		TTL: 57, Hops: 8, OSGuess: "Linux/Unix/BSD/macOS/Android",
		Timestamps: icmpcore.TimestampsKernel, Socket: icmpcore.SocketRaw,
	}
}

// mixed is a series in which everything happened, to a host with a name.
func mixed() *icmpcore.PingResult {
	r := good()
	r.Host, r.Sent, r.Received, r.Loss = "host.example", 1500, 1497, 0.2
	r.Duplicates, r.Late, r.Reordered, r.Corrupt, r.ReplyDSCP = 2, 1, 3, 4, 46
	router := netip.MustParseAddr("192.0.2.254")
	r.Errors = []icmpcore.EchoError{
		{Seq: 3, Kind: icmpcore.DestinationUnreachable, Code: 1, Message: "host unreachable", From: router},
		{Seq: 5, Kind: icmpcore.PacketTooBig, Code: 4, MTU: 1400, Message: "fragmentation needed and DF set, MTU 1400", From: router},
		{Seq: 9, Kind: icmpcore.DestinationUnreachable, Code: 1, Message: "host unreachable", From: router},
	}
	return r
}

// dead is a series without any reply.
func dead(errs ...icmpcore.EchoError) *icmpcore.PingResult {
	return &icmpcore.PingResult{Host: "192.0.2.9", Addr: netip.MustParseAddr("192.0.2.9"), Sent: 4, Loss: 100, Errors: errs}
}

// nameless could not be pinged.
func nameless() *icmpcore.PingResult {
	return &icmpcore.PingResult{Host: "no.such", Err: &icmpcore.ResolveError{Host: "no.such",
		Err: &net.DNSError{Err: "no such host", Name: "no.such", Server: "192.0.2.53:53", IsNotFound: true}}}
}

func TestBlock(t *testing.T) {
	one := good()
	one.Sent, one.Received = 1, 1
	two := good()
	two.Sent, two.Received, two.TTL = 2, 2, 0
	cut, slow := dead(), dead()
	cut.Corrupt, slow.Late = 2, 1
	expired := icmpcore.EchoError{Seq: 1, Kind: icmpcore.TimeExceeded, Message: "TTL exceeded in transit", From: netip.MustParseAddr("192.0.2.254")}
	refused := &icmpcore.PingResult{Host: "192.0.2.1", Err: &icmpcore.SendError{Addr: netip.MustParseAddr("192.0.2.1"), Err: os.NewSyscallError("sendmmsg", os.ErrPermission)}}
	scattered := good() // no two replies in sequence, no TTL from the system, an error without a sender
	scattered.Sent, scattered.Received, scattered.Loss, scattered.IPDVPairs, scattered.TTL, scattered.Hops = 4, 2, 50, 0, 0, 0
	scattered.Errors = []icmpcore.EchoError{{Seq: 2, Kind: icmpcore.DestinationUnreachable, Message: "no route"}}
	near := good()
	near.TTL, near.Hops, near.ReplyDSCP = 63, 1, 3
	stalled := dead()
	stalled.Err = errors.New("send buffer full")
	tests := []struct {
		name   string
		result *icmpcore.PingResult
		want   string
	}{
		{"what is not known is not shown", scattered, `192.0.2.1: 2 of 4 answered, 50% loss
  packets      4 sent, 2 received, 2 lost, 1 error
  rtt          min 1.200  avg 4.500  max 9.800  median 4.400  jitter 0.784 ms
  percentiles  p50 4.400  p90 5.500  p95 5.860  p99 6.100 ms
  timestamps   kernel, raw socket
  error        1 x no route
`},
		{"one hop, and a code point without a name", near, `192.0.2.1: 4 of 4 answered, 0% loss
  packets      4 sent, 4 received
  rtt          min 1.200  avg 4.500  max 9.800  median 4.400  jitter 0.784 ms
  percentiles  p50 4.400  p90 5.500  p95 5.860  p99 6.100 ms
  ipdv         0.512 ms
  ttl          63, 1 hop, probably Linux/Unix/BSD/macOS/Android
  reply dscp   3
  timestamps   kernel, raw socket
`},
		{"silence, and why", stalled, `192.0.2.9: 0 of 4 answered, 100% loss
  packets      4 sent, 0 received, 4 lost
  No replies received. Reason: send buffer full
`},
		{"good", good(), `192.0.2.1: 4 of 4 answered, 0% loss
  packets      4 sent, 4 received
  rtt          min 1.200  avg 4.500  max 9.800  median 4.400  jitter 0.784 ms
  percentiles  p50 4.400  p90 5.500  p95 5.860  p99 6.100 ms
  ipdv         0.512 ms
  ttl          57, 8 hops, probably Linux/Unix/BSD/macOS/Android
  timestamps   kernel, raw socket
`},
		{"one reply has no jitter, no percentiles and no ipdv", one, `192.0.2.1: 1 of 1 answered, 0% loss
  packets      1 sent, 1 received
  rtt          min 1.200  avg 4.500  max 9.800  median 4.400 ms
  ttl          57, 8 hops, probably Linux/Unix/BSD/macOS/Android
  timestamps   kernel, raw socket
`},
		{"two replies, from a system that does not tell the TTL", two, `192.0.2.1: 2 of 2 answered, 0% loss
  packets      2 sent, 2 received
  rtt          min 1.200  avg 4.500  max 9.800  median 4.400  jitter 0.784 ms
  percentiles  p50 4.400  p90 5.500  p95 5.860  p99 6.100 ms
  ipdv         0.512 ms
  timestamps   kernel, raw socket
`},
		{"mixed", mixed(), `host.example (192.0.2.1): 1497 of 1500 answered, 0.2% loss
  packets      1500 sent, 1497 received, 3 lost, 3 errors, 2 duplicates, 1 late, 3 reordered, 4 corrupt
  rtt          min 1.200  avg 4.500  max 9.800  median 4.400  jitter 0.784 ms
  percentiles  p50 4.400  p90 5.500  p95 5.860  p99 6.100 ms
  ipdv         0.512 ms
  ttl          57, 8 hops, probably Linux/Unix/BSD/macOS/Android
  reply dscp   46 (EF)
  timestamps   kernel, raw socket
  error        2 x host unreachable, reported by 192.0.2.254
  error        1 x fragmentation needed and DF set, MTU 1400, reported by 192.0.2.254
`},
		{"silence", dead(), `192.0.2.9: 0 of 4 answered, 100% loss
  packets      4 sent, 0 received, 4 lost
  No replies received.
`},
		{"corrupt", cut, `192.0.2.9: 0 of 4 answered, 100% loss
  packets      4 sent, 0 received, 4 lost, 2 corrupt
  No replies received. Reason: 2 corrupt replies
`},
		{"late", slow, `192.0.2.9: 0 of 4 answered, 100% loss
  packets      4 sent, 0 received, 4 lost, 1 late
  No replies received. Reason: 1 late reply
`},
		{"expired", dead(expired), `192.0.2.9: 0 of 4 answered, 100% loss
  packets      4 sent, 0 received, 4 lost, 1 error
  No replies received. Reason: TTL exceeded in transit, reported by 192.0.2.254
  error        1 x TTL exceeded in transit, reported by 192.0.2.254
`},
		{"no such name", nameless(), "no.such: name not resolved: no such host\n"},
		{"not allowed", refused, "192.0.2.1: not sent: sendmmsg: permission denied\n"},
		{"interrupted at once", &icmpcore.PingResult{Host: "192.0.2.1"}, "192.0.2.1: ended before the first outcome\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, string(report.AppendBlock(nil, tt.result, report.Style{}))); diff != "" {
				t.Errorf("AppendBlock (-want +got)\n%s", diff)
			}
		})
	}
}

// table lays results out.
func table(s report.Style, hostWidth int, results ...*icmpcore.PingResult) string {
	t := report.NewTable(s, hostWidth)
	b := t.AppendHeader(nil)
	for _, r := range results {
		b = t.AppendRow(b, r)
	}
	return string(b)
}

// various are rows of each kind.
func various() []*icmpcore.PingResult {
	interrupted := &icmpcore.PingResult{Host: "192.0.2.3"}
	once, twice, cut, refused := good(), good(), dead(), dead(icmpcore.EchoError{
		Kind: icmpcore.SendFailed, Message: "operation not permitted", Err: &icmpcore.SendError{Err: os.ErrPermission}})
	twice.Sent, twice.Received, twice.TTL = 2, 2, 0 // a system that does not tell the TTL
	once.Sent, once.Received, once.Jitter = 1, 1, 0
	cut.Corrupt = 2
	return []*icmpcore.PingResult{good(), mixed(), dead(), nameless(), interrupted, once, twice, cut, refused}
}

func TestTable(t *testing.T) {
	want := `host          sent  recv   loss   min ms   avg ms   max ms   p95 ms jitter ms  ttl hops
192.0.2.1        4     4     0%    1.200    4.500    9.800    5.860     0.784   57    8
host.example (192.0.2.1)  1500  1497   0.2%    1.200    4.500    9.800    5.860     0.784   57    8  3 errors, 2 duplicates, 1 late, 3 reordered, 4 corrupt
192.0.2.9        4     0   100%  no replies
no.such          -     -      -  name not resolved: no such host
192.0.2.3        -     -      -  ended before the first outcome
192.0.2.1        1     1     0%    1.200    4.500    9.800    5.860         -   57    8
192.0.2.1        2     2     0%    1.200    4.500    9.800    5.860     0.784    -    -
192.0.2.9        4     0   100%  no replies, 2 corrupt
192.0.2.9        4     0   100%  not sent: permission denied
`
	if diff := cmp.Diff(want, table(report.Style{}, 12, various()...)); diff != "" {
		t.Errorf("table (-want +got)\n%s", diff)
	}
	want = `host                        sent  recv   loss   min ms   avg ms
192.0.2.1                      4     4     0%    1.200    4.500
host.example (192.0.2.1)    1500  1497   0.2%    1.200    4.500
  3 errors, 2 duplicates, 1 late, 3 reordered, 4 corrupt
192.0.2.9                      4     0   100%  no replies
no.such                        -     -      -
  name not resolved: no such host
192.0.2.3                      -     -      -
  ended before the first outcome
192.0.2.1                      1     1     0%    1.200    4.500
192.0.2.1                      2     2     0%    1.200    4.500
192.0.2.9                      4     0   100%
  no replies, 2 corrupt
192.0.2.9                      4     0   100%
  not sent: permission denied
`
	if diff := cmp.Diff(want, table(report.Style{Width: 64}, 26, various()...)); diff != "" {
		t.Errorf("table on 64 columns (-want +got)\n%s", diff)
	}
}

func TestLost(t *testing.T) {
	router := netip.MustParseAddr("192.0.2.254")
	unreachable := icmpcore.EchoError{Kind: icmpcore.DestinationUnreachable, Code: 1, Message: "host unreachable", From: router}
	refused := icmpcore.EchoError{Kind: icmpcore.SendFailed, Message: "operation not permitted"}
	for _, tt := range []struct {
		received, corrupt, late int
		errs                    []icmpcore.EchoError
		want                    string
	}{
		{0, 0, 0, nil, ""},
		{0, 1, 0, nil, "1 corrupt reply"},
		{2, 2, 1, nil, "2 corrupt replies, 1 late reply"},
		{1, 0, 3, nil, "3 late replies"},
		{3, 0, 0, []icmpcore.EchoError{unreachable}, "host unreachable, reported by 192.0.2.254"},
		{2, 0, 0, []icmpcore.EchoError{unreachable}, "1 x host unreachable, reported by 192.0.2.254"},
		{0, 1, 0, []icmpcore.EchoError{unreachable, refused, refused}, "2 x operation not permitted, 1 corrupt reply"},
		{2, 0, 0, []icmpcore.EchoError{unreachable, refused}, "1 x host unreachable, reported by 192.0.2.254"},
	} {
		r := &icmpcore.PingResult{Sent: 4, Received: tt.received, Corrupt: tt.corrupt, Late: tt.late, Errors: tt.errs}
		if got := report.Lost(r); got != tt.want {
			t.Errorf("Lost(%d of 4 received, %d corrupt, %d late, %v) = %q, want %q", tt.received, tt.corrupt, tt.late, tt.errs, got, tt.want)
		}
	}
}

func TestRowNotes(t *testing.T) {
	one := good()
	one.Duplicates, one.TTL = 1, 0
	one.Errors = []icmpcore.EchoError{{Seq: 1, Kind: icmpcore.ParameterProblem, Message: "bad header"}}
	two := good()
	two.Duplicates, two.Errors = 2, append(one.Errors, one.Errors...)
	expired := dead(icmpcore.EchoError{Seq: 1, Kind: icmpcore.TimeExceeded, Message: "TTL exceeded in transit"})
	for _, tt := range []struct {
		name   string
		result *icmpcore.PingResult
		want   string
	}{
		{"one of each, and no TTL", one, "    -    -  1 error, 1 duplicate\n"},
		{"two of each", two, "   57    8  2 errors, 2 duplicates\n"},
		{"the reason for silence", expired, "   100%  TTL exceeded in transit\n"},
	} {
		if got := string(report.NewTable(report.Style{}, 20).AppendRow(nil, tt.result)); !strings.HasSuffix(got, tt.want) {
			t.Errorf("%s: row %q, want it to end in %q", tt.name, got, tt.want)
		}
	}
}

func TestTotalsColour(t *testing.T) {
	for escape, results := range map[string][]*icmpcore.PingResult{
		"\x1b[32m": {good(), good()}, "\x1b[33m": {good(), dead()}, "\x1b[31m": {dead(), nameless()},
	} {
		var totals report.Totals
		for _, r := range results {
			totals.Add(r)
		}
		if got := string(totals.Append(nil, time.Second, report.Style{Colour: true})); !strings.HasPrefix(got, escape) {
			t.Errorf("totals %q, want them to begin with %q", got, escape)
		}
	}
}

// row is a row of a table as a function like the others.
func row(b []byte, r *icmpcore.PingResult, s report.Style) []byte {
	return report.NewTable(s, 24).AppendRow(b, r)
}

func TestColourTellsTheVerdict(t *testing.T) {
	partial := good()
	partial.Received = 3
	for _, tt := range []struct {
		name, escape string
		result       *icmpcore.PingResult
	}{
		{"all answered", "\x1b[32m", good()}, {"some", "\x1b[33m", partial}, {"none", "\x1b[31m", dead()}, {"unable", "\x1b[31m", nameless()},
	} {
		for form, write := range map[string]func([]byte, *icmpcore.PingResult, report.Style) []byte{"block": report.AppendBlock, "row": row} {
			coloured := string(write(nil, tt.result, report.Style{Colour: true}))
			if !strings.Contains(coloured, tt.escape) || strings.Count(coloured, "\x1b") != 2 {
				t.Errorf("%s, %s = %q, want it in %q and back", tt.name, form, coloured, tt.escape)
			}
			if plain := string(write(nil, tt.result, report.Style{})); strings.Contains(plain, "\x1b") {
				t.Errorf("%s, %s without colour = %q", tt.name, form, plain)
			}
		}
	}
}

func TestEcho(t *testing.T) {
	addr, router := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.254")
	echo := func(o icmpcore.Outcome) icmpcore.Echo {
		return icmpcore.Echo{Host: "host.example", Addr: addr, Seq: 7, Outcome: o}
	}
	reply := echo(icmpcore.OutcomeReply)
	reply.From, reply.RTT, reply.TTL = addr, 1234567*time.Nanosecond, 57
	marked, duplicate, late := reply, reply, reply
	marked.DSCP = 46
	duplicate.Outcome, late.Outcome = icmpcore.OutcomeDuplicate, icmpcore.OutcomeLate
	failed := echo(icmpcore.OutcomeError)
	failed.Err = &icmpcore.EchoError{Kind: icmpcore.DestinationUnreachable, Code: 1, Message: "host unreachable", From: router}
	corrupt := echo(icmpcore.OutcomeCorrupt)
	corrupt.From = addr
	refused := echo(icmpcore.OutcomeError)
	refused.Err = &icmpcore.EchoError{Kind: icmpcore.SendFailed, Err: &icmpcore.SendError{Addr: addr, Err: os.NewSyscallError("sendmmsg", os.ErrPermission)}}
	plain := reply // the address says nothing new
	plain.Host = addr.String()
	bare := echo(icmpcore.OutcomeReply)
	bare.From, bare.RTT, bare.DSCP = addr, time.Millisecond, 3
	tests := []struct {
		echo icmpcore.Echo
		want string
	}{
		{reply, "host.example: seq=7 reply from 192.0.2.1 ttl=57 time=1.235 ms\n"},
		{marked, "host.example: seq=7 reply from 192.0.2.1 ttl=57 time=1.235 ms dscp=46 (EF)\n"},
		{duplicate, "host.example: seq=7 duplicate from 192.0.2.1 ttl=57 time=1.235 ms\n"},
		{late, "host.example: seq=7 late from 192.0.2.1 ttl=57 time=1.235 ms\n"},
		{corrupt, "host.example: seq=7 corrupt from 192.0.2.1\n"},
		{echo(icmpcore.OutcomeCorrupt), "host.example: seq=7 corrupt\n"},
		{bare, "host.example: seq=7 reply from 192.0.2.1 time=1.000 ms dscp=3\n"},
		{plain, "192.0.2.1: seq=7 reply ttl=57 time=1.235 ms\n"},
		{refused, "host.example: seq=7 error not sent: sendmmsg: permission denied\n"},
		{failed, "host.example: seq=7 error host unreachable, reported by 192.0.2.254\n"},
		{echo(icmpcore.OutcomeTimeout), "host.example: seq=7 timeout\n"},
	}
	for _, tt := range tests {
		if got := string(report.AppendEcho(nil, &tt.echo, report.Style{})); got != tt.want {
			t.Errorf("AppendEcho(%v) = %q, want %q", tt.echo.Outcome, got, tt.want)
		}
	}
}

func TestEchoTimes(t *testing.T) {
	e := icmpcore.Echo{Host: "192.0.2.1", Seq: 1, Outcome: icmpcore.OutcomeTimeout, Time: time.Date(2026, 11, 7, 9, 8, 7, 65400, time.FixedZone("", 3600))}
	if got, want := string(report.AppendEcho(nil, &e, report.Style{Times: true})), "2026-11-07T09:08:07.000065+01:00 192.0.2.1: seq=1 timeout\n"; got != want {
		t.Errorf("AppendEcho = %q, want %q", got, want)
	}
}

func TestTotals(t *testing.T) {
	one := good()
	one.Sent, one.Received = 1, 1
	tests := []struct {
		name    string
		results []*icmpcore.PingResult
		want    string
	}{
		{"all", []*icmpcore.PingResult{good(), good()}, "2 hosts: 2 answered; 8 of 8 echoes, 0% loss, 1.5 s\n"},
		{"some", []*icmpcore.PingResult{good(), dead(), nameless()}, "3 hosts: 1 answered, 1 did not, 1 could not be pinged; 4 of 8 echoes, 50% loss, 1.5 s\n"},
		{"one of each", []*icmpcore.PingResult{one}, "1 host: 1 answered; 1 of 1 echo, 0% loss, 1.5 s\n"},
		{"none", []*icmpcore.PingResult{nameless()}, "1 host: 0 answered, 1 could not be pinged; 0 of 0 echoes, 1.5 s\n"},
	}
	for _, tt := range tests {
		var totals report.Totals
		for _, r := range tt.results {
			totals.Add(r)
		}
		if got := string(totals.Append(nil, 1500*time.Millisecond, report.Style{})); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestTrouble(t *testing.T) {
	doubled, cut := good(), good()
	doubled.Duplicates = 1
	cut.Err = context.Canceled
	lossy, refused, broken := good(), good(), good()
	lossy.Received, broken.Corrupt = 3, 1
	refused.Errors = []icmpcore.EchoError{{Seq: 1, Kind: icmpcore.ParameterProblem}}
	for name, tt := range map[string]struct {
		result *icmpcore.PingResult
		want   bool
	}{
		"good": {good(), false}, "mixed": {mixed(), true}, "dead": {dead(), true}, "nameless": {nameless(), true},
		"duplicates": {doubled, true}, "cut short": {cut, true},
		"one lost": {lossy, true}, "an error": {refused, true}, "corrupt": {broken, true},
	} {
		if got := report.Trouble(tt.result); got != tt.want {
			t.Errorf("Trouble(%s) = %v, want %v", name, got, tt.want)
		}
	}
}

func TestNothingFromOutsideReachesTheTerminal(t *testing.T) {
	evil := "a\x1b]0;owned\x07\u009b31m\r\n\u202eb"
	r := dead(icmpcore.EchoError{Seq: 1, Kind: icmpcore.DestinationUnreachable, Message: evil})
	r.Host = evil
	broken := &icmpcore.PingResult{Host: evil, Err: errors.New(evil)}
	echo := &icmpcore.Echo{Host: evil, Outcome: icmpcore.OutcomeError, Err: errors.New(evil)}
	for name, text := range map[string][]byte{
		"block": report.AppendBlock(nil, r, report.Style{}), "row": row(nil, r, report.Style{}),
		"broken block": report.AppendBlock(nil, broken, report.Style{}), "broken row": row(nil, broken, report.Style{}),
		"echo": report.AppendEcho(nil, echo, report.Style{}),
	} {
		for _, c := range string(text) {
			if c != '\n' && !unicode.IsPrint(c) {
				t.Errorf("%s = %q, with %q in it", name, text, c)
				break
			}
		}
	}
}

func TestNearlyIsNotQuite(t *testing.T) {
	r := good()
	r.Sent, r.Received, r.Loss = 100000, 99999, 0.001
	if got := string(report.AppendBlock(nil, r, report.Style{})); !strings.Contains(got, " <0.1% loss") {
		t.Errorf("1 of 100,000 lost reads %q", got)
	}
	for loss, want := range map[float64]string{0.1: " 0.1% loss", 99.9: " 99.9% loss", 50: " 50% loss"} {
		r.Loss = loss
		if got := string(report.AppendBlock(nil, r, report.Style{})); !strings.Contains(got, want) {
			t.Errorf("a loss of %v reads %q, want%s", loss, got, want)
		}
	}
	r.Received, r.Loss = 1, 99.999
	if got := string(report.AppendBlock(nil, r, report.Style{})); !strings.Contains(got, " >99.9% loss") {
		t.Errorf("99,999 of 100,000 lost reads %q", got)
	}
}

func TestCleanLeavesWhatIsClean(t *testing.T) {
	for _, s := range []string{"", "host.example", `DOM\host`, `"quoted"`, "münchen.test"} {
		if got := report.Clean(s); got != s {
			t.Errorf("Clean(%q) = %q, want it as it is", s, got)
		}
	}
}

func FuzzClean(f *testing.F) {
	for _, s := range []string{"host", `"q"`, "\x1b[31m", "\xff", "fe80::1%eth0", `back\slash`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		clean := report.Clean(s)
		for _, c := range clean {
			if !unicode.IsPrint(c) {
				t.Fatalf("Clean(%q) = %q, with %q in it", s, clean, c)
			}
		}
	})
}
