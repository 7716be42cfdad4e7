package discovery

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/internal/monitor"
)

// measure makes tests fail where a figure is above what the documentation says, which takes
// a machine without other work.
var measure = flag.Bool("measure", false, "compare CPU time and memory with the limits")

// bigList is a list of n targets with labels of their own, of which number changed has
// another name.
func bigList(n, changed int) string {
	var b bytes.Buffer
	for i := range n {
		name := fmt.Sprintf("r%d", i)
		if i == changed {
			name = "changed"
		}
		sep := ",\n"
		if i == 0 {
			sep = "["
		}
		fmt.Fprintf(&b, `%s{"targets": ["198.%d.%d.%d:9100"], "labels": {"site": "s%d", "role": "router", "__meta_netbox_name": %q}}`, sep, 18+i>>16, i>>8&255, i&255, i%100, name)
	}
	b.WriteString("]\n")
	return b.String()
}

// quietProber never probes.
type quietProber struct{}

func (quietProber) Go(icmpcore.Target, icmpcore.Options, func(icmpcore.PingResult)) (icmpcore.Run, error) {
	return icmpcore.Run{}, nil
}
func (quietProber) Resolve(context.Context, string, icmpcore.Family) (icmpcore.Target, error) {
	return icmpcore.Target{}, nil
}
func (quietProber) HasRoute(context.Context, netip.Addr) bool { return true }

// forgotten counts the targets that the monitor forgets.
type forgotten struct{ n int }

func (*forgotten) Record(*monitor.Target, *icmpcore.PingResult) {}
func (f *forgotten) Forget(*monitor.Target)                     { f.n++ }

// cpu returns the processor time of this process.
func cpu(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestOneOfMany replaces a long list of targets, of 100,000 with -measure, by one that differs in a label. One target
// is replaced, in its place; all others are the same as before, so that their counters go on.
func TestOneOfMany(t *testing.T) {
	n := 100_000
	if !*measure {
		n = 20_000
	}
	path := filepath.Join(t.TempDir(), "targets.json")
	write(t, path, bigList(n, -1))
	c := fileConfig(t, "count = 1\ntags = { name = \"__meta_netbox_name\" }\n", path)
	c.Agent.MaxRate = -1
	s, _ := start(t, c, Options{})
	await(t, "the list", func() bool { return s.Without() == nil })
	in := func() *config.Config {
		with := *c
		with.Targets = s.Targets()
		return &with
	}
	sink := &forgotten{}
	m := monitor.New(quietProber{}, in(), slog.New(slog.DiscardHandler), sink)
	defer m.Close()
	for round := range 3 {
		before := s.Targets()
		for s.changedNow() {
		}
		next := filepath.Join(filepath.Dir(path), "next")
		write(t, next, bigList(n, 1000+round))
		runtime.GC()
		used, begun := cpu(t), time.Now()
		replaceBy(t, path, next)
		<-s.Changed()
		m.Reload(in())
		took, spent := time.Since(begun), cpu(t)-used
		t.Logf("in force after %v, with %v of CPU", took.Round(time.Millisecond), spent.Round(time.Millisecond))
		if *measure && (spent > 300*time.Millisecond || took > 2*time.Second) {
			t.Error("want 0.3 s of CPU and 2 s at most")
		}
		differ := 0
		for i, after := range s.Targets() {
			if after != before[i] {
				differ++
			}
		}
		want := min(round, 1) + 1 // and the one that goes back to its name
		if differ != want || sink.n != want || m.Stats().Targets != n {
			t.Errorf("%d targets differ, %d are forgotten, want %d; %+v", differ, sink.n, want, m.Stats())
		}
		sink.n = 0
	}
}

// TestManyLists takes many lists, with -measure 1,000 of 10,000 targets: the memory stays as it is.
func TestManyLists(t *testing.T) {
	lists, n := 1000, 10_000
	if !*measure {
		lists, n = 60, 2000
	}
	c := fileConfig(t, "tags = { name = \"__meta_netbox_name\" }\n", "/nonexistent.json")
	source := c.Sources[0]
	m := monitor.New(quietProber{}, c, slog.New(slog.DiscardHandler), &forgotten{})
	defer m.Close()
	texts := make([][]byte, 7)
	for i := range texts {
		texts[i] = []byte(bigList(n, 10*i))
	}
	var before *config.List
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return stats.HeapAlloc
	}
	var first uint64
	for i := range lists {
		b := &builder{source: source, list: source.NewList(before)}
		if err := decodeJSON(bytes.NewReader(texts[i%len(texts)]), b); err != nil {
			t.Fatal(err)
		}
		before = b.part("", nil, time.Time{}).list
		with := *c
		with.Targets = config.Merge(nil, before.Targets).Targets
		m.Reload(&with)
		if i == lists/10 {
			first = heap()
		}
	}
	last := heap()
	t.Logf("%d bytes after a tenth of %d lists, %d after all", first, lists, last)
	if last > first+first/20 {
		t.Errorf("the memory has grown from %d to %d bytes", first, last)
	}
	runtime.KeepAlive(m)
	runtime.KeepAlive(texts)
	runtime.KeepAlive(before)
}
