package otel

import (
	"context"
	"errors"
	"math"
	"net"
	"net/netip"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
)

// totals are the counters of a stream and its histogram.
type totals struct {
	requests, replies, duplicates, reordered, corrupt uint64

	failed [failures]uint64
	rtts   histogram
}

func (t *totals) record(r *icmpcore.PingResult) {
	t.count(r)
	for _, rtt := range r.RTTs {
		t.rtts.observe(rtt)
	}
}

// count is record without the histogram.
func (t *totals) count(r *icmpcore.PingResult) {
	t.requests += uint64(r.Sent)
	t.replies += uint64(r.Received)
	t.duplicates += uint64(r.Duplicates)
	t.reordered += uint64(r.Reordered)
	t.corrupt += uint64(r.Corrupt)
	for i := range r.Errors {
		t.failed[failureOf(r.Errors[i].Kind)]++
	}
	silent := max(0, r.Sent-r.Received-len(r.Errors))
	late := min(r.Late, silent)
	t.failed[failedLate] += uint64(late)
	t.failed[failedTimeout] += uint64(silent - late)
	if r.Sent == 0 && r.Err != nil {
		t.failed[reason(r.Err)]++
	}
}

// ended reports whether a series was ended before its first request: there is
// nothing to count.
func ended(r *icmpcore.PingResult) bool {
	return r.Sent == 0 && r.Err != nil && (errors.Is(r.Err, context.Canceled) || errors.Is(r.Err, net.ErrClosed))
}

// reason tells why nothing could be sent.
func reason(err error) failure {
	var resolve *icmpcore.ResolveError
	if errors.As(err, &resolve) {
		return failedResolve
	}
	return failedSend
}

func (t *totals) merge(o *totals) {
	t.requests += o.requests
	t.replies += o.replies
	t.duplicates += o.duplicates
	t.reordered += o.reordered
	t.corrupt += o.corrupt
	for i, n := range o.failed {
		t.failed[i] += n
	}
	t.rtts.merge(o.rtts)
}

func (t *totals) reset() {
	rtts := t.rtts
	rtts.reset()
	*t = totals{rtts: rtts}
}

// latest are the figures of the latest series. What does not exist is NaN, or
// for ttl zero.
type latest struct {
	loss, jitter, ipdv float64
	ttl, hops          uint8
	up                 bool
}

func latestOf(r *icmpcore.PingResult) latest {
	l := latest{loss: math.NaN(), jitter: math.NaN(), ipdv: math.NaN(), up: r.Received > 0}
	if r.Sent > 0 {
		l.loss = r.Loss / 100
	}
	if r.Received > 0 {
		l.ttl, l.hops = uint8(r.TTL), uint8(r.Hops)
	}
	if r.Received > 1 { // a single RTT has no jitter
		l.jitter = r.Jitter.Seconds()
	}
	if r.IPDVPairs > 0 {
		l.ipdv = r.IPDV.Seconds()
	}
	return l
}

// stream is one address of a target, or, where addr is not valid, the target
// without one: what has the same attributes.
type stream struct {
	addr   netip.Addr
	text   string  // of addr
	start  int64   // when counting began, Unix ns; with delta, from when on nothing has been delivered
	total  totals  // with delta, what no push has taken yet
	taken  *totals // with delta, what pushes have taken and none has delivered; else nil
	latest latest

	round               uint64 // of its target, when it was recorded last
	recorded, delivered uint64 // series so far, and those of them that a push has delivered
	push                uint64 // the push that delivered it last, by its number
}

func newStream(addr netip.Addr, start time.Time, rtts histogram) *stream {
	return &stream{addr: addr, text: addr.String(), start: start.UnixNano(), total: totals{rtts: rtts}}
}

func (s *stream) record(r *icmpcore.PingResult) {
	s.total.record(r)
	s.latest = latestOf(r)
	s.recorded++
}

// take returns what a push is to carry.
func (s *stream) take(delta bool) *totals {
	if !delta {
		return &s.total
	}
	if s.taken == nil {
		s.taken = &totals{rtts: empty(s.total.rtts)}
	}
	s.taken.merge(&s.total)
	s.total.reset()
	return s.taken
}

// deliver notes that a push made at now has carried the first recorded series.
func (s *stream) deliver(recorded uint64, now int64) {
	s.delivered = recorded
	if s.taken != nil { // made anew by the next push: few streams at a time have one
		s.taken, s.start = nil, now
	}
}

// empty returns an empty histogram like h.
func empty(h histogram) histogram {
	if h, ok := h.(*explicit); ok {
		return newExplicit(h.bounds)
	}
	return newExponential()
}

// networkType is the value of network.type: the family of the address, or the
// one that the target is to have.
func networkType(f icmpcore.Family, addr netip.Addr) string {
	switch {
	case addr.Is4() || !addr.IsValid() && f == icmpcore.FamilyIPv4:
		return icmpcore.FamilyIPv4.String()
	case addr.Is6() || f == icmpcore.FamilyIPv6:
		return icmpcore.FamilyIPv6.String()
	}
	return ""
}
