package main

import (
	"context"
	"fmt"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/nagios"
	"github.com/pingtel/pingtel/internal/path"
)

// The bounds of the traces of a check.
const (
	maxTraced      = 64                     // hosts: the long output has no room for more
	leastTraceTime = 100 * time.Millisecond // below it a trace would call slow answers lost

	// usualTrace is how many hops the trace of a host that does not answer probes.
	usualTrace = 24
)

// noTimeForTrace stands in place of what a trace would have shown.
const noTimeForTrace = "not traced, since no time was left: want a longer -t"

// tracesEnd is when the traces have to end, so that the check can print before its
// time is over.
func (f *checkFlags) tracesEnd(ctx context.Context) time.Time {
	end, _ := ctx.Deadline() // run sets one
	return end.Add(-min(f.total/10, 500*time.Millisecond))
}

// explain traces the paths to the hosts of r that are not OK because of their loss, the
// worst first, and keeps in their verdicts what the traces show. It changes nothing else
// of them. It ends at end at the latest; rate is that of p, below 1 if it has no limit.
// aims are the hosts of r, in its order.
func explain(ctx context.Context, p path.Prober, end time.Time, rate int, aims []aim, r *nagios.Report) {
	var lossy []int
	for _, i := range r.Trouble() {
		if v := &r.Verdicts[i]; v.Lossy() && v.Result.Addr.IsValid() && len(lossy) < maxTraced {
			lossy = append(lossy, i)
		}
	}
	ctx, stop := context.WithDeadline(ctx, end)
	defer stop()
	type traced struct {
		verdict *nagios.Verdict
		trace   *path.Trace
		time    time.Duration // that it had
	}
	done := make(chan traced, len(lossy)) // nobody takes those that come after the end
	running := 0
	for len(lossy) > 0 || running > 0 {
		for ; len(lossy) > 0 && running < tracesAtOnce(rate); lossy = lossy[1:] {
			v := &r.Verdicts[lossy[0]]
			o, ok := traceOptions(aims[lossy[0]].opts, &v.Result, time.Until(end), rate, len(lossy)+running)
			if !ok {
				v.Path = noTimeForTrace
				continue
			}
			v.Path = "its trace did not end in time: want a longer -t, or a higher --rate" // until it ends
			running++
			path.Go(p, icmpcore.Target{Host: v.Result.Host, Addr: v.Result.Addr}, o, func(t *path.Trace) { done <- traced{v, t, o.Echoes.Timeout} })
		}
		if running == 0 {
			return
		}
		select {
		case x := <-done:
			running--
			x.verdict.Path = shows(x.trace, &x.verdict.Result, x.time)
		case <-ctx.Done():
			return
		}
	}
}

// tracesAtOnce is how many traces run at once: as many as a rate allows without making
// any of them wait for long.
func tracesAtOnce(rate int) int {
	if rate < 1 {
		return maxTraced
	}
	return min(max(rate/(usualTrace*path.DefaultCount), 1), maxTraced)
}

// traceOptions returns how to trace the host of a result in the time that is left, and
// false if that is too short. The echoes are like those of the check; hosts is how many
// hosts are to be traced.
func traceOptions(o icmpcore.Options, r *icmpcore.PingResult, left time.Duration, rate, hosts int) (path.Options, bool) {
	o = path.Like(o, path.Series{Sent: r.Sent, Received: r.Received}, r.Max)
	o.Timeout = min(o.Timeout, left*2/3) // hops that are found late get a bit more
	if rate > 0 {
		o.Count = min(max(rate/(usualTrace*hosts), path.DefaultCount), o.Count)
	}
	return path.Options{Echoes: o}, o.Timeout >= leastTraceTime
}

// shows says what a trace that had so much time shows. There is no earlier trace to
// compare it with.
func shows(t *path.Trace, r *icmpcore.PingResult, had time.Duration) string {
	v := path.Judge(t, nil, path.Series{Sent: r.Sent, Received: r.Received})
	if had < icmpcore.DefaultTimeout && (v.Cause != path.None || t.EndReceived < t.EndSent) {
		v.Text += fmt.Sprintf(" (within %v)", had.Round(time.Millisecond))
	}
	return v.Text
}
