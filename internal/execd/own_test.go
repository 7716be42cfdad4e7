package execd

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/pingtel/pingtel/internal/output"
	"github.com/pingtel/pingtel/plugin"
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
	line := func() string {
		b, err := appendOwn(nil, time.Unix(1, 0), output.Own{Outputs: []output.Count{{Name: "pushes_failed", Value: 3}}}, plugin.OutputStats{})
		if err != nil || !strings.HasSuffix(string(b), ",rounds_missed=0i,pushes_failed=3i 1000000000\n") {
			t.Errorf("line %q, %v", b, err)
		}
		return string(b)
	}
	if got := line(); strings.Contains(got, "heap_live_bytes") || !strings.Contains(got, "goroutines=") {
		t.Errorf("before a collection: %s", got)
	}
	runtime.GC()
	if got := line(); !strings.Contains(got, "heap_live_bytes=") || strings.Contains(got, "heap_live_bytes=0i") {
		t.Errorf("after a collection: %s", got)
	}
}
