package console_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/console"
	"github.com/pingtel/pingtel/internal/hosts"
)

// fakePinger sends no packets. A host of 192.0.2.0/25 answers each echo after as
// many milliseconds as its last byte says; others never do. It stands for an
// engine in virtual time only: the real one runs in cmd/pingtel's tests.
type fakePinger struct {
	mu     sync.Mutex // guards the fields below
	stats  icmpcore.Stats
	closed chan struct{}
	wg     sync.WaitGroup
	serial sync.Mutex // callbacks come one at a time
}

func newFake() *fakePinger { return &fakePinger{closed: make(chan struct{})} }

func (p *fakePinger) Go(t icmpcore.Target, o icmpcore.Options, done func(icmpcore.PingResult)) (icmpcore.Run, error) {
	if t.Host == "" {
		t.Host = t.Addr.String()
	}
	p.wg.Go(func() { p.series(t, o, done) }) // ends with its last echo, or when the Pinger is closed
	return icmpcore.Run{}, nil
}

func (p *fakePinger) series(t icmpcore.Target, o icmpcore.Options, done func(icmpcore.PingResult)) {
	r := icmpcore.PingResult{Host: t.Host, Addr: t.Addr, TTL: 64, Hops: 1, Timestamps: icmpcore.TimestampsUser}
	last := t.Addr.As4()[3]
	rtt := time.Duration(last) * time.Millisecond
	defer func() {
		p.serial.Lock()
		defer p.serial.Unlock()
		if r.Sent > 0 {
			r.Loss = float64(r.Sent-r.Received) / float64(r.Sent) * 100
		}
		done(r)
	}()
	time.Sleep(7 * time.Millisecond) // so that no echo comes at the time of a tick
	for seq := 1; o.Count == icmpcore.Forever || seq <= o.Count; seq++ {
		p.count(func(s *icmpcore.Stats) { s.Sent++ })
		e := icmpcore.Echo{Host: t.Host, Addr: t.Addr, Seq: seq, From: t.Addr, RTT: rtt, TTL: 64, Time: time.Now()}
		wait := rtt
		if last >= 128 {
			e.Outcome, wait = icmpcore.OutcomeTimeout, o.Timeout
		}
		select {
		case <-p.closed:
			r.Err = net.ErrClosed
			return
		case <-time.After(wait):
		}
		r.Sent++
		if e.Outcome == icmpcore.OutcomeReply {
			r.Received++
			r.Min, r.Max, r.Mean, r.Median, r.P95 = rtt, rtt, rtt, rtt, rtt
			p.count(func(s *icmpcore.Stats) { s.Received++ })
		} else {
			p.count(func(s *icmpcore.Stats) { s.Timeouts++ })
		}
		if o.OnEcho != nil {
			p.serial.Lock()
			o.OnEcho(e)
			p.serial.Unlock()
		}
		select {
		case <-p.closed:
			r.Err = net.ErrClosed
			return
		case <-time.After(max(o.Interval-wait, 0)):
		}
	}
}

func (p *fakePinger) count(f func(*icmpcore.Stats)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f(&p.stats)
}

func (p *fakePinger) Stats() icmpcore.Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stats
}

func (p *fakePinger) Resolve(_ context.Context, host string, f icmpcore.Family) (icmpcore.Target, error) {
	if host == "no.test" {
		return icmpcore.Target{}, &icmpcore.ResolveError{Host: host, Family: f, Err: errors.New("no such host")}
	}
	return icmpcore.Target{Host: host, Addr: netip.MustParseAddr("192.0.2.7")}, nil
}

func (p *fakePinger) Close() error {
	close(p.closed)
	p.wg.Wait()
	return nil
}

// stream is a buffer, and a terminal if it has columns.
type stream struct {
	mu             sync.Mutex
	buf            bytes.Buffer
	columns, lines int
}

func (s *stream) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.Write(b)
}

func (s *stream) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.String()
}

func (s *stream) stream() console.Stream {
	if s.columns == 0 {
		return console.Stream{Writer: s}
	}
	return console.Stream{Writer: s, Escapes: true, Size: func() (int, int) { return s.columns, s.lines }}
}

// echoes are how hosts are pinged in most tests.
func echoes(count int) icmpcore.Options {
	return icmpcore.Options{Count: count, Interval: 100 * time.Millisecond, Timeout: 930 * time.Millisecond} // no event at the same time as another
}

// run pings the hosts of args in virtual time, until it ends or for that long.
func run(t *testing.T, opts console.Options, lasts time.Duration, stdout, stderr *stream, args ...string) (console.Verdict, error) {
	t.Helper()
	ctx := t.Context()
	if lasts > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, lasts)
		defer cancel()
	}
	opts.Stdout, opts.Stderr = stdout.stream(), stderr.stream()
	return console.Run(ctx, newFake(), hosts.Given{Args: args}.Each, opts)
}

// TestRowsInTheOrderGiven: the host that answers last is given first.
func TestRowsInTheOrderGiven(t *testing.T) {
	for lines, want := range map[int][]string{
		0: {"192.0.2.99", "192.0.2.1", "192.0.2.50", "192.0.2.2", "4 hosts:"}, // no terminal
		6: {"192.0.2.99", "192.0.2.1", "192.0.2.50", "192.0.2.2", "4 hosts:"},
		5: {"192.0.2.1", "192.0.2.2", "192.0.2.50", "192.0.2.99", "4 hosts:"}, // more than the screen holds
	} {
		synctest.Test(t, func(t *testing.T) {
			stdout := &stream{lines: lines}
			if lines > 0 {
				stdout.columns = 80
			}
			o := echoes(1)
			o.Interval = time.Millisecond
			if verdict, err := run(t, console.Options{Echoes: o}, 0, stdout, &stream{}, "192.0.2.99", "192.0.2.1", "192.0.2.50", "192.0.2.2"); verdict != console.AllAnswered || err != nil {
				t.Errorf("verdict %d, %v", verdict, err)
			}
			var got []string
			for line := range strings.Lines(stdout.String()) {
				got = append(got, line)
			}
			if len(got) != len(want)+1 || !strings.HasPrefix(got[0], "host ") {
				t.Fatalf("on %d lines\n%s", lines, stdout)
			}
			for i, w := range want {
				if !strings.HasPrefix(got[i+1], w+" ") {
					t.Errorf("on %d lines row %d is %q, want %s", lines, i, got[i+1], w)
				}
			}
		})
	}
}

// TestLinesAtIntervals runs without end where there is no terminal.
func TestLinesAtIntervals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stdout := &stream{}
		verdict, err := run(t, console.Options{Echoes: echoes(icmpcore.Forever)}, 20050*time.Millisecond, stdout, &stream{}, "192.0.2.3", "192.0.2.200")
		want := `192.0.2.3: 100 sent, 100 received, 0% loss, min 3.000 avg 3.000 max 3.000 last 3.000 ms
192.0.2.200: 10 sent, 0 received, 100% loss, last one lost
192.0.2.3: 200 sent, 200 received, 0% loss, min 3.000 avg 3.000 max 3.000 last 3.000 ms
192.0.2.200: 21 sent, 0 received, 100% loss, last one lost
host         sent  recv   loss   min ms   avg ms   max ms   p95 ms jitter ms  ttl hops
192.0.2.3     201   201     0%    3.000    3.000    3.000    3.000     0.000   64    1
192.0.2.200    21     0   100%  no replies
2 hosts: 1 answered, 1 did not; 201 of 222 echoes, 9.5% loss, 20.1 s
`
		if diff := cmp.Diff(want, stdout.String()); diff != "" || verdict != console.SomeDidNot || err != nil {
			t.Errorf("verdict %d, %v, stdout (-want +got)\n%s", verdict, err, diff)
		}
	})
}

// TestHostThatCannotBePinged is told as soon as that is known, and not counted as
// one that did not answer.
func TestHostThatCannotBePinged(t *testing.T) {
	for columns, want := range map[int]string{
		0: `192.0.2.3: 100 sent, 100 received, 0% loss, min 3.000 avg 3.000 max 3.000 last 3.000 ms
no.test: no such host
`,
		80: `192.0.2.3      5      5     0%    3.000    3.000    3.000     0.000
no.test        -      -      -  no such host
2 hosts: 1 answered, 1 could not be pinged; 5 of 5 echoes, 0% loss, 0.5 s`,
	} {
		synctest.Test(t, func(t *testing.T) {
			stdout := &stream{columns: columns, lines: 20}
			if _, err := run(t, console.Options{Echoes: echoes(icmpcore.Forever)}, 10050*time.Millisecond, stdout, &stream{}, "192.0.2.3", "no.test"); err != nil {
				t.Fatal(err)
			}
			if got := strings.ReplaceAll(stdout.String(), "\x1b[K", ""); !strings.Contains(got, want) {
				t.Errorf("%d columns:\n%s\nwant in it\n%s", columns, got, want)
			}
		})
	}
}

// TestTableInPlace runs without end on a terminal.
func TestTableInPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stdout := &stream{columns: 60, lines: 20}
		if _, err := run(t, console.Options{Echoes: echoes(icmpcore.Forever)}, 1250*time.Millisecond, stdout, &stream{columns: 60, lines: 20}, "192.0.2.3", "192.0.2.200"); err != nil {
			t.Fatal(err)
		}
		clean := strings.ReplaceAll(stdout.String(), "\x1b[K", "")
		frames := strings.Split(clean, "\r")
		want := []string{"", `host          sent   recv   loss  last ms   avg ms   max ms
192.0.2.3        5      5     0%    3.000    3.000    3.000
192.0.2.200      0      0      -
2 hosts: 1 answered, 1 did not; 5 of 5 echoes, 0% loss, ...`, "\x1b[3A" + `host          sent   recv   loss  last ms   avg ms   max ms
192.0.2.3       10     10     0%    3.000    3.000    3.000
192.0.2.200      1      0   100%  no replies
2 hosts: 1 answered, 1 did not; 10 of 11 echoes, 9.1% lo...`, "\x1b[3A\x1b[J" + `host         sent  recv   loss   min ms   avg ms   max ms
192.0.2.3      13    13     0%    3.000    3.000    3.000
192.0.2.200     1     0   100%  no replies
2 hosts: 1 answered, 1 did not; 13 of 14 echoes, 7.1% loss,
  1.2 s
`}
		if diff := cmp.Diff(want, frames); diff != "" {
			t.Errorf("frames (-want +got)\n%s", diff)
		}
	})
}

// TestProgressLine shows how far a run of some seconds has come, also with -q.
func TestProgressLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stderr := &stream{columns: 120, lines: 24}
		if verdict, err := run(t, console.Options{Echoes: echoes(30), Quiet: true}, 0, &stream{}, stderr, "192.0.2.3", "192.0.2.5"); verdict != console.AllAnswered || err != nil {
			t.Errorf("verdict %d, %v", verdict, err)
		}
		got := stderr.String()
		for _, want := range []string{
			"\r0 of 2 hosts finished, 12 of 60 echoes sent, 0% loss so far\x1b[K",
			"\r0 of 2 hosts finished, 40 of 60 echoes sent, 0% loss so far, about 1 s left\x1b[K",
		} {
			if !strings.Contains(got, want) {
				t.Errorf("stderr %q, want %q in it", got, want)
			}
		}
		if !strings.HasPrefix(got, "\r0 of 2 hosts finished, 12 of") || !strings.HasSuffix(got, "\r\x1b[J") {
			t.Errorf("stderr %q", got)
		}
	})
}

// TestShortRunsHaveNoProgress: four echoes take 0.3 s.
func TestShortRunsHaveNoProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stderr := &stream{columns: 120, lines: 24}
		if _, err := run(t, console.Options{Echoes: echoes(4), One: true}, 0, &stream{}, stderr, "192.0.2.3"); err != nil || stderr.String() != "" {
			t.Errorf("%v, stderr %q", err, stderr)
		}
	})
}

// TestInterim asks for the figures so far in the middle of a run.
func TestInterim(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		opts       console.Options
		args       []string
	}{
		{"one host", "192.0.2.3: 5 sent, 5 received, 0% loss, min 3.000 avg 3.000 max 3.000 last 3.000 ms\n",
			console.Options{Echoes: echoes(10), One: true}, []string{"192.0.2.3"}},
		{"in JSON too", "192.0.2.3: 5 sent, 5 received, 0% loss, min 3.000 avg 3.000 max 3.000 last 3.000 ms\n",
			console.Options{Echoes: echoes(10), One: true, JSON: true}, []string{"192.0.2.3"}},
		{"several", `host          sent   recv   loss  last ms   avg ms   max ms jitter ms
192.0.2.3        5      5     0%    3.000    3.000    3.000     0.000
192.0.2.200      0      0      -
0 of 2 hosts finished, 6 of 20 echoes sent, 0% loss so far
`, console.Options{Echoes: echoes(10), Quiet: true}, []string{"192.0.2.3", "192.0.2.200"}},
	} {
		synctest.Test(t, func(t *testing.T) {
			stdout, stderr := &stream{}, &stream{}
			interim := make(chan os.Signal, 1)
			tt.opts.Interim = interim
			go func() {
				time.Sleep(450 * time.Millisecond)
				interim <- syscall.SIGQUIT
			}()
			if _, err := run(t, tt.opts, 0, stdout, stderr, tt.args...); err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff(tt.want, stderr.String()); diff != "" {
				t.Errorf("%s: stderr (-want +got)\n%s", tt.name, diff)
			}
			if strings.Contains(stdout.String(), "5 sent") {
				t.Errorf("%s: stdout %q", tt.name, stdout)
			}
		})
	}
}

func TestAliveAndDead(t *testing.T) {
	args := []string{"192.0.2.3", "192.0.2.200", "no.test", "192.0.2.1", "b.test"}
	for only, want := range map[console.Only]string{
		console.OnlyAlive: "192.0.2.3\n192.0.2.1\nb.test\n",
		console.OnlyDead:  "192.0.2.200\nno.test\n",
	} {
		synctest.Test(t, func(t *testing.T) {
			stdout, stderr := &stream{}, &stream{}
			verdict, err := run(t, console.Options{Echoes: echoes(2), Only: only}, 0, stdout, stderr, args...)
			if got := stdout.String(); got != want || verdict != console.SomeDidNot || err != nil {
				t.Errorf("verdict %d, %v, stdout %q, want %q", verdict, err, got, want)
			}
			if got, want := stderr.String(), "pingtel: no.test: no such host\n"; got != want {
				t.Errorf("stderr %q, want %q", got, want)
			}
		})
	}
}

// TestHostsWithoutAnOutcome: the run ends before all hosts had a reply or a timeout.
func TestHostsWithoutAnOutcome(t *testing.T) {
	for args, want := range map[string]string{
		"192.0.2.3 192.0.2.200 192.0.2.201": "3 hosts: 1 answered, 2 had no outcome yet; 1 of 1 echo, 0% loss, 0.1 s\n",
		"192.0.2.200 192.0.2.201":           "2 hosts: 0 answered, 2 had no outcome yet; 0 of 0 echoes, 0.1 s\n",
	} {
		synctest.Test(t, func(t *testing.T) {
			stdout := &stream{}
			verdict, err := run(t, console.Options{Echoes: echoes(4)}, 90*time.Millisecond, stdout, &stream{}, strings.Fields(args)...)
			if got := stdout.String(); !strings.HasSuffix(got, want) || verdict != console.SomeDidNot || err != nil {
				t.Errorf("%s: verdict %d, %v\n%swant at its end\n%s", args, verdict, err, got, want)
			}
		})
	}
}

// TestAFileThatIsStillRead has no total to tell until all hosts are read.
func TestAFileThatIsStillRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stdout, stderr := &stream{}, &stream{columns: 120, lines: 24}
		r, w := io.Pipe()
		go func() {
			for i := range 3 {
				fmt.Fprintf(w, "192.0.2.%d\n", i+1)
				time.Sleep(time.Second)
			}
			w.Close()
		}()
		opts := console.Options{Echoes: echoes(20), Quiet: true, Stdout: stdout.stream(), Stderr: stderr.stream()}
		if verdict, err := console.Run(t.Context(), newFake(), hosts.Given{File: r}.Each, opts); verdict != console.AllAnswered || err != nil {
			t.Errorf("verdict %d, %v", verdict, err)
		}
		got := stderr.String()
		reading, whole := strings.LastIndex(got, " read so far"), strings.Index(got, " of 3 hosts finished, ")
		if !strings.Contains(got, "\r0 hosts finished, 1 read so far, 6 echoes sent, 0% loss so far\x1b[K") || reading < 0 || whole < reading {
			t.Errorf("stderr %q", got)
		}
		if strings.Contains(got[:reading], " of ") {
			t.Errorf("a total before all is read: %q", got[:reading])
		}
	})
}

// failing is a stdout that fails.
type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

func TestStdoutThatFailsEndsTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := console.Options{Echoes: echoes(icmpcore.Forever), One: true, EachEcho: true, Stdout: console.Stream{Writer: failing{}}, Stderr: (&stream{}).stream()}
		_, err := console.Run(t.Context(), newFake(), hosts.Given{Args: []string{"192.0.2.1"}}.Each, opts)
		if !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("Run = %v", err)
		}
	})
}

func TestPrecise(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"192.0.2.1"}, "pingtel: warning: 1 of 1 host was measured without kernel timestamps\n"},
		{[]string{"192.0.2.1", "192.0.2.2", "192.0.2.200"}, "pingtel: warning: 2 of 3 hosts were measured without kernel timestamps\n"},
	} {
		synctest.Test(t, func(t *testing.T) {
			stderr := &stream{}
			if _, err := run(t, console.Options{Echoes: echoes(1), Precise: true}, 0, &stream{}, stderr, tt.args...); err != nil || stderr.String() != tt.want {
				t.Errorf("%v, stderr %q, want %q", err, stderr, tt.want)
			}
		})
	}
}
