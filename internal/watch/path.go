package watch

import (
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"github.com/charmbracelet/x/ansi"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/path"
	"github.com/pingtel/pingtel/internal/report"
)

// traced is one trace of a target: it runs, or it has ended.
type traced struct {
	target *target
	series path.Series // of the target, when the trace began
	begun  time.Time
	result atomic.Pointer[path.Trace] // nil while it runs

	judged  bool
	verdict path.Verdict
	top     int // the first row of the table that is visible
	rows    int // that there are
	page    int // that are visible
}

// guarded is a Prober whose callbacks leave the terminal as it was if they panic.
type guarded struct {
	prober path.Prober
	caught func()
}

func (g guarded) Go(t icmpcore.Target, o icmpcore.Options, done func(icmpcore.PingResult)) (icmpcore.Run, error) {
	onEcho := o.OnEcho
	o.OnEcho = func(e icmpcore.Echo) {
		defer g.caught()
		onEcho(e)
	}
	return g.prober.Go(t, o, func(r icmpcore.PingResult) {
		defer g.caught()
		done(r)
	})
}

// traceWith has paths traced with p.
func (s *Store) traceWith(p path.Prober) {
	if s.caught != nil {
		p = guarded{p, s.caught}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tracer = p
}

// pingedBy keeps what the target is pinged with, for traces of its path. It must not
// change any more.
func (t *Target) pingedBy(o *icmpcore.Options) {
	t.store.mu.Lock()
	defer t.store.mu.Unlock()
	t.t.opts = o
}

// pathKey shows the path of the target of the cursor, or goes back from it.
func (s *Screen) pathKey() {
	if s.view == viewPath {
		s.back()
		return
	}
	t := s.current()
	if t == nil {
		return
	}
	s.cursor, s.covered, s.view = t, s.view, viewPath
	s.path = s.trace(t)
}

// trace starts a trace of a target, with echoes like those of its measuring.
func (s *Screen) trace(t *target) *traced {
	s.store.mu.Lock()
	s.store.drain()
	x := &traced{target: t, series: path.Series{Sent: t.decided, Received: t.decided - t.missed}, begun: s.now()}
	prober, opts, to := s.store.tracer, t.opts, icmpcore.Target{Host: t.host, Addr: t.addr}
	now := x.series
	if t.down() {
		now.Received = 0
	}
	_, longest := t.extremes()
	s.store.mu.Unlock()
	if prober == nil || opts == nil || !to.Addr.IsValid() {
		return x
	}
	echoes := path.Like(*opts, now, time.Duration(longest))
	path.Go(prober, to, path.Options{Echoes: echoes}, func(tr *path.Trace) { x.result.Store(tr) }) // does not block
	return x
}

// judge works the verdict out once, and remembers the routes of healthy paths.
func (s *Screen) judge(x *traced, tr *path.Trace) {
	if x.judged {
		return
	}
	before := s.routes[x.target.index]
	x.judged, x.verdict = true, path.Judge(tr, before, x.series)
	if tr.Reached && tr.EndReceived == tr.EndSent {
		route, _ := before.Join(tr)
		s.routes[x.target.index] = &route
	}
}

// showPath appends the path of a target: how it does at the moment, the verdict, and the
// hops.
func (s *Screen) showPath(f *frame) {
	x := s.path
	s.detailHead(f, s.targets()[x.target.index])
	tr := x.result.Load()
	switch {
	case tr == nil && !x.target.addr.IsValid():
		f.put(faint, "no address to trace the path to")
		f.end()
		return
	case tr == nil:
		f.put(faint, "tracing its path, for "+short(max(s.now().Sub(x.begun), 0)))
		f.end()
		return
	}
	s.judge(x, tr)
	f.put(faint, "path "+short(max(s.now().Sub(x.begun), 0))+" ago: "+report.PathLength(tr))
	f.end()
	look := bad
	if x.verdict.Cause == path.None || x.verdict.Cause == path.RateLimited {
		look = plain
	}
	for line := range strings.SplitSeq(ansi.Wrap(report.Clean(x.verdict.Text), f.width, ""), "\n") {
		if f.lines < f.most {
			f.put(look, line)
			f.end()
		}
	}
	table := report.Style{Width: f.width}.AppendHops(nil, tr, func(netip.Addr) string { return "" })
	x.table(f, strings.Split(strings.TrimSuffix(string(table), "\n"), "\n"))
}

// table appends the lines of the hops that are visible, below their titles if there is
// room for more than one.
func (x *traced) table(f *frame, lines []string) {
	room := f.most - f.lines
	if room > 1 {
		f.put(faint, lines[0])
		f.end()
		room--
	}
	lines = lines[1:]
	x.rows, x.page = len(lines), max(room, 0)
	x.top = max(min(x.top, x.rows-x.page), 0)
	for _, line := range lines[x.top:min(x.top+x.page, x.rows)] {
		f.put(plain, line)
		f.end()
	}
}

// scroll moves the rows that are visible.
func (x *traced) scroll(key string) {
	switch key {
	case "up", "k":
		x.top--
	case "down", "j":
		x.top++
	case "pgup":
		x.top -= x.page
	case "pgdown":
		x.top += x.page
	case "home", "g":
		x.top = 0
	case "end", "G":
		x.top = x.rows
	}
	x.top = max(min(x.top, x.rows-x.page), 0)
}
