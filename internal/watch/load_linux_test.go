package watch

import (
	"context"
	"encoding/json"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/integration/netsim"
	"github.com/pingtel/pingtel/integration/peer"
	"github.com/pingtel/pingtel/integration/tmux"
	"github.com/pingtel/pingtel/internal/sweep"
)

// loadEnv has the test binary ping 10,000 hosts in the terminal that it stands
// in, with the view or without it, and write what that took to a file.
const loadEnv = "WATCH_TEST_LOAD"

var load = flag.Bool("load", false, "run TestLoad, which takes minutes")

const (
	loadHosts = 10000
	loadTime  = 60 * time.Second // the second half is measured
)

// loadReport is what one run took.
type loadReport struct {
	CPU    float64 // of one processor, for all of the process
	P99    time.Duration
	Echoes int
}

// underLoad pings as pingtel watch does, with the view or without it.
func underLoad(view bool) (loadReport, error) {
	p, err := icmpcore.Open(icmpcore.Config{})
	if err != nil {
		return loadReport{}, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), loadTime)
	defer cancel()
	var rtts []time.Duration
	half := time.Now().Add(loadTime / 2)
	var before time.Duration
	time.AfterFunc(loadTime/2, func() { before = processTime() })
	store, s := NewStore(icmpcore.DefaultMaxRate), sweep.New(p)
	ping := func(ctx context.Context) error {
		return s.Run(ctx, func(yield func([]byte, *sweep.Probe) error) error {
			a := netip.MustParseAddr("198.18.0.1")
			for range loadHosts {
				t := store.Add(a.String(), nil, time.Second)
				opts := icmpcore.Options{Interval: time.Second, Size: 8, Count: icmpcore.Forever, Keep: keptBySeries, OnEcho: func(e icmpcore.Echo) {
					if e.Outcome == icmpcore.OutcomeReply && e.Time.After(half) {
						rtts = append(rtts, e.RTT)
					}
					if view {
						t.Echo(e)
					}
				}}
				if err := yield([]byte(a.String()), s.Probe(opts, func(icmpcore.PingResult) {})); err != nil {
					return err
				}
				a = a.Next()
			}
			<-ctx.Done()
			return nil
		})
	}
	if view {
		err = Run(ctx, Terminal{Out: os.Stdout, Colour: true, UTF8: true}, store, ping)
	} else {
		err = ping(ctx)
	}
	r := loadReport{CPU: (processTime() - before).Seconds() / (loadTime / 2).Seconds(), Echoes: len(rtts)}
	slices.Sort(rtts)
	r.P99 = icmpcore.Percentile(rtts, 99)
	return r, err
}

func processTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// runLoad is the process of a run: its report goes to a file.
func runLoad(view bool, file string) error {
	r, err := underLoad(view)
	if err != nil {
		return err
	}
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return os.WriteFile(file, b, 0o666)
}

// TestLoad measures what the view takes beside the measuring, with 10,000 hosts,
// an echo a second each, on a terminal of 200 x 50: see the bounds below. It
// wants a machine that does nothing else.
func TestLoad(t *testing.T) {
	if !*load {
		t.Skip("watch: a measurement of three minutes: go test ./internal/watch -v -run TestLoad -load")
	}
	rule := func(prefix string, answer netsim.Answer) netsim.Rule {
		return netsim.Rule{Prefix: netip.MustParsePrefix(prefix), Delay: 20 * ms, Jitter: 10 * ms, Answer: answer}
	}
	rules := []netsim.Rule{rule("198.18.0.0/15", nil), rule("198.18.1.2/32", netsim.Lost), rule("198.19.0.1/32", netsim.Only(netsim.Lost, 2))}
	netsim.Run(t, rules, func(t *testing.T, n *netsim.Net) {
		with, without := loadRun(t, "view"), loadRun(t, "bare")
		t.Logf("with the view: %.1f %% of a processor, p99 %v of %d RTTs", with.CPU*100, with.P99, with.Echoes)
		t.Logf("without:       %.1f %% of a processor, p99 %v of %d RTTs", without.CPU*100, without.P99, without.Echoes)
		if with.CPU-without.CPU > 0.15 {
			t.Errorf("the view takes %.1f %% of a processor, want 15 %% at most", (with.CPU-without.CPU)*100)
		}
		if float64(with.P99) > 1.1*float64(without.P99) {
			t.Errorf("p99 is %v with the view, %v without", with.P99, without.P99)
		}
		x := tmux.Start(t, 200, 50, nil, peer.Pingtel(), "watch", "198.18.0.1-198.18.39.16")
		x.AwaitText("10000 targets")
		for range 60 { // seconds: no event tells that the memory has settled
			time.Sleep(time.Second)
		}
		if rss := peer.Status(t, x.PID(), "VmHWM"); rss > 64<<10 {
			t.Errorf("pingtel watch takes %d KiB, want %d at most", rss, 64<<10)
		} else {
			t.Logf("pingtel watch takes %d KiB", rss)
		}
		x.Press("q")
		peer.Await(t, "the end", func() bool { _, ended := x.Ended(); return ended })
		lostOnScreen(t, n)
	})
}

// loadRun runs the test binary as measuring process.
func loadRun(t *testing.T, what string) loadReport {
	t.Helper()
	file := filepath.Join(t.TempDir(), what)
	x := tmux.Start(t, 200, 50, []string{loadEnv + "=" + what, loadEnv + "_FILE=" + file}, os.Args[0])
	var r loadReport
	peer.AwaitFor(t, 2*loadTime, what, func() bool {
		b, err := os.ReadFile(file)
		if _, ended := x.Ended(); ended && err != nil {
			t.Fatalf("%s has ended without a report:\n%s", what, x.All())
		}
		return err == nil && json.Unmarshal(b, &r) == nil
	})
	return r
}

// lostOnScreen measures how long it takes from the send of an echo that is lost
// until the terminal shows that.
func lostOnScreen(t *testing.T, n *netsim.Net) {
	const timeout, host = 500 * ms, "198.19.0.1"
	n.Forget()
	x := tmux.Start(t, 80, 24, nil, peer.Pingtel(), "watch", "-i", "2", "-t", "0.5", host)
	x.AwaitText("1 with loss")
	seen := n.Now()
	var sent []time.Duration
	for _, r := range n.Arrived() {
		if r.Dst == netip.MustParseAddr(host) {
			sent = append(sent, r.At)
		}
	}
	took := seen - sent[2] - timeout
	t.Logf("a lost echo is on the screen %v after its timeout", took)
	if took > frameTime+100*ms { // and what it takes to ask tmux
		t.Errorf("a lost echo is on the screen %v after its timeout, want a frame of %v", took, frameTime)
	}
	x.Press("q")
}
