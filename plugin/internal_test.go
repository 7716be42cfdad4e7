package plugin

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/monitor"
)

// TestInternalHeap looks at the line of a process that has collected no garbage
// yet, and at that after the first collection.
func TestInternalHeap(t *testing.T) {
	if os.Getenv("GOGC") != "off" {
		self := exec.Command(os.Args[0], "-test.run=^TestInternalHeap$")
		self.Env = append(os.Environ(), "GOGC=off")
		if out, err := self.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	var e encoder
	line := func() string {
		return string(e.appendInternal(nil, time.Unix(1, 0), icmpcore.Stats{}, monitor.Stats{}, queueStats{}, nil))
	}
	if got := line(); strings.Contains(got, "heap_live_bytes") || !strings.Contains(got, "goroutines=") {
		t.Errorf("before a collection: %s", got)
	}
	runtime.GC()
	if got := line(); !strings.Contains(got, "heap_live_bytes=") || strings.Contains(got, "heap_live_bytes=0i") {
		t.Errorf("after a collection: %s", got)
	}
}
