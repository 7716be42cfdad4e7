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

// What a history may cost.
const (
	mostDisk   = 2_100_000            // bytes for 30 days of a target
	mostMemory = 700                  // bytes for a target, besides the buffers of the rounds of its hour
	mostCPU    = 2 * time.Microsecond // for a target and interval, the disk included
)

// TestSizeAndCost is a measurement, run by hand:
//
//	go test ./internal/history -run TestSizeAndCost -measure -v
func TestSizeAndCost(t *testing.T) {
	if !*measure {
		t.Skip("a measurement: run it with -measure")
	}
	t.Run("30 days of one target", func(t *testing.T) { measureSize(t, 1, 30) })
	t.Run("a day of 100 targets", func(t *testing.T) { measureSize(t, 100, 1) })
	t.Run("10000 targets", func(t *testing.T) {
		memory, each := measureCost(t, 10_000)
		checkMemory(t, memory/10_000)
		if each > mostCPU {
			t.Errorf("%v of CPU for a target and interval, want %v at most", each, mostCPU)
		}
	})
}

// TestBounds holds what a history may take of the disk and of memory, each day in a file
// of its own.
func TestBounds(t *testing.T) {
	measureSize(t, 1, 2)
	few, _ := measureCost(t, 100)
	many, _ := measureCost(t, 600)
	checkMemory(t, (many-few)/500) // without what any number of targets needs
}

func checkMemory(t *testing.T, each int) {
	t.Helper()
	t.Logf("%d bytes of memory for a target besides the rounds of its hour", each)
	if each > mostMemory {
		t.Errorf("%d bytes of memory for a target besides the rounds of its hour, want %d at most", each, mostMemory)
	}
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

// measureSize looks at what some days of targets take of the disk.
func measureSize(t *testing.T, targets, days int) {
	dir := t.TempDir()
	from := begin.Truncate(24 * time.Hour)
	long := time.Duration(days) * 24 * time.Hour
	h, _ := open(t, dir, from)
	results := pool()
	list := make([]*Series, targets)
	for i := range list {
		list[i] = h.Series(id("host" + strconv.Itoa(i)))
	}
	n := 0
	for at := from; at.Before(from.Add(long)); at = at.Add(10 * time.Second) {
		n = recordAll(list, results, n, at)
		h.Sweep(at)
	}
	if err := h.Close(context.Background(), from.Add(long)); err != nil {
		t.Fatal(err)
	}
	blocks, sizes := used(t, dir)
	month := int(max(blocks, sizes)) / targets * 30 / days
	t.Logf("%d targets, %d days: %d bytes on disk for 30 days of a target", targets, days, month)
	if month > mostDisk {
		t.Errorf("%d bytes on disk for 30 days of a target, want %d at most", month, mostDisk)
	}
}

// recordAll records a round of each target.
func recordAll(list []*Series, results []*icmpcore.PingResult, n int, at time.Time) int {
	for _, s := range list {
		r := *results[n%len(results)]
		r.Start = at
		n++
		s.Record(&r)
	}
	return n
}

// measureCost records two hours of targets, as fast as it can. It returns the bytes of
// memory that they take besides the buffers of their rounds, and the CPU time for a target
// and interval, the disk and the end of the process included.
func measureCost(t *testing.T, targets int) (memory int, each time.Duration) {
	h, _ := open(t, t.TempDir(), begin)
	results := pool()
	before := heap()
	list := make([]*Series, targets)
	for i := range list {
		list[i] = h.Series(id("host" + strconv.Itoa(i)))
	}
	start, n := cpu(), 0
	end := begin.Add(2 * time.Hour)
	for at := begin; at.Before(end); at = at.Add(10 * time.Second) {
		n = recordAll(list, results, n, at)
		h.Sweep(at)
	}
	recorded := cpu() - start
	all, buffers := int(heap()-before), 0
	for _, s := range list {
		buffers += cap(s.now.head) + cap(s.now.body)
	}
	runtime.KeepAlive(results)
	t.Logf("%d targets: %d bytes of memory each, %d of them for the rounds of the hour", targets, all/targets, buffers/targets)
	start = cpu()
	if err := h.Close(context.Background(), end); err != nil {
		t.Fatal(err)
	}
	closing := cpu() - start
	each = (recorded + closing) / time.Duration(n)
	t.Logf("%v of CPU for a target and interval, %v of it at the end of the process", each, closing/time.Duration(n))
	return all - buffers, each
}

// heap returns the bytes of live objects.
func heap() uint64 {
	for range 3 { // pools keep what they have over one collection
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
