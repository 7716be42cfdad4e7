package agent

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/internal/testlog"
	"github.com/pingtel/pingtel/plugin"
)

// prober ends each series well after a time; close ends those that run.
type prober struct {
	took time.Duration

	mu     sync.Mutex
	open   map[*time.Timer]func()
	closed bool
}

func (p *prober) Go(t icmpcore.Target, o icmpcore.Options, done func(icmpcore.PingResult)) (icmpcore.Run, error) {
	start := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return icmpcore.Run{}, net.ErrClosed
	}
	var timer *time.Timer
	timer = time.AfterFunc(p.took, func() {
		p.mu.Lock()
		_, ours := p.open[timer]
		delete(p.open, timer)
		p.mu.Unlock()
		if ours {
			done(icmpcore.PingResult{Host: t.Host, Addr: t.Addr, Sent: o.Count, Received: o.Count, Start: start, ReplyDSCP: -1})
		}
	})
	p.open[timer] = func() {
		done(icmpcore.PingResult{Host: t.Host, Addr: t.Addr, Sent: 1, Loss: 100, Start: start, ReplyDSCP: -1, Err: net.ErrClosed})
	}
	return icmpcore.Run{}, nil
}

func (p *prober) Resolve(context.Context, string, icmpcore.Family) (icmpcore.Target, error) {
	return icmpcore.Target{Addr: netip.MustParseAddr("198.18.0.9")}, nil
}

func (p *prober) HasRoute(context.Context, netip.Addr) bool { return true }

func (p *prober) Socket(icmpcore.Family) icmpcore.SocketKind { return icmpcore.SocketRaw }

func (p *prober) Stats() icmpcore.Stats { return icmpcore.Stats{} }

func (p *prober) Close() error {
	p.mu.Lock()
	cut := p.open
	p.open, p.closed = nil, true
	p.mu.Unlock()
	for timer, end := range cut {
		timer.Stop()
		end()
	}
	return nil
}

// gate is a writer that writes nothing until it is opened.
type gate struct{ open chan struct{} }

func (g *gate) Write(b []byte) (int, error) {
	<-g.open
	return len(b), nil
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

// rig is a process that Telegraf runs, with both ends of its pipes.
type rig struct {
	t       *testing.T
	prober  *prober
	stdin   *io.PipeWriter
	stdout  io.Writer // nil: out
	out     testlog.Buffer
	log     testlog.Buffer
	signals chan os.Signal
	file    string // the text that a reload reads
	result  chan error
	agent   *agent
	change  func(*config.Config) // of what the file gave; may be nil
}

func parse(t *testing.T, text string) (*config.Config, error) {
	t.Helper()
	return config.Parse("pingtel.toml", text, func(string) (string, bool) { return "", false })
}

// fileOf is a file of two addresses.
func fileOf(signal string, hosts ...string) string {
	if len(hosts) == 0 {
		hosts = []string{"198.18.0.1", "198.18.0.2"}
	}
	return "[agent]\ninterval = \"10s\"\n[defaults]\ncount = 3\n[[targets]]\nhosts = [\"" + strings.Join(hosts, `", "`) +
		"\"]\n[telegraf]\nsignal = \"" + signal + "\"\n"
}

func newRig(t *testing.T, file string) *rig {
	t.Helper()
	r := &rig{t: t, prober: &prober{took: 500 * time.Millisecond, open: make(map[*time.Timer]func())},
		signals: make(chan os.Signal), result: make(chan error, 1), file: file}
	return r
}

func (r *rig) make() {
	r.t.Helper()
	r.t.Setenv("GOMAXPROCS", "2") // leave the test's own as it is
	if r.stdout == nil {
		r.stdout = &r.out
	}
	stdin, w := io.Pipe()
	r.stdin = w
	r.agent = newAgent(Options{
		Command: "telegraf", Version: "v1", Load: r.load,
		Open: func(context.Context, *config.Config, func(error)) (Prober, error) { return r.prober, nil },
		Log:  slog.New(plugin.NewLogHandler(&r.log, slog.LevelInfo)), Level: new(slog.LevelVar),
		Signals: r.signals, Stdin: stdin, Stdout: r.stdout,
	})
}

func (r *rig) load() (*config.Config, error) {
	c, err := parse(r.t, r.file)
	if err == nil && r.change != nil {
		r.change(c)
	}
	return c, err
}

func (r *rig) serve() {
	r.t.Helper()
	r.make()
	go func() { r.result <- r.agent.run(r.t.Context()) }()
	synctest.Wait()
}

// once runs one round.
func (r *rig) once(ctx context.Context) error {
	r.make()
	r.stdin.Close()
	r.agent.Stdin, r.agent.Once = nil, true
	return r.agent.run(ctx)
}

// ask writes a line to stdin.
func (r *rig) ask() {
	r.t.Helper()
	if _, err := r.stdin.Write([]byte("\n")); err != nil {
		r.t.Error(err)
	}
}

// end closes stdin and returns what run returned, and how long that took.
func (r *rig) end() (time.Duration, error) {
	r.t.Helper()
	r.stdin.Close()
	start := time.Now()
	err := <-r.result
	return time.Since(start), err
}

// lines counts the lines of a host so far.
func (r *rig) lines(host string) int {
	time.Sleep(100 * time.Millisecond) // lines gather for so long
	synctest.Wait()
	return strings.Count(r.out.String(), "url="+host+" ")
}

func TestServeBySchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, fileOf("none"))
		r.serve()
		time.Sleep(3 * time.Second) // of virtual time, as all in these tests
		if a, b := r.lines("198.18.0.1"), r.lines("198.18.0.2"); a != 1 || b != 1 {
			t.Errorf("%d and %d lines after 3 s, want one each: the first round is fast", a, b)
		}
		r.stdin.Write([]byte("\n\n")) // means nothing without the signal STDIN
		time.Sleep(34 * time.Second)
		if a, b := r.lines("198.18.0.1"), r.lines("198.18.0.2"); a != 4 || b != 4 {
			t.Errorf("%d and %d lines after 37 s, want 4 each", a, b)
		}
		if got := strings.Count(r.out.String(), "pingtel_internal "); got != 3 {
			t.Errorf("%d lines of the plugin's own after 37 s, want 3", got)
		}
		if took, err := r.end(); err != nil || took > time.Second {
			t.Errorf("end of stdin: %v after %v", err, took)
		}
	})
}

func TestServeOnDemand(t *testing.T) {
	ways := map[string]func(*rig){"STDIN": (*rig).ask}
	for i, sig := range plugin.Signals() { // of this system
		ways[[]string{"SIGHUP", "SIGUSR1", "SIGUSR2"}[i]] = func(r *rig) { r.signals <- sig }
	}
	for name, ask := range ways {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, fileOf(name, "198.18.0.1", "name.example"))
				r.serve()
				time.Sleep(20 * time.Second)
				if n := r.lines("198.18.0.1"); n != 0 {
					t.Errorf("%d lines without a signal", n)
				}
				for i := range 3 {
					ask(r)
					time.Sleep(time.Second)
					if a, b := r.lines("198.18.0.1"), r.lines("name.example"); a != i+1 || b != i+1 {
						t.Errorf("%d and %d lines after %d signals", a, b, i+1)
					}
				}
				if _, err := r.end(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// A round that is asked for while the last one runs gives no second series of
// a target, and rounds do not pile up.
func TestServeAskedTooOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, fileOf("STDIN"))
		r.serve()
		for range 50 {
			r.ask()
			synctest.Wait()
		}
		time.Sleep(11 * time.Second)
		if n := r.lines("198.18.0.1"); n != 1 {
			t.Errorf("%d lines, want 1", n)
		}
		if log := r.log.String(); !strings.Contains(log, "W! series skipped") {
			t.Errorf("log %q", log)
		}
		if got := r.agent.monitor.Stats().Skipped; got != 98 {
			t.Errorf("%d series skipped, want 98 of 100", got)
		}
		if _, err := r.end(); err != nil {
			t.Error(err)
		}
	})
}

// A round for which there is no slot is left out, counted, and logged.
func TestRoundLeftOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, fileOf("STDIN"))
		r.make()
		r.agent.slots = make(chan struct{}) // none at all
		go func() { r.result <- r.agent.run(r.t.Context()) }()
		for _, n := range []int{2, 1} {
			for range n {
				r.ask()
				synctest.Wait()
			}
			time.Sleep(25 * time.Second)
		}
		if log := r.log.String(); strings.Count(log, "some were left out") != 2 ||
			!strings.Contains(log, "some were left out rounds=2 in_all=2") || !strings.Contains(log, "some were left out rounds=1 in_all=3") {
			t.Errorf("log %q", log)
		}
		if _, err := r.end(); err != nil {
			t.Error(err)
		}
		if out := r.out.String(); strings.Count(out, "rounds_missed=2i ") != 2 || !strings.Contains(out, "rounds_missed=3i ") {
			t.Errorf("output %q", out)
		}
	})
}

func TestServeReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, fileOf("none"))
		r.serve()
		time.Sleep(3 * time.Second)
		for _, broken := range []string{"[agent]\nbogus = 1\n", strings.Replace(fileOf("none"), "[agent]", "[agent]\nsocket = \"raw\"", 1)} {
			r.file = broken
			r.signals <- syscall.SIGHUP
			synctest.Wait()
		}
		log := r.log.String()
		if strings.Count(log, "E! the configuration stays as it was") != 2 || !strings.Contains(log, "agent.bogus") || !strings.Contains(log, "agent.socket") {
			t.Errorf("log %q", log)
		}
		r.file = strings.Replace(fileOf("STDIN", "198.18.0.2", "198.18.0.3"), "[telegraf]", "[telegraf]\nmeasurement = \"icmp\"", 1)
		r.signals <- syscall.SIGHUP
		time.Sleep(24 * time.Second)
		if a, b, c := r.lines("198.18.0.1"), r.lines("198.18.0.2"), r.lines("198.18.0.3"); a != 1 || b != 3 || c < 2 {
			t.Errorf("%d, %d and %d lines, want 1, 3 and 2 or more: the first is gone, the third is new", a, b, c)
		}
		out := r.out.String()
		if !strings.Contains(out, "icmp,address=198.18.0.3") || strings.Contains(out, "ping,address=198.18.0.3") {
			t.Error("the new measurement is not in force")
		}
		if log := r.log.String(); !strings.Contains(log, "W! restart pingtel to change telegraf.signal in_force=none file=STDIN") {
			t.Errorf("log %q", log)
		}
		if _, err := r.end(); err != nil {
			t.Error(err)
		}
	})
}

// A signal that only the file read again names asks for nothing until the
// restart, and one that it names no more still does.
func TestServeReloadSignal(t *testing.T) {
	for _, test := range []struct {
		from, to string
		rounds   int // that a line on stdin asks for
	}{{"SIGUSR1", "STDIN", 0}, {"STDIN", "SIGUSR1", 1}} {
		t.Run(test.from, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, fileOf(test.from))
				r.serve()
				r.file = fileOf(test.to)
				for range 2 { // the second reload must not take it for agreed
					r.signals <- syscall.SIGHUP
					synctest.Wait()
				}
				r.ask()
				time.Sleep(time.Second)
				if n := r.lines("198.18.0.1"); n != test.rounds {
					t.Errorf("%d lines, want %d: the signal in force is %s", n, test.rounds, test.from)
				}
				if n := strings.Count(r.log.String(), "restart pingtel to change telegraf.signal"); n != 2 {
					t.Errorf("log %q", r.log.String())
				}
				if _, err := r.end(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// A reader that stops reading delays nothing, and keeps no process alive.
func TestServeUnread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &gate{open: make(chan struct{})}
		defer close(out.open)
		r := newRig(t, fileOf("none"))
		r.stdout = out
		r.serve()
		time.Sleep(time.Minute)
		if s := r.agent.monitor.Stats(); s.Series < 12 || s.Skipped+s.Missed != 0 {
			t.Errorf("%+v", s)
		}
		if took, err := r.end(); err != nil || took > drainTime+closeTime+time.Second {
			t.Errorf("%v after %v", err, took)
		}
		if log := r.log.String(); !strings.Contains(log, "W! lines are lost at the end") {
			t.Errorf("log %q", log)
		}
	})
}

func TestServeStdoutFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, fileOf("none"))
		r.stdout = brokenWriter{}
		r.serve()
		if err := <-r.result; err == nil || !strings.Contains(err.Error(), "write metrics to stdout: no space left on device") {
			t.Errorf("run = %v", err)
		}
		r.stdin.Close()
	})
}

func TestServeStdinFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, fileOf("none"))
		r.serve()
		r.stdin.CloseWithError(errors.New("input/output error"))
		if err := <-r.result; err != nil {
			t.Error(err)
		}
		if log := r.log.String(); !strings.Contains(log, "stdin cannot be read") {
			t.Errorf("log %q", log)
		}
	})
}
