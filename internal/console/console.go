// Package console shows a run of ping as it goes, and its results: to a person at
// a terminal, or in a stream of lines for any reader.
package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/report"
	"github.com/pingtel/pingtel/internal/sweep"
)

// Stream is stdout or stderr.
type Stream struct {
	io.Writer
	Size    func() (columns, lines int) // of the terminal; nil: it is none
	Escapes bool                        // the terminal understands control sequences
	Colour  bool
}

// size returns the size of the terminal. One that does not know its size has that
// of the classic ones. Without a terminal it returns zeros.
func (s *Stream) size() (columns, lines int) {
	if s.Size == nil {
		return 0, 0
	}
	if columns, lines = s.Size(); columns <= 0 || lines <= 0 {
		return 80, 24
	}
	return columns, lines
}

// Only says which hosts are listed by name, and nothing else of any.
type Only int

// The choices of hosts.
const (
	OnlyNone  Only = iota // no list: all results are shown
	OnlyAlive             // those that answered
	OnlyDead              // those that did not
)

// Options says what is pinged how, and what is shown of it.
type Options struct {
	Echoes   icmpcore.Options // of each host; OnEcho is not used
	Deadline time.Duration    // when the run's context is done, from its start; 0: there is no deadline
	One      bool             // one host is given, and no file

	EachEcho   bool // a line for each echo
	JSON       bool
	Quiet      bool // of many hosts only those in trouble
	Only       Only
	UntilReply bool // a host is done at its first reply
	Times      bool // the time before each line of an echo
	Precise    bool // warn where a host was measured without kernel timestamps

	Stdout, Stderr Stream
	Interim        <-chan os.Signal // each asks for the figures so far
}

// Verdict sums a run up.
type Verdict int

// The verdicts.
const (
	AllAnswered Verdict = iota
	SomeDidNot          // some host did not answer, or has no result
	NonePinged          // not one host could be pinged
)

// console is one run.
type console struct {
	opts      Options
	interrupt context.Context // done when the run shall end
	sweep     *sweep.Sweep
	start     time.Time
	rest      *sweep.Probe // of hosts that are not followed
	screen    *screen      // nil: there is none
	inPlace   bool         // the screen is a table of hosts on stdout
	crowd     atomic.Bool  // there are so many hosts that no more are followed

	out     *output // its lock guards all that follows
	buf     []byte  // reused for each line
	table   *report.Table
	columns int               // for which the table was made
	hosts   []*report.Figures // of the hosts that are followed, in the order given
	order   order
	totals  report.Totals
	inexact int   // hosts measured with less than kernel timestamps
	broken  error // what ended a series that had begun
}

// Run pings the hosts that each yields, shows what comes of it, and closes p. It
// ends when every host has its result, or when ctx is done, with what there is.
// The error is what kept the run from its end or from being written.
func Run(ctx context.Context, p sweep.Pinger, each func(func([]byte) error) error, opts Options) (Verdict, error) {
	c := &console{opts: opts, interrupt: ctx, sweep: sweep.New(p), start: time.Now()}
	writing, failed := context.WithCancel(ctx)
	defer failed()
	c.out = newOutput(opts.Stdout, failed)
	c.order.most = c.orderly()
	c.rest = c.probe(nil, func(r icmpcore.PingResult) { c.result(math.MaxInt, &r) })
	end := c.follow(ctx)
	err := c.sweep.Run(writing, func(yield func([]byte, *sweep.Probe) error) error {
		return each(func(host []byte) error { return yield(host, c.begin(host)) })
	})
	end()
	return c.finish(err)
}

// endless reports whether series go on until the run ends.
func (c *console) endless() bool { return c.opts.Echoes.Count == icmpcore.Forever }

// orderly returns how many hosts have their results in the order given: as many
// as a terminal shows at once, or all where every result comes at the end.
func (c *console) orderly() int {
	const inAFile = 1000
	_, lines := c.opts.Stdout.size()
	switch {
	case c.endless() && !c.opts.UntilReply:
		return math.MaxInt
	case lines > 0:
		return max(lines-2, 1) // a line for the titles, one for the totals
	}
	return inAFile
}

// begin keeps account of one more host, and returns how it is pinged.
func (c *console) begin(host []byte) *sweep.Probe {
	if c.crowd.Load() {
		return c.rest
	}
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	i := len(c.hosts)
	if i >= c.order.most {
		c.order.release(c.show)
		if !c.live() {
			c.crowd.Store(true)
			return c.rest
		}
	}
	f := report.NewFigures(string(host))
	c.hosts = append(c.hosts, f)
	return c.probe(f, func(r icmpcore.PingResult) { c.result(i, &r) })
}

// probe returns how hosts are pinged whose results emit gets, and whose events go
// into f if that is not nil.
func (c *console) probe(f *report.Figures, emit func(icmpcore.PingResult)) *sweep.Probe {
	opts := c.opts.Echoes
	if f != nil || c.opts.EachEcho {
		opts.OnEcho = func(e icmpcore.Echo) { c.echo(f, &e) }
	}
	if !c.opts.UntilReply {
		return c.sweep.Probe(opts, emit)
	}
	return c.sweep.ProbeUntil(opts, func(e icmpcore.Echo) bool { return e.Outcome == icmpcore.OutcomeReply }, emit)
}

// style is how stdout is written now.
func (c *console) style() report.Style {
	columns, _ := c.opts.Stdout.size()
	return report.Style{Colour: c.opts.Stdout.Colour, Width: columns, Times: c.opts.Times}
}

// echo counts and shows one thing that happened to an echo.
func (c *console) echo(f *report.Figures, e *icmpcore.Echo) {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	if f != nil {
		f.Add(e)
	}
	switch {
	case !c.opts.EachEcho:
		return
	case c.opts.JSON:
		c.buf = report.AppendEchoJSON(c.buf[:0], e)
	default:
		c.buf = report.AppendEcho(c.buf[:0], e, c.style())
	}
	c.out.put(c.buf)
}

// result counts the result of host i, and shows it when its turn has come.
func (c *console) result(i int, r *icmpcore.PingResult) {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	if r.Err != nil && !c.classify(r) {
		c.order.add(i, nil, c.show)
		return
	}
	c.totals.Add(r)
	if r.Err != nil && r.Sent == 0 && i < len(c.hosts) {
		c.hosts[i].Failed = report.Reason(r)
	}
	if r.Received > 0 && r.Timestamps < icmpcore.TimestampsKernel {
		c.inexact++
	}
	if c.order.open || i >= c.order.most {
		c.show(r) // most of a long list; nothing keeps r
		return
	}
	kept := *r
	c.order.add(i, &kept, c.show)
}

// classify looks at what kept a host from being pinged, or its series from its
// end, and reports whether the result is to be shown. After an interrupt an early
// end is no trouble, and a host that was not begun has no result.
func (c *console) classify(r *icmpcore.PingResult) bool {
	var send *icmpcore.SendError
	switch err := r.Err; {
	case c.interrupt.Err() != nil && errors.Is(err, c.interrupt.Err()):
		return false
	case errors.Is(err, context.Canceled), errors.Is(err, net.ErrClosed):
		r.Err = nil
		return c.opts.One || r.Sent > 0
	case r.Sent > 0 && !errors.As(err, &send) && c.broken == nil:
		c.broken = fmt.Errorf("%s: %w", r.Host, err)
	}
	return true
}

// show writes a result in the form asked for.
func (c *console) show(r *icmpcore.PingResult) {
	b := c.buf[:0]
	switch {
	case c.opts.Only != OnlyNone:
		b = c.appendName(b, r)
	case c.opts.JSON:
		b = append(r.AppendJSON(b), '\n')
	case c.opts.One || c.opts.EachEcho && !c.opts.Quiet:
		b = report.AppendBlock(b, r, c.style())
	case c.opts.Quiet && !report.Trouble(r):
	default:
		b = c.appendRow(b, r)
	}
	c.buf = b
	c.out.put(b)
}

// appendName appends the host of a result that belongs into the list asked for.
// One that could not be pinged is reported: its name may be mistyped.
func (c *console) appendName(b []byte, r *icmpcore.PingResult) []byte {
	alive := r.Received > 0
	if !alive && r.Sent == 0 && r.Err != nil && !c.opts.Quiet {
		c.tell(fmt.Appendf(nil, "pingtel: %s: %s\n", report.Clean(r.Host), report.Reason(r)))
	}
	if alive != (c.opts.Only == OnlyAlive) {
		return b
	}
	return append(append(b, report.Clean(r.Host)...), '\n')
}

// appendRow appends a row of the table, the first one below the titles.
func (c *console) appendRow(b []byte, r *icmpcore.PingResult) []byte {
	style := c.style()
	first := c.table == nil
	if first || style.Width != c.columns {
		c.table, c.columns = report.NewTable(style, c.hostWidth(r)), style.Width
	}
	if first {
		b = c.table.AppendHeader(b)
	}
	return c.table.AppendRow(b, r)
}

// hostWidth is the width of the column of hosts, by those that are known when
// its first row is written.
func (c *console) hostWidth(r *icmpcore.PingResult) int {
	width := report.LabelWidth(r.Host, r.Addr)
	for i, f := range c.hosts {
		if held := c.order.held[i]; held != nil {
			width = max(width, report.LabelWidth(held.Host, held.Addr))
		} else {
			width = max(width, f.LabelWidth())
		}
	}
	return width
}

// finish writes what comes last and returns how the run went. err is what ended
// the reading of hosts.
func (c *console) finish(err error) (Verdict, error) {
	c.out.mu.Lock()
	c.order.release(c.show)
	started := c.sweep.Started()
	c.totals.Open = max(int(started)-c.totals.Hosts, 0) // a run that ends early leaves hosts without a result
	if !c.opts.One && !c.opts.JSON && c.opts.Only == OnlyNone && started > 0 {
		c.out.put(c.totals.Append(c.buf[:0], time.Since(c.start), c.style()))
	}
	c.out.mu.Unlock()
	if c.opts.Precise && c.inexact > 0 {
		fmt.Fprintf(c.opts.Stderr, "pingtel: warning: %d of %s measured without kernel timestamps\n",
			c.inexact, plural(c.totals.Hosts, "1 host was", "%d hosts were"))
	}
	if werr := c.out.close(); werr != nil {
		return NonePinged, werr
	}
	switch {
	case err != nil:
		return NonePinged, fmt.Errorf("hosts: %w", err)
	case c.broken != nil:
		return NonePinged, c.broken
	case started == 0 && c.interrupt.Err() == nil:
		return NonePinged, errors.New("the file names no host: want one a line")
	case started > 0 && int64(c.totals.Failed) == started:
		return NonePinged, nil
	case int64(c.totals.Answered) < started, started == 0:
		return SomeDidNot, nil
	}
	return AllAnswered, nil
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return fmt.Sprintf(many, n)
}
