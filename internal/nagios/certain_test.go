package nagios_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/nagios"
)

func TestCertain(t *testing.T) {
	levels := func(warnRTT time.Duration, warnLoss float64, critRTT time.Duration, critLoss float64) nagios.Thresholds {
		return nagios.Thresholds{Warn: nagios.Level{RTT: warnRTT, Loss: warnLoss}, Crit: nagios.Level{RTT: critRTT, Loss: critLoss}}
	}
	alive := levels(5*time.Second, 100, 5*time.Second, 100)
	icinga := levels(3*time.Second, 80, 5*time.Second, 100)
	jittery, jitteryCrit, longest := alive, alive, usual
	jittery.Warn.Jitter, jitteryCrit.Crit.Jitter = ms, ms
	longest.Warn.Max, longest.Crit.Max = 10*ms, 20*ms
	const open = nagios.Status(-1)
	for _, tt := range []struct {
		name    string
		t       nagios.Thresholds
		tally   nagios.Tally
		timeout time.Duration
		want    nagios.Status
	}{
		{"a live host after one reply", alive, nagios.Tally{Count: 5, Received: 1, Sum: ms, Max: ms}, 5 * time.Second, nagios.OK},
		{"before it", alive, nagios.Tally{Count: 5}, 5 * time.Second, open},
		{"four lost, one to come", alive, nagios.Tally{Count: 5, Lost: 4}, 5 * time.Second, open},
		{"all lost", alive, nagios.Tally{Count: 5, Lost: 5}, 5 * time.Second, nagios.Critical},
		{"a reply so slow that the mean may reach its level", alive, nagios.Tally{Count: 5, Received: 1, Sum: 5 * time.Second, Max: 5 * time.Second}, 5 * time.Second, open},
		{"the same with nothing to come", alive, nagios.Tally{Count: 1, Received: 1, Sum: 5*time.Second + 2, Max: 5 * time.Second}, 5 * time.Second, nagios.Critical},
		{"80% may still be lost", icinga, nagios.Tally{Count: 5, Received: 1, Sum: ms, Max: ms}, time.Second, open},
		{"60% may, and the mean stays low", icinga, nagios.Tally{Count: 5, Received: 2, Sum: ms, Max: ms}, time.Second, nagios.OK},
		{"60% may, and the mean may rise", icinga, nagios.Tally{Count: 5, Received: 2, Sum: ms, Max: ms}, 5 * time.Second, open},
		{"four lost, then a reply: at 80% it warns", icinga, nagios.Tally{Count: 5, Lost: 4, Received: 1, Sum: ms, Max: ms}, 5 * time.Second, nagios.Warning},
		{"loss and RTT that warn, and nothing critical possible", icinga, nagios.Tally{Count: 10, Lost: 8, Received: 1, Sum: ms, Max: ms}, time.Second, nagios.Warning},
		{"three of five lost at 60%", usual, nagios.Tally{Count: 5, Lost: 3}, time.Second, nagios.Critical},
		{"two of five lost", usual, nagios.Tally{Count: 5, Lost: 2, Received: 2, Sum: 2 * ms, Max: ms}, 50 * ms, open},
		{"two of five lost, three came", usual, nagios.Tally{Count: 5, Lost: 2, Received: 3, Sum: 3 * ms, Max: ms}, time.Second, nagios.Warning},
		{"so slow that instant replies do not help", usual, nagios.Tally{Count: 5, Received: 4, Sum: 2510 * ms, Max: 700 * ms}, time.Second, nagios.Critical},
		{"one may still pull the mean down", usual, nagios.Tally{Count: 5, Received: 4, Sum: 2490 * ms, Max: 700 * ms}, time.Second, open},
		{"a long RTT is critical at once", longest, nagios.Tally{Count: 5, Received: 1, Sum: 20 * ms, Max: 20 * ms}, time.Second, nagios.Critical},
		{"the longest RTT may still come", longest, nagios.Tally{Count: 100, Received: 99, Sum: 99 * ms, Max: ms}, 10 * ms, open},
		{"it may not", longest, nagios.Tally{Count: 100, Received: 99, Sum: 99 * ms, Max: ms}, 10*ms - 1, nagios.OK},
		{"all came", longest, nagios.Tally{Count: 2, Received: 2, Sum: 2 * ms, Max: ms}, 100 * ms, nagios.OK},
		{"the jitter may still warn", jittery, nagios.Tally{Count: 5, Received: 2, Sum: ms, Max: ms}, time.Second, open},
		{"the jitter may still be critical", jitteryCrit, nagios.Tally{Count: 5, Received: 2, Sum: ms, Max: ms}, time.Second, open},
		{"all came, and the jitter is for Judge", jittery, nagios.Tally{Count: 2, Received: 2, Sum: ms, Max: ms}, time.Second, open},
		{"the same with a critical level", jitteryCrit, nagios.Tally{Count: 2, Received: 2, Sum: ms, Max: ms}, time.Second, open},
		{"a mean at its level is for Judge", alive, nagios.Tally{Count: 1, Received: 1, Sum: 5 * time.Second, Max: ms}, time.Second, open},
		{"nothing judged", nagios.Thresholds{}, nagios.Tally{Count: 5}, time.Second, nagios.OK},
		{"an echo was refused", alive, nagios.Tally{Count: 5, Received: 1, Refused: 1, Sum: ms, Max: ms}, time.Second, open},
		{"more than there can be", alive, nagios.Tally{Count: 1, Received: 1, Lost: 1}, time.Second, open},
		{"a series of many years", alive, nagios.Tally{Count: 1 << 30, Received: 1, Sum: ms, Max: ms}, time.Hour, open},
	} {
		got, certain := tt.t.Certain(tt.tally, tt.timeout)
		if !certain {
			got = open
		}
		if got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

// TestCertainStaysTrue plays series to their end, echo by echo: a state that was
// certain is the state of the end, and of all that comes before it.
func TestCertainStaysTrue(t *testing.T) {
	const timeout = 200 * time.Millisecond
	r := rand.New(rand.NewPCG(1, 2))
	early := 0
	for range 20_000 {
		th := nagios.Thresholds{
			Warn: nagios.Level{RTT: time.Duration(r.IntN(100)+1) * ms, Loss: float64(r.IntN(100) + 1), Max: time.Duration(r.IntN(250)+100) * ms},
			Crit: nagios.Level{RTT: time.Duration(r.IntN(150)+100) * ms, Loss: float64(r.IntN(100) + 1), Max: time.Duration(r.IntN(250)+100) * ms},
		}
		tally := nagios.Tally{Count: 1 + r.IntN(8)}
		loss := r.Float64()
		var rtts []time.Duration
		said, certain := nagios.Status(0), false
		for n := range tally.Count {
			if r.Float64() < loss {
				tally.Lost++
			} else {
				d := time.Duration(r.Int64N(int64(timeout) + 1))
				rtts = append(rtts, d)
				tally.Received, tally.Sum, tally.Max = tally.Received+1, tally.Sum+d, max(tally.Max, d)
			}
			s, ok := th.Certain(tally, timeout)
			if certain && (!ok || s != said) {
				t.Fatalf("%+v, %+v: %v was certain, now %v, %v", th, tally, said, s, ok)
			}
			if ok && n < tally.Count-1 {
				early++
			}
			said, certain = s, ok
			res := icmpcore.PingResult{Host: "h", Sent: tally.Lost + tally.Received, Received: tally.Received, Max: tally.Max}
			for _, d := range rtts {
				res.Mean += d
			}
			res.Mean /= max(1, time.Duration(len(rtts)))
			if v := nagios.Judge(res, th, false); ok && v.Status != s {
				t.Fatalf("%+v, %+v: %v is certain, Judge says %v", th, tally, s, v.Status)
			}
		}
		if !certain {
			if tally.Received > 0 && nearLevel(tally, th) {
				continue
			}
			t.Fatalf("%+v, %+v: not certain at the end", th, tally)
		}
	}
	if early < 1000 {
		t.Errorf("only %d states were certain early", early)
	}
}

// nearLevel reports whether the mean is so near to a level that Certain leaves
// the last word to Judge.
func nearLevel(y nagios.Tally, t nagios.Thresholds) bool {
	mean := y.Sum / time.Duration(y.Received)
	return (mean-t.Warn.RTT).Abs() <= 2 || (mean-t.Crit.RTT).Abs() <= 2
}

func TestStatesOf(t *testing.T) {
	for _, tt := range []struct {
		name                    string
		ok, warn, crit, unknown int
		need                    int
		want                    nagios.Status
	}{
		{"no host", 0, 0, 0, 0, 0, nagios.Unknown},
		{"all ok", 3, 0, 0, 0, 0, nagios.OK},
		{"the worst decides", 1, 1, 1, 1, 0, nagios.Critical},
		{"warning before unknown", 1, 1, 0, 1, 0, nagios.Warning},
		{"unknown before ok", 1, 0, 0, 1, 0, nagios.Unknown},
		{"enough", 2, 0, 5, 0, 2, nagios.OK},
		{"enough with warnings", 1, 1, 5, 0, 2, nagios.Warning},
		{"perhaps enough", 1, 0, 5, 1, 2, nagios.Unknown},
		{"warnings and unknown", 0, 1, 5, 1, 2, nagios.Unknown},
		{"too few", 1, 1, 5, 1, 4, nagios.Critical},
		{"too few without a critical one", 1, 0, 0, 0, 2, nagios.Critical},
	} {
		if got := (nagios.States{tt.ok, tt.warn, tt.crit, tt.unknown}).Of(tt.need); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestStatesSettled(t *testing.T) {
	for _, tt := range []struct {
		name                    string
		ok, warn, crit, unknown int
		need, open              int
		want                    bool
	}{
		{"every host is waited for", 0, 0, 1, 0, 0, 1, false},
		{"none is open", 1, 0, 1, 0, 0, 0, true},
		{"enough", 2, 0, 0, 0, 2, 5, true},
		{"not yet", 1, 0, 0, 0, 2, 5, false},
		{"too many dead", 0, 0, 3, 0, 2, 1, true},
		{"may still be enough", 0, 0, 3, 0, 2, 2, false},
		{"a warning at best and at worst", 0, 2, 1, 0, 2, 1, true},
		{"the open ones may be ok", 0, 2, 0, 0, 2, 2, false},
		{"an open one may warn, for unknown", 0, 0, 0, 1, 1, 1, false},
		{"nothing is left", 0, 0, 0, 1, 1, 0, true},
	} {
		if got := (nagios.States{tt.ok, tt.warn, tt.crit, tt.unknown}).Settled(tt.need, tt.open); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestHostCheck(t *testing.T) {
	for loss, want := range map[float64]bool{0: false, 60: false, 99.5: false, 100: true} {
		if got := (nagios.Thresholds{Crit: nagios.Level{Loss: loss}}).HostCheck(); got != want {
			t.Errorf("critical at %v%%: %v", loss, got)
		}
	}
}
