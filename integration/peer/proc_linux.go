package peer

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Pid is the process's id.
func (p *Process) Pid() string { return strconv.Itoa(p.Cmd.Process.Pid) }

// Status returns a figure in kB of a process's status.
func Status(t *testing.T, pid, key string) int {
	t.Helper()
	text, err := os.ReadFile("/proc/" + pid + "/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, key+":"); ok {
			kb, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")))
			if err != nil {
				t.Fatal(err)
			}
			return kb
		}
	}
	t.Fatalf("no %s of process %s", key, pid)
	return 0
}

// CPUTime returns the CPU time that a process has used so far.
func CPUTime(t *testing.T, pid string) time.Duration {
	t.Helper()
	text, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	var state string
	var user, system int64
	var skip [10]int64
	if _, err := fmt.Sscan(rest, &state, &skip[0], &skip[1], &skip[2], &skip[3], &skip[4], &skip[5], &skip[6], &skip[7], &skip[8], &skip[9],
		&user, &system); err != nil {
		t.Fatal(err)
	}
	return time.Duration(user+system) * 10 * time.Millisecond // ticks of a hundredth, everywhere on Linux
}
