package main

import (
	"bytes"
	"io"
	"runtime/debug"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pingtel/pingtel/internal/sweep"
)

func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var terminal bytes.Buffer
		p := startProgress(&terminal, sweep.New(nil))
		time.Sleep(2*progressEvery + time.Millisecond) // of virtual time
		synctest.Wait()
		write := func() error { terminal.WriteString("<result>"); return nil }
		for range 2 { // the second time nothing is shown: nothing to erase
			if err := p.makeRoom(write); err != nil {
				t.Errorf("makeRoom = %v", err)
			}
		}
		p.close()
		want := eraseLine + "0 of 0 hosts finished" + eraseLine + "0 of 0 hosts finished" + eraseLine + "<result><result>"
		if got := terminal.String(); got != want {
			t.Errorf("terminal got %q, want %q", got, want)
		}
	})
}

func TestOutputFlushesSoonAndMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var terminal bytes.Buffer
		o := newOutput(&terminal, func() { t.Error("failed") })
		p := &progress{w: &terminal}
		o.showBeside(p)
		written := func() string {
			o.mu.Lock() // held while it is written
			defer o.mu.Unlock()
			return terminal.String()
		}
		p.show("<1>")
		o.mu.Lock()
		o.put([]byte("a\n"))
		o.put([]byte("b\n"))
		o.mu.Unlock()
		time.Sleep(flushDelay - time.Nanosecond)
		synctest.Wait()
		before := eraseLine + "<1>"
		if got := written(); got != before {
			t.Errorf("before the delay: %q", got)
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if got, want := written(), before+eraseLine+"a\nb\n"; got != want {
			t.Errorf("after it: %q, want %q", got, want)
		}
		p.show("<2>")
		o.mu.Lock()
		o.put(bytes.Repeat([]byte("x"), 100<<10)) // more than the buffer holds
		o.mu.Unlock()
		if got := written(); !strings.Contains(got, "<2>"+eraseLine+"xxx") {
			t.Errorf("a long line does not begin where the progress was erased: %d bytes", len(got))
		}
		p.show("<3>")
		o.showBeside(nil)
		o.mu.Lock()
		o.put([]byte("last\n"))
		o.mu.Unlock()
		if err := o.close(); err != nil {
			t.Errorf("close = %v", err)
		}
		if got := written(); !strings.HasSuffix(got, "<3>last\n") {
			t.Errorf("at the end: %d bytes, %q", len(got), got[len(got)-20:])
		}
	})
}

// TestProgressEndsWhileResultsAreWritten is for the race detector: the line goes
// away while the flush timer may run.
func TestProgressEndsWhileResultsAreWritten(t *testing.T) {
	for range 100 {
		synctest.Test(t, func(t *testing.T) {
			o := newOutput(io.Discard, func() { t.Error("failed") })
			p := startProgress(io.Discard, sweep.New(nil))
			o.showBeside(p)
			o.mu.Lock()
			o.put([]byte("a\n"))
			o.mu.Unlock()
			time.Sleep(flushDelay) // the timer fires at the same instant
			p.close()
			o.showBeside(nil)
			if err := o.close(); err != nil {
				t.Errorf("close = %v", err)
			}
		})
	}
}

func TestVersion(t *testing.T) {
	info := &debug.BuildInfo{GoVersion: "go1.26.8", Main: debug.Module{Version: "v0.1.0"}, Settings: []debug.BuildSetting{
		{Key: "vcs.revision", Value: "abc123"}, {Key: "vcs.modified", Value: "true"},
	}}
	if got, want := version(info), "pingtel v0.1.0, commit abc123, modified, go1.26.8, "; !strings.HasPrefix(got, want) {
		t.Errorf("version = %q, want %q", got, want)
	}
	if got, want := version(&debug.BuildInfo{GoVersion: "go1.26.8"}), "pingtel (devel), commit unknown, go1.26.8, "; !strings.HasPrefix(got, want) {
		t.Errorf("version = %q, want %q", got, want)
	}
}
