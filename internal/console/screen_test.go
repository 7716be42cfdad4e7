package console

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestScreen(t *testing.T) {
	var terminal bytes.Buffer
	s := &screen{w: &terminal}
	drawn := func(act func()) string {
		terminal.Reset()
		act()
		return terminal.String()
	}
	show := func(text string, columns int) func() { return func() { s.show([]byte(text), columns) } }
	room := func() { _ = s.makeRoom(func() error { _, err := terminal.WriteString("<row>\n"); return err }) }
	for i, step := range []struct {
		act  func()
		want string
	}{
		{room, "<row>\n"},
		{show("a", 80), "\ra\x1b[K"},
		{show("b", 80), "\rb\x1b[K"},
		{show("c\nd\ne", 80), "\rc\x1b[K\nd\x1b[K\ne\x1b[K"},
		{show("f\ng", 80), "\r\x1b[2Af\x1b[K\ng\x1b[K\x1b[J"},
		{room, "\r\x1b[1A\x1b[J<row>\n"},
		{room, "<row>\n"},
		{show("h\ni", 80), "\rh\x1b[K\ni\x1b[K"},
		{show("j\nk", 60), "\x1b[H\x1b[2Jj\x1b[K\nk\x1b[K"}, // narrower: lines may have been broken
		{show("l\nm", 80), "\r\x1b[1Al\x1b[K\nm\x1b[K"},
		{s.close, "\r\x1b[1A\x1b[J"},
		{show("n", 80), ""},
		{room, "<row>\n"},
	} {
		if got := drawn(step.act); got != step.want {
			t.Errorf("step %d: %q, want %q", i, got, step.want)
		}
	}
}

func TestOutputFlushesSoonAndMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var terminal bytes.Buffer
		o := newOutput(&terminal, func() { t.Error("failed") })
		s := &screen{w: &terminal}
		o.showBeside(s)
		put := func(text []byte) {
			o.mu.Lock()
			defer o.mu.Unlock()
			o.put(text)
		}
		written := func() string {
			o.mu.Lock() // held while it is written
			defer o.mu.Unlock()
			return terminal.String()
		}
		const before, room = "\r<1>\x1b[K", "\r\x1b[J"
		s.show([]byte("<1>"), 80)
		put([]byte("a\n"))
		put([]byte("b\n"))
		time.Sleep(flushDelay - time.Nanosecond)
		synctest.Wait()
		if got := written(); got != before {
			t.Errorf("before the delay: %q", got)
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if got, want := written(), before+room+"a\nb\n"; got != want {
			t.Errorf("after it: %q, want %q", got, want)
		}
		s.show([]byte("<2>"), 80)
		put(bytes.Repeat([]byte("x"), 100<<10)) // more than the buffer holds
		if got := written(); !strings.Contains(got, "<2>\x1b[K"+room+"xxx") {
			t.Errorf("a long line does not begin where the screen was erased: %d bytes", len(got))
		}
		s.show([]byte("<3>"), 80)
		o.showBeside(nil)
		put([]byte("last\n"))
		if err := o.close(); err != nil {
			t.Errorf("close = %v", err)
		}
		if got := written(); !strings.HasSuffix(got, "<3>\x1b[Klast\n") {
			t.Errorf("at the end: %d bytes, %q", len(got), got[len(got)-20:])
		}
	})
}

// TestScreenEndsWhileResultsAreWritten is for the race detector: the screen goes
// away while the flush timer may run.
func TestScreenEndsWhileResultsAreWritten(t *testing.T) {
	for range 100 {
		synctest.Test(t, func(t *testing.T) {
			o := newOutput(io.Discard, func() { t.Error("failed") })
			s := &screen{w: io.Discard}
			s.show([]byte("a"), 80)
			o.showBeside(s)
			o.mu.Lock()
			o.put([]byte("a\n"))
			o.mu.Unlock()
			time.Sleep(flushDelay) // the timer fires at the same instant
			s.close()
			o.showBeside(nil)
			if err := o.close(); err != nil {
				t.Errorf("close = %v", err)
			}
		})
	}
}
