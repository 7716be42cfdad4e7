package plugin

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/pingtel/pingtel/icmpcore"
)

// TestOutputThatFails has a writer that fails: Close says how, and why the line is
// lost.
func TestOutputThatFails(t *testing.T) {
	out := NewOutput(brokenWriter{}, Format{}, 0, nil)
	out.Write("b.test", nil, &icmpcore.PingResult{Sent: 1})
	<-out.Failed()
	if err := out.Close(t.Context()); err == nil || !strings.Contains(err.Error(), "no space left on device") {
		t.Errorf("Close = %v", err)
	}
}

// TestOutputRefuses has a result that line protocol cannot hold, with a log and
// without one.
func TestOutputRefuses(t *testing.T) {
	var said strings.Builder
	for _, log := range []*slog.Logger{nil, slog.New(slog.NewTextHandler(&said, nil))} {
		out := NewOutput(&strings.Builder{}, Format{Measurement: `\`}, 0, log)
		out.Write("b.test", nil, &icmpcore.PingResult{Sent: 1})
		if err := out.Close(t.Context()); err == nil || !strings.Contains(err.Error(), "could not be written: 1") {
			t.Errorf("Close = %v", err)
		}
	}
	if !strings.Contains(said.String(), "a result cannot be written") {
		t.Errorf("log %q", said.String())
	}
}
