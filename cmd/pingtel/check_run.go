package main

import (
	"context"
	"errors"
	"net"
	"sync"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/nagios"
	"github.com/pingtel/pingtel/internal/sweep"
)

// errCertain is why a check ends that has its state before its hosts have ended.
var errCertain = errors.New("the state is certain")

// checkRun is one run over the hosts of a check. It ends as soon as the state of
// the whole check is certain.
type checkRun struct {
	need int

	mu     sync.Mutex // guards the fields below and what hosts point to
	hosts  []*checkedHost
	states nagios.States // of the hosts whose state is certain
	open   int           // hosts whose state is not
	stop   context.CancelCauseFunc
}

// checkedHost is one host, what is known of it while its series runs, and its
// result once there is one.
type checkedHost struct {
	aim
	tally   nagios.Tally
	settled bool // its state is certain
	early   bool // it was so before the result
	result  icmpcore.PingResult
	ended   bool // there is a result
}

func newCheckRun(aims []aim, need int) *checkRun {
	c := &checkRun{need: need, open: len(aims)}
	for _, a := range aims {
		c.hosts = append(c.hosts, &checkedHost{aim: a, tally: nagios.Tally{Count: a.opts.Count}, result: icmpcore.PingResult{Host: a.host}})
	}
	return c
}

// judge probes all hosts and returns their verdicts, in the order of the hosts. A
// host that there was no time for has one, too.
func (c *checkRun) judge(ctx context.Context, s *sweep.Sweep) ([]nagios.Verdict, error) {
	ctx, c.stop = context.WithCancelCause(ctx)
	defer c.stop(nil)
	err := s.Run(ctx, func(yield func([]byte, *sweep.Probe) error) error {
		for _, h := range c.hosts {
			probe := s.Probe(h.opts, func(r icmpcore.PingResult) { c.finish(h, r) })
			if c.need > 0 || h.thresholds.HostCheck() {
				probe = s.ProbeUntil(h.opts, func(e icmpcore.Echo) bool { return c.observe(h, e) }, func(r icmpcore.PingResult) { c.finish(h, r) })
			}
			if err := yield([]byte(h.host), probe); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	certain := errors.Is(context.Cause(ctx), errCertain)
	verdicts := make([]nagios.Verdict, len(c.hosts))
	for i, h := range c.hosts {
		verdicts[i] = h.verdict(certain)
		verdicts[i].Marks = h.marks
	}
	return verdicts, nil
}

// observe counts what happened to an echo, and reports whether the state of the
// host is certain.
func (c *checkRun) observe(h *checkedHost, e icmpcore.Echo) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	var send *icmpcore.SendError
	switch {
	case e.Outcome == icmpcore.OutcomeReply:
		h.tally.Received++
		h.tally.Sum += e.RTT
		h.tally.Max = max(h.tally.Max, e.RTT)
	case e.Outcome == icmpcore.OutcomeError && errors.As(e.Err, &send):
		h.tally.Refused++
	case e.Outcome == icmpcore.OutcomeError, e.Outcome == icmpcore.OutcomeTimeout:
		h.tally.Lost++
	default:
		return false // decides nothing
	}
	state, certain := h.thresholds.Certain(h.tally, h.opts.Timeout)
	if certain {
		h.early = true
		c.settle(h, state)
	}
	return certain
}

// finish keeps the result of a host.
func (c *checkRun) finish(h *checkedHost, r icmpcore.PingResult) {
	c.mu.Lock()
	defer c.mu.Unlock()
	h.result, h.ended = r, true
	if !cutShort(r.Err) {
		c.settle(h, nagios.Judge(r, h.thresholds, false).Status)
	}
}

// settle counts the state of a host and ends the run if no other host matters.
// c.mu is held.
func (c *checkRun) settle(h *checkedHost, s nagios.Status) {
	if h.settled {
		return
	}
	h.settled = true
	c.states[s]++
	c.open--
	if c.states.Settled(c.need, c.open) {
		c.stop(errCertain)
	}
}

// verdict judges what there is of a host when the run has ended, which it did
// early if certain is set.
func (h *checkedHost) verdict(certain bool) nagios.Verdict {
	r := h.result
	complete := h.ended && !cutShort(r.Err)
	switch {
	case !complete && !h.settled && certain:
		return nagios.Skip(r, h.thresholds)
	case !complete && !h.settled:
		return nagios.Judge(r, h.thresholds, true)
	case !complete:
		r.Err = nil // it was us who cut it short
	}
	v := nagios.Judge(r, h.thresholds, false)
	if h.early && r.Sent < h.opts.Count {
		v.Asked = h.opts.Count
	}
	return v
}

// cutShort reports whether a series ended early because the check did.
func cutShort(err error) bool {
	return errors.Is(err, net.ErrClosed) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}
