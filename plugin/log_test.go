package plugin

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestLogLines(t *testing.T) {
	for want, log := range map[string]func(*slog.Logger){
		"E! no\n":                          func(l *slog.Logger) { l.Error("no") },
		"W! odd host=a.example n=3\n":      func(l *slog.Logger) { l.Warn("odd", "host", "a.example", "n", 3) },
		"I! text key=\"a b\" empty=\"\"\n": func(l *slog.Logger) { l.Info("text", "key", "a b", "empty", "") },
		"D! why error=\"broken pipe\"\n":   func(l *slog.Logger) { l.Debug("why", "error", errors.New("broken pipe")) },
		"I! two\\nlines k=\"a\\nE! b\"\n":  func(l *slog.Logger) { l.Info("two\nlines", "k", "a\nE! b") },
		"I! with a=1 g.b=2 g.c=3s\n":       func(l *slog.Logger) { l.With("a", 1).WithGroup("g").With("b", 2).Info("with", "c", 3*time.Second) },
		"I! group g.x=1 g.y=2\n":           func(l *slog.Logger) { l.Info("group", slog.Group("g", "x", 1, "y", 2)) },
		"I! quote k=\"a\\\"b\"\n":          func(l *slog.Logger) { l.Info("quote", "k", `a"b`) },
		"I! bytes k=\"a\\xff\"\n":          func(l *slog.Logger) { l.Info("bytes", "k", "a\xff") },
		"W! more than a warning\n":         func(l *slog.Logger) { l.Log(t.Context(), slog.LevelWarn+1, "more than a warning") },
		"I! time at=2026-01-02T03:04:05Z\n": func(l *slog.Logger) {
			l.Info("time", "at", time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
		},
		"": func(l *slog.Logger) { l.Log(t.Context(), slog.LevelDebug-1, "less") },
	} {
		var out bytes.Buffer
		log(slog.New(NewLogHandler(&out, slog.LevelDebug)))
		if got := out.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestLogLinesAreBounded(t *testing.T) {
	var out bytes.Buffer
	slog.New(NewLogHandler(&out, slog.LevelInfo)).Info("long", "k", strings.Repeat("x", 1<<20), "l", "y")
	if got := out.String(); len(got) > maxLogLine+10 || !strings.HasSuffix(got, "...\n") || strings.Count(got, "\n") != 1 {
		t.Errorf("%d bytes, ends in %q", len(got), got[len(got)-10:])
	}
}

// A line that is just as long as it may be is whole.
func TestLongestLogLine(t *testing.T) {
	for extra, want := range map[int]string{0: "xx\n", 1: "x...\n"} {
		var out bytes.Buffer
		slog.New(NewLogHandler(&out, slog.LevelInfo)).Info(strings.Repeat("x", maxLogLine-len("I! ")+extra))
		if got := out.String(); !strings.HasSuffix(got, want) || strings.Count(got, "...") != strings.Count(want, "...") {
			t.Errorf("%d beyond the limit: %d bytes, end %q, want %q", extra, len(got), got[len(got)-5:], want)
		}
	}
}

// A line that is full before its last attribute says that something is missing.
func TestLogLineShowsItsCut(t *testing.T) {
	var out bytes.Buffer
	text := strings.Repeat("x", maxLogLine-len("I!  k=v"))
	slog.New(NewLogHandler(&out, slog.LevelInfo)).Info(text, "k", "v", "host", "b.test")
	if got, want := out.String(), "I! "+text+" k=v...\n"; got != want {
		t.Errorf("%d bytes that end in %q, want %q", len(got), got[max(0, len(got)-10):], "k=v...\n")
	}
}

// A log that is read in time says nothing of lost lines.
func TestLogWriterLosesNothing(t *testing.T) {
	out := &gate{open: make(chan struct{})}
	close(out.open)
	w := NewLogWriter(out)
	if _, err := w.Write([]byte("I! on\n")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if got, want := out.text(), "I! on\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Each time that lines were dropped those of that time are said.
func TestLogWriterCountsAnew(t *testing.T) {
	out := &gate{open: make(chan struct{})}
	w := NewLogWriter(out)
	w.queue.mu.Lock()
	w.queue.dropped, w.said = 7, 5 // two since that was last said
	w.queue.mu.Unlock()
	close(out.open)
	for range 2 {
		if _, err := w.Write([]byte("I! on\n")); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	const want = "W! stderr was not read: the oldest lines of the log were dropped lines=2\nI! on\nI! on\n"
	if got := out.text(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A reader that stops reading stderr holds up neither whoever logs nor the end,
// and is told what it missed when it goes on.
func TestLogWriterNeverWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &gate{open: make(chan struct{})}
		w := NewLogWriter(out)
		log := slog.New(NewLogHandler(w, slog.LevelInfo))
		const lines = 20000
		for range lines {
			log.Info(strings.Repeat("x", 100))
		}
		close(out.open)
		synctest.Wait()
		log.Info("last")
		start := time.Now()
		if err := w.Close(); err != nil || time.Since(start) > 0 {
			t.Errorf("Close = %v after %v", err, time.Since(start))
		}
		got := out.text()
		kept := strings.Count(got, "I! xxx")
		want := fmt.Sprintf("W! stderr was not read: the oldest lines of the log were dropped lines=%d\nI! last\n", lines-kept)
		if kept == 0 || len(got) > maxLogBytes+1000 || !strings.HasSuffix(got, want) {
			t.Errorf("%d lines kept, the end is %q, want %q", kept, got[max(0, len(got)-150):], want)
		}
	})
}

func TestLogWriterEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &gate{open: make(chan struct{})}
		defer close(out.open)
		w := NewLogWriter(out)
		slog.New(NewLogHandler(w, slog.LevelInfo)).Info("unread")
		synctest.Wait()
		start := time.Now()
		if err := w.Close(); !errors.Is(err, ErrUnread) || time.Since(start) != logEndTime {
			t.Errorf("Close = %v after %v, want %v", err, time.Since(start), logEndTime)
		}
	})
}
