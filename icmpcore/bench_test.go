//go:build linux

package icmpcore

import (
	"sync"
	"syscall"
	"testing"
	"time"
)

// BenchmarkSweep sends one echo to each of b.N loopback targets and reports
// the CPU time of an echo, the kernel's included.
func BenchmarkSweep(b *testing.B) {
	p, err := Open(Config{MaxRate: -1})
	if err != nil {
		b.Skip(err)
	}
	defer p.Close()
	var all sync.WaitGroup
	all.Add(b.N)
	lost := 0
	done := func(r PingResult) {
		lost += r.Sent - r.Received
		all.Done()
	}
	b.ReportAllocs()
	b.ResetTimer()
	before := cpuTime(b)
	for i := range b.N {
		if err := p.Go(loopbackTarget(i%1000000), Options{Size: 8}, done); err != nil {
			b.Fatal(err)
		}
	}
	all.Wait()
	b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N)/1000, "cpu-µs/echo")
	if lost > 0 {
		b.Errorf("%d of %d lost", lost, b.N)
	}
}

// cpuTime returns the CPU time of this process so far.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
