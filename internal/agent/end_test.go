package agent

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/pingtel/pingtel/internal/config"
)

// A series that runs when the end comes may finish, if that does not take too
// long.
func TestServeEnds(t *testing.T) {
	for _, test := range []struct {
		took, end time.Duration
		want      string
	}{
		{3 * time.Second, 2 * time.Second, "packets_received=3i"},
		{time.Minute, drainTime, "packets_received=0i"},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, fileOf("none", "198.18.0.1"))
			r.prober.took = test.took
			r.serve()
			time.Sleep(time.Second)
			took, err := r.end()
			if err != nil || took < test.end || took > test.end+100*time.Millisecond {
				t.Errorf("%v after %v, want %v", err, took, test.end)
			}
			if out := r.out.String(); r.lines("198.18.0.1") != 1 || !strings.Contains(out, test.want) {
				t.Errorf("output %q, want one line with %s", out, test.want)
			}
		})
	}
}

// The end of stdin is said, and where it comes at once what to do about it.
func TestServeSaysWhyItEnds(t *testing.T) {
	const advice, plain = "W! stopping: stdin is at its end. Let Telegraf's inputs.execd run pingtel, keep stdin open, or run one round with --once", "I! stopping: stdin has ended"
	for _, test := range []struct {
		name, signal, want, not string
		before                  func(*rig)
	}{
		{"at once", "none", advice, plain, func(*rig) {}},
		{"after an interval", "none", plain, advice, func(*rig) { time.Sleep(11 * time.Second) }},
		{"after a line", "STDIN", plain, advice, func(r *rig) { r.ask(); synctest.Wait() }},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, fileOf(test.signal))
				r.serve()
				test.before(r)
				if _, err := r.end(); err != nil {
					t.Error(err)
				}
				if log := r.log.String(); strings.Count(log, test.want) != 1 || strings.Contains(log, test.not) {
					t.Errorf("log %q, want %q", log, test.want)
				}
			})
		})
	}
}

// A round that the end cuts short is no failure.
func TestRoundCutShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, fileOf("STDIN"))
		r.prober.took = time.Minute
		r.serve()
		r.ask()
		synctest.Wait()
		if _, err := r.end(); err != nil {
			t.Error(err)
		}
		if log := r.log.String(); strings.Contains(log, "E! ") || !strings.Contains(log, "series were cut short series=2") {
			t.Errorf("log %q", log)
		}
	})
}

// A round asked for right before stdin ends is run: "echo | pingtel telegraf".
func TestServeAskedAtTheEnd(t *testing.T) {
	for range 20 { // whichever the scheduler lets the session see first
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, fileOf("STDIN", "198.18.0.1", "name.example"))
			r.make()
			r.agent.Stdin = iotest.DataErrReader(strings.NewReader("\n"))
			go func() { r.result <- r.agent.run(t.Context()) }()
			if err := <-r.result; err != nil {
				t.Error(err)
			}
			if a, b := r.lines("198.18.0.1"), r.lines("name.example"); a != 1 || b != 1 {
				t.Errorf("%d and %d lines, want one each", a, b)
			}
		})
	}
}

func TestOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, fileOf("none", "198.18.0.1", "name.example"))
		if err := r.once(t.Context()); err != nil {
			t.Fatal(err)
		}
		if a, b := r.lines("198.18.0.1"), r.lines("name.example"); a != 1 || b != 1 {
			t.Errorf("%d and %d lines, want one each:\n%s", a, b, r.out.String())
		}
	})
}

// A round whose results no line can hold is none.
func TestOnceUnwritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, fileOf("none", "198.18.0.1", "198.18.0.2", "198.18.0.3"))
		r.change = func(c *config.Config) { c.Telegraf.Measurement = `\` } // no file gives this: it leaves no name
		if err := r.once(t.Context()); err == nil || !strings.Contains(err.Error(), "could not be written: 3") {
			t.Errorf("run = %v", err)
		}
		if log := r.log.String(); strings.Count(log, "E! a result cannot be written") != 1 {
			t.Errorf("log %q", log)
		}
	})
}

// Told to end, it writes what there is.
func TestOnceIsEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, fileOf("none"))
		r.prober.took = time.Minute
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		go func() { r.result <- r.once(ctx) }()
		start := time.Now()
		if err := <-r.result; err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if took := time.Since(start); took > 6*time.Second {
			t.Errorf("it took %v to end", took)
		}
		if n := r.lines("198.18.0.1"); n != 1 {
			t.Errorf("%d lines of a series that was cut short, want 1", n)
		}
	})
}
