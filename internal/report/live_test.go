package report_test

import (
	"math"
	"math/rand/v2"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/report"
)

// figuresOf are those of a host with some events.
func figuresOf(host string, list ...icmpcore.Echo) *report.Figures {
	f := report.NewFigures(host)
	for i, e := range list {
		if e.Seq == 0 {
			e.Seq = i + 1
		}
		e.Addr = netip.MustParseAddr("192.0.2.1")
		f.Add(&e)
	}
	return f
}

var (
	unreachable = &icmpcore.EchoError{Kind: icmpcore.DestinationUnreachable, Code: 1, Message: "host unreachable", From: netip.MustParseAddr("192.0.2.254")}
	refused     = &icmpcore.EchoError{Kind: icmpcore.SendFailed, Message: "permission denied", Err: &icmpcore.SendError{Err: os.ErrPermission}}
)

func replied(rtt time.Duration) icmpcore.Echo { return icmpcore.Echo{RTT: rtt} }

func outcome(o icmpcore.Outcome) icmpcore.Echo { return icmpcore.Echo{Outcome: o} }

func failed(seq int, err error) icmpcore.Echo {
	return icmpcore.Echo{Seq: seq, Outcome: icmpcore.OutcomeError, Err: err}
}

func TestFiguresLine(t *testing.T) {
	lost := outcome(icmpcore.OutcomeTimeout)
	disproved := replied(time.Millisecond)
	disproved.Seq = 7
	for _, tt := range []struct {
		name string
		f    *report.Figures
		want string
	}{
		{"nothing yet", report.NewFigures("host.example"), "host.example: 0 sent, 0 received\n"},
		{"replies", figuresOf("host.example", replied(time.Millisecond), replied(3*time.Millisecond), replied(2*time.Millisecond)),
			"host.example (192.0.2.1): 3 sent, 3 received, 0% loss, min 1.000 avg 2.000 max 3.000 last 2.000 ms\n"},
		{"the last one is lost", figuresOf("192.0.2.1", replied(time.Millisecond), lost),
			"192.0.2.1: 2 sent, 1 received, 50% loss, min 1.000 avg 1.000 max 1.000 ms, last one lost\n"},
		{"silence", figuresOf("192.0.2.1", lost, lost), "192.0.2.1: 2 sent, 0 received, 100% loss, last one lost\n"},
		{"what else comes", figuresOf("192.0.2.1", replied(time.Millisecond), outcome(icmpcore.OutcomeDuplicate), outcome(icmpcore.OutcomeLate), outcome(icmpcore.OutcomeLate), outcome(icmpcore.OutcomeCorrupt)),
			"192.0.2.1: 1 sent, 1 received, 0% loss, min 1.000 avg 1.000 max 1.000 last 1.000 ms, 1 duplicate, 2 late, 1 corrupt\n"},
		{"an error", figuresOf("192.0.2.1", failed(1, unreachable)),
			"192.0.2.1: 1 sent, 0 received, 100% loss, last one lost, 1 error: host unreachable, reported by 192.0.2.254\n"},
		{"not sent", figuresOf("192.0.2.1", failed(1, refused), failed(2, refused)),
			"192.0.2.1: 0 sent, 0 received, 2 errors: not sent: permission denied\n"},
		{"errors disproved by a reply", figuresOf("192.0.2.1", failed(7, unreachable), disproved),
			"192.0.2.1: 1 sent, 1 received, 0% loss, min 1.000 avg 1.000 max 1.000 last 1.000 ms\n"},
		{"a refusal disproved by a reply", figuresOf("192.0.2.1", failed(7, refused), disproved),
			"192.0.2.1: 1 sent, 1 received, 0% loss, min 1.000 avg 1.000 max 1.000 last 1.000 ms\n"},
	} {
		if got := string(tt.f.AppendLine(nil, time.Time{}, report.Style{})); got != tt.want {
			t.Errorf("%s: %q\nwant %q", tt.name, got, tt.want)
		}
	}
	at := time.Date(2026, 11, 7, 9, 8, 7, 0, time.UTC)
	if got := string(report.NewFigures("h").AppendLine(nil, at, report.Style{Times: true})); got != "2026-11-07T09:08:07.000000Z h: 0 sent, 0 received\n" {
		t.Errorf("with the time %q", got)
	}
}

// TestFiguresAgreeWithTheResult compares the figures so far with the statistics
// of all round-trip times.
func TestFiguresAgreeWithTheResult(t *testing.T) {
	f := report.NewFigures("h")
	var sum, squares float64
	const n = 10000
	rtts := make([]float64, n)
	for i := range n {
		rtt := time.Duration(rand.ExpFloat64() * 1e7)
		f.Add(&icmpcore.Echo{Seq: i + 1, RTT: rtt})
		rtts[i] = float64(rtt)
		sum += float64(rtt)
	}
	for _, rtt := range rtts {
		squares += (rtt - sum/n) * (rtt - sum/n)
	}
	near := func(got time.Duration, want float64) bool { return math.Abs(float64(got)-want) <= 1 }
	if !near(f.Mean(), sum/n) || !near(f.Jitter(), math.Sqrt(squares/(n-1))) || f.Loss() != 0 {
		t.Errorf("mean %v, jitter %v, want %v, %v", f.Mean(), f.Jitter(), time.Duration(sum/n), time.Duration(math.Sqrt(squares/(n-1))))
	}
	if one := figuresOf("h", replied(5)); one.Jitter() != 0 || report.NewFigures("h").Loss() != 0 {
		t.Errorf("jitter of one reply %v", one.Jitter())
	}
}

// TestFiguresOfErrorsAreBounded: only errors whose reply may still come are kept.
func TestFiguresOfErrorsAreBounded(t *testing.T) {
	f := report.NewFigures("h")
	const n = 100000
	for i := range n {
		f.Add(&icmpcore.Echo{Seq: i + 1, Outcome: icmpcore.OutcomeError, Err: unreachable})
	}
	f.Add(&icmpcore.Echo{Seq: n - 100, RTT: time.Millisecond})
	if f.Sent != n || f.Received != 1 {
		t.Errorf("%d sent, %d received", f.Sent, f.Received)
	}
}

func frame(lines int, s report.Style, hosts ...*report.Figures) string {
	return string(report.AppendFrame(nil, hosts, lines, 1500*time.Millisecond, s))
}

func TestFrame(t *testing.T) {
	good := figuresOf("192.0.2.1", replied(time.Millisecond), replied(3*time.Millisecond))
	lossy := figuresOf("host.example", replied(time.Millisecond), outcome(icmpcore.OutcomeTimeout))
	bad := figuresOf("192.0.2.9", failed(1, unreachable))
	silent := report.NewFigures("192.0.2.3")
	want := `host                       sent   recv   loss  last ms   avg ms   max ms
192.0.2.1                     2      2     0%    3.000    2.000    3.000
host.example (192.0.2.1)      2      1    50%     lost    1.000    1.000
192.0.2.9 (192.0.2.1)         1      0   100%  1 error: host unreachable, re...
192.0.2.3                     0      0      -
4 hosts: 2 answered, 2 did not; 3 of 5 echoes, 40% loss, 1.5 s`
	if diff := cmp.Diff(want, frame(6, report.Style{Width: 79}, good, lossy, bad, silent)); diff != "" {
		t.Errorf("frame (-want +got)\n%s", diff)
	}
	want = `host        sent   recv   loss  last ms
192.0.2.1      2      2     0%    3.000
and 3 more hosts
4 hosts: 2 answered, 2 did not; 3 of ...`
	if diff := cmp.Diff(want, frame(4, report.Style{Width: 40}, good, lossy, bad, silent)); diff != "" {
		t.Errorf("frame of 4 lines (-want +got)\n%s", diff)
	}
	lost := figuresOf("192.0.2.1", outcome(icmpcore.OutcomeTimeout))
	if got := frame(6, report.Style{Width: 79}, lost); !strings.Contains(got, "1      0   100%  no replies\n") {
		t.Errorf("frame of silence %q", got)
	}
	for lines := 1; lines < 10; lines++ {
		if got := frame(lines, report.Style{Width: 79}, good, lossy, bad, silent); strings.Count(got, "\n")+1 > lines {
			t.Errorf("a frame of %d lines has %d", lines, strings.Count(got, "\n")+1)
		}
	}
	for f, colour := range map[*report.Figures]string{good: "\x1b[32m", lossy: "\x1b[33m", bad: "\x1b[31m"} {
		if got := frame(6, report.Style{Width: 79, Colour: true}, f); !strings.Contains(got, colour) || strings.HasSuffix(got, "\n") {
			t.Errorf("frame %q, want it with %q", got, colour)
		}
	}
}

func TestFiguresLabelWidth(t *testing.T) {
	for host, want := range map[string]int{"192.0.2.3": 9, "b.test": 6 + len(" (255.255.255.255)")} {
		if got := report.NewFigures(host).LabelWidth(); got != want {
			t.Errorf("LabelWidth of %s before its address is known = %d, want %d", host, got, want)
		}
	}
	if got := figuresOf("b.test", replied(1)).LabelWidth(); got != len("b.test (192.0.2.1)") {
		t.Errorf("LabelWidth = %d", got)
	}
}

func TestEchoJSON(t *testing.T) {
	at := time.Date(2026, 11, 7, 9, 8, 7, 65400, time.UTC)
	addr, router := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.254")
	echo := func(o icmpcore.Outcome) icmpcore.Echo {
		return icmpcore.Echo{Host: `a"b`, Addr: addr, Seq: 7, Outcome: o, Time: at}
	}
	const start = `{"host":"a\"b","address":"192.0.2.1","seq":7,"time":"2026-11-07T09:08:07.0000654Z","outcome":`
	reply := echo(icmpcore.OutcomeReply)
	reply.From, reply.RTT, reply.TTL = addr, 1234567*time.Nanosecond, 57
	duplicate, late := reply, reply
	duplicate.Outcome, late.Outcome = icmpcore.OutcomeDuplicate, icmpcore.OutcomeLate
	late.RTT, late.TTL = 2*time.Second, 0
	corrupt := echo(icmpcore.OutcomeCorrupt)
	corrupt.From, corrupt.TTL = addr, 64
	fail := func(err error, from netip.Addr) icmpcore.Echo {
		e := echo(icmpcore.OutcomeError)
		e.Err, e.From = err, from
		return e
	}
	timed, veryLate := fail(unreachable, router), late
	timed.RTT, veryLate.RTT = 250*time.Millisecond, 0
	for _, tt := range []struct {
		echo icmpcore.Echo
		want string
	}{
		{reply, `"reply","rtt":0.001234567,"ttl":57,"from":"192.0.2.1","type":null,"code":null,"message":null}`},
		{duplicate, `"duplicate","rtt":0.001234567,"ttl":57,"from":"192.0.2.1","type":null,"code":null,"message":null}`},
		{late, `"late","rtt":2,"ttl":null,"from":"192.0.2.1","type":null,"code":null,"message":null}`},
		{corrupt, `"corrupt","rtt":null,"ttl":64,"from":"192.0.2.1","type":null,"code":null,"message":null}`},
		{echo(icmpcore.OutcomeTimeout), `"timeout","rtt":null,"ttl":null,"from":null,"type":null,"code":null,"message":null}`},
		{fail(unreachable, router), `"error","rtt":null,"ttl":null,"from":"192.0.2.254","type":"destination_unreachable","code":1,"message":"host unreachable"}`},
		{fail(&icmpcore.EchoError{Kind: icmpcore.TimeExceeded, Message: "TTL exceeded"}, router), `"error","rtt":null,"ttl":null,"from":"192.0.2.254","type":"time_exceeded","code":0,"message":"TTL exceeded"}`},
		{fail(&icmpcore.EchoError{Kind: icmpcore.PacketTooBig, Code: 4, Message: "too big"}, router), `"error","rtt":null,"ttl":null,"from":"192.0.2.254","type":"packet_too_big","code":4,"message":"too big"}`},
		{fail(&icmpcore.EchoError{Kind: icmpcore.ParameterProblem, Message: "bad"}, router), `"error","rtt":null,"ttl":null,"from":"192.0.2.254","type":"parameter_problem","code":0,"message":"bad"}`},
		{timed, `"error","rtt":0.25,"ttl":null,"from":"192.0.2.254","type":"destination_unreachable","code":1,"message":"host unreachable"}`},
		{veryLate, `"late","rtt":null,"ttl":null,"from":"192.0.2.1","type":null,"code":null,"message":null}`},
		{fail(refused, netip.Addr{}), `"error","rtt":null,"ttl":null,"from":null,"type":"send","code":null,"message":"permission denied"}`},
	} {
		if got := string(report.AppendEchoJSON(nil, &tt.echo)); got != start+tt.want+"\n" {
			t.Errorf("%s: %s\nwant %s", tt.echo.Outcome, got, start+tt.want)
		}
	}
	if got := string(report.AppendEchoJSON(nil, &icmpcore.Echo{Host: "h", RTT: 0})); !strings.Contains(got, `"address":null,`) || !strings.Contains(got, `"rtt":0,`) {
		t.Errorf("without an address: %s", got)
	}
}

func TestProgress(t *testing.T) {
	for _, tt := range []struct {
		name string
		p    report.Progress
		want string
	}{
		{"nothing yet", report.Progress{Count: 1}, "0 hosts finished, 0 read so far, 0 echoes sent"},
		{"a file that is still read", report.Progress{Hosts: 5000, Finished: 1, Count: 4, Sent: 1, Received: 3, Lost: 1, Elapsed: 5 * time.Second},
			"1 host finished, 5000 read so far, 1 echo sent, 25% loss so far"},
		{"all read", report.Progress{Hosts: 5000, Finished: 2000, AllRead: true, Count: 4, Sent: 10000, Refused: 5, Received: 8000, Elapsed: 10 * time.Second},
			"2000 of 5000 hosts finished, 10000 of 20000 echoes sent, 5 refused by this system, 0% loss so far, about 10 s left"},
		{"the timeout of the last", report.Progress{Hosts: 2, AllRead: true, Count: 4, Sent: 8, Received: 6, Lost: 1, Elapsed: 10 * time.Second, Timeout: 3 * time.Second},
			"0 of 2 hosts finished, 8 of 8 echoes sent, 14.3% loss so far, about 3 s left"},
		{"one host", report.Progress{Hosts: 1, AllRead: true, Count: 100, Sent: 25, Received: 25, Elapsed: 2500 * time.Millisecond},
			"25 of 100 echoes sent, 0% loss so far, about 8 s left"},
		{"one echo", report.Progress{Hosts: 1, AllRead: true, Count: 1}, "0 of 1 echo sent"},
		{"no end", report.Progress{Hosts: 3, AllRead: true, Sent: 25, Received: 25, Elapsed: time.Hour}, "25 echoes sent, 0% loss so far"},
		{"no end but a deadline", report.Progress{Hosts: 3, AllRead: true, Sent: 25, Elapsed: time.Second, Until: time.Minute}, "25 echoes sent, about 59 s left"},
		{"a deadline that comes first", report.Progress{Hosts: 1, AllRead: true, Count: 100, Sent: 10, Elapsed: 10 * time.Second, Until: 15 * time.Second},
			"10 of 100 echoes sent, about 5 s left"},
		{"a deadline that comes later", report.Progress{Hosts: 1, AllRead: true, Count: 100, Sent: 50, Elapsed: 10 * time.Second, Until: time.Hour},
			"50 of 100 echoes sent, about 10 s left"},
		{"past the deadline", report.Progress{Hosts: 1, AllRead: true, Sent: 50, Elapsed: 10 * time.Second, Until: time.Second}, "50 echoes sent, about 1 s left"},
	} {
		if got := string(tt.p.Append(nil, report.Style{})); got != tt.want {
			t.Errorf("%s: %q\nwant %q", tt.name, got, tt.want)
		}
	}
	p := report.Progress{Hosts: 5000, Count: 1, Sent: 7}
	if got, want := string(p.Append(nil, report.Style{Width: 30})), "0 hosts finished, 5000 rea..."; got != want {
		t.Errorf("on 30 columns %q, want %q", got, want)
	}
}
