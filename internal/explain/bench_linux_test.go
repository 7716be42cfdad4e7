package explain

import (
	"log/slog"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/internal/monitor"
	"github.com/pingtel/pingtel/internal/output"
	"github.com/pingtel/pingtel/internal/path"
)

// BenchmarkHealthy is what [path] adds to each series of 50,000 healthy targets whose paths
// are known. With [path] off there is no output that Record is called of.
func BenchmarkHealthy(b *testing.B) {
	c, err := config.Parse("pingtel.toml", "[[targets]]\nhosts = [\"127.0.0.1\"]\n[path]\nwhen = \"loss\"\n", func(string) (string, bool) { return "", false })
	if err != nil {
		b.Fatal(err)
	}
	made, err := Open(c, output.Env{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	o := made.(*Output)
	const n = 50_000
	targets, results := make([]*monitor.Target, n), make([]icmpcore.PingResult, n)
	for i := range targets {
		addr := netip.AddrFrom4([4]byte{198, 18, byte(i / 250), byte(1 + i%250)})
		targets[i] = &monitor.Target{Target: config.Target{Host: addr.String(), Probe: c.Targets[0].Probe}}
		results[i] = icmpcore.PingResult{Addr: addr, Sent: 5, Received: 5, Hops: 5, Start: time.Now()}
		o.Record(targets[i], &results[i])
		o.targets[targets[i]].route = &path.Route{Hops: []netip.Addr{router(0, 1), router(0, 2), router(0, 3), router(1, 4), addr}, Reached: true}
	}
	b.ReportAllocs()
	i, before := 0, cpuTime(b)
	for b.Loop() {
		o.Record(targets[i%n], &results[i%n])
		i++
	}
	b.ReportMetric(float64(cpuTime(b)-before)/float64(i), "cpu-ns/series")
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
