package console

import (
	"context"
	"math"
	"time"

	"github.com/pingtel/pingtel/internal/report"
)

// How often things are shown while a run goes on.
const (
	progressEvery = 200 * time.Millisecond
	progressAfter = 500 * time.Millisecond // a run of the default length shows none
	frameEvery    = 500 * time.Millisecond
	linesEvery    = 10 * time.Second
)

// live reports whether the figures so far of several hosts are shown again and
// again, since their results come only at the end.
func (c *console) live() bool {
	return c.endless() && !c.opts.One && !c.opts.EachEcho && !c.opts.JSON && !c.opts.Quiet && c.opts.Only == OnlyNone
}

// follow shows how the run goes until ctx is done or the function that it returns
// is called, which waits for the end of that.
func (c *console) follow(ctx context.Context) (end func()) {
	c.inPlace = c.live() && c.opts.Stdout.Escapes && c.opts.Stdout.Size != nil
	every, after, show := progressEvery, progressAfter, c.showProgress
	switch {
	case c.inPlace:
		c.screen = &screen{w: c.opts.Stdout}
		every, after, show = frameEvery, 0, c.showFrame
	case c.opts.Stderr.Escapes && !c.echoesOnTerminal():
		c.screen = &screen{w: c.opts.Stderr}
	default:
		show = func() {}
	}
	c.out.showBeside(c.screen)
	ctx, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() { // ends when ctx is done; end waits for it
		defer close(done)
		tick, lines := time.NewTicker(every), time.NewTicker(linesEvery)
		defer tick.Stop()
		defer lines.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				if time.Since(c.start) >= after {
					show()
				}
			case <-lines.C:
				c.showLines()
			case <-c.opts.Interim:
				c.showInterim()
			}
		}
	}()
	return func() {
		stop()
		<-done
		if c.screen != nil {
			c.screen.close()
			c.out.showBeside(nil)
		}
	}
}

// echoesOnTerminal reports whether a line for each echo shows how the run goes.
func (c *console) echoesOnTerminal() bool { return c.opts.EachEcho && c.opts.Stdout.Size != nil }

// showProgress draws the line of progress.
func (c *console) showProgress() {
	columns, _ := c.opts.Stderr.size()
	p := c.progress()
	c.screen.show(p.Append(nil, report.Style{Width: columns}), columns)
}

func (c *console) progress() report.Progress {
	count := c.opts.Echoes.Count
	if c.endless() {
		count = 0
	}
	allRead := c.sweep.AllRead() // before the hosts are counted
	stats := c.sweep.Stats()
	return report.Progress{
		Hosts: c.sweep.Started(), Finished: c.sweep.Finished(), AllRead: allRead, Count: count,
		Sent: signed(stats.Sent), Refused: signed(stats.SendErrors), Received: signed(stats.Received), Lost: signed(stats.Timeouts) + signed(stats.Errors),
		Elapsed: time.Since(c.start), Timeout: c.opts.Echoes.Timeout, Until: c.opts.Deadline,
	}
}

func signed(n uint64) int64 { return int64(min(n, math.MaxInt64)) }

// showFrame draws the table of hosts.
func (c *console) showFrame() {
	columns, lines := c.opts.Stdout.size()
	style := c.style()
	style.Width = columns - 1 // see screen.show
	c.out.mu.Lock()
	b := report.AppendFrame(nil, c.hosts, lines-1, time.Since(c.start), style)
	c.out.mu.Unlock()
	c.screen.show(b, columns)
}

// showLines writes a line for each host where no terminal shows the table.
func (c *console) showLines() {
	if !c.live() || c.inPlace {
		return
	}
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	style, now := c.style(), time.Now()
	for _, f := range c.hosts {
		c.buf = f.AppendLine(c.buf[:0], now, style)
		c.out.put(c.buf)
	}
}

// showInterim writes the figures so far to stderr.
func (c *console) showInterim() {
	columns, _ := c.opts.Stderr.size()
	style := report.Style{Colour: c.opts.Stderr.Colour, Width: columns}
	c.out.flush() // what happened before stands before it
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	var b []byte
	if c.opts.One && len(c.hosts) > 0 {
		b = c.hosts[0].AppendLine(b, time.Now(), style)
	} else {
		table := report.NewLiveTable(style, c.hosts)
		b = table.AppendHeader(b)
		for _, f := range c.hosts {
			b = table.AppendFigures(b, f)
		}
		p := c.progress()
		b = append(p.Append(b, style), '\n')
	}
	c.tell(b)
}

// tell writes to stderr while the screen, which may be on the same terminal,
// makes room. c.out.mu is held. Nothing can be said where stderr fails.
func (c *console) tell(b []byte) {
	write := func() error { _, err := c.opts.Stderr.Write(b); return err }
	if c.screen == nil {
		_ = write()
		return
	}
	_ = c.screen.makeRoom(write)
}
