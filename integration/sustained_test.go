//go:build unix

package integration

import (
	"flag"
	"net/netip"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
)

var sustained = flag.Duration("sustained", 0, "how long TestSustained runs; 0 leaves it out")

// TestSustained sends 50,000 echoes a second to 100,000 loopback targets: each has one
// series of five in every ten seconds. Nothing may be lost. The test logs the CPU time
// of an echo, to compare it with that of the limit program.
func TestSustained(t *testing.T) {
	if *sustained == 0 {
		t.Skip("integration: a long run: go test ./integration -v -run TestSustained -sustained=10m")
	}
	const targets, perMilli = 100000, 10
	p := open(t, icmpcore.Config{MaxRate: 60000})
	opts := icmpcore.Options{Count: 5, Interval: 200 * ms, Size: 56}
	series, lost, inexact := 0, 0, 0
	var worst time.Duration
	done := func(r icmpcore.PingResult) { // one at a time
		series++
		lost += r.Sent - r.Received
		if r.Err == nil && r.Sent != 5 || r.Received > 0 && r.Timestamps != icmpcore.TimestampsKernel {
			inexact++
		}
		worst = max(worst, r.Max)
	}
	var before, after runtime.MemStats
	warm := time.Now().Add(min(*sustained/4, 20*time.Second))
	var cpu time.Duration
	var sent uint64
	var from time.Time
	next := 0
	for start := time.Now(); time.Since(start) < *sustained; {
		if from.IsZero() && time.Now().After(warm) {
			runtime.ReadMemStats(&before)
			cpu, sent, from = cpuTime(t), p.Stats().Sent, time.Now()
		}
		for due := int(time.Since(start).Milliseconds()) * perMilli; next < due; next++ {
			i := next % targets
			addr := netip.AddrFrom4([4]byte{127, byte(2 + i/62500), byte(i / 250 % 250), byte(i%250 + 1)})
			if _, err := p.Go(icmpcore.Target{Addr: addr}, opts, done); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(ms) // the pace of the load, nothing waits for it
	}
	cpu, sent = cpuTime(t)-cpu, p.Stats().Sent-sent
	took := time.Since(from)
	runtime.ReadMemStats(&after)
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	s := p.Stats()
	t.Logf("%d echoes in %v: %.0f a second, %.2f µs of CPU each, %.1f %% of a core", sent, took.Round(time.Second),
		float64(sent)/took.Seconds(), cpu.Seconds()*1e6/float64(sent), 100*cpu.Seconds()/took.Seconds())
	t.Logf("%d series, %d lost, %d not by kernel stamps, longest RTT %v", series, lost, inexact, worst)
	t.Logf("%.2f allocations a series, %d collections, longest pause %v, heap %d MiB",
		float64(after.Mallocs-before.Mallocs)/float64(sent/5), after.NumGC-before.NumGC, longestPause(&before, &after), after.HeapSys>>20)
	t.Logf("%+v", s)
	if s.Timeouts+s.SendErrors+s.KernelDrops+s.Late+s.Corrupt > 0 {
		t.Error("something was lost or dropped where nothing was")
	}
}

func cpuTime(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// longestPause returns the longest stop of the world between two readings.
func longestPause(before, after *runtime.MemStats) time.Duration {
	longest := uint64(0)
	for n := before.NumGC; n < after.NumGC; n++ {
		longest = max(longest, after.PauseNs[n%256])
	}
	return time.Duration(longest)
}
