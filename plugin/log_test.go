package plugin

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
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
		"":                                 func(l *slog.Logger) { l.Log(t.Context(), slog.LevelDebug-1, "less") },
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
