package agent

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/internal/monitor"
	"github.com/pingtel/pingtel/internal/output"
)

// TestStarted: one line says what runs, and none where one round is all.
func TestStarted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, fileOf("none"))
		r.serve()
		want := `I! started version=v1 targets=2 echoes_per_second=0.6 outputs="line protocol to stdout"` + "\n"
		if log := r.log.String(); log != want {
			t.Errorf("log %q, want %q", log, want)
		}
		if _, err := r.end(); err != nil {
			t.Error(err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, fileOf("none"))
		if err := r.once(t.Context()); err != nil || r.log.String() != "" {
			t.Errorf("a round: %v, log %q", err, r.log.String())
		}
	})
}

// TestNothingOn: a process whose figures go nowhere does not start.
func TestNothingOn(t *testing.T) {
	r := newRig(t, fileOf("none"))
	r.make()
	r.agent.Command, r.agent.Stdin = "serve", nil
	err := r.agent.run(t.Context())
	if err == nil || err.Error() != "pingtel.toml turns no output on, so the figures would go nowhere: set web.listen or otel.enabled" {
		t.Errorf("run = %v", err)
	}
	if !r.prober.closed {
		t.Error("the sockets are open")
	}
}

// TestStartFails: what opened is closed, and the error is that of the socket or
// of the settings, which are read first.
func TestStartFails(t *testing.T) {
	denied := errors.New("not permitted")
	for name, want := range map[string]string{"[otel]\nenabled = true\nendpoint = \"localhost\"\n": "otel.endpoint", "": "not permitted"} {
		r := newRig(t, fileOf("none")+name)
		r.make()
		r.agent.Open = func(context.Context, *config.Config, func(error)) (Prober, error) { return nil, denied }
		if err := r.agent.run(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("run with %q = %v, want %s", name, err, want)
		}
	}
}

// TestReloadOutputs: what a reload cannot turn on or off is logged, and stays.
func TestReloadOutputs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, fileOf("none"))
		r.serve()
		for range 2 {
			r.file = fileOf("none") + "[otel]\nenabled = true\n"
			r.signals <- syscall.SIGHUP
			synctest.Wait()
			r.file = fileOf("none")
			r.signals <- syscall.SIGHUP
			synctest.Wait()
		}
		log := r.log.String()
		if n := strings.Count(log, "W! restart pingtel to change otel.enabled in_force=false"); n != 2 || strings.Contains(log, "E! ") {
			t.Errorf("log %q", log)
		}
		if len(r.agent.outputs) != 1 {
			t.Errorf("%d outputs", len(r.agent.outputs))
		}
		if _, err := r.end(); err != nil {
			t.Error(err)
		}
	})
}

// stubOutput is an output whose methods take as long as they are told.
type stubOutput struct {
	closeTakes time.Duration
	fails      error
	calls      []string
	records    int
}

func (o *stubOutput) Record(*monitor.Target, *icmpcore.PingResult) { o.records++ }
func (o *stubOutput) Forget(*monitor.Target)                       {}
func (o *stubOutput) Reload(*config.Config)                        { o.calls = append(o.calls, "reload") }
func (o *stubOutput) String() string                               { return "stub" }
func (o *stubOutput) Counts() []output.Count                       { return []output.Count{{Name: "stubs", Value: 7}} }

func (o *stubOutput) Run(ctx context.Context) error {
	if o.fails != nil {
		return o.fails
	}
	<-ctx.Done()
	o.calls = append(o.calls, "run ends")
	return nil
}

func (o *stubOutput) Close(ctx context.Context) error {
	select {
	case <-ctx.Done():
		o.calls = append(o.calls, "cut short")
	case <-time.After(o.closeTakes):
		o.calls = append(o.calls, "closed")
	}
	return o.fails
}

// TestEndOfOutputs looks at the order and the time of the end: series finish
// while Run ends, outputs close side by side, and one that fails ends the
// process.
func TestEndOfOutputs(t *testing.T) {
	for _, tt := range []struct {
		name         string
		series, take time.Duration
		fails        error
		took         time.Duration
		calls        []string
	}{
		{"idle", 0, 0, nil, 0, []string{"run ends", "closed"}},
		{"slow to close", 0, 4 * time.Second, nil, 4 * time.Second, []string{"run ends", "closed"}},
		{"never closes", 0, time.Hour, nil, drainTime + closeTime, []string{"run ends", "cut short"}},
		{"series under way", 2 * time.Second, time.Second, nil, 2900 * time.Millisecond, []string{"run ends", "closed"}},
		{"broken", time.Hour, 0, errors.New("disk full"), 0, []string{"closed"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, fileOf("none", "198.18.0.1"))
				r.prober.took = tt.series
				r.make()
				r.agent.Stdin = nil
				c, err := r.load()
				if err != nil {
					t.Fatal(err)
				}
				if err := r.agent.start(t.Context(), c); err != nil {
					t.Fatal(err)
				}
				if err := r.agent.closeOutputs(t.Context()); err != nil { // the stub stands in for it
					t.Fatal(err)
				}
				o := &stubOutput{closeTakes: tt.take, fails: tt.fails}
				r.agent.outputs = append(r.agent.outputs[:0], running{o, kind{name: "stub"}, r.agent.outputs[0].ended})
				if own := r.agent.own(); len(own.Outputs) != 1 || own.Outputs[0].Value != 7 || own.Schedule.Targets != 1 {
					t.Errorf("own %+v", own)
				}
				ctx, stop := context.WithCancel(t.Context())
				defer stop()
				go func() { r.result <- r.agent.serve(ctx) }()
				if tt.fails == nil {
					time.Sleep(100 * time.Millisecond) // the first series starts within it
					stop()
				}
				start := time.Now()
				if err := <-r.result; !errors.Is(err, tt.fails) {
					t.Errorf("serve = %v, want %v", err, tt.fails)
				}
				if took := time.Since(start).Round(100 * time.Millisecond); took != tt.took {
					t.Errorf("the end took %v, want %v", took, tt.took)
				}
				if d := cmp.Diff(tt.calls, o.calls); d != "" {
					t.Errorf("calls (-want +got):\n%s", d)
				}
				r.stdin.Close()
			})
		})
	}
}

// stuckOutput is an output whose Run does not end.
type stuckOutput struct {
	stubOutput
	free chan struct{}
}

func (o *stuckOutput) Run(context.Context) error { <-o.free; return nil }

// TestStuckOutput: an output that does not stop costs no more than the time of the
// end, and neither it nor another output waits for the other.
func TestStuckOutput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck, other := &stuckOutput{free: make(chan struct{})}, &stubOutput{}
		a := newAgent(Options{})
		a.outputs = []running{{stuck, kind{name: "stuck"}, new(sync.WaitGroup)}, {other, kind{name: "other"}, new(sync.WaitGroup)}}
		running, stop := context.WithCancel(t.Context())
		a.runOutputs(running)
		synctest.Wait()
		stop()
		ctx, cancel := context.WithTimeout(t.Context(), closeTime)
		defer cancel()
		start := time.Now()
		if err := a.closeOutputs(ctx); err == nil || !strings.Contains(err.Error(), "stub: it did not stop in time") {
			t.Errorf("closeOutputs = %v", err)
		}
		if took := time.Since(start); took > closeTime+leaveTime {
			t.Errorf("the end took %v", took)
		}
		if len(stuck.calls) > 0 {
			t.Errorf("Close was called beside Run: %q", stuck.calls)
		}
		if d := cmp.Diff([]string{"run ends", "closed"}, other.calls); d != "" {
			t.Errorf("the other output (-want +got):\n%s", d)
		}
		close(stuck.free)
	})
}

// TestUseProcessors looks at how many processors the runtime is left with.
func TestUseProcessors(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	runtime.SetDefaultGOMAXPROCS()
	all := runtime.GOMAXPROCS(0)
	const head, other = "[agent]\ninterval = \"10s\"\n", 3
	light, heavy := "[[targets]]\nhosts = [\"198.18.0.0/16\"]\ncount = 1\n", "[[targets]]\nhosts = [\"198.18.0.0/16\"]\ncount = 2\n"
	for _, tt := range []struct {
		name, config, env string
		once, demand      bool
		outputs           int
		want              int
	}{
		{"light", head + light, "", false, false, 1, 1},
		{"heavy", head + "max_rate = 50000\n" + heavy, "", false, false, 1, all},
		{"all at once", head + light, "", true, false, 1, all},
		{"on demand", head + light, "", false, true, 1, all},
		{"pushing too", head + light, "", false, false, 2, all},
		{"the operator's", head + light, "2", false, false, 1, other},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := parse(t, tt.config)
			if err != nil {
				t.Fatal(err)
			}
			t.Setenv("GOMAXPROCS", tt.env)
			runtime.GOMAXPROCS(other)
			a := agent{Options: Options{Command: "telegraf", Once: tt.once}, demand: tt.demand, outputs: make([]running, tt.outputs)}
			a.useProcessors(c.Plan().Rate)
			if got := runtime.GOMAXPROCS(0); got != tt.want {
				t.Errorf("%d processors at %.0f echo requests a second, want %d", got, c.Plan().Rate, tt.want)
			}
		})
	}
}

// TestNotify: a service manager hears of every state, and nothing from a process
// that Telegraf runs, which inherits the socket of Telegraf's own.
func TestNotify(t *testing.T) {
	var log bytes.Buffer
	told := 0
	tell := func() error { told++; return errors.New("no socket") }
	a := agent{Options: Options{Log: slog.New(slog.NewTextHandler(&log, nil))}}
	a.notify(tell)
	if told != 1 || !strings.Contains(log.String(), `msg="cannot notify the service manager" error="no socket"`) {
		t.Errorf("told %d times, log %q", told, log.String())
	}
	a.Stdin = strings.NewReader("")
	if a.notify(tell); told != 1 {
		t.Error("Telegraf's service manager was told")
	}
}
