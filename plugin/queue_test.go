package plugin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// gate is a writer that writes nothing until it is opened.
type gate struct {
	open chan struct{}
	mu   sync.Mutex
	got  bytes.Buffer
}

func (g *gate) Write(b []byte) (int, error) {
	<-g.open
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.got.Write(b)
}

func (g *gate) text() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.got.String()
}

func TestQueueDropsTheOldest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &gate{open: make(chan struct{})}
		q := newQueue(out, 1600, gatherTime) // chunks of 100 bytes
		const lines, length = 1000, 10
		for i := range lines {
			q.put(fmt.Appendf(nil, "line %04d\n", i))
			if i == 0 {
				time.Sleep(gatherTime) // of virtual time
				synctest.Wait()        // it is being written, and blocks
			}
			if s := q.stats(); s.bytes > 1600 {
				t.Fatalf("%d bytes wait, more than the limit", s.bytes)
			}
		}
		waiting := q.stats()
		close(out.open)
		if err := q.close(t.Context()); err != nil {
			t.Fatal(err)
		}
		got := strings.Split(strings.TrimSuffix(out.text(), "\n"), "\n")
		if got[0] != "line 0000" || got[len(got)-1] != "line 0999" {
			t.Errorf("from %q to %q", got[0], got[len(got)-1])
		}
		for i, first := 1, lines-len(got)+1; i < len(got); i++ {
			if want := fmt.Sprintf("line %04d", first+i-1); got[i] != want {
				t.Fatalf("line %d is %q, want %q: the newest without a gap", i, got[i], want)
			}
		}
		after := q.stats()
		if after.written != uint64(len(got)) || after.written+after.dropped != lines || after.dropped != waiting.dropped || after.bytes != 0 {
			t.Errorf("%d lines of %d came; counts %+v", len(got), lines, after)
		}
		if len(got)*length < 1500-100 {
			t.Errorf("only %d bytes kept of 1,600", len(got)*length)
		}
	})
}

func TestQueueWritesAll(t *testing.T) {
	var out bytes.Buffer
	q := newQueue(&out, 1<<20, gatherTime)
	var want strings.Builder
	for i := range 5000 {
		line := fmt.Sprintf("line %d\n", i)
		want.WriteString(line)
		q.put([]byte(line))
	}
	if err := q.close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if out.String() != want.String() || q.stats().dropped != 0 {
		t.Errorf("%d bytes of %d came, %+v", out.Len(), want.Len(), q.stats())
	}
	q.put([]byte("late\n"))
	if s := q.stats(); s.dropped != 1 {
		t.Errorf("a line after close: %+v", s)
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func TestQueueTellsThatTheWriterFailed(t *testing.T) {
	q := newQueue(brokenWriter{}, 1<<20, gatherTime)
	q.put([]byte("a\n"))
	<-q.failed
	q.put([]byte("b\n"))
	if err := q.close(t.Context()); err == nil || !strings.Contains(err.Error(), "no space left on device") {
		t.Errorf("close = %v", err)
	}
	if s := q.stats(); s.dropped != 2 || s.written != 0 {
		t.Errorf("%+v", s)
	}
}

// What is being written counts as waiting: it is in memory too.
func TestQueueCountsWhatIsBeingWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &gate{open: make(chan struct{})}
		q := newQueue(out, 1600, gatherTime)
		q.put(bytes.Repeat([]byte("a"), 1000))
		time.Sleep(gatherTime) // of virtual time
		synctest.Wait()        // it is being written, and blocks
		if s := q.stats(); s.bytes != 1000 {
			t.Errorf("%d bytes wait, want the 1000 that are being written", s.bytes)
		}
		for range 7 {
			q.put(bytes.Repeat([]byte("b"), 100))
		}
		if s := q.stats(); s.bytes != 1600 || s.dropped != 1 {
			t.Errorf("%+v, want 1600 bytes, the oldest of 7 dropped", s)
		}
		q.put(bytes.Repeat([]byte("c"), 601)) // more than there could be room for
		if s := q.stats(); s.bytes != 1000 || s.dropped != 8 {
			t.Errorf("%+v, want only what is being written left, and 8 dropped", s)
		}
		close(out.open)
		if err := q.close(t.Context()); err != nil || len(out.text()) != 1000 {
			t.Errorf("close = %v, %d bytes came", err, len(out.text()))
		}
	})
}

// Lines are written together as far as they fit.
func TestQueueFillsItsChunks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &gate{open: make(chan struct{})}
		close(out.open)
		q := newQueue(out, 1600, time.Hour) // chunks of 100 bytes
		for i, want := range []int{1, 1, 2, 2, 3} {
			q.put(bytes.Repeat([]byte("a"), 50))
			q.mu.Lock()
			if n := len(q.chunks); n != want {
				t.Errorf("%d chunks after %d lines of 50 bytes, want %d", n, i+1, want)
			}
			q.mu.Unlock()
		}
		if err := q.close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// Close waits for what is being written and what waits behind it, also where
// both are as long.
func TestQueueClosesWhenAllIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &gate{open: make(chan struct{})}
		q := newQueue(out, 1600, gatherTime)
		q.put([]byte("a\n"))
		time.Sleep(gatherTime) // of virtual time
		synctest.Wait()        // it is being written, and blocks
		q.put([]byte("b\n"))
		closed := make(chan error, 1)
		go func() { closed <- q.close(t.Context()) }()
		synctest.Wait()
		select {
		case err := <-closed:
			t.Errorf("close = %v before anything was written", err)
		default:
		}
		close(out.open)
		if err := <-closed; err != nil || out.text() != "a\nb\n" {
			t.Errorf("close = %v, written %q", err, out.text())
		}
	})
}

func TestQueueDoesNotWaitForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &gate{open: make(chan struct{})}
		defer close(out.open)
		q := newQueue(out, 1600, gatherTime)
		q.put([]byte("a\n"))
		time.Sleep(gatherTime)
		synctest.Wait()
		for range 20 {
			q.put([]byte("b\n"))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := q.close(ctx); !errors.Is(err, ErrUnread) || !strings.Contains(err.Error(), "20 lines") {
			t.Errorf("close = %v", err)
		}
		if s := q.stats(); s.dropped != 20 {
			t.Errorf("%+v", s)
		}
	})
}
