package explain

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/internal/monitor"
	"github.com/pingtel/pingtel/internal/output"
	"github.com/pingtel/pingtel/internal/path"
)

// network answers as the routers on the paths to its targets do, each hop after a
// millisecond.
type network struct {
	mu    sync.Mutex
	paths map[netip.Addr]*road
	sent  int
	most  int // series of traces at once
	runs  int
}

// road is the path to a target.
type road struct {
	hops   []netip.Addr // the target is the last
	broken int          // nothing answers beyond this hop; 0: all answers, -1: not even the first hop
}

func (n *network) Go(t icmpcore.Target, o icmpcore.Options, done func(icmpcore.PingResult)) (icmpcore.Run, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	r := n.paths[t.Addr]
	n.sent += o.Count
	n.runs++
	n.most = max(n.most, n.runs)
	to := min(o.TTL, len(r.hops))
	silent := r.broken != 0 && to > r.broken
	takes := time.Duration(to) * time.Millisecond
	if silent {
		takes = o.Timeout
	}
	time.AfterFunc(takes, func() {
		res := icmpcore.PingResult{Host: t.Host, Addr: t.Addr, Sent: o.Count, Loss: 100, Duration: takes}
		for i := range o.Count {
			e := icmpcore.Echo{Seq: i + 1, Outcome: icmpcore.OutcomeTimeout, RTT: takes}
			switch {
			case silent:
			case to == len(r.hops):
				e.Outcome, e.From = icmpcore.OutcomeReply, t.Addr
				res.Received, res.Hops, res.Loss = res.Received+1, to, 0
			default:
				e.Outcome = icmpcore.OutcomeError
				e.Err = &icmpcore.EchoError{Kind: icmpcore.TimeExceeded, From: r.hops[to-1], Quote: &icmpcore.Quote{Cookie: true, DSCP: -1}}
			}
			o.OnEcho(e)
		}
		n.mu.Lock()
		n.runs--
		n.mu.Unlock()
		done(res)
	})
	return icmpcore.Run{}, nil
}

func (n *network) Resolve(context.Context, string, icmpcore.Family) (icmpcore.Target, error) {
	return icmpcore.Target{}, errors.New("no names here")
}

func (n *network) HasRoute(context.Context, netip.Addr) bool { return true }

// rig is an output with its network.
type rig struct {
	*Output
	net     *network
	log     bytes.Buffer
	targets []*monitor.Target
	seen    sync.Mutex // guards what follows; the test holds it, except while it waits
	paths   []*output.Path
	of      map[*monitor.Target]*output.Path
	stop    func()

	interval time.Duration
	within   int // so many series of broken paths had begun before that
}

func router(branch, hop int) netip.Addr {
	return netip.AddrFrom4([4]byte{198, 18, byte(200 + branch), byte(hop)})
}

// newRig returns a rig of so many targets behind five hops. The first three are those of
// all, the fourth is one of ten.
func newRig(t *testing.T, n int, file string) *rig {
	t.Helper()
	c, err := config.Parse("pingtel.toml", "[[targets]]\nhosts = [\"127.0.0.1\"]\n[path]\nwhen = \"loss\"\n"+file,
		func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	probe := c.Targets[0].Probe
	for len(c.Targets) < n {
		c.Targets = append(c.Targets, c.Targets[0])
	}
	r := &rig{net: &network{paths: make(map[netip.Addr]*road)}, of: make(map[*monitor.Target]*output.Path), interval: c.Agent.Interval}
	log := slog.New(slog.NewTextHandler(&r.log, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	o, err := Open(c, output.Env{Prober: func() monitor.Prober { return r.net }, Log: log, RecordPath: func(t *monitor.Target, p *output.Path) {
		r.seen.Lock()
		defer r.seen.Unlock()
		r.paths = append(r.paths, p)
		r.of[t] = p
	}})
	if err != nil {
		t.Fatal(err)
	}
	r.Output = o.(*Output)
	for i := range n {
		addr := netip.AddrFrom4([4]byte{198, 18, byte(i / 250), byte(1 + i%250)})
		r.targets = append(r.targets, &monitor.Target{Target: config.Target{Host: addr.String(), Probe: probe}})
		r.net.paths[addr] = &road{hops: []netip.Addr{router(0, 1), router(0, 2), router(0, 3), router(1+i%10, 4), addr}}
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	r.seen.Lock()
	go func() { ended <- r.Run(ctx) }()
	r.stop = func() {
		r.seen.Unlock()
		defer r.seen.Lock()
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := r.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	return r
}

// sleep lets the output work.
func (r *rig) sleep(d time.Duration) {
	r.seen.Unlock()
	time.Sleep(d)
	synctest.Wait()
	r.seen.Lock()
}

// road returns the path to the i-th target.
func (r *rig) road(i int) *road { return r.net.paths[netip.MustParseAddr(r.targets[i].Host)] }

// round records a series of every target, spread evenly over an interval. Those of broken
// paths lost all.
func (r *rig) round() {
	start := time.Now()
	for i, t := range r.targets {
		r.sleep(time.Until(start.Add(r.interval * time.Duration(i) / time.Duration(len(r.targets)))))
		r.series(t)
	}
	r.sleep(time.Until(start.Add(r.interval)))
}

// series records a series of one target.
func (r *rig) series(t *monitor.Target) {
	addr := netip.MustParseAddr(t.Host)
	road := r.net.paths[addr]
	res := icmpcore.PingResult{Host: t.Host, Addr: addr, Sent: 5, Received: 5, Hops: len(road.hops), Start: time.Now().Add(-seriesTime)}
	if road.broken != 0 {
		res.Received, res.Hops, res.Loss = 0, 0, 100
		if r.within > 0 {
			r.within--
			res.Received, res.Hops, res.Loss = 2, len(road.hops), 60
		}
	}
	r.Record(t, &res)
}

// seriesTime is how long a series takes.
const seriesTime = 1800 * time.Millisecond

// TestOne: a target that begins to lose is traced at once, and the other outputs get
// the verdict within its timeout.
func TestOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, "")
		r.round()
		r.sleep(10 * time.Second)
		if len(r.paths) != 3 {
			t.Fatalf("%d paths of healthy targets", len(r.paths))
		}
		for target, p := range r.of {
			if want := "198.18.200.1 198.18.200.2 198.18.200.3"; p.Verdict.Cause != path.None || p.Loss || !strings.HasPrefix(p.Route.String(), want) {
				t.Errorf("%s: %+v", target.Host, p)
			}
		}
		r.net.paths[netip.MustParseAddr("198.18.0.2")].broken = 2
		lost := r.targets[1]
		r.Record(lost, &icmpcore.PingResult{Addr: netip.MustParseAddr("198.18.0.2"), Sent: 5, Loss: 100})
		r.sleep(1010 * time.Millisecond)
		p := r.of[lost]
		const want = "nothing answers beyond hop 2, 198.18.200.2; before the loss the path continued to hop 3, 198.18.200.3"
		if len(r.paths) != 4 || p.Verdict.Text != want || !p.Loss || p.Verdict.Cause != path.SilentBeyond {
			t.Errorf("%d paths, the last %+v", len(r.paths), p.Verdict)
		}
		for range 3 { // the loss goes on
			r.Record(lost, &icmpcore.PingResult{Addr: netip.MustParseAddr("198.18.0.2"), Sent: 5, Loss: 100})
			r.sleep(10 * time.Second)
		}
		r.stop()
		if len(r.paths) != 4 {
			t.Errorf("%d paths: loss that goes on is traced again", len(r.paths))
		}
		if d := cmp.Diff(`level=WARN msg="198.18.0.2: `+want+"\"\n", r.log.String()); d != "" {
			t.Errorf("log (-want +got):\n%s", d)
		}
	})
}

// TestDelay: how long after the loss begins the outputs have the verdict. A series is over
// a timeout after its last echo, and a trace takes a timeout more. So it is an interval
// and two timeouts at most, and an interval and one for a target that is joined to a cause.
func TestDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 2, "")
		r.road(1).hops[3] = r.road(0).hops[3]
		const interval, timeout, span = 10 * time.Second, time.Second, 800 * time.Millisecond // five echoes, 200 ms apart
		for range 2 {
			start := time.Now()
			r.sleep(span)
			r.series(r.targets[0])
			r.series(r.targets[1])
			r.sleep(time.Until(start.Add(interval)))
		}
		if len(r.of) != 2 {
			t.Fatalf("%d paths are known", len(r.of))
		}
		r.sleep(span)
		loss := time.Now() // right after the last reply
		r.breaks(3, func(int) bool { return true })
		verdict := func(i int) time.Duration {
			r.of = make(map[*monitor.Target]*output.Path)
			for range 100_000 {
				if r.sleep(0); r.of[r.targets[i]] != nil {
					break
				}
				r.sleep(time.Millisecond)
			}
			return time.Since(loss)
		}
		r.sleep(interval + timeout) // the next series begins an interval after the one before, and takes a timeout longer
		r.series(r.targets[0])
		if d := verdict(0); d != interval+2*timeout {
			t.Errorf("the verdict by a trace comes after %v, want %v", d, interval+2*timeout)
		}
		loss = time.Now().Add(-interval - timeout) // that of the second target, whose series end now
		r.series(r.targets[1])
		if d := verdict(1); d > interval+timeout+time.Millisecond {
			t.Errorf("the verdict on a joined target comes after %v, want %v", d, interval+timeout)
		}
		r.stop()
	})
}

// TestThreshold: loss below that of the file, or from the first round on, is not traced.
func TestThreshold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1, "loss = \"40%\"\n")
		series := func(loss float64) {
			r.Record(r.targets[0], &icmpcore.PingResult{Addr: netip.MustParseAddr("198.18.0.1"), Sent: 5, Received: int(5 - loss/20), Hops: 5, Loss: loss})
			r.sleep(2 * time.Second)
		}
		for _, step := range []struct {
			loss float64
			want int // traces after a loss
		}{{100, 0}, {100, 0}, {20, 0}, {0, 0}, {20, 0}, {40, 1}, {60, 1}, {20, 1}, {100, 2}} {
			series(step.loss)
			n := 0
			for _, p := range r.paths {
				if p.Loss {
					n++
				}
			}
			if n != step.want {
				t.Errorf("after a loss of %g%%: %d traces, want %d", step.loss, n, step.want)
			}
		}
		r.stop()
	})
}
