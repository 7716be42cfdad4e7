package history

import (
	"context"
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
)

var measure = flag.Bool("measure", false, "measure the cost of a history: minutes of CPU time")

// TestSizeAndCost is a measurement, run by hand:
//
//	go test ./internal/history -run TestSizeAndCost -measure -v
func TestSizeAndCost(t *testing.T) {
	if !*measure {
		t.Skip("a measurement: run it with -measure")
	}
	t.Run("30 days of one target", func(t *testing.T) { measureSize(t, 1, 30*24*time.Hour) })
	t.Run("a day of 100 targets", func(t *testing.T) { measureSize(t, 100, 24*time.Hour) })
	t.Run("an hour of 10000 targets", func(t *testing.T) { measureCost(t, 10_000, time.Hour) })
}

// used returns the bytes of the blocks of a folder's files, and their sizes.
func used(t *testing.T, dir string) (blocks, sizes int64) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			t.Fatal(err)
		}
		blocks += allocated(info)
		sizes += info.Size()
	}
	return blocks, sizes
}

func pool() []*icmpcore.PingResult {
	rnd := rand.New(rand.NewPCG(1, 2))
	results := make([]*icmpcore.PingResult, 5003)
	for i := range results {
		n := 5
		if rnd.IntN(100) == 0 {
			n = rnd.IntN(6)
		}
		results[i] = result(begin, 5, noisy(rnd, n)...)
	}
	return results
}

func measureSize(t *testing.T, targets int, long time.Duration) {
	dir := t.TempDir()
	h, _ := open(t, dir, begin)
	results := pool()
	list := make([]*Series, targets)
	for i := range list {
		list[i] = h.Series(id("host" + strconv.Itoa(i)))
	}
	n := 0
	for at := begin; at.Before(begin.Add(long)); at = at.Add(10 * time.Second) {
		for _, s := range list {
			r := *results[n%len(results)]
			r.Start = at
			n++
			s.Record(&r)
		}
		h.Sweep(at)
	}
	if err := h.Close(context.Background(), begin.Add(long)); err != nil {
		t.Fatal(err)
	}
	blocks, sizes := used(t, dir)
	t.Logf("%d bytes on disk for each target (%d by the sizes of the files)", blocks/int64(targets), sizes/int64(targets))
}

func measureCost(t *testing.T, targets int, long time.Duration) {
	dir := t.TempDir()
	h, _ := open(t, dir, begin)
	results := pool()
	before := heap()
	list := make([]*Series, targets)
	for i := range list {
		list[i] = h.Series(id("host" + strconv.Itoa(i)))
	}
	fixed := heap() - before
	start, n := cpu(), 0
	var most uint64
	for at := begin; at.Before(begin.Add(long)); at = at.Add(10 * time.Second) {
		for _, s := range list {
			r := *results[n%len(results)]
			r.Start = at
			n++
			s.Record(&r)
		}
		h.Sweep(at)
	}
	recorded := cpu() - start
	most = heap() - before
	hour := uint64(0)
	for _, s := range list {
		hour += uint64(len(s.now.head) + len(s.now.body))
	}
	runtime.KeepAlive(results)
	start = cpu()
	if err := h.Close(context.Background(), begin.Add(long)); err != nil {
		t.Fatal(err)
	}
	closing := cpu() - start
	t.Logf("%v of CPU for each target and interval (%v with the end of the process: %v)", recorded/time.Duration(n), (recorded+closing)/time.Duration(n), closing)
	t.Logf("memory: %d bytes a target without rounds, %d with an hour of %d bytes", fixed/uint64(targets), most/uint64(targets), hour/uint64(targets))
}

// heap returns the bytes of live objects.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
