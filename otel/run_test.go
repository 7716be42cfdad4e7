package otel

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
)

// fakeExporter is an exporter that a function answers for.
type fakeExporter struct {
	temporality metricdata.Temporality
	answer      func(ctx context.Context, lines []string) error
}

func (f *fakeExporter) Temporality(sdkmetric.InstrumentKind) metricdata.Temporality {
	return max(f.temporality, metricdata.CumulativeTemporality)
}

func (f *fakeExporter) Aggregation(sdkmetric.InstrumentKind) sdkmetric.Aggregation { return nil }

func (f *fakeExporter) Export(ctx context.Context, rm *metricdata.ResourceMetrics) error {
	return f.answer(ctx, pointLines(rm.ScopeMetrics))
}

func (f *fakeExporter) ForceFlush(context.Context) error { return nil }

func (f *fakeExporter) Shutdown(context.Context) error { return nil }

// fakePusher returns a pusher into f, whose store has figures of itself.
func fakePusher(t *testing.T, f *fakeExporter) (*Pusher, *Logged) {
	t.Helper()
	log := new(Logged)
	st := testStore(t, StoreOptions{Self: func() Self { return Self{Targets: 2, Foreign: 5} }})
	p := NewPusher(st, f, resource.Empty())
	p.Log = slog.New(slog.NewTextHandler(log, nil))
	return p, log
}

// running starts a pusher with this interval, whose exports f answers.
func running(t *testing.T, interval time.Duration, f func(ctx context.Context) error) (p *Pusher, stop func()) {
	t.Helper()
	p, _ = fakePusher(t, &fakeExporter{answer: func(ctx context.Context, _ []string) error { return f(ctx) }})
	p.Interval = interval
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := p.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	return p, func() {
		cancel()
		<-ended
	}
}

// TestPause: a collector that asks to be left alone is, for five minutes at
// most, and then is pushed to at the time that it would have been.
func TestPause(t *testing.T) {
	for wait, want := range map[time.Duration]time.Duration{
		0: 13 * time.Second, 10 * time.Second: 13 * time.Second, 42 * time.Second: 53 * time.Second, time.Hour: 303 * time.Second,
	} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			var at []time.Duration
			_, stop := running(t, 10*time.Second, func(context.Context) error {
				at = append(at, time.Since(start))
				return fmt.Errorf("exporter: %w", &ExportError{RetryAfter: wait, Err: errors.New("busy")})
			})
			time.Sleep(310 * time.Second)
			stop()
			if len(at) < 2 || at[0] != firstPush || at[1] != want {
				t.Errorf("asked for %v: pushes at %v, want the second at %v", wait, at, want)
			}
		})
	}
}

// TestSetInterval: a shorter interval counts at once, a longer one from the next
// push.
func TestSetInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var at []time.Duration
		p, stop := running(t, time.Hour, func(context.Context) error {
			at = append(at, time.Since(start))
			return nil
		})
		for _, interval := range []time.Duration{5 * time.Second, time.Minute} {
			time.Sleep(9 * time.Second)
			p.SetInterval(interval)
		}
		time.Sleep(65 * time.Second)
		stop()
		if want := []time.Duration{3 * time.Second, 14 * time.Second, 19 * time.Second, 79 * time.Second}; !slices.Equal(at, want) {
			t.Errorf("pushes at %v, want %v", at, want)
		}
	})
}

// TestEndDuringPush: a push under way at the end is let finish, so that the
// last one need not send the same again, but not for ever.
func TestEndDuringPush(t *testing.T) {
	for answers, want := range map[time.Duration]time.Duration{time.Second: time.Second, time.Hour: graceTime} {
		synctest.Test(t, func(t *testing.T) {
			var got error
			_, stop := running(t, time.Minute, func(ctx context.Context) error {
				select {
				case <-time.After(answers):
				case <-ctx.Done():
					got = ctx.Err()
				}
				return got
			})
			time.Sleep(firstPush)
			synctest.Wait()
			start := time.Now()
			stop()
			if took := time.Since(start); took != want || (got == nil) != (answers == want) {
				t.Errorf("an answer after %v: ended after %v with %v, want %v", answers, took, got, want)
			}
		})
	}
}

// TestEnd: at the end Run pushes what no push has delivered, and Close what has
// come after that; nothing is sent twice for nothing.
func TestEnd(t *testing.T) {
	for _, temporality := range []metricdata.Temporality{metricdata.CumulativeTemporality, metricdata.DeltaTemporality} {
		synctest.Test(t, func(t *testing.T) {
			var pushes [][]string // requests of each push
			f := &fakeExporter{temporality: temporality, answer: func(_ context.Context, lines []string) error {
				if slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, "ping.target.count") }) {
					pushes = append(pushes, nil) // it comes first
				}
				for _, l := range lines {
					if strings.HasPrefix(l, "ping.requests{") {
						_, l, _ = strings.Cut(l, "server.address=")
						l, _, _ = strings.Cut(l, " [")
						pushes[len(pushes)-1] = append(pushes[len(pushes)-1], l)
					}
				}
				slices.Sort(pushes[len(pushes)-1])
				return nil
			}}
			p, log := fakePusher(t, f)
			a, b := p.store.Add(TargetOptions{Host: "a"}), p.store.Add(TargetOptions{Host: "b"})
			p.store.Record(a, reply(addrA))
			p.store.Record(b, reply(addrA))
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error)
			go func() { ended <- p.Run(ctx) }()
			time.Sleep(firstPush + time.Second)
			p.store.Record(a, reply(addrA))
			stop()
			if err := <-ended; err != nil {
				t.Error(err)
			}
			p.store.Record(b, reply(addrA))
			if err := p.Close(t.Context()); err != nil {
				t.Error(err)
			}
			want := [][]string{{"a} 1", "b} 1"}, {"a} 2"}, {"b} 2"}}
			if temporality == metricdata.DeltaTemporality {
				want = [][]string{{"a} 1", "b} 1"}, {"a} 1"}, {"b} 1"}}
			}
			if fmt.Sprint(pushes) != fmt.Sprint(want) {
				t.Errorf("%v: pushes %v, want %v", temporality, pushes, want)
			}
			if l := log.Take(); len(l) > 0 {
				t.Errorf("log %q", l)
			}
		})
	}
}

// TestCause: a further cause of an outage is a line in the log, the same one
// again is none, whatever numbers are in it.
func TestCause(t *testing.T) {
	var answer error
	p, log := fakePusher(t, &fakeExporter{answer: func(context.Context, []string) error { return answer }})
	for _, tt := range []struct {
		err  string
		want string
	}{
		{"dial 127.0.0.1:4317: connection refused", "connection refused"},
		{"dial 127.0.0.1:4317: connection refused", ""},
		{"read 127.0.0.1:51234: reset", "reset"},
		{"read 127.0.0.1:6: reset", ""},
		{"x509: unknown authority", "x509"},
		{"dial 127.0.0.1:4317: connection refused", ""},
		{"", "succeed again"},
		{"dial 127.0.0.1:4317: connection refused", "connection refused"},
	} {
		answer = nil
		if tt.err != "" {
			answer = errors.New(tt.err)
		}
		p.push(t.Context(), false)
		if l := strings.Join(log.Take(), ""); tt.want == "" && l != "" || !strings.Contains(l, tt.want) || strings.Count(l, "\n") > 1 {
			t.Errorf("%s: log %q, want %q", tt.err, l, tt.want)
		}
	}
}

// TestJudge: the OTLP exporters' own error on partial success is known by its
// text, and a warning is no failure.
func TestJudge(t *testing.T) {
	known := &ExportError{Outcome: TooLarge, Err: errors.New("x")}
	for _, tt := range []struct {
		err  error
		want *ExportError
	}{
		{nil, nil},
		{fmt.Errorf("failed to upload metrics: %w", known), known},
		{errors.New("failed to upload metrics: OTLP partial success: old (3 metric data points rejected)"), &ExportError{Outcome: Partial}},
		{errors.New("failed to upload metrics: OTLP partial success: old (0 metric data points rejected)"), nil},
		{errors.New("refused"), &ExportError{}},
	} {
		got := judge(tt.err)
		if (got == nil) != (tt.want == nil) || got != nil && (got.Outcome != tt.want.Outcome || !errors.Is(got, got.Err)) {
			t.Errorf("%v: %+v, want %+v", tt.err, got, tt.want)
		}
	}
}

// TestOwnFigures pushes pingtel's own counts: with delta each of them once,
// though a push fails; else from the start on.
func TestOwnFigures(t *testing.T) {
	for temporality, want := range map[metricdata.Temporality][]string{
		metricdata.CumulativeTemporality: {"5 [0 1]", "15 [0 3]", "20 [0 4]"},
		metricdata.DeltaTemporality:      {"5 [0 1]", "10 [1 3]", "5 [3 4]"},
	} {
		fail, got, start := false, []string(nil), time.Now().Truncate(time.Second)
		p, _ := fakePusher(t, &fakeExporter{temporality: temporality, answer: func(_ context.Context, lines []string) error {
			if fail {
				return errors.New("away")
			}
			for _, l := range lines {
				if l, ok := strings.CutPrefix(l, "ping.foreign{} "); ok {
					var n, from, to int64
					if _, err := fmt.Sscanf(l, "%d [%d %d]", &n, &from, &to); err != nil {
						t.Error(err)
					}
					got = append(got, fmt.Sprintf("%d [%d %d]", n, (from-start.UnixNano())/1e9, (to-start.UnixNano())/1e9))
				}
			}
			return nil
		}})
		foreign := uint64(0)
		p.store.options.Self = func() Self { foreign += 5; return Self{Foreign: foreign} }
		p.started, p.deliveredAt = start, start
		for i := range 4 {
			fail = i == 1
			if err := p.pushSelf(t.Context(), start.Add(time.Duration(i+1)*time.Second)); (err != nil) != fail {
				t.Fatal(err)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%v: %v, want %v", temporality, got, want)
		}
		p.pushSelf(t.Context(), start.Add(-time.Hour)) // the wall clock was set back
		if last := got[len(got)-1]; !strings.HasSuffix(last, "[-3600 -3600]") {
			t.Errorf("%v: %s, want the start to go back with the clock", temporality, last)
		}
	}
}

// TestProduce: a reader gets the sums of all targets but removed ones, with one
// time; and an error where a pusher takes deltas from the store.
func TestProduce(t *testing.T) {
	st := testStore(t, StoreOptions{})
	a, b := st.Add(TargetOptions{Host: "a"}), st.Add(TargetOptions{Host: "b"})
	for range 2 {
		st.Record(a, reply(addrA))
		st.Record(b, reply(addrB))
	}
	st.Remove(b)
	reader := sdkmetric.NewManualReader(sdkmetric.WithProducer(st))
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	defer provider.Shutdown(context.Background())
	var rm metricdata.ResourceMetrics
	for range 2 {
		if err := reader.Collect(t.Context(), &rm); err != nil {
			t.Fatal(err)
		}
	}
	lines, times := pointLines(rm.ScopeMetrics), map[string]bool{}
	for _, l := range lines {
		times[l[strings.LastIndexByte(l, ' '):]] = true
		if strings.Contains(l, "=b") {
			t.Errorf("%s: it was removed", l)
		}
	}
	if !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, "ping.replies{") && strings.Contains(l, "=a} 2 ") }) || len(times) != 1 {
		t.Errorf("%d times in\n%s", len(times), strings.Join(lines, "\n"))
	}
	NewPusher(st, &fakeExporter{temporality: metricdata.DeltaTemporality}, resource.Empty())
	if _, err := st.Produce(t.Context()); err == nil || !strings.Contains(err.Error(), "delta") {
		t.Errorf("error %v", err)
	}
}

// TestStoreOptions refuses what cannot be used.
func TestStoreOptions(t *testing.T) {
	for want, o := range map[string]StoreOptions{
		"want ascending numbers":              {Bounds: []float64{2, 1}},
		"want ascending numbers above":        {Bounds: []float64{0, 1}},
		`no instrument "rtt": want some of p`: {Metrics: []string{"rtt"}},
	} {
		if st, err := NewStore(o); st != nil || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", o, err, want)
		}
	}
}
