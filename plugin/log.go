package plugin

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"
)

// maxLogLine bounds a line of the log: after a line of 64 KiB inputs.execd stops
// reading stderr.
const maxLogLine = 8 << 10

// maxLogBytes is how much of the log may wait for stderr, and logEndTime how long
// Close waits for stderr.
const (
	maxLogBytes = 256 << 10
	logEndTime  = time.Second
)

// LogWriter passes log lines to a writer that may block, as a full pipe does, and
// never waits for it. It holds 256 KiB. When that is full, the oldest lines are
// dropped; a line says how many once the writer takes lines again. Make one with
// [NewLogWriter]; the zero value does not work. It is safe for concurrent use.
type LogWriter struct {
	queue *queue

	mu   sync.Mutex // guards what follows
	said uint64     // lines dropped, when that was last said
}

// NewLogWriter returns a writer to w. Its goroutine ends with Close.
func NewLogWriter(w io.Writer) *LogWriter { return &LogWriter{queue: newQueue(w, maxLogBytes, 0)} }

// Write queues one line. It never fails and never waits. It does not keep line.
func (l *LogWriter) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := l.queue.stats(); now.dropped > l.said && now.bytes == 0 {
		l.queue.put(fmt.Appendf(nil, "W! stderr was not read: the oldest lines of the log were dropped lines=%d\n", now.dropped-l.said))
		l.said = now.dropped
	}
	l.queue.put(line)
	return len(line), nil
}

// Close returns when all lines are written, or after a second with an error that
// says how many are lost. It does not close the writer.
func (l *LogWriter) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), logEndTime)
	defer cancel()
	return l.queue.close(ctx)
}

// logHandler writes records the way that inputs.execd reads stderr: one line
// each, led by its level as "E! ", "W! ", "I! " or "D! ". Telegraf adds the
// time.
type logHandler struct {
	level slog.Leveler
	attrs string // of With, written out
	group string // of WithGroup: leads the keys

	mu *sync.Mutex // held while w is written; shared by all made of one
	w  io.Writer
}

// NewLogHandler returns a handler that writes records of level and above to w as
// inputs.execd reads them from stderr: one line each, with the level as "E! ",
// "W! ", "I! " or "D! " in front, and attributes as key=value. Telegraf adds the
// time. Each record is one call of w.Write, one call at a time. A line longer than
// 8 KiB is cut.
func NewLogHandler(w io.Writer, level slog.Leveler) slog.Handler {
	return &logHandler{level: level, mu: new(sync.Mutex), w: w}
}

func (h *logHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level.Level() }

func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *h
	for _, a := range attrs {
		with.attrs += string(appendAttr(nil, h.group, a))
	}
	return &with
}

func (h *logHandler) WithGroup(group string) slog.Handler {
	if group == "" {
		return h
	}
	with := *h
	with.group += group + "."
	return &with
}

func (h *logHandler) Handle(_ context.Context, r slog.Record) error {
	b := append(prefix(r.Level), printable(r.Message)...)
	b = append(b, h.attrs...)
	r.Attrs(func(a slog.Attr) bool {
		b = appendAttr(b, h.group, a)
		return len(b) <= maxLogLine // once it is longer, the rest is cut off anyhow
	})
	if len(b) > maxLogLine {
		b = append(b[:maxLogLine], "..."...)
	}
	b = append(b, '\n')
	h.mu.Lock()
	defer h.mu.Unlock()
	_, err := h.w.Write(b)
	return err
}

func prefix(l slog.Level) []byte {
	switch {
	case l >= slog.LevelError:
		return []byte("E! ")
	case l >= slog.LevelWarn:
		return []byte("W! ")
	case l >= slog.LevelInfo:
		return []byte("I! ")
	}
	return []byte("D! ")
}

// appendAttr appends " key=value", quoted where it must be.
func appendAttr(b []byte, group string, a slog.Attr) []byte {
	v := a.Value.Resolve()
	if v.Kind() == slog.KindGroup {
		if a.Key != "" {
			group += a.Key + "."
		}
		for _, member := range v.Group() {
			b = appendAttr(b, group, member)
		}
		return b
	}
	if a.Equal(slog.Attr{}) {
		return b
	}
	text := v.String()
	if v.Kind() == slog.KindTime {
		text = v.Time().Format(time.RFC3339Nano)
	}
	b = append(b, ' ')
	b = append(b, printable(group+a.Key)...)
	b = append(b, '=')
	if text == "" || strings.ContainsAny(text, " =\"") || !isPrintable(text) {
		return strconv.AppendQuote(b, text)
	}
	return append(b, text...)
}
