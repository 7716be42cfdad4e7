//go:build linux

package icmpcore

import (
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"
)

// BenchmarkSweep sends one echo to each of b.N loopback targets and reports the
// CPU time of an echo, including that of the kernel.
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
		if _, err := p.Go(loopbackTarget(i%1000000), Options{Size: 8}, done); err != nil {
			b.Fatal(err)
		}
	}
	all.Wait()
	b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N)/1000, "cpu-µs/echo")
	if lost > 0 {
		b.Errorf("%d of %d lost", lost, b.N)
	}
}

// BenchmarkPacing sends one echo to each of b.N loopback targets at 50,000 a
// second and reports the fullest millisecond, in shares of fifty.
func BenchmarkPacing(b *testing.B) {
	const rate = 50000
	p, err := Open(Config{MaxRate: rate})
	if err != nil {
		b.Skip(err)
	}
	defer p.Close()
	var all sync.WaitGroup
	all.Add(b.N)
	starts := make([]time.Time, 0, b.N)
	for i := range b.N {
		_, err := p.Go(loopbackTarget(i%1000000), Options{Size: 8}, func(r PingResult) {
			starts = append(starts, r.Start)
			all.Done()
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	all.Wait()
	slices.SortFunc(starts, time.Time.Compare)
	most, first := 0, 0
	for i, at := range starts {
		for at.Sub(starts[first]) >= time.Millisecond {
			first++
		}
		most = max(most, i-first+1)
	}
	b.ReportMetric(float64(most)/(rate/1000), "shares/ms")
	b.ReportMetric(float64(b.N-1)/starts[len(starts)-1].Sub(starts[0]).Seconds(), "echoes/s")
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

// BenchmarkJSON writes the result of one echo, such as each line of a sweep.
func BenchmarkJSON(b *testing.B) {
	r := PingResult{
		Host: "127.0.0.1", Addr: loopbackTarget(0).Addr, Sent: 1, Received: 1, RTTs: []time.Duration{123456},
		TTL: 64, Hops: hops(64), OSGuess: osGuess(64), Timestamps: TimestampsKernel, Socket: SocketRaw,
		Start: time.Now(), Duration: 234567,
	}
	r.fillStatistics()
	var line []byte
	b.ReportAllocs()
	for b.Loop() {
		line = r.AppendJSON(line[:0])
	}
}
