package main

import (
	"bytes"
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
		p.erase()
		p.erase() // nothing is shown: nothing to erase
		p.close()
		want := eraseLine + "0 of 0 hosts finished" + eraseLine + "0 of 0 hosts finished" + eraseLine
		if got := terminal.String(); got != want {
			t.Errorf("terminal got %q, want %q", got, want)
		}
	})
}

func TestOutputFlushesSoonAndErasesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var terminal bytes.Buffer
		o := newOutput(&terminal, func() { t.Error("failed") })
		o.erase = func() { terminal.WriteString("<erase>") }
		written := func() string {
			o.mu.Lock() // held while it is written
			defer o.mu.Unlock()
			return terminal.String()
		}
		o.mu.Lock()
		o.put([]byte("a\n"))
		o.put([]byte("b\n"))
		o.mu.Unlock()
		time.Sleep(flushDelay - time.Nanosecond)
		synctest.Wait()
		if got := written(); got != "" {
			t.Errorf("before the delay: %q", got)
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if got, want := written(), "<erase>a\nb\n"; got != want {
			t.Errorf("after it: %q, want %q", got, want)
		}
		o.mu.Lock()
		o.put(bytes.Repeat([]byte("x"), 100<<10)) // more than the buffer holds
		o.put([]byte("last\n"))
		o.mu.Unlock()
		if err := o.close(); err != nil {
			t.Errorf("close = %v", err)
		}
		if got := written(); !strings.HasSuffix(got, "<erase>last\n") || strings.Count(got, "<erase>") != 3 {
			t.Errorf("at the end: %d bytes, %d times erased", len(got), strings.Count(got, "<erase>"))
		}
	})
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
