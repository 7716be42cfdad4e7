package nagios_test

import (
	"errors"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/nagios"
)

const ms = time.Millisecond

// usual are thresholds as a user would give them.
var usual = nagios.Thresholds{
	Warn: nagios.Level{RTT: 100 * ms, Loss: 20},
	Crit: nagios.Level{RTT: 500 * ms, Loss: 60},
}

// result makes a result of a host; rtt and jitter count where something was received.
func result(host string, sent, received int, rtt, jitter time.Duration) icmpcore.PingResult {
	r := icmpcore.PingResult{Host: host, Sent: sent, Received: received, Min: rtt, Mean: rtt, Max: rtt, Jitter: jitter}
	if sent > 0 {
		r.Loss = float64(sent-received) / float64(sent) * 100
	}
	return r
}

func TestJudgeAndOutput(t *testing.T) {
	unreachable := result("192.0.2.9", 5, 0, 0, 0)
	unreachable.Addr = netip.MustParseAddr("192.0.2.9")
	refusal := icmpcore.EchoError{Kind: icmpcore.DestinationUnreachable, Type: 3, Code: 1, Message: "host unreachable", From: netip.MustParseAddr("192.0.2.1")}
	unreachable.Errors = []icmpcore.EchoError{refusal, refusal, refusal, refusal, refusal}
	corrupt, some := result("h", 5, 0, 0, 0), result("h", 10, 9, ms, ms)
	corrupt.Corrupt, some.Corrupt = 5, 1
	halfway := result("h", 2, 2, ms, ms)
	halfway.Err = errors.New("receive: input/output error")
	unsent := icmpcore.PingResult{Host: "h", Err: &icmpcore.SendError{Addr: netip.MustParseAddr("192.0.2.9"), Err: errors.New("network is unreachable")}}
	unrouted := icmpcore.PingResult{Host: "h", Err: &icmpcore.SendError{Err: os.NewSyscallError("sendto", syscall.ENETUNREACH)}}
	noHost := icmpcore.PingResult{Host: "h", Err: &icmpcore.SendError{Err: os.NewSyscallError("sendto", syscall.EHOSTUNREACH)}}
	warnOnly := nagios.Thresholds{Warn: nagios.Level{Loss: 100}}
	withMax := usual
	withMax.Warn.Max, withMax.Crit.Max = 200*ms, 300*ms
	spread := result("h", 5, 5, 10*ms, 0)
	spread.Min, spread.Max = ms, 200*ms
	refused := result("h", 5, 0, 0, 0)
	refused.Err = unsent.Err
	partly := result("h", 2, 2, ms, ms)
	partly.Errors = []icmpcore.EchoError{{Kind: icmpcore.SendFailed, Message: "send queue full"}, {Kind: icmpcore.SendFailed, Message: "other"}}
	nameless := icmpcore.PingResult{Host: "no|such\nhost", Err: errors.New("resolve no|such\nhost: no such host")}
	withJitter := usual
	withJitter.Warn.Jitter, withJitter.Crit.Jitter = 10*ms, 30*ms

	tests := []struct {
		name       string
		result     icmpcore.PingResult
		thresholds nagios.Thresholds
		unfinished bool
		want       string
	}{
		{"all well", result("127.0.0.1", 5, 5, 51*time.Microsecond, 4*time.Microsecond), usual, false,
			"PING OK - 127.0.0.1: rta 0.051 ms, loss 0%, jitter 0.004 ms | rta=0.051ms;100;500;0 pl=0%;20;60;0;100 rtmin=0.051ms;;;0 rtmax=0.051ms;;;0 jitter=0.004ms;;;0"},
		{"some requests refused, the rest answered", partly, usual, false,
			"PING UNKNOWN - h: 2 of 4 echoes not sent: send queue full; rta 1.000 ms, loss 0%, jitter 1.000 ms | rta=1.000ms;100;500;0 pl=0%;20;60;0;100 rtmin=1.000ms;;;0 rtmax=1.000ms;;;0 jitter=1.000ms;;;0"},
		{"3 of 5 lost is 60 percent, and 60 alerts", result("h", 5, 2, ms, ms), usual, false,
			"PING CRITICAL - h: loss 60% >= 60%; rta 1.000 ms, jitter 1.000 ms | rta=1.000ms;100;500;0 pl=60%;20;60;0;100 rtmin=1.000ms;;;0 rtmax=1.000ms;;;0 jitter=1.000ms;;;0"},
		{"2 of 5 lost", result("h", 5, 3, ms, ms), usual, false,
			"PING WARNING - h: loss 40% >= 20%; rta 1.000 ms, jitter 1.000 ms | rta=1.000ms;100;500;0 pl=40%;20;60;0;100 rtmin=1.000ms;;;0 rtmax=1.000ms;;;0 jitter=1.000ms;;;0"},
		{"rtt at the warning level", result("h", 1, 1, 100*ms, 0), usual, false,
			"PING WARNING - h: rta 100.000 ms >= 100 ms; loss 0% | rta=100.000ms;100;500;0 pl=0%;20;60;0;100 rtmin=100.000ms;;;0 rtmax=100.000ms;;;0 jitter=U;;;0"},
		{"rtt just below it", result("h", 1, 1, 100*ms-1, 0), usual, false,
			"PING OK - h: rta 100.000 ms, loss 0% | rta=100.000ms;100;500;0 pl=0%;20;60;0;100 rtmin=100.000ms;;;0 rtmax=100.000ms;;;0 jitter=U;;;0"},
		{"a threshold below a microsecond", result("h", 1, 1, 2*time.Microsecond, 0), nagios.Thresholds{Warn: nagios.Level{RTT: 1, Loss: 0.0005}}, false,
			"PING WARNING - h: rta 0.002 ms >= 0.000001 ms; loss 0% | rta=0.002ms;0.000001;;0 pl=0%;0.0005;;0;100 rtmin=0.002ms;;;0 rtmax=0.002ms;;;0 jitter=U;;;0"},
		{"rtt at the critical level", result("h", 1, 1, 500*ms, 0), usual, false,
			"PING CRITICAL - h: rta 500.000 ms >= 500 ms; loss 0% | rta=500.000ms;100;500;0 pl=0%;20;60;0;100 rtmin=500.000ms;;;0 rtmax=500.000ms;;;0 jitter=U;;;0"},
		{"two reasons", result("h", 5, 2, 500*ms, 0), usual, false,
			"PING CRITICAL - h: loss 60% >= 60%, rta 500.000 ms >= 500 ms; jitter 0.000 ms | rta=500.000ms;100;500;0 pl=60%;20;60;0;100 rtmin=500.000ms;;;0 rtmax=500.000ms;;;0 jitter=0.000ms;;;0"},
		{"jitter at the warning level, with two replies", result("h", 2, 2, ms, 10*ms), withJitter, false,
			"PING WARNING - h: jitter 10.000 ms >= 10 ms; rta 1.000 ms, loss 0% | rta=1.000ms;100;500;0 pl=0%;20;60;0;100 rtmin=1.000ms;;;0 rtmax=1.000ms;;;0 jitter=10.000ms;10;30;0"},
		{"jitter", result("h", 5, 5, ms, 30*ms), withJitter, false,
			"PING CRITICAL - h: jitter 30.000 ms >= 30 ms; rta 1.000 ms, loss 0% | rta=1.000ms;100;500;0 pl=0%;20;60;0;100 rtmin=1.000ms;;;0 rtmax=1.000ms;;;0 jitter=30.000ms;10;30;0"},
		{"nothing came back", unreachable, usual, false,
			"PING CRITICAL - 192.0.2.9: loss 100% >= 60% (host unreachable, reported by 192.0.2.1) | rta=U;100;500;0 pl=100%;20;60;0;100 rtmin=U;;;0 rtmax=U;;;0 jitter=U;;;0"},
		{"corrupt replies", corrupt, usual, false,
			"PING CRITICAL - h: loss 100% >= 60% (5 corrupt replies) | rta=U;100;500;0 pl=100%;20;60;0;100 rtmin=U;;;0 rtmax=U;;;0 jitter=U;;;0"},
		{"a corrupt reply below the thresholds", some, usual, false,
			"PING OK - h: rta 1.000 ms, loss 10% (1 corrupt reply), jitter 1.000 ms | rta=1.000ms;100;500;0 pl=10%;20;60;0;100 rtmin=1.000ms;;;0 rtmax=1.000ms;;;0 jitter=1.000ms;;;0"},
		{"broken off, nothing amiss so far", halfway, usual, false,
			"PING UNKNOWN - h: receive: input/output error; rta 1.000 ms, loss 0%, jitter 1.000 ms | rta=1.000ms;100;500;0 pl=0%;20;60;0;100 rtmin=1.000ms;;;0 rtmax=1.000ms;;;0 jitter=1.000ms;;;0"},
		{"not sent", unsent, usual, false,
			"PING UNKNOWN - h: not sent: network is unreachable | rta=U;100;500;0 pl=U;20;60;0;100 rtmin=U;;;0 rtmax=U;;;0 jitter=U;;;0"},
		{"no route", unrouted, usual, false,
			"PING CRITICAL - h: not sent: sendto: network is unreachable | rta=U;100;500;0 pl=U;20;60;0;100 rtmin=U;;;0 rtmax=U;;;0 jitter=U;;;0"},
		{"no way to the host", noHost, warnOnly, false,
			"PING WARNING - h: not sent: sendto: no route to host | rta=U;;;0 pl=U;100;;0;100 rtmin=U;;;0 rtmax=U;;;0 jitter=U;;;0"},
		{"no route, and no threshold", unrouted, nagios.Thresholds{}, false,
			"PING UNKNOWN - h: not sent: sendto: network is unreachable | rta=U;;;0 pl=U;;;0;100 rtmin=U;;;0 rtmax=U;;;0 jitter=U;;;0"},
		{"the longest RTT warns", spread, withMax, false,
			"PING WARNING - h: rtmax 200.000 ms >= 200 ms; rta 10.000 ms, loss 0%, jitter 0.000 ms | rta=10.000ms;100;500;0 pl=0%;20;60;0;100 rtmin=1.000ms;;;0 rtmax=200.000ms;200;300;0 jitter=0.000ms;;;0"},
		{"one long RTT is critical", result("h", 1, 1, 300*ms, 0), withMax, false,
			"PING CRITICAL - h: rta 300.000 ms >= 100 ms, rtmax 300.000 ms >= 300 ms; loss 0% | rta=300.000ms;100;500;0 pl=0%;20;60;0;100 rtmin=300.000ms;;;0 rtmax=300.000ms;200;300;0 jitter=U;;;0"},
		{"every request refused", refused, usual, false,
			"PING CRITICAL - h: loss 100% >= 60% | rta=U;100;500;0 pl=100%;20;60;0;100 rtmin=U;;;0 rtmax=U;;;0 jitter=U;;;0"},
		{"no such name", nameless, usual, false,
			"PING UNKNOWN - no/such host: resolve no/such\\nhost: no such host | rta=U;100;500;0 pl=U;20;60;0;100 rtmin=U;;;0 rtmax=U;;;0 jitter=U;;;0"},
		{"cut short, nothing amiss so far", result("h", 2, 2, ms, ms), usual, true,
			"PING UNKNOWN - h: not finished in time; rta 1.000 ms, loss 0%, jitter 1.000 ms | rta=1.000ms;100;500;0 pl=0%;20;60;0;100 rtmin=1.000ms;;;0 rtmax=1.000ms;;;0 jitter=1.000ms;;;0"},
		{"cut short, bad enough", result("h", 3, 0, 0, 0), usual, true,
			"PING CRITICAL - h: loss 100% >= 60%, not finished in time | rta=U;100;500;0 pl=100%;20;60;0;100 rtmin=U;;;0 rtmax=U;;;0 jitter=U;;;0"},
		{"cut short before anything", icmpcore.PingResult{Host: "h", Err: errors.New("use of closed network connection")}, usual, true,
			"PING UNKNOWN - h: nothing was measured in time | rta=U;100;500;0 pl=U;20;60;0;100 rtmin=U;;;0 rtmax=U;;;0 jitter=U;;;0"},
		{"cut short while the name was looked up", icmpcore.PingResult{Host: "h", Err: &icmpcore.ResolveError{Host: "h", Err: errors.New("no answer")}}, usual, true,
			"PING UNKNOWN - h: no answer | rta=U;100;500;0 pl=U;20;60;0;100 rtmin=U;;;0 rtmax=U;;;0 jitter=U;;;0"},
		{"no threshold, no alert", result("h", 5, 0, 0, 0), nagios.Thresholds{}, false,
			"PING OK - h: loss 100% | rta=U;;;0 pl=100%;;;0;100 rtmin=U;;;0 rtmax=U;;;0 jitter=U;;;0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := output([]nagios.Verdict{nagios.Judge(tt.result, tt.thresholds, tt.unfinished)}, nagios.PerfdataMain)
			if got != tt.want {
				t.Errorf("line\n got %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestLossIsExact(t *testing.T) {
	for sent := 1; sent <= 200; sent++ {
		for lost := 1; lost <= sent; lost++ {
			if lost*100%sent != 0 {
				continue
			}
			th := nagios.Thresholds{Crit: nagios.Level{Loss: float64(lost * 100 / sent)}}
			if v := nagios.Judge(result("h", sent, sent-lost, ms, 0), th, false); v.Status != nagios.Critical {
				t.Errorf("%d of %d lost against %v%%: %v, want CRITICAL", lost, sent, th.Crit.Loss, v.Status)
			}
			th.Warn, th.Crit = th.Crit, nagios.Level{}
			if v := nagios.Judge(result("h", sent, sent-lost, ms, 0), th, false); v.Status != nagios.Warning {
				t.Errorf("%d of %d lost against %v%%: %v, want WARNING", lost, sent, th.Warn.Loss, v.Status)
			}
			if v := nagios.Judge(result("h", sent, sent-lost+1, ms, 0), th, false); v.Status != nagios.OK {
				t.Errorf("%d of %d lost against %v%%: %v, want OK", lost-1, sent, th.Warn.Loss, v.Status)
			}
		}
	}
}

func TestWorstHostWins(t *testing.T) {
	fine := result("a", 5, 5, ms, ms)
	slow := result("b's=", 5, 5, 200*ms, ms)
	dead := result("c", 5, 0, 0, 0)
	nameless := icmpcore.PingResult{Host: "d", Err: errors.New("no such host")}
	judge := func(results ...icmpcore.PingResult) (vs []nagios.Verdict) {
		for _, r := range results {
			vs = append(vs, nagios.Judge(r, usual, false))
		}
		return vs
	}
	tests := []struct {
		name     string
		verdicts []nagios.Verdict
		want     nagios.Status
	}{
		{"none", nil, nagios.Unknown},
		{"ok", judge(fine, fine), nagios.OK},
		{"unknown before ok", judge(fine, nameless), nagios.Unknown},
		{"warning before unknown", judge(nameless, slow, fine), nagios.Warning},
		{"critical before all", judge(slow, dead, nameless), nagios.Critical},
	}
	for _, tt := range tests {
		if got := worst(tt.verdicts); got != tt.want {
			t.Errorf("%s: Worst = %v, want %v", tt.name, got, tt.want)
		}
	}
	want := "PING CRITICAL - 1 of 4 hosts ok, 1 critical, 1 warning, 1 unknown: c CRITICAL loss 100% >= 60%; " +
		"b's= WARNING rta 200.000 ms >= 100 ms; d UNKNOWN no such host |" +
		" 'a rta'=1.000ms;100;500;0 'a pl'=0%;20;60;0;100 'a rtmin'=1.000ms;;;0 'a rtmax'=1.000ms;;;0 'a jitter'=1.000ms;;;0" +
		" 'b_s_ rta'=200.000ms;100;500;0 'b_s_ pl'=0%;20;60;0;100 'b_s_ rtmin'=200.000ms;;;0 'b_s_ rtmax'=200.000ms;;;0 'b_s_ jitter'=1.000ms;;;0" +
		" 'c rta'=U;100;500;0 'c pl'=100%;20;60;0;100 'c rtmin'=U;;;0 'c rtmax'=U;;;0 'c jitter'=U;;;0" +
		" 'd rta'=U;100;500;0 'd pl'=U;20;60;0;100 'd rtmin'=U;;;0 'd rtmax'=U;;;0 'd jitter'=U;;;0"
	const below = "\nc CRITICAL loss 100% >= 60%\nb's= WARNING rta 200.000 ms >= 100 ms\nd UNKNOWN no such host"
	if got := output(judge(fine, slow, dead, nameless), nagios.PerfdataMain); got != want+below {
		t.Errorf("output\n got %s\nwant %s", got, want+below)
	}
	text, _, _ := strings.Cut(want, " |")
	if got := output(judge(fine, slow, nameless, dead), nagios.PerfdataNone); got != text+below {
		t.Errorf("in another order, without performance data\n got %s\nwant %s", got, text+below)
	}
}

func TestOverviewNamesOnlyWhatThereIs(t *testing.T) {
	var verdicts []nagios.Verdict
	for _, r := range []icmpcore.PingResult{result("a", 1, 1, ms, 0), result("b", 1, 1, 200*ms, 0)} {
		verdicts = append(verdicts, nagios.Judge(r, usual, false))
	}
	want := "PING WARNING - 1 of 2 hosts ok, 1 warning: b WARNING rta 200.000 ms >= 100 ms |"
	if got := output(verdicts, nagios.PerfdataMain); !strings.HasPrefix(got, want) {
		t.Errorf("line\n got %s\nwant %s...", got, want)
	}
}

func TestStatusIsTheExitStatus(t *testing.T) {
	for want, s := range []nagios.Status{nagios.OK, nagios.Warning, nagios.Critical, nagios.Unknown} {
		if int(s) != want {
			t.Errorf("%v = %d, want %d", s, int(s), want)
		}
	}
}

func TestFailedIsOneLine(t *testing.T) {
	if got, want := nagios.Failed(errors.New("a|b\nc")), "PING UNKNOWN - a/b c"; got != want {
		t.Errorf("Failed = %q, want %q", got, want)
	}
}

func TestParsePair(t *testing.T) {
	tests := []struct {
		text string
		rtt  time.Duration
		loss float64
	}{
		{"100ms,20%", 100 * ms, 20}, {"1s,0.5%", time.Second, 0.5}, {"100ms", 100 * ms, 0}, {"20%", 0, 20}, {"1us,100%", time.Microsecond, 100},
		{"100.0,20%", 100 * ms, 20}, {"200,40", 200 * ms, 40}, {"1m30s", 90 * time.Second, 0}, {"0.1,20%", 100 * time.Microsecond, 20}, {"500", 500 * ms, 0}, {".5", 500 * time.Microsecond, 0},
	}
	for _, tt := range tests {
		rtt, loss, err := nagios.ParsePair(tt.text)
		if err != nil || rtt != tt.rtt || loss != tt.loss {
			t.Errorf("ParsePair(%q) = %v, %v, %v, want %v, %v", tt.text, rtt, loss, err, tt.rtt, tt.loss)
		}
	}
	for _, text := range []string{"", ",", "20%,100ms", "20%,30%", "100ms,200ms", "100m,20%", "100u", "100ms,20%,1%", "100ms,101%", "100ms,0%", "0s,20%", "100ms,-1%", "100ms,NaN%", "100ms,1e1%", "100ms,%", "-1s", "0,20%", "-5,20%", "1.2.3", ".", "99999999999999999999", "1e3"} {
		if rtt, loss, err := nagios.ParsePair(text); err == nil || rtt != 0 || loss != 0 {
			t.Errorf("ParsePair(%q) = %v, %v, %v, want only an error", text, rtt, loss, err)
		}
	}
}

func TestValidateNamesEveryFault(t *testing.T) {
	if err := usual.Validate(); err != nil {
		t.Errorf("Validate = %v, want nil", err)
	}
	same := nagios.Level{RTT: ms, Loss: 1, Jitter: ms}
	for name, th := range map[string]nagios.Thresholds{"warning at critical": {Warn: same, Crit: same}, "warning alone": {Warn: same}} {
		if err := th.Validate(); err != nil {
			t.Errorf("%s: Validate = %v, want nil", name, err)
		}
	}
	crossed := nagios.Thresholds{Warn: nagios.Level{RTT: 2 * ms, Loss: 2, Jitter: 2 * ms}, Crit: nagios.Level{RTT: ms, Loss: 1, Jitter: ms}}
	err := crossed.Validate()
	for _, want := range []string{"RTT 2ms", "loss 2%", "jitter 2ms"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Validate = %v, want it to name %s", err, want)
		}
	}
}

func FuzzParsePair(f *testing.F) {
	for _, s := range []string{"100ms,20%", "20%", "1s", "1s,,", "0,0%", "9e9s,1%"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		rtt, loss, err := nagios.ParsePair(text)
		if err != nil {
			if rtt != 0 || loss != 0 {
				t.Errorf("ParsePair(%q) = %v, %v with an error", text, rtt, loss)
			}
			return
		}
		if rtt < 0 || loss < 0 || loss > 100 || (rtt == 0 && loss == 0) {
			t.Errorf("ParsePair(%q) = %v, %v", text, rtt, loss)
		}
	})
}
