package history

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pingtel/pingtel/internal/testlog"
)

// A full disk stops the history, and nothing else: rounds wait in memory, in bounds,
// and are written when there is room again. What did not fit is counted.
func TestFullDisk(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root, to mount a small file system")
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=256k"); err != nil {
		t.Skip("cannot mount a file system:", err)
	}
	defer syscall.Unmount(dir, syscall.MNT_DETACH)
	log := new(testlog.Buffer)
	h, err := Open(Options{Dir: filepath.Join(dir, "history"), Keep: 30 * 24 * time.Hour, MaxSize: 1 << 30, Log: slog.New(slog.NewTextHandler(log, nil)), Now: begin, queue: 60_000})
	if err != nil {
		t.Fatal(err)
	}
	s := h.Series(id("a.example"))
	fill(h, s, begin, begin.Add(2*time.Hour))
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 1<<20), 0o600); err == nil {
		t.Fatal("the disk is not full")
	}
	fill(h, s, begin.Add(2*time.Hour), begin.Add(30*time.Hour))
	if n := strings.Count(log.String(), "no space left"); n != 1 {
		t.Errorf("%d lines about the disk: %s", n, log)
	}
	recorded := 30 * 360
	all := total(t, h, s.Key(), begin, begin.Add(30*time.Hour))
	if lost := recorded - int(all.Rounds); lost == 0 || lost != int(h.Dropped()) {
		t.Errorf("%d rounds are missing, %d counted", lost, h.Dropped())
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	h.Sweep(begin.Add(30 * time.Hour))
	if !strings.Contains(log.String(), "history is written again") || h.waiting() {
		t.Errorf("not written again: %s", log)
	}
	if err := h.Close(context.Background(), begin.Add(30*time.Hour)); err != nil {
		t.Error(err)
	}
	h, _ = open(t, filepath.Join(dir, "history"), begin.Add(30*time.Hour))
	if again := total(t, h, s.Key(), begin, begin.Add(30*time.Hour)); again.Rounds != all.Rounds {
		t.Errorf("%d rounds after a restart, want %d", again.Rounds, all.Rounds)
	}
	kill(h)
}
