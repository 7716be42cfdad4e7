package explain

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/internal/monitor"
	"github.com/pingtel/pingtel/internal/output"
	"github.com/pingtel/pingtel/internal/path"
)

// TestAddress: a name that gets another address has another path, and a trace to the old
// one says nothing of it.
func TestAddress(t *testing.T) {
	o := &Output{interval: 10 * time.Second, settings: config.Path{Loss: 20}, targets: make(map[*monitor.Target]*state)}
	target := &monitor.Target{Target: config.Target{Host: "host"}}
	o.Record(target, &icmpcore.PingResult{Addr: end, Sent: 5, Received: 5, Hops: 4})
	s := o.targets[target]
	s.route = routeTo(end, 1)
	next := end.Next()
	o.Record(target, &icmpcore.PingResult{Addr: end, Sent: 5, Received: 5, Hops: 4})
	if s.route == nil {
		t.Error("the path of the same address is forgotten")
	}
	o.Record(target, &icmpcore.PingResult{Addr: next, Sent: 5, Loss: 100})
	if s.route != nil || o.outage.failing != 1 {
		t.Errorf("path %v of the old address, %d targets fail", s.route, o.outage.failing)
	}
	o.judge(s, &path.Trace{Addr: end, Sent: 20, Start: noon}, true, noon)
	if len(o.found) > 0 || o.outage.failing != 0 || s.route != nil {
		t.Errorf("%d findings, %d targets fail", len(o.found), o.outage.failing)
	}
}

// TestNothingSent: a trace of which nothing could be sent has its reason in the log.
func TestNothingSent(t *testing.T) {
	o := &Output{interval: 10 * time.Second}
	s := &state{addr: end, target: &monitor.Target{Target: config.Target{Host: "host"}}}
	o.failed(s, noon)
	o.judge(s, &path.Trace{Addr: end, Err: errors.New("no buffer space")}, true, noon)
	if lines := o.outage.lines(); len(o.found) > 0 || len(lines) != 1 || lines[0] != "host: nothing could be sent: no buffer space" {
		t.Errorf("%q, %d findings", lines, len(o.found))
	}
}

// TestLines: the ten most frequent causes have a line each.
func TestLines(t *testing.T) {
	var g outage
	for i := range logged + 2 {
		for k := range 20 - i {
			g.begin(noon)
			g.add(fmt.Sprint(i, k%2), fmt.Sprint("cause ", i), "host", "text") // two keys with the same words
		}
	}
	lines := g.lines()
	if len(lines) != logged+1 || lines[0] != "20 of 174 failing targets: cause 0" || lines[9] != "11 of 174 failing targets: cause 9" || lines[10] != "19 of 174 failing targets: other causes" {
		t.Errorf("%q", lines)
	}
}

// TestLogOutage: an outage is logged when it is complete, or has lasted for long.
func TestLogOutage(t *testing.T) {
	for _, tt := range []struct {
		name      string
		interval  time.Duration
		explained int
		after     time.Duration
		end       bool
		line      string
		left      int // targets that are not explained yet
	}{
		{"complete, not yet quiet", 10 * time.Second, 2, quietTime - 1, false, "", 2},
		{"complete", 10 * time.Second, 2, quietTime, false, "2 of 2 failing targets: cause", 0},
		{"open", 10 * time.Second, 1, 12*time.Second - 1, false, "", 2},
		{"open for long", 10 * time.Second, 1, 12 * time.Second, false, "host: text", 1},
		{"open, long interval", time.Hour, 1, 62*time.Second - 1, false, "", 2},
		{"open for long, long interval", time.Hour, 1, 62 * time.Second, false, "host: text", 1},
		{"nothing is known", 10 * time.Second, 0, time.Hour, false, "", 2},
		{"the end", 10 * time.Second, 2, 0, true, "2 of 2 failing targets: cause", 0},
	} {
		var log bytes.Buffer
		o := &Output{interval: tt.interval, env: output.Env{Log: slog.New(slog.NewTextHandler(&log, nil))}}
		o.outage.begin(noon)
		o.outage.begin(noon)
		for range tt.explained {
			o.outage.add("cause", "cause", "host", "text")
		}
		o.logOutage(noon.Add(tt.after), tt.end)
		if got := log.String(); (tt.line == "") != (got == "") || !strings.Contains(got, tt.line) || o.outage.failing != tt.left {
			t.Errorf("%s: log %q, %d left", tt.name, got, o.outage.failing)
		}
	}
}
